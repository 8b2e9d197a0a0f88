// Open a report as readers do and print what was seen as JSON; tests/report/test_browser.py asserts.
// node check.cjs CHROMIUM PAGE.html [SCREENSHOTS]
const { chromium } = require("playwright-core");
const axe = require("axe-core");
const { pathToFileURL } = require("node:url");

const [executablePath, page_, folder] = process.argv.slice(2);
const VIEWS = {
  light: { viewport: { width: 1280, height: 800 }, colorScheme: "light" },
  dark: { viewport: { width: 1280, height: 800 }, colorScheme: "dark" },
  phone: { viewport: { width: 390, height: 844 }, colorScheme: "light" },
};

async function look(browser, name, options) {
  const context = await browser.newContext(options);
  const page = await context.newPage();
  const requests = [], errors = [];
  page.on("request", (r) => requests.push(r.url()));
  page.on("pageerror", (e) => errors.push(String(e)));
  page.on("console", (m) => m.type() === "error" && errors.push(m.text()));
  await page.goto(pathToFileURL(page_).href);
  const seen = await page.evaluate(() => ({
    headline: document.querySelector(".banner .big").getBoundingClientRect().bottom,
    banner: document.querySelector("section.banner").getBoundingClientRect().bottom,
    width: document.documentElement.scrollWidth,
    view: document.documentElement.clientWidth,
    background: getComputedStyle(document.body).backgroundColor,
    dead: [...document.querySelectorAll("a[href]")]
      .map((a) => a.getAttribute("href"))
      .filter((h) => !h.startsWith("#") || !document.getElementById(h.slice(1))),
    links: document.querySelectorAll("a[href^='#']").length,
  }));
  if (folder) await page.screenshot({ path: `${folder}/${name}.png` });
  if (folder) await page.screenshot({ path: `${folder}/${name}-whole.png`, fullPage: true });
  // Every link by keyboard: focus, Enter, and its target is where the page stands.
  const followed = [];
  for (const link of await page.locator("a[href^='#']").all()) {
    await link.focus();
    await page.keyboard.press("Enter");
    followed.push([await link.getAttribute("href"), new URL(page.url()).hash]);
  }
  await page.locator("details").evaluateAll((all) => all.forEach((d) => (d.open = true)));
  await page.evaluate(axe.source);
  const found = await page.evaluate(() => window.axe.run(document, { resultTypes: ["violations"] }));
  const violations = found.violations
    .filter((v) => ["serious", "critical"].includes(v.impact))
    .map((v) => `${v.id}: ${v.nodes.length} x ${v.nodes[0].html.slice(0, 200)}`);
  await context.close();
  return { ...seen, requests, errors, followed, violations };
}

async function main() {
  const browser = await chromium.launch({ executablePath, args: ["--no-sandbox"] });
  const seen = {};
  for (const [name, options] of Object.entries(VIEWS)) seen[name] = await look(browser, name, options);
  const still = await (await browser.newContext({ javaScriptEnabled: false })).newPage();
  await still.goto(pathToFileURL(page_).href);
  seen.withoutScript = { text: await still.locator("main").innerText() };
  await still.emulateMedia({ media: "print" });
  seen.pdf = (await still.pdf({ format: "A4" })).length;
  await browser.close();
  console.log(JSON.stringify(seen));
}

main().catch((e) => { console.error(e); process.exit(1); });
