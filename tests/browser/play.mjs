// Plays a stream of a running node in headless Chromium, as a person would through the page, and measures what a person
// would notice: does it start, does it keep the pace of the wall clock, does every rung come up without a seam.
//
//   node tests/browser/play.mjs http://127.0.0.1:PORT/ STREAM [--screenshot FILE] [--seconds N] [--dark] [--width PX] [--paid]
//
// With --paid the node must show that it sends tickets, and at least one orchestrator's earnings as a rising curve.
//
// Prints one line of JSON. Exit code 0: all is well; 1: something is not, `problems` says what; 77: no Chromium here.

import { existsSync } from "node:fs";
import { createRequire } from "node:module";
import { parseArgs } from "node:util";

const FLAGS = [
  "--headless=new",
  "--no-sandbox",
  "--disable-gpu",
  "--disable-quic",
  "--no-first-run",
  "--disable-background-networking",
  "--disable-component-update",
  "--disable-sync",
  "--autoplay-policy=no-user-gesture-required",
];
/** A first playlist needs a whole segment or two and the ladder made of it. */
const START_MS = 60_000;
/** Playing, once it runs, must keep within this of the wall clock, each way. */
const PACE_MS = 500;
/** The longest time that the picture may stand still, also at a switch. */
const STALL_MS = 1000;
/** A step of the position beyond the wall clock: the player jumped over something. */
const JUMP_MS = 300;
/** A rung asked for comes up at the next segment boundaries. */
const SWITCH_MS = 30_000;
/** How long a rung must play on after it came up. */
const AFTER_SWITCH_MS = 4000;
/** Accounts are opened and quoted within a segment or two, and a curve has a point for each ten seconds. */
const PAID_MS = 60_000;
/** Largest hole between buffered ranges that a decoder does not notice, seconds: less than a frame. */
const HOLE_S = 0.02;

const { values: options, positionals } = parseArgs({
  allowPositionals: true,
  options: {
    screenshot: { type: "string" },
    seconds: { type: "string", default: "10" },
    dark: { type: "boolean", default: false },
    width: { type: "string", default: "1280" },
    paid: { type: "boolean", default: false },
  },
});
const [address, stream] = positionals;
const seconds = Number(options.seconds);
if (!address || !stream || !(seconds > 0)) {
  console.error("usage: node tests/browser/play.mjs http://127.0.0.1:PORT/ STREAM [--screenshot FILE] [--seconds N]");
  process.exit(2);
}
const executablePath = process.env.CHROMIUM || "/usr/bin/chromium";
if (!existsSync(executablePath)) {
  console.log("skipped: no chromium");
  process.exit(77);
}
process.exit(await main());

async function main() {
  const { chromium } = loadPlaywright();
  const report = { stream, problems: [] };
  const browser = await chromium.launch({ executablePath, args: FLAGS });
  try {
    const page = await browser.newPage({
      viewport: { width: Number(options.width), height: 900 },
      colorScheme: options.dark ? "dark" : "light",
    });
    page.on("pageerror", (error) => report.problems.push(`script error: ${error.message}`));
    await watch(page, report);
  } catch (error) {
    report.problems.push(String(error.message ?? error).split("\n")[0]);
  } finally {
    await browser.close();
  }
  report.ok = report.problems.length === 0;
  console.log(JSON.stringify(report));
  return report.ok ? 0 : 1;
}

function loadPlaywright() {
  try {
    return createRequire(new URL("../../dashboard/package.json", import.meta.url))("playwright-core");
  } catch {
    console.error("playwright-core is not installed: run `npm ci` in dashboard/");
    process.exit(1);
  }
}

async function watch(page, report) {
  const opened = Date.now();
  await page.goto(address);
  const tab = page.locator(`.stream[data-stream="${stream}"]`);
  await tab.waitFor({ timeout: START_MS });
  await tab.click();
  await page.waitForFunction(isPlaying, null, { timeout: START_MS });
  report.time_to_play_ms = Date.now() - opened;
  await page.evaluate(startSampling);

  report.steady = await steady(page, report.problems);
  if (options.paid) report.paid = await paid(page, report.problems);
  await screenshot(page);
  report.rungs = await everyRung(page, report.problems);

  const end = await page.evaluate(readPlayer);
  report.dropped_frames = end.dropped;
  report.total_frames = end.total;
  report.errors = end.errors;
  const bad = Object.keys(end.errors).filter((kind) => /^(buffer|video:|media)|Parsing|Decrypt|Incompatible/.test(kind));
  if (bad.length) report.problems.push(`media errors: ${bad.join(", ")}`);
}

async function steady(page, problems) {
  const from = await page.evaluate(() => performance.now());
  await page.waitForTimeout(seconds * 1000);
  const found = await page.evaluate(measure, { from, hole: HOLE_S });
  judge("steady", found, problems);
  if (Math.abs(found.drift_ms) > PACE_MS) problems.push(`steady: the position is off the wall clock by ${found.drift_ms} ms`);
  return found;
}

async function paid(page, problems) {
  try {
    await page.waitForFunction(showsEarnings, null, { timeout: PAID_MS });
  } catch {
    problems.push(`the panel shows no tickets or no earnings within ${PAID_MS} ms`);
  }
  const found = await page.evaluate(readPayments);
  if (found.unpaid !== "0") problems.push(`${found.unpaid} segments are shown as unpaid`);
  return found;
}

async function everyRung(page, problems) {
  const names = await page.$$eval(".rung[data-rung] input:not(:disabled)", (all) => all.map((input) => input.value));
  const sizes = await page.evaluate(ladderSizes, stream);
  const rungs = names.filter((name) => name !== "auto");
  if (rungs.length === 0) problems.push("the player offers no rungs");
  const found = [];
  for (const name of [...rungs, ...rungs.slice(0, -1).reverse()]) found.push(await oneRung(page, name, sizes[name], problems));
  await page.locator('.rung[data-rung="auto"] input').check({ force: true });
  return found;
}

async function oneRung(page, name, size, problems) {
  const from = await page.evaluate(() => performance.now());
  const asked = Date.now();
  await page.locator(`.rung[data-rung="${name}"] input`).check({ force: true });
  try {
    await page.waitForFunction((rung) => document.querySelector(".player").dataset.level === rung, name, { timeout: SWITCH_MS });
  } catch {
    problems.push(`${name}: did not become the current level within ${SWITCH_MS} ms`);
  }
  const took = Date.now() - asked;
  await page.waitForTimeout(AFTER_SWITCH_MS);
  const found = { rung: name, switched_ms: took, ...(await page.evaluate(measure, { from, hole: HOLE_S })) };
  judge(name, found, problems);
  if (size && !sameSize(size, found.picture)) problems.push(`${name}: the picture is ${found.picture}, the ladder says ${size}`);
  return found;
}

/** A player shows square pixels, so the width may differ by what rounding to even sides took. */
function sameSize(a, b) {
  const [[w1, h1], [w2, h2]] = [a, b].map((size) => size.split("x").map(Number));
  return Math.abs(w1 - w2) <= 2 && Math.abs(h1 - h2) <= 2;
}

function judge(what, found, problems) {
  if (found.stall_ms > STALL_MS) problems.push(`${what}: stood still for ${found.stall_ms} ms`);
  if (found.jump_ms > JUMP_MS) problems.push(`${what}: jumped ahead by ${found.jump_ms} ms`);
  if (found.holes > 0) problems.push(`${what}: the buffer had a hole of ${found.hole_ms} ms`);
}

async function screenshot(page) {
  if (!options.screenshot) return;
  await page.mouse.move(2, 2);
  await page.evaluate(() => window.scrollTo(0, 0));
  await page.waitForTimeout(400);
  await page.screenshot({ path: options.screenshot, fullPage: true });
}

// What follows runs in the page.

function isPlaying() {
  const video = document.querySelector(".screen video");
  return Boolean(video && !video.paused && video.readyState >= 3 && video.currentTime > 0 && video.videoWidth > 0);
}

function startSampling() {
  const video = document.querySelector(".screen video");
  window.samples = [];
  window.setInterval(() => {
    const ranges = Array.from({ length: video.buffered.length }, (_, i) => [video.buffered.start(i), video.buffered.end(i)]);
    window.samples.push({ wall: performance.now(), at: video.currentTime, ranges });
    if (window.samples.length > 20_000) window.samples.shift();
  }, 50);
}

function measure({ from, hole }) {
  const video = document.querySelector(".screen video");
  const samples = window.samples.filter((sample) => sample.wall >= from);
  const [first, last] = [samples[0], samples[samples.length - 1]];
  let moved = first;
  const worst = { stall: 0, jump: 0, hole: 0, holes: 0 };
  samples.slice(1).forEach((now, i) => {
    const before = samples[i];
    worst.jump = Math.max(worst.jump, (now.at - before.at) * 1000 - (now.wall - before.wall));
    worst.stall = Math.max(worst.stall, now.wall - moved.wall);
    if (now.at > moved.at) moved = now;
    now.ranges.slice(1).forEach(([start], n) => {
      const [, end] = now.ranges[n];
      const reached = end >= first.at && start <= now.at + 0.25; // While a switch refills what lies ahead, holes there are no harm.
      if (reached && start - end > hole) {
        worst.holes += 1;
        worst.hole = Math.max(worst.hole, start - end);
      }
    });
  });
  return {
    played_ms: Math.round((last.at - first.at) * 1000),
    drift_ms: Math.round((last.at - first.at) * 1000 - (last.wall - first.wall)),
    stall_ms: Math.round(worst.stall),
    jump_ms: Math.max(0, Math.round(worst.jump)),
    holes: worst.holes,
    hole_ms: Math.round(worst.hole * 1000),
    picture: `${video.videoWidth}x${video.videoHeight}`,
  };
}

function showsEarnings() {
  const panel = document.querySelector('#payments:not([hidden]) .side[data-side="paid"]:not([hidden])');
  if (!panel || !(Number(panel.querySelector(".side-value").textContent) > 0)) return false;
  const heights = (line) => line.getAttribute("points").split(" ").map((point) => Number(point.split(",")[1]));
  return [...panel.querySelectorAll(".curves polyline")].some((line) => Math.min(...heights(line)) < heights(line)[0]);
}

function readPayments() {
  const side = document.querySelector('.side[data-side="paid"]');
  const [tickets, cost, segments, unpaid] = [...side.querySelectorAll(".side-value")].map((value) => value.textContent);
  return { tickets, cost, segments, unpaid, curves: side.querySelectorAll(".curves polyline").length };
}

async function ladderSizes(id) {
  const state = await (await fetch("./api/v1/state")).json();
  const found = state.streams.find((one) => one.id === id);
  const sizes = Object.fromEntries((found?.renditions ?? []).map((rung) => [rung.name, `${rung.width}x${rung.height}`]));
  if (found?.source) sizes.source ??= `${found.source.width}x${found.source.height}`;
  return sizes;
}

function readPlayer() {
  const quality = document.querySelector(".screen video").getVideoPlaybackQuality();
  const errors = JSON.parse(document.querySelector(".player").dataset.errors || "{}");
  return { dropped: quality.droppedVideoFrames, total: quality.totalVideoFrames, errors };
}
