//! Which series a block has, in the order in which its index wants them.
//!
//! Labels are compared as symbol ids, which ascend with the strings. Only the series of one metric
//! are listed at a time; their labels are looked up, not stored.

use std::cmp::Ordering;
use std::collections::BTreeMap;

use super::catalog::{Catalog, Kind, Template};
use super::targets::Target;

const METRIC_NAME: &str = "__name__";
const FIELDS: usize = Kind::FIELDS.len();

/// A series: a template of a target.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Member {
    pub(super) target: u32,
    pub(super) template: u32,
    kind: Kind,
}

/// Where the value of a label comes from.
#[derive(Debug, Clone, Copy)]
enum Part {
    Symbol(u32),
    Field(usize),
}

/// The labels of a template, by name: the name's symbol id, and where the value comes from.
type Recipe = Vec<(u32, Part)>;

/// All series of one block.
pub(super) struct SeriesTable<'a> {
    symbols: Vec<&'a str>,
    /// Of nodes and of pods.
    recipes: [Vec<Recipe>; 2],
    /// [`FIELDS`] symbol ids for each target.
    fields: Vec<u32>,
    /// Numbers of nodes and of pods, with how many series each has.
    targets: [Vec<(u32, u32)>; 2],
    metrics: Vec<Metric>,
}

/// The templates of one metric name.
pub(super) struct Metric {
    templates: Vec<(Kind, u32)>,
}

impl<'a> SeriesTable<'a> {
    /// The series of `targets`, each given with its labels' values.
    pub(super) fn new(catalog: &'a Catalog, targets: &'a [(Target, Vec<String>)]) -> Self {
        let symbols = symbols(catalog, targets);
        // Every string that is looked up was collected above.
        let id = |text: &str| symbols.binary_search(&text).map_or(0, |at| at as u32);
        let recipes =
            Kind::ALL.map(|kind| catalog.templates(kind).iter().map(|t| recipe(t, &id)).collect());
        let mut by_kind = [Vec::new(), Vec::new()];
        let mut fields = Vec::with_capacity(targets.len() * FIELDS);
        for (number, (target, values)) in (0..).zip(targets) {
            by_kind[slot(target.kind)].push((number, target.series));
            fields.extend(values.iter().map(|value| id(value)));
        }
        let mut metrics: BTreeMap<&str, Metric> = BTreeMap::new();
        for kind in Kind::ALL {
            for (number, template) in (0..).zip(catalog.templates(kind)) {
                let metric = metrics
                    .entry(&template.name)
                    .or_insert_with(|| Metric { templates: Vec::new() });
                metric.templates.push((kind, number));
            }
        }
        let metrics = metrics.into_values().collect();
        Self { recipes, fields, targets: by_kind, metrics, symbols }
    }

    /// All strings, ascending.
    pub(super) fn symbols(&self) -> impl Iterator<Item = &'a str> + '_ {
        self.symbols.iter().copied()
    }

    /// The metrics by name.
    pub(super) fn metrics(&self) -> &[Metric] {
        &self.metrics
    }

    /// The series of `metric`, in label order.
    pub(super) fn members(&self, metric: &Metric, out: &mut Vec<Member>) {
        out.clear();
        for &(kind, template) in &metric.templates {
            let targets = &self.targets[slot(kind)];
            let exposing = targets.iter().filter(|(_, series)| template < *series);
            out.extend(exposing.map(|&(target, _)| Member { target, template, kind }));
        }
        out.sort_unstable_by(|a, b| self.compare(*a, *b));
    }

    /// The series' labels: symbol ids of names and values in turn, by name.
    pub(super) fn labels(&self, member: Member, out: &mut Vec<u32>) {
        out.clear();
        for &(name, part) in self.recipe(member) {
            out.extend([name, self.value(member, part)]);
        }
    }

    fn compare(&self, a: Member, b: Member) -> Ordering {
        let (left, right) = (self.recipe(a), self.recipe(b));
        for (&(left_name, left_part), &(right_name, right_part)) in left.iter().zip(right) {
            let order = left_name
                .cmp(&right_name)
                .then_with(|| self.value(a, left_part).cmp(&self.value(b, right_part)));
            if order.is_ne() {
                return order;
            }
        }
        left.len().cmp(&right.len())
    }

    #[inline]
    fn recipe(&self, member: Member) -> &Recipe {
        &self.recipes[slot(member.kind)][member.template as usize]
    }

    #[inline]
    fn value(&self, member: Member, part: Part) -> u32 {
        match part {
            Part::Symbol(id) => id,
            Part::Field(field) => self.fields[member.target as usize * FIELDS + field],
        }
    }
}

fn slot(kind: Kind) -> usize {
    match kind {
        Kind::Node => 0,
        Kind::Pod => 1,
    }
}

/// All strings of the block; the empty one comes first, as in blocks that a head wrote.
fn symbols<'a>(catalog: &'a Catalog, targets: &'a [(Target, Vec<String>)]) -> Vec<&'a str> {
    let mut symbols = vec!["", METRIC_NAME];
    symbols.extend(Kind::FIELDS);
    for kind in Kind::ALL {
        for template in catalog.templates(kind) {
            symbols.push(&template.name);
            symbols.extend(template.labels.iter().flat_map(|(n, v)| [n.as_str(), v.as_str()]));
        }
    }
    symbols.extend(targets.iter().flat_map(|(_, values)| values.iter().map(String::as_str)));
    symbols.sort_unstable();
    symbols.dedup();
    symbols
}

fn recipe(template: &Template, id: &impl Fn(&str) -> u32) -> Recipe {
    let mut recipe: Recipe = vec![(id(METRIC_NAME), Part::Symbol(id(&template.name)))];
    let fields = Kind::FIELDS.iter().enumerate();
    recipe.extend(fields.map(|(field, name)| (id(name), Part::Field(field))));
    let labels = template.labels.iter();
    recipe.extend(labels.map(|(name, value)| (id(name), Part::Symbol(id(value)))));
    recipe.sort_unstable_by_key(|(name, _)| *name);
    recipe
}
