//! Every file of a report, parsed again.

use roxmltree::{Document, ParsingOptions};

use super::super::fixture::{BUFFERED, UNCACHED, report, runs};
use super::super::model::Report;
use super::super::validity::Invalid;
use super::*;

const ARMS: [&str; 2] = ["baseline", "candidate"];

fn example() -> Report {
    report(runs(BUFFERED, UNCACHED, 10, 1))
}

/// Parses it as XML, which forgives nothing.
fn parsed(page: &str, check: impl Fn(&Document<'_>)) {
    let options = ParsingOptions { allow_dtd: true, ..ParsingOptions::default() };
    check(&Document::parse_with_options(page, options).unwrap_or_else(|e| panic!("{e}\n{page}")));
}

/// Fails if a chart loses an arm, a line or its band.
#[test]
fn every_chart_has_both_arms() {
    parsed(&html::page(&example()), |page| {
        for id in ["page-cache", "dirty-pages", "run-dots", "write-latency"] {
            let section = page.descendants().find(|node| node.attribute("id") == Some(id));
            let section = section.unwrap_or_else(|| panic!("no chart {id}"));
            for arm in ARMS {
                let drawn = section.descendants().filter(|n| n.attribute("data-arm") == Some(arm));
                let shapes = drawn.flat_map(|group| group.descendants()).filter(|node| match node
                    .tag_name()
                    .name()
                {
                    "polyline" | "polygon" => {
                        node.attribute("points").is_some_and(|points| points.len() > 20)
                    }
                    "circle" => true,
                    _ => false,
                });
                let wanted = match id {
                    "run-dots" => 10 * 8,
                    "write-latency" => 1,
                    _ => 2,
                };
                assert!(shapes.clone().count() >= wanted, "{id}, {arm}: {}", shapes.count());
            }
            let svg = section.descendants().find(|node| node.tag_name().name() == "svg").unwrap();
            assert!(svg.attribute("aria-label").is_some_and(|label| label.contains(' ')));
        }
    });
}

/// Coordinates outside of the view box would be cut off, or overflow a phone.
#[test]
fn nothing_is_drawn_outside_of_its_picture() {
    parsed(&html::page(&example()), |page| {
        for svg in page.descendants().filter(|node| node.tag_name().name() == "svg") {
            let view: Vec<f64> =
                svg.attribute("viewBox").unwrap().split(' ').map(|n| n.parse().unwrap()).collect();
            assert_eq!(view[2], 360.0);
            let inside = |x: f64, y: f64| {
                assert!((0.0..=view[2]).contains(&x) && (0.0..=view[3]).contains(&y), "{x} {y}");
            };
            for node in svg.descendants().filter(|node| node.is_element()) {
                let number = |name| node.attribute(name).and_then(|n| n.parse::<f64>().ok());
                for pair in node.attribute("points").unwrap_or_default().split_whitespace() {
                    let (x, y) = pair.split_once(',').unwrap();
                    inside(x.parse().unwrap(), y.parse().unwrap());
                }
                for (x, y) in [("x1", "y1"), ("x2", "y2"), ("cx", "cy"), ("x", "y")] {
                    if let (Some(x), Some(y)) = (number(x), number(y)) {
                        inside(x, y);
                    }
                }
            }
        }
    });
}

#[test]
fn the_page_stands_alone_and_tells_all() {
    let mut report = example();
    report.runs[3].invalid.push(Invalid::FellBack { why: "a <reason> & more".to_owned() });
    report.notes.push("a note".to_owned());
    report.finish();
    let page = html::page(&report);
    for foreign in ["<script", "http://", "https://", "url(", "@import", "<link", "<img"] {
        let found = page.replace("http://www.w3.org/2000/svg", "");
        assert!(!found.contains(foreign), "{foreign}");
    }
    parsed(&page, |page| {
        let text: String = page.descendants().filter_map(|node| node.text()).collect();
        assert!(text.contains("a <reason> & more") && text.contains("INVALID"));
        assert!(text.contains("A <processor> & \"more\""));
        for row in &report.rows {
            assert!(text.contains(&row.title), "{}", row.title);
        }
        let lines = |id| {
            let section = page.descendants().find(|node| node.attribute("id") == Some(id)).unwrap();
            section.descendants().filter(|node| node.tag_name().name() == "tr").count()
        };
        assert_eq!(lines("figures"), report.rows.len() + 1);
        assert_eq!(lines("all-runs"), report.runs.len() + 1);
    });
}

#[test]
fn json_is_read_back_as_it_was() {
    let report = example();
    let json = serde_json::to_string_pretty(&report).unwrap();
    assert_eq!(serde_json::from_str::<Report>(&json).unwrap(), report);
    let value: Value = serde_json::from_str(&json).unwrap();
    assert_eq!(value["version"], 1);
    assert_eq!(value["runs"].as_array().unwrap().len(), 20);
    assert!(value["runs"][0]["samples"][3]["memory"]["cacheBytes"].is_u64());
    assert_eq!(value["rows"][0]["key"], "wall");
}

#[test]
fn markdown_has_a_line_for_each_row() {
    let report = example();
    let page = markdown::page(&report);
    for row in &report.rows {
        assert!(page.contains(&format!("| {} |", row.title)), "{}\n{page}", row.title);
    }
    assert!(page.contains("| ~ |") && page.contains("`other 'x' <y> && z`"), "{page}");
    assert!(page.starts_with("# Page cache, peak -99."), "{page}");
}

/// A series' times rise, each family stands in one piece, and counters never fall.
#[test]
fn samples_are_in_order() {
    use std::collections::{BTreeMap, BTreeSet};
    let text = openmetrics::samples(&example());
    assert!(text.ends_with("# EOF\n"));
    let (mut families, mut last) = (BTreeSet::new(), BTreeMap::<String, (f64, f64)>::new());
    let (mut family, mut kind) = (String::new(), String::new());
    for line in text.lines().filter(|line| *line != "# EOF") {
        if let Some(rest) = line.strip_prefix("# TYPE ") {
            let (name, of) = rest.split_once(' ').unwrap();
            (family, kind) = (name.to_owned(), of.to_owned());
            assert!(families.insert(name.to_owned()), "{name} is told twice");
            continue;
        }
        if line.starts_with("# HELP ") {
            continue;
        }
        assert!(line.starts_with(&family), "{line} in {family}");
        let mut words = line.rsplitn(3, ' ');
        let time: f64 = words.next().unwrap().parse().unwrap();
        let value: f64 = words.next().unwrap().parse().unwrap();
        let series = words.next().unwrap().to_owned();
        if let Some((before, old)) = last.insert(series, (time, value)) {
            assert!(time > before, "{line}");
            assert!(kind == "gauge" || value >= old, "{line} after {old}");
        }
    }
    assert_eq!(families.len(), 26, "{families:?}");
    for arm in ARMS {
        let wanted = format!("container_memory_cache{{arm=\"{arm}\"");
        assert_eq!(text.matches(&wanted).count(), 10 * 13);
    }
    let ran = "prometheus_tsdb_compactions_total{arm=\"candidate\"";
    let last = text.lines().rfind(|line| line.starts_with(ran)).unwrap();
    assert!(last.contains("} 10 "), "{last}");
}
