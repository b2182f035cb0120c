// Writes check.ts: the dashboard, and the options of each panel, as literals of Grafana's types.
// A literal may not have a property that its type lacks, so tsc refuses what Grafana would ignore.

import { readFileSync, writeFileSync } from "node:fs";
import { defaultDashboard } from "@grafana/schema";

const OPTIONS = {
  timeseries: "@grafana/schema/dist/esm/raw/composable/timeseries/panelcfg/x/TimeSeriesPanelCfg_types.gen",
  stat: "@grafana/schema/dist/esm/raw/composable/stat/panelcfg/x/StatPanelCfg_types.gen",
};

const dashboard = JSON.parse(readFileSync(new URL("../page-cache.json", import.meta.url), "utf8"));
if (dashboard.schemaVersion !== defaultDashboard.schemaVersion) {
  throw new Error(`schemaVersion is not ${defaultDashboard.schemaVersion}`);
}

const lines = ['import type { Dashboard, Panel, RowPanel } from "@grafana/schema";'];
for (const [kind, module] of Object.entries(OPTIONS)) {
  lines.push(`import type { Options as ${kind}Options } from "${module}";`);
}
lines.push(
  "// JSON has no enums: their values stand for them.",
  "type Json<T> = T extends string ? `${T}` : T extends number | boolean | null | undefined ? T :",
  "  T extends (infer E)[] ? Json<E>[] : T extends object ? { [K in keyof T]: Json<T[K]> } : T;",
);

const { panels, ...rest } = dashboard;
lines.push(`export const dashboard: Json<Omit<Dashboard, "panels">> = ${JSON.stringify(rest)};`);
let written = 0;
for (const panel of panels) {
  const name = `panel${panel.id}`;
  if (panel.type === "row") {
    lines.push(`export const ${name}: Json<RowPanel> = ${JSON.stringify(panel)};`);
    continue;
  }
  if (!(panel.type in OPTIONS)) throw new Error(`no options are known for ${panel.type}`);
  const { options, targets, ...others } = panel;
  lines.push(`export const ${name}: Json<Omit<Panel, "options" | "targets">> = ${JSON.stringify(others)};`);
  lines.push(`export const ${name}Options: Json<${panel.type}Options> = ${JSON.stringify(options)};`);
  if (!targets.every((target) => target.expr && target.refId)) throw new Error(`${panel.title}: a query`);
  written += 1;
}
if (written < 15) throw new Error(`only ${written} panels`);
writeFileSync(new URL("check.ts", import.meta.url), lines.join("\n") + "\n");
console.log(`${written} panels are to be checked`);
