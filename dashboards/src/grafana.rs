//! Grafana's classic dashboard JSON.

use serde_json::{Value, json};

/// The version that `@grafana/schema` has as its default.
const SCHEMA_VERSION: u32 = 42;
const COLUMNS: u32 = 24;

/// A row of panels under a title.
pub(crate) struct Row {
    pub(crate) title: &'static str,
    pub(crate) panels: Vec<Panel>,
}

/// How a panel shows its queries.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    /// Over time.
    TimeSeries,
    /// The last value, large.
    Stat,
}

/// One panel.
pub(crate) struct Panel {
    pub(crate) title: &'static str,
    pub(crate) description: &'static str,
    pub(crate) kind: Kind,
    /// Grafana's name of the unit.
    pub(crate) unit: &'static str,
    /// Of 24.
    pub(crate) width: u32,
    /// Legends and PromQL.
    pub(crate) queries: Vec<(&'static str, String)>,
}

impl Panel {
    fn height(&self) -> u32 {
        match self.kind {
            Kind::TimeSeries => 8,
            Kind::Stat => 5,
        }
    }
}

/// The whole dashboard.
pub(crate) fn dashboard(rows: &[Row]) -> Value {
    let mut panels = Vec::new();
    let (mut id, mut y) = (0, 0);
    for row in rows {
        id += 1;
        panels.push(row_panel(id, row.title, y));
        y += 1;
        let (mut x, mut height) = (0, 0);
        for panel in &row.panels {
            if x + panel.width > COLUMNS {
                (x, y, height) = (0, y + height, 0);
            }
            id += 1;
            panels.push(panel_json(id, panel, x, y));
            x += panel.width;
            height = height.max(panel.height());
        }
        y += height;
    }
    json!({
        "uid": "tsdb-compactor-page-cache",
        "title": "TSDB compactor: page cache of two arms",
        "description": "Two ways to compact, side by side: page cache, memory, work and waiting.",
        "tags": ["prometheus", "tsdb", "page-cache"],
        "schemaVersion": SCHEMA_VERSION,
        "version": 1,
        "editable": true,
        "graphTooltip": 1,
        "refresh": "30s",
        "timezone": "browser",
        "time": { "from": "now-1h", "to": "now" },
        "annotations": { "list": [] },
        "links": [],
        "templating": { "list": variables() },
        "panels": panels,
    })
}

fn datasource() -> Value {
    json!({ "type": "prometheus", "uid": "${datasource}" })
}

fn variables() -> Vec<Value> {
    let metric = "container_memory_cache";
    let of = |labels: &str, label: &str| format!("label_values({metric}{labels}, {label})");
    let arms = "{job=~\"$job\",instance=~\"$instance\",arm!=\"\"}";
    vec![
        json!({
            "name": "datasource", "label": "Data source", "type": "datasource",
            "query": "prometheus", "hide": 0, "refresh": 1, "multi": false, "includeAll": false,
        }),
        query_variable("job", "Job", &of("{arm!=\"\"}", "job"), true, ""),
        query_variable(
            "instance",
            "Instance",
            &of("{job=~\"$job\",arm!=\"\"}", "instance"),
            true,
            "",
        ),
        query_variable("baseline", "Baseline", &of(arms, "arm"), false, "baseline"),
        query_variable("candidate", "Candidate", &of(arms, "arm"), false, "candidate"),
    ]
}

fn query_variable(name: &str, label: &str, query: &str, several: bool, current: &str) -> Value {
    let mut variable = json!({
        "name": name, "label": label, "type": "query", "datasource": datasource(),
        "query": { "query": query, "refId": name },
        "hide": 0, "refresh": 2, "sort": 1, "multi": several, "includeAll": several, "regex": "",
    });
    variable["current"] = match several {
        true => json!({ "selected": true, "text": ["All"], "value": ["$__all"] }),
        false => json!({ "selected": true, "text": current, "value": current }),
    };
    variable
}

fn row_panel(id: u32, title: &str, y: u32) -> Value {
    json!({
        "id": id, "type": "row", "title": title, "collapsed": false, "panels": [],
        "gridPos": { "x": 0, "y": y, "w": COLUMNS, "h": 1 },
    })
}

fn panel_json(id: u32, panel: &Panel, x: u32, y: u32) -> Value {
    let targets = panel.queries.iter().zip('A'..='Z').map(|((legend, expr), letter)| {
        json!({
            "refId": letter.to_string(), "datasource": datasource(), "expr": expr,
            "legendFormat": legend, "editorMode": "code", "range": true, "instant": false,
        })
    });
    let (kind, options) = match panel.kind {
        Kind::TimeSeries => (
            "timeseries",
            json!({
                "legend": {
                    "calcs": ["max", "lastNotNull"], "displayMode": "table", "placement": "bottom",
                    "showLegend": true,
                },
                "tooltip": { "mode": "multi", "sort": "desc" },
            }),
        ),
        Kind::Stat => (
            "stat",
            json!({
                "reduceOptions": { "calcs": ["lastNotNull"], "fields": "", "values": false },
                "colorMode": "value", "graphMode": "area", "justifyMode": "auto",
                "textMode": "auto", "orientation": "auto", "wideLayout": true,
                "showPercentChange": false, "percentChangeColorMode": "standard",
            }),
        ),
    };
    json!({
        "id": id,
        "type": kind,
        "title": panel.title,
        "description": panel.description,
        "datasource": datasource(),
        "gridPos": { "x": x, "y": y, "w": panel.width, "h": panel.height() },
        "targets": targets.collect::<Vec<_>>(),
        "fieldConfig": { "defaults": { "unit": panel.unit }, "overrides": [] },
        "options": options,
    })
}
