// Open reports as readers do and print what was seen of each as JSON; tests/report/test_browser.py
// asserts. node check.cjs PAGE.html ..., with VIEWS=light,dark,phone for some of them (light is needed
// for what is seen without script), SCREENSHOTS=FOLDER for pictures, CHROMIUM=PATH for another browser.
const { chromium } = require("playwright-core");
const axe = require("axe-core");
const { existsSync } = require("node:fs");
const { basename, join } = require("node:path");
const { pathToFileURL } = require("node:url");

const UNPACKED = join(__dirname, "node_modules", ".chromium"); // by unpack.mjs
const CARRIED = {
  executablePath: join(UNPACKED, "chromium"),
  args: ["--no-sandbox", "--no-zygote", "--headless=shell"],
  env: {
    ...process.env,
    LD_LIBRARY_PATH: join(UNPACKED, "al2023", "lib"),
    FONTCONFIG_FILE: process.env.FONTCONFIG_FILE || join(UNPACKED, "fonts.conf"),
  },
};
const NAMED = process.env.CHROMIUM;
const LAUNCH = NAMED || !existsSync(UNPACKED)
  ? { executablePath: NAMED || "/usr/bin/chromium", args: ["--no-sandbox"] }
  : CARRIED;
const PICTURES = process.env.SCREENSHOTS;
const named = (name) => (process.env[name] || "").split(",");
const WHOLE = named("WHOLE"); // pages that axe sees in every view, and that print
const WORKED = named("WORKED"); // pages that are used by keyboard, and read without script
const VIEWS = {
  light: { viewport: { width: 1280, height: 800 }, colorScheme: "light" },
  dark: { viewport: { width: 1920, height: 1080 }, colorScheme: "dark" },
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

// What is wider than the box it stands in, or holds a word that its edge cuts off.
const tooWide = () => {
  const shown = (element) => element.getClientRects().length > 0;
  const told = (element) => `${element.tagName} ${element.getAttribute("aria-label") || element.className.baseVal || element.className}`;
  const boxes = [...document.querySelectorAll("main, figure, figure svg, table, td, tbody th, li, p, pre")].filter(shown);
  const wide = boxes.filter((box) => {
    const around = box.parentElement.getBoundingClientRect();
    return box.scrollWidth > Math.max(box.clientWidth, 1) + 1 || box.getBoundingClientRect().right > around.right + 1;
  });
  const cut = [...document.querySelectorAll("figure svg text")].filter(shown).filter((word) => {
    const [inner, outer] = [word, word.ownerSVGElement].map((element) => element.getBoundingClientRect());
    return inner.left < outer.left - 2 || inner.right > outer.right + 2;
  });
  return [...wide.map(told), ...cut.map((word) => `cut off: ${word.textContent}`)];
};

const opened = async (page) => {
  await page.locator("details").evaluateAll((all) => all.forEach((d) => (d.open = true)));
  return page.evaluate(tooWide);
};

async function violations(page) {
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

// A page as it opens in a view, in the language that stands first and, by its address, in the other.
async function glance(context, url, picture) {
  const page = await context.newPage();
  const requests = [], errors = [];
  page.on("request", (r) => requests.push(r.url()));
  page.on("pageerror", (e) => errors.push(String(e)));
  page.on("console", (m) => m.type() === "error" && errors.push(m.text()));
  const seen = [];
  for (const at of [url, `${url}#${await otherLanguage(page, url)}`]) {
    await page.goto("about:blank");
    await page.goto(at);
    seen.push({ ...(await page.evaluate(stands)), hash: new URL(page.url()).hash });
    if (picture) await page.screenshot({ path: `${picture}${seen.length > 1 ? "-other" : ""}.png`, fullPage: true });
    seen.at(-1).wide = await opened(page);
  }
  const told = { requests: [...new Set(requests)].filter((asked) => asked !== "about:blank"), errors };
  return { page, seen: { ...seen[0], other: seen[1], ...told } };
}

async function otherLanguage(page, url) {
  await page.goto(url);
  return page.locator(".half.other").getAttribute("lang");
}

// What takes long is done in one view: keyboard, links, axe in the language that stands first.
async function work(page, url, seen) {
  await page.goto("about:blank");
  await page.goto(url);
  seen.sorted = await sort(page);
  await page.goto(url);
  seen.other.pressed = await toggle(page);
  seen.other.toggled = (await page.evaluate(stands)).shown;
  seen.other.followed = await follow(page);
  await page.goto(`${url}${seen.other.hash}`);
  await page.reload();
  await toggle(page);
  seen.back = (await page.evaluate(stands)).shown;
  seen.followed = await follow(page);
}

async function lookAt(browser, path) {
  const url = pathToFileURL(path).href;
  const name = basename(path, ".html");
  const picture = (view) => PICTURES && join(PICTURES, `${name}-${view}`);
  const seen = {};
  const asked = process.env.VIEWS ? process.env.VIEWS.split(",") : Object.keys(VIEWS);
  for (const [view, options] of Object.entries(VIEWS).filter(([view]) => asked.includes(view))) {
    const context = await browser.newContext(options);
    const found = await glance(context, url, picture(view));
    seen[view] = found.seen;
    if (view === "light" && WORKED.includes(name)) await work(found.page, url, found.seen);
    if (view === "light" || WHOLE.includes(name)) found.seen.violations = await violations(found.page);
    await context.close();
  }
  if (!WORKED.includes(name)) return seen;
  const context = await browser.newContext({ javaScriptEnabled: false });
  const still = await context.newPage();
  seen.withoutScript = {};
  for (const hash of ["", seen.light.other.hash]) {
    await still.goto("about:blank");
    await still.goto(url + hash);
    await still.emulateMedia({ media: "print" });
    const told = { text: await still.locator("main").innerText() };
    if (WHOLE.includes(name)) {
      const path = PICTURES && { path: `${picture("print")}${hash.replace("#", "-")}.pdf` };
      told.pdf = (await still.pdf({ format: "A4", ...path })).length;
    }
    seen.withoutScript[hash] = told;
    await still.emulateMedia({ media: "screen" });
  }
  await context.close();
  return seen;
}

async function main() {
  const browser = await chromium.launch(LAUNCH);
  const seen = {};
  for (const path of process.argv.slice(2)) seen[basename(path, ".html")] = await lookAt(browser, path);
  await browser.close();
  console.log(JSON.stringify(seen));
}

main().catch((e) => { console.error(e); process.exit(1); });
