// Open a report as readers do and print what was seen as JSON; tests/report/test_browser.py asserts.
// node check.cjs CHROMIUM PAGE.html [SCREENSHOTS], with VIEWS=light,dark,phone for some of them; light
// is needed for what is seen without script.
const { chromium } = require("playwright-core");
const axe = require("axe-core");
const { pathToFileURL } = require("node:url");

const [executablePath, page_, folder] = process.argv.slice(2);
const VIEWS = {
  light: { viewport: { width: 1280, height: 800 }, colorScheme: "light" },
  dark: { viewport: { width: 1280, height: 800 }, colorScheme: "dark" },
  phone: { viewport: { width: 390, height: 844 }, colorScheme: "light" },
};

// What stands in the language that is shown. All of `dead` is of the page, in whichever language.
const stands = () => {
  const halves = [...document.querySelectorAll(".half")];
  const shown = halves.filter((half) => half.getClientRects().length);
  const half = shown[0];
  return {
    shown: shown.map((half) => half.lang),
    words: half.querySelector(".banner .big strong").innerText,
    headline: half.querySelector(".banner .big").getBoundingClientRect().bottom,
    banner: half.querySelector("section.banner").getBoundingClientRect().bottom,
    width: document.documentElement.scrollWidth,
    view: document.documentElement.clientWidth,
    background: getComputedStyle(document.body).backgroundColor,
    dead: [...document.querySelectorAll("a[href]")]
      .map((a) => a.getAttribute("href"))
      .filter((h) => !h.startsWith("#") || !document.getElementById(h.slice(1))),
    links: half.querySelectorAll("a[href^='#']:not([hreflang])").length,
    drawn: [...half.querySelectorAll("figure svg")].filter((svg) => {
      const box = svg.querySelector("use") && svg.querySelector("use").getBBox();
      return box && box.width > 50 && box.height > 50;
    }).length,
    figures: half.querySelectorAll("figure svg").length,
  };
};

// Every link of the language by keyboard: focus, Enter, and its target is where the page stands.
async function follow(page) {
  const followed = [];
  for (const link of await page.locator("a[href^='#']:not([hreflang])").all()) {
    if (!(await link.isVisible())) continue;
    await link.focus();
    await page.keyboard.press("Enter");
    followed.push([await link.getAttribute("href"), new URL(page.url()).hash]);
  }
  return followed;
}

async function faults(page) {
  await page.locator("details").evaluateAll((all) => all.forEach((d) => (d.open = true)));
  await page.evaluate(axe.source);
  const found = await page.evaluate(() => window.axe.run(document, { resultTypes: ["violations"] }));
  return found.violations
    .filter((v) => ["serious", "critical"].includes(v.impact))
    .map((v) => `${v.id}: ${v.nodes.length} x ${v.nodes[0].html.slice(0, 200)}`);
}

// Press Tab until the link to the other language has the focus, then Enter.
async function toggle(page) {
  for (let presses = 0; presses < 200; presses++) {
    await page.keyboard.press("Tab");
    if (await page.evaluate(() => document.activeElement.matches("nav.language a"))) break;
  }
  const name = await page.evaluate(() => document.activeElement.innerText);
  await page.keyboard.press("Enter");
  return name;
}

// Sort the table of models by its first column, twice, with nothing but the keyboard.
async function sort(page) {
  const table = page.locator("table.matrix:visible");
  if (!(await table.count())) return null;
  const state = async () => ({
    sorted: await table.locator("th").evaluateAll((all) => all.map((th) => th.ariaSort)),
    models: await table.locator("tbody th").allInnerTexts(),
  });
  const seen = [await state()];
  await table.locator("thead button").first().focus();
  for (const key of ["Enter", "Space"]) {
    await page.keyboard.press(key);
    seen.push(await state());
  }
  return seen;
}

async function look(browser, name, options) {
  const context = await browser.newContext(options);
  const page = await context.newPage();
  const requests = [], errors = [];
  page.on("request", (r) => requests.push(r.url()));
  page.on("pageerror", (e) => errors.push(String(e)));
  page.on("console", (m) => m.type() === "error" && errors.push(m.text()));
  await page.goto(pathToFileURL(page_).href);
  const first = await page.evaluate(stands);
  if (folder) await page.screenshot({ path: `${folder}/${name}.png` });
  if (folder) await page.screenshot({ path: `${folder}/${name}-whole.png`, fullPage: true });
  const sorted = await sort(page);
  await page.goto(pathToFileURL(page_).href);
  const pressed = await toggle(page);
  const other = { ...(await page.evaluate(stands)), pressed, hash: new URL(page.url()).hash };
  if (folder) await page.screenshot({ path: `${folder}/${name}-other.png` });
  if (folder) await page.screenshot({ path: `${folder}/${name}-other-whole.png`, fullPage: true });
  other.followed = await follow(page);
  other.violations = await faults(page);
  await page.goto(`${pathToFileURL(page_).href}${other.hash}`);
  await page.reload();
  await toggle(page);
  const back = (await page.evaluate(stands)).shown;
  const followed = await follow(page);
  const violations = await faults(page);
  await context.close();
  return { ...first, requests: [...new Set(requests)], errors, followed, violations, sorted, other, back };
}

async function main() {
  const browser = await chromium.launch({ executablePath, args: ["--no-sandbox"] });
  const seen = {};
  const asked = process.env.VIEWS ? process.env.VIEWS.split(",") : Object.keys(VIEWS);
  for (const [name, options] of Object.entries(VIEWS).filter(([name]) => asked.includes(name))) seen[name] = await look(browser, name, options);
  const still = await (await browser.newContext({ javaScriptEnabled: false })).newPage();
  seen.withoutScript = {};
  for (const hash of ["", seen.light.other.hash]) {
    await still.goto("about:blank");
    await still.goto(pathToFileURL(page_).href + hash);
    await still.emulateMedia({ media: "print" });
    seen.withoutScript[hash] = {
      text: await still.locator("main").innerText(),
      pdf: (await still.pdf({ format: "A4", ...(folder && { path: `${folder}/print${hash.replace("#", "-")}.pdf` }) })).length,
    };
    await still.emulateMedia({ media: "screen" });
  }
  await browser.close();
  console.log(JSON.stringify(seen));
}

main().catch((e) => { console.error(e); process.exit(1); });
