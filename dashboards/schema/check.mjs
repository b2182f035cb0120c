// Holds ../page-cache.json against @grafana/schema by `tsc --strict`, and sees to it that the check
// finds what is broken: each of the mutations must be refused.

import { execFileSync } from "node:child_process";
import { mkdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { defaultDashboard } from "@grafana/schema";
import { literals } from "./literals.mjs";
import { MUTATIONS } from "./mutations.mjs";

const PANELS_MIN = 15;
const written = new URL("written/", import.meta.url);
const path = process.env.DASHBOARD ?? new URL("../page-cache.json", import.meta.url);
const text = readFileSync(path, "utf8");

const dashboard = JSON.parse(text);
const panels = dashboard.panels.filter((panel) => panel.type !== "row").length;
if (panels < PANELS_MIN) throw new Error(`only ${panels} panels`);
if (dashboard.schemaVersion !== defaultDashboard.schemaVersion) {
  throw new Error(`schemaVersion is not ${defaultDashboard.schemaVersion}`);
}

rmSync(written, { recursive: true, force: true });
mkdirSync(written);
writeFileSync(new URL("whole.ts", written), literals(dashboard));
Object.values(MUTATIONS).forEach((mutate, index) => {
  const broken = JSON.parse(text);
  mutate(broken);
  writeFileSync(new URL(`broken${index}.ts`, written), literals(broken));
});

/** What tsc has to say about all of them, a line each. */
function complaints() {
  const tsc = new URL("node_modules/typescript/bin/tsc", import.meta.url).pathname;
  try {
    const cwd = new URL(".", import.meta.url).pathname;
    execFileSync(process.execPath, [tsc, "--pretty", "false"], { cwd, encoding: "utf8" });
    return [];
  } catch (error) {
    if (typeof error.stdout !== "string" || error.stdout === "") throw error;
    return error.stdout.split("\n").filter((line) => line !== "");
  }
}

const refused = new Set();
let failed = false;
for (const line of complaints()) {
  const broken = /^written\/broken(\d+)\.ts\(/.exec(line);
  if (broken) {
    refused.add(Number(broken[1]));
  } else if (!line.startsWith(" ")) {
    // The lines behind an error's first one begin with spaces.
    console.error(line);
    failed = true;
  }
}
Object.keys(MUTATIONS).forEach((name, index) => {
  if (!refused.has(index)) {
    console.error(`not refused: ${name}`);
    failed = true;
  }
});
if (failed) process.exit(1);
console.log(`${panels} panels fit @grafana/schema; ${refused.size} broken dashboards do not`);
