//! What a node and a pod expose: metric families, expanded to one template per series.
//!
//! Families are lines of text, in [`node`] and [`pod`]:
//!
//! ```text
//! NAME MODEL[:ARGUMENT] LABEL=VALUE,VALUE,... LABEL=0..16 LABEL+LABEL=VALUE+VALUE,...
//! ```
//!
//! Each label multiplies the series; `+` ties labels whose values come together. `buckets` is a
//! classic histogram: its `le` becomes a share of the family's events, and `_bucket`, `_sum` and
//! `_count` all come from one line.

mod histograms;
mod node;
mod pod;

use super::random::hash_text;
use super::signal::Model;

/// What is scraped.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    /// A node exporter.
    Node,
    /// An app, with what the node's agent says of its container.
    Pod,
}

impl Kind {
    pub(super) const ALL: [Self; 2] = [Self::Node, Self::Pod];
    /// Names of the labels that all series of a target share.
    pub(super) const FIELDS: [&'static str; 7] =
        ["cluster", "container", "instance", "job", "namespace", "node", "pod"];
}

/// What one series of a target is called, and how it moves.
#[derive(Debug, Clone)]
pub(super) struct Template {
    pub(super) name: String,
    /// Labels besides the name and those of the target; not sorted.
    pub(super) labels: Vec<(String, String)>,
    pub(super) value: Value,
    /// Equal for series that count the same events.
    pub(super) seed: u64,
}

/// What kind of samples a series has.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) enum Value {
    /// Floats; `weight` is the share of the events that this series counts.
    Float { model: Model, weight: f64 },
    /// Native histograms.
    Histogram,
}

/// The series of each kind of target.
pub(super) struct Catalog {
    nodes: Vec<Template>,
    pods: Vec<Template>,
}

impl Catalog {
    /// The catalog in which `histogram_share` of each target's series are native histograms.
    pub(super) fn new(histogram_share: f64) -> Self {
        let of = |text| with_histograms(templates(text), histogram_share);
        Self { nodes: of(node::FAMILIES), pods: of(pod::FAMILIES) }
    }

    pub(super) fn templates(&self, kind: Kind) -> &[Template] {
        match kind {
            Kind::Node => &self.nodes,
            Kind::Pod => &self.pods,
        }
    }

    pub(super) fn template(&self, kind: Kind, number: u32) -> &Template {
        &self.templates(kind)[number as usize]
    }

    /// How many series a target of this kind has.
    pub(super) fn series(&self, kind: Kind) -> u32 {
        self.templates(kind).len() as u32
    }
}

/// Puts native histograms in the place of some series, evenly, so that a target which exposes only
/// the first series has its share as well.
fn with_histograms(floats: Vec<Template>, share: f64) -> Vec<Template> {
    let total = floats.len();
    let mut floats = floats.into_iter();
    let mut histograms = histograms::templates();
    (0..total)
        .filter_map(|at| {
            let before = (at as f64 * share).floor();
            let histogram = ((at + 1) as f64 * share).floor() > before;
            if histogram { histograms.next() } else { floats.next() }
        })
        .collect()
}

/// The templates of all families of `text`, in order.
fn templates(text: &str) -> Vec<Template> {
    text.lines().filter(|line| !line.is_empty()).flat_map(family).collect()
}

fn family(line: &str) -> Vec<Template> {
    let mut words = line.split_whitespace();
    let (Some(name), Some(model)) = (words.next(), words.next()) else {
        unreachable!("catalog: {line:?} has no name and model");
    };
    let (model, argument) = model.split_once(':').unwrap_or((model, "1"));
    let Ok(argument) = argument.parse::<f64>() else {
        unreachable!("catalog: {line:?} has no number after its model");
    };
    let mut sets: Vec<Vec<(String, String)>> = vec![Vec::new()];
    for dimension in words {
        let values = dimension_values(dimension);
        sets = sets
            .iter()
            .flat_map(|set| values.iter().map(|labels| [&set[..], labels].concat()))
            .collect();
    }
    if model == "buckets" {
        return sets.into_iter().flat_map(|labels| classic_histogram(name, labels)).collect();
    }
    let model = model_of(model, argument, line);
    sets.into_iter()
        .map(|labels| {
            let seed = labels_seed(name, &labels);
            let value = Value::Float { model, weight: 1.0 };
            Template { name: name.to_owned(), labels, value, seed }
        })
        .collect()
}

fn model_of(name: &str, argument: f64, line: &str) -> Model {
    match name {
        "const" => Model::Constant(argument),
        "flag" => Model::Flag,
        "start" => Model::StartTime,
        "counter" => Model::Counter(argument),
        "seconds" => Model::Seconds(argument),
        "nanoseconds" => Model::Nanoseconds(argument),
        "gauge" => Model::Gauge(argument),
        "bytes" => Model::Bytes(argument),
        "ratio" => Model::Ratio(argument),
        _ => unreachable!("catalog: {line:?} has an unknown model"),
    }
}

/// The label sets of one word: `mode=idle,user`, `cpu=0..16` or `device+fstype=a+b,c+d`.
fn dimension_values(word: &str) -> Vec<Vec<(String, String)>> {
    let Some((names, values)) = word.split_once('=') else {
        unreachable!("catalog: {word:?} is no label");
    };
    let range = values
        .split_once("..")
        .and_then(|(low, high)| Some(low.parse::<u32>().ok()?..high.parse::<u32>().ok()?));
    let values: Vec<String> = match range {
        Some(range) => range.map(|number| number.to_string()).collect(),
        None => values.split(',').map(str::to_owned).collect(),
    };
    let pairs = |value: &String| {
        names.split('+').map(str::to_owned).zip(value.split('+').map(str::to_owned)).collect()
    };
    values.iter().map(pairs).collect()
}

/// `_bucket` series with upper bounds in seconds, `_count` and `_sum`.
fn classic_histogram(name: &str, labels: Vec<(String, String)>) -> Vec<Template> {
    const BOUNDS: [&str; 12] =
        ["0.005", "0.01", "0.025", "0.05", "0.1", "0.25", "0.5", "1", "2.5", "5", "10", "+Inf"];
    let seed = labels_seed(name, &labels);
    let template = |suffix: &str, labels: Vec<(String, String)>, model, weight| Template {
        name: format!("{name}_{suffix}"),
        labels,
        value: Value::Float { model, weight },
        seed,
    };
    let rate = 12.0;
    let mut templates: Vec<Template> = BOUNDS
        .iter()
        .zip(1..)
        .map(|(bound, number)| {
            let rest = 1.0 - f64::from(number) / BOUNDS.len() as f64;
            let bound = ("le".to_owned(), (*bound).to_owned());
            let labels = [&labels[..], &[bound]].concat();
            template("bucket", labels, Model::Counter(rate), 1.0 - rest.powi(3))
        })
        .collect();
    templates.push(template("count", labels.clone(), Model::Counter(rate), 1.0));
    templates.push(template("sum", labels, Model::Nanoseconds(rate / 10.0), 1.0));
    templates
}

fn labels_seed(name: &str, labels: &[(String, String)]) -> u64 {
    labels
        .iter()
        .fold(hash_text(0, name), |seed, (name, value)| hash_text(hash_text(seed, name), value))
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn targets_have_the_size_that_real_ones_have() {
        let catalog = Catalog::new(0.0);
        let (nodes, pods) = (catalog.series(Kind::Node), catalog.series(Kind::Pod));
        assert!((400..700).contains(&nodes), "{nodes}");
        assert!((170..260).contains(&pods), "{pods}");
    }

    #[test]
    fn every_series_has_a_label_set_of_its_own_and_no_label_twice() {
        for share in [0.0, 0.25, 1.0] {
            let catalog = Catalog::new(share);
            for kind in Kind::ALL {
                assert_eq!(catalog.series(kind), Catalog::new(0.0).series(kind));
                let mut seen = BTreeSet::new();
                for template in catalog.templates(kind) {
                    let mut labels = template.labels.clone();
                    labels.sort();
                    let mut names: BTreeSet<&str> = Kind::FIELDS.into();
                    assert!(labels.iter().all(|(name, _)| names.insert(name)), "{template:?}");
                    assert!(seen.insert((template.name.clone(), labels)), "{template:?}");
                }
            }
        }
    }

    #[test]
    fn labels_multiply_and_plus_ties_them() {
        let all = templates("a counter x=1,2 y+z=p+q,r+s\nb buckets h=0..2\n");
        assert_eq!(all.len(), 4 + 2 * 14);
        let pairs = |t: &Template| {
            t.labels.iter().map(|(name, value)| format!("{name}{value}")).collect::<String>()
        };
        assert_eq!(pairs(&all[1]), "x1yrzs");
        assert_eq!(all[15].value, Value::Float { model: Model::Counter(12.0), weight: 1.0 });
        assert_eq!(pairs(&all[15]), "h0le+Inf");
    }

    #[test]
    fn histograms_have_their_share_from_the_first_series_on() {
        let catalog = Catalog::new(0.25);
        let count = |n: usize| {
            let of = &catalog.templates(Kind::Pod)[..n];
            of.iter().filter(|template| template.value == Value::Histogram).count()
        };
        assert_eq!((count(4), count(8), count(100)), (1, 2, 25));
    }
}
