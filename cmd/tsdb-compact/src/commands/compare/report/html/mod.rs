//! `report.html`: one file, no scripts, pictures as inline SVG. Well-formed XML as well, so that
//! tests can parse it strictly.

mod charts;
mod dots;
mod svg;
mod tables;
mod ticks;

use std::fmt::Write;

use self::charts::{over_time, write_latency};
use self::dots::dots;
use self::tables::{environment, figures, runs};
use super::super::arms::Side;
use super::super::model::Report;
use super::series::{dirty_pages, page_cache};

const STYLE: &str = include_str!("style.css");

pub(super) fn page(report: &Report) -> String {
    let mut out = String::new();
    let title = escaped(&report.verdict.headline);
    let _ = write!(
        out,
        "<!DOCTYPE html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\"/>\n\
         <meta name=\"viewport\" content=\"width=device-width, initial-scale=1\"/>\n\
         <title>{title}</title>\n<style>\n{STYLE}</style>\n</head>\n<body>\n<main>\n"
    );
    verdict(&mut out, report);
    section(&mut out, "figures", "Figures", &figures(report));
    out.push_str("<div class=\"charts\">\n");
    for (id, title, picture) in pictures(report) {
        if let Some(picture) = picture {
            section(&mut out, id, title, &picture);
        }
    }
    out.push_str("</div>\n");
    section(&mut out, "all-runs", "Runs", &runs(report));
    section(&mut out, "environment", "Environment", &environment(report));
    out.push_str("</main>\n</body>\n</html>\n");
    out
}

/// What there is to draw, each with its place and its title.
fn pictures(report: &Report) -> [(&'static str, &'static str, Option<String>); 4] {
    let of = if report.environment.cgroup_version.is_some() { "" } else { " of the output" };
    let cache = format!("Page cache{of} over time");
    let dirty = format!("Dirty pages{of} over time");
    [
        ("page-cache", "Page cache", over_time(report, &cache, page_cache)),
        ("dirty-pages", "Dirty pages", over_time(report, &dirty, dirty_pages)),
        ("run-dots", "Run by run", dots(report)),
        ("write-latency", "Write latency", write_latency(report)),
    ]
}

fn verdict(out: &mut String, report: &Report) {
    let class = if report.verdict.valid { "valid" } else { "invalid" };
    let _ = write!(
        out,
        "<header id=\"verdict\" class=\"{class}\">\n<p class=\"kicker\">tsdb-compact compare</p>\n\
         <h1>{}</h1>\n<ul>\n",
        escaped(&report.verdict.headline)
    );
    for sentence in &report.verdict.sentences {
        let _ = writeln!(out, "<li>{}</li>", escaped(sentence));
    }
    for note in &report.notes {
        let _ = writeln!(out, "<li class=\"note\">{}</li>", escaped(note));
    }
    out.push_str("</ul>\n<dl class=\"arms\">\n");
    for side in Side::BOTH {
        let name = side.name();
        let arm = escaped(report.arm(side));
        let _ = writeln!(
            out,
            "<div class=\"{name}\"><dt><span class=\"swatch\"></span>{name}</dt>\
             <dd><code>{arm}</code></dd></div>"
        );
    }
    out.push_str("</dl>\n</header>\n");
}

fn section(out: &mut String, id: &str, title: &str, content: &str) {
    let _ = write!(out, "<section id=\"{id}\">\n<h2>{title}</h2>\n{content}\n</section>\n");
}

/// Text as it may stand in an element or in a quoted attribute.
pub(super) fn escaped(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '&' => out.push_str("&amp;"),
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '"' => out.push_str("&quot;"),
            // Not allowed in XML at all.
            c if c.is_control() && c != '\n' && c != '\t' => out.push('\u{fffd}'),
            c => out.push(c),
        }
    }
    out
}
