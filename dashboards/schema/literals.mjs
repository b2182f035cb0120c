// A dashboard as TypeScript: it, its panels, their options and queries, as literals of Grafana's types.
// A literal may not have a property that its type lacks, so tsc refuses what Grafana would ignore.

const OPTIONS = {
  timeseries: "@grafana/schema/dist/esm/raw/composable/timeseries/panelcfg/x/TimeSeriesPanelCfg_types.gen",
  stat: "@grafana/schema/dist/esm/raw/composable/stat/panelcfg/x/StatPanelCfg_types.gen",
};

const HEAD = [
  'import type { Dashboard, DataQuery, Panel, RowPanel } from "@grafana/schema";',
  ...Object.entries(OPTIONS).map(
    ([kind, module]) => `import type { Options as ${kind}Options } from "${module}";`,
  ),
  "// JSON has no enums: their values stand for them.",
  "type Json<T> = T extends string ? `${T}` : T extends number | boolean | null | undefined ? T :",
  "  T extends (infer E)[] ? Json<E>[] : T extends object ? { [K in keyof T]: Json<T[K]> } : T;",
  "// What the data source for Prometheus has beside what all queries have.",
  "interface Query extends DataQuery {",
  '  expr: string; legendFormat: string; editorMode: "code" | "builder";',
  "  range: boolean; instant: boolean;",
  "}",
];

/** The text of a module that has an error wherever the dashboard does not fit the types. */
export function literals(dashboard) {
  const lines = [...HEAD];
  const constant = (name, type, value) =>
    lines.push(`export const ${name}: Json<${type}> = ${JSON.stringify(value)};`);
  const { panels, ...rest } = dashboard;
  constant("dashboard", 'Omit<Dashboard, "panels">', rest);
  panels.forEach((panel, index) => {
    if (panel.type === "row") {
      constant(`row${index}`, "RowPanel", panel);
      return;
    }
    if (!(panel.type in OPTIONS)) throw new Error(`no options are known for ${panel.type}`);
    const { options, targets, ...others } = panel;
    constant(`panel${index}`, 'Omit<Panel, "options" | "targets">', others);
    constant(`panel${index}Options`, `${panel.type}Options`, options);
    constant(`panel${index}Targets`, "Query[]", targets);
  });
  return lines.join("\n") + "\n";
}
