//! The report as a browser lays it out, at the width of a desk and of a phone.
//!
//! A page with the report in a frame of that width is loaded by a headless Chromium, measures it and
//! is printed.

use std::fs;
use std::path::Path;
use std::process::Command;

use serde_json::Value;

use crate::fixtures::{expect_code, generate, program, temp_dir, text};

/// How the program is called, by distribution.
const BROWSERS: [&str; 4] = ["chromium", "chromium-browser", "google-chrome", "chrome"];
const WIDTHS_PX: [u32; 2] = [1280, 390];
const CHARTS: [&str; 4] = ["page-cache", "dirty-pages", "run-dots", "write-latency"];

/// Fills the element `measured` with JSON once the frame is there.
const MEASURE: &str = r##"
const frame = document.getElementById("report");
frame.onload = () => {
  const page = frame.contentDocument;
  const seen = (node) => { const box = node.getBoundingClientRect(); return box.width + box.height > 0; };
  const charts = {};
  for (const section of page.querySelectorAll("section:has(svg)")) {
    const arms = {};
    for (const node of section.querySelectorAll("[data-arm]")) {
      const shapes = [...node.querySelectorAll("polyline, polygon, circle")].filter(seen);
      arms[node.dataset.arm] = (arms[node.dataset.arm] ?? 0) + shapes.length;
    }
    charts[section.id] = arms;
  }
  const beyond = [...page.querySelectorAll("svg, h1, h2, p, li, dl")]
    .filter((node) => node.getBoundingClientRect().right > frame.clientWidth + 0.5)
    .map((node) => node.outerHTML.slice(0, 80));
  document.getElementById("measured").textContent = JSON.stringify({
    width: page.documentElement.clientWidth,
    content: page.documentElement.scrollWidth, charts, beyond,
    rows: page.querySelectorAll("#figures tr").length,
  });
};
"##;

fn browser() -> Option<&'static str> {
    let is_there = |name: &&&str| Command::new(name).arg("--version").output().is_ok();
    BROWSERS.iter().find(is_there).copied()
}

fn measured(browser: &str, dir: &Path, width_px: u32) -> Value {
    let report = fs::read_to_string(dir.join("report/report.html")).unwrap();
    let quoted = report.replace('&', "&amp;").replace('"', "&quot;");
    let page = format!(
        "<!DOCTYPE html><body><pre id=\"measured\"></pre>\
         <iframe id=\"report\" style=\"width:{width_px}px;height:844px;border:0\"></iframe>\
         <script>{MEASURE}\nframe.srcdoc = document.getElementById(\"source\").textContent;</script>\
         </body>"
    )
    // Ahead of the script that reads it.
    .replacen("<iframe", &format!("<textarea id=\"source\" hidden>{quoted}</textarea><iframe"), 1);
    let path = dir.join(format!("page-{width_px}.html"));
    fs::write(&path, page).unwrap();
    let mut command = Command::new(browser);
    command.args(["--headless", "--no-sandbox", "--disable-gpu", "--hide-scrollbars"]);
    command.args(["--window-size=1600,1000", "--virtual-time-budget=10000", "--dump-dom"]);
    command.arg(format!("--user-data-dir={}", dir.join("profile").display()));
    let output = expect_code(command.arg(format!("file://{}", path.display())), 0);
    let dom = String::from_utf8(output.stdout).unwrap();
    let json = dom.split_once("<pre id=\"measured\">").unwrap().1.split_once("</pre>").unwrap().0;
    let json = json.replace("&lt;", "<").replace("&gt;", ">").replace("&amp;", "&");
    serde_json::from_str(&json).unwrap_or_else(|error| panic!("{error}: {json}"))
}

#[test]
#[ignore = "needs Chromium: `just long`"]
fn a_report_fits_on_a_desk_and_on_a_phone() {
    let browser = browser().expect("there is no Chromium");
    let dir = temp_dir();
    let data = dir.path().join("data");
    generate(&data, &["--series", "2000", "--blocks", "2"]);
    let mut compare = program();
    compare.arg("compare").arg(&data).arg("-o").arg(dir.path().join("report"));
    compare.args(["--runs", "3", "--watch-after", "500ms", "--sample-interval", "20ms"]);
    let output = expect_code(&mut compare, 0);
    for width_px in WIDTHS_PX {
        let seen = measured(browser, dir.path(), width_px);
        assert_eq!(seen["width"], width_px, "{seen}");
        assert!(seen["content"].as_u64().unwrap() <= u64::from(width_px), "it overflows: {seen}");
        assert_eq!(seen["beyond"], Value::Array(Vec::new()), "{seen}");
        assert!(seen["rows"].as_u64().unwrap() > 10, "{seen}\n{}", text(&output));
        for chart in CHARTS {
            for arm in ["baseline", "candidate"] {
                let shapes = seen["charts"][chart][arm].as_u64();
                assert!(shapes.is_some_and(|shapes| shapes > 0), "{chart}, {arm}: {seen}");
            }
        }
    }
}
