// Dashboards that are broken in one place each, and so must be refused.

const first = (dashboard, type) => dashboard.panels.find((panel) => panel.type === type);

export const MUTATIONS = {
  "the dashboard has a property too many": (d) => { d.refesh = d.refresh; },
  "a property of the dashboard has another type": (d) => { d.editable = "yes"; },
  "a number of the dashboard is none of those allowed": (d) => { d.graphTooltip = 7; },
  "a variable has a property too many": (d) => { d.templating.list[1].multiple = true; },
  "the type of a variable is unknown": (d) => { d.templating.list[1].type = "qery"; },
  "a row has a property too many": (d) => { first(d, "row").colapsed = true; },
  "a panel has a property too many": (d) => { first(d, "timeseries").descripton = "x"; },
  "the place of a panel lacks its width": (d) => { delete first(d, "stat").gridPos.w; },
  "the fields of a panel have a property too many": (d) => {
    first(d, "timeseries").fieldConfig.defaults.unti = "bytes";
  },
  "options of timeseries have a property too many": (d) => {
    first(d, "timeseries").options.tooltips = {};
  },
  "a legend is shown in a way that does not exist": (d) => {
    first(d, "timeseries").options.legend.displayMode = "tabel";
  },
  "a legend lacks what it must have": (d) => {
    delete first(d, "timeseries").options.legend.showLegend;
  },
  "options of stat have those of timeseries": (d) => {
    first(d, "stat").options.legend = first(d, "timeseries").options.legend;
  },
  "a stat is coloured in a way that does not exist": (d) => {
    first(d, "stat").options.colorMode = "values";
  },
  "a query has a property too many": (d) => { first(d, "stat").targets[0].legend = "x"; },
  "a query asks for nothing": (d) => { delete first(d, "stat").targets[0].expr; },
};
