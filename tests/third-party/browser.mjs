// What a reader does in a browser: search, filter, open a mismatch, follow a log, download an attestation. Every page is
// looked at in three widths, light and dark, by axe-core.
//
//   node browser.mjs URL FOLDER
//
// Tells the test what to do next on stdout, and ends with an error at the first thing that is not as it should be.
import { createRequire } from "node:module";
import { mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";

const [url, folder] = process.argv.slice(2);
const require = createRequire(join(process.env.REBUILDER_THIRD_PARTY, "node_modules", "x.js"));
const { chromium } = require("playwright-core");
const axe = readFileSync(require.resolve("axe-core/axe.min.js"), "utf8");
const assert = require("node:assert/strict");

mkdirSync(folder, { recursive: true });
const browser = await chromium.launch({
  executablePath: process.env.REBUILDER_CHROMIUM ?? "/usr/bin/chromium",
  args: ["--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking", "--disable-component-update", "--disable-sync"],
});

const pages = {
  overview: "/",
  rates: "/rates",
  causes: "/causes",
  search: "/packages?q=tar",
  package: "/packages/pkg:deb/debian/tar",
  mismatch: "/builds/2",
  report: "/builds/2/report.html",
};
for (const colorScheme of ["light", "dark"]) {
  for (const width of [400, 800, 1200]) {
    // axe is put into the page, whose policy would refuse it.
    const context = await browser.newContext({ colorScheme, viewport: { width, height: 900 }, bypassCSP: true });
    const page = await context.newPage();
    const problems = [];
    page.on("pageerror", (error) => problems.push(String(error)));
    for (const [name, path] of Object.entries(pages)) {
      await page.goto(url + path);
      await page.screenshot({ path: join(folder, `${name}-${colorScheme}-${width}.png`), fullPage: true });
      const wide = await page.evaluate(() => document.documentElement.scrollWidth - window.innerWidth);
      assert.ok(wide <= 0, `${name} is ${wide} pixels too wide at ${width}`);
      await page.evaluate(axe);
      const { violations } = await page.evaluate(() => axe.run(document, { resultTypes: ["violations"] }));
      const serious = violations.filter(({ impact }) => impact === "serious" || impact === "critical");
      const said = serious.map(({ id, nodes }) => `${id}: ${nodes.map(({ html }) => html).slice(0, 3).join(" ")}`);
      assert.deepEqual(said, [], `${name}, ${colorScheme}, ${width}`);
    }
    assert.deepEqual(problems, []);
    await context.close();
  }
}

// With the policy that readers have, and what it refuses is an error.
const context = await browser.newContext({ acceptDownloads: true });
const page = await context.newPage();
const refused = [];
page.on("console", (message) => {
  if (message.type() === "error") refused.push(message.text());
});
await page.goto(url);
await page.getByRole("searchbox").fill("chro");
await page.getByRole("button", { name: "Search" }).click();
await page.getByRole("link", { name: "pkg:deb/debian/chrony" }).click();
const [download] = await Promise.all([page.waitForEvent("download"), page.getByRole("link", { name: "attestation" }).click()]);
await download.saveAs(join(folder, "attestation.json"));

await page.goto(`${url}/rates`);
await page.getByRole("link", { name: "debian" }).click();
assert.ok((await page.getByRole("heading", { level: 1 }).textContent()).includes("debian"));
await page.goto(url);
await page.getByRole("table").filter({ hasText: "a later conclusion" }).getByRole("link", { name: "mismatch" }).click();
await page.getByRole("link", { name: "differences" }).waitFor();

await page.goto(`${url}/jobs/6`);
await page.locator("#log").filter({ hasText: "the first line" }).waitFor();
console.log("following");
await page.locator("#log").filter({ hasText: "the second line" }).waitFor();
assert.equal(await page.locator("#log b").count(), 0);
console.log("followed");
await page.getByRole("link", { name: "ended: see the build" }).waitFor();
assert.deepEqual(refused, []);
writeFileSync(join(folder, "done"), "");
await browser.close();
