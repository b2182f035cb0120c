//! A drawing area with axes. Units are those of the view box, which a phone shows at about one to
//! one.

use std::fmt::Write;

use super::super::super::arms::Side;
use super::escaped;

pub(super) const WIDTH: f64 = 360.0;
const LEFT: f64 = 58.0;
const RIGHT: f64 = 10.0;
const TOP: f64 = 8.0;
const BOTTOM: f64 = 34.0;

/// From values to places.
#[derive(Debug, Clone, Copy)]
pub(super) struct Scale {
    from: f64,
    to: f64,
    start: f64,
    end: f64,
}

impl Scale {
    pub(super) fn new(values: (f64, f64), places: (f64, f64)) -> Self {
        Self { from: values.0, to: values.1, start: places.0, end: places.1 }
    }

    pub(super) fn at(&self, value: f64) -> f64 {
        let width = self.to - self.from;
        let share = if width > 0.0 { (value - self.from) / width } else { 0.0 };
        self.start + share * (self.end - self.start)
    }
}

/// A plot with an axis below and one to the left.
pub(super) struct Plot {
    body: String,
    height: f64,
    pub(super) x: Scale,
    pub(super) y: Scale,
}

impl Plot {
    /// For values up to the given ones, both from 0.
    pub(super) fn new(x: (f64, f64), y: (f64, f64), height: f64) -> Self {
        Self {
            body: String::new(),
            height,
            x: Scale::new(x, (LEFT, WIDTH - RIGHT)),
            y: Scale::new(y, (height - BOTTOM, TOP)),
        }
    }

    /// Grid lines and labels of the left axis.
    pub(super) fn left_axis(&mut self, ticks: &[f64], show: impl Fn(f64) -> String) {
        for &tick in ticks {
            let y = self.y.at(tick);
            let (x1, x2) = (LEFT, WIDTH - RIGHT);
            let _ = writeln!(
                self.body,
                "<line class=\"grid\" x1=\"{x1:.1}\" x2=\"{x2:.1}\" y1=\"{y:.1}\" y2=\"{y:.1}\"/>\
                 <text x=\"{:.1}\" y=\"{:.1}\" text-anchor=\"end\">{}</text>",
                LEFT - 4.0,
                y + 3.5,
                escaped(&show(tick))
            );
        }
    }

    /// Labels of the axis below, and what it is of.
    pub(super) fn lower_axis(&mut self, ticks: &[f64], show: impl Fn(f64) -> String, of: &str) {
        let y = self.height - BOTTOM;
        for &tick in ticks {
            let x = self.x.at(tick);
            let _ = writeln!(
                self.body,
                "<line class=\"grid\" x1=\"{x:.1}\" x2=\"{x:.1}\" y1=\"{y:.1}\" y2=\"{:.1}\"/>\
                 <text x=\"{x:.1}\" y=\"{:.1}\" text-anchor=\"middle\">{}</text>",
                y + 3.0,
                y + 14.0,
                escaped(&show(tick))
            );
        }
        let middle = f64::midpoint(LEFT, WIDTH - RIGHT);
        let _ = writeln!(
            self.body,
            "<text x=\"{middle:.1}\" y=\"{:.1}\" text-anchor=\"middle\">{}</text>",
            self.height - 6.0,
            escaped(of)
        );
    }

    /// Everything of one arm, drawn by `draw`.
    pub(super) fn arm(&mut self, side: Side, draw: impl FnOnce(&mut Self)) {
        let name = side.name();
        let _ = writeln!(self.body, "<g class=\"{name}\" data-arm=\"{name}\">");
        draw(self);
        self.body.push_str("</g>\n");
    }

    pub(super) fn line(&mut self, points: impl Iterator<Item = (f64, f64)>) {
        let places = self.places(points);
        let _ = writeln!(self.body, "<polyline class=\"line\" points=\"{places}\"/>");
    }

    /// The area between a line and another one back.
    pub(super) fn band(&mut self, around: impl Iterator<Item = (f64, f64)>) {
        let places = self.places(around);
        let _ = writeln!(self.body, "<polygon class=\"band\" points=\"{places}\"/>");
    }

    fn places(&self, points: impl Iterator<Item = (f64, f64)>) -> String {
        let mut places = String::new();
        for (x, y) in points {
            let space = if places.is_empty() { "" } else { " " };
            let _ = write!(places, "{space}{:.1},{:.1}", self.x.at(x), self.y.at(y));
        }
        places
    }

    /// The whole picture, with what it shows in words.
    pub(super) fn finish(self, label: &str) -> String {
        picture(self.height, label, &self.body)
    }
}

/// An SVG element of the common width.
pub(super) fn picture(height: f64, label: &str, body: &str) -> String {
    let label = escaped(label);
    format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {WIDTH} {height}\" role=\"img\" \
         aria-label=\"{label}\">\n{body}</svg>"
    )
}
