//! Type, help and unit of metrics, as senders tell them, for `/api/v1/metadata`.
//!
//! In memory only, and bounded: what is sent is not ours to trust.

use std::collections::{BTreeMap, HashMap};
use std::sync::{PoisonError, RwLock};

use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::registry::Registry;
use tsdb::head::MetricType;

/// Families beyond this are not remembered.
const FAMILIES_MAX: usize = 100_000;
/// Different metadata of one family beyond this is not remembered.
const ENTRIES_MAX: usize = 8;
/// Longer texts are not remembered.
const TEXT_BYTES_MAX: usize = 4 << 10;

/// What is known about a metric family.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct MetadataEntry {
    pub(crate) metric_type: MetricType,
    pub(crate) help: String,
    pub(crate) unit: String,
}

/// What is known about metric families, by name.
#[derive(Debug, Default)]
pub(crate) struct MetadataStore {
    families: RwLock<HashMap<String, Vec<MetadataEntry>>>,
    /// Of all families.
    entries: Gauge,
}

impl MetadataStore {
    /// Tells how much is known. Prometheus does so by job; what is sent says nothing of its job, so
    /// there is one number without a label.
    pub(crate) fn register(&self, registry: &mut Registry) {
        let help = "Total number of metric metadata entries in the cache";
        registry.register("prometheus_target_metadata_cache_entries", help, self.entries.clone());
    }

    /// Remembers what was sent about a family. What is known already takes no allocation.
    pub(crate) fn learn(&self, family: &str, metric_type: MetricType, help: &str, unit: &str) {
        let says_nothing = metric_type == MetricType::Unknown && help.is_empty() && unit.is_empty();
        let is_long = [family, help, unit].iter().any(|text| text.len() > TEXT_BYTES_MAX);
        if family.is_empty() || says_nothing || is_long {
            return;
        }
        let is_this = |entry: &MetadataEntry| {
            entry.metric_type == metric_type && entry.help == help && entry.unit == unit
        };
        {
            let families = self.families.read().unwrap_or_else(PoisonError::into_inner);
            let entries = families.get(family);
            if entries.is_some_and(|known| known.len() >= ENTRIES_MAX || known.iter().any(is_this))
                || (entries.is_none() && families.len() >= FAMILIES_MAX)
            {
                return;
            }
        }
        let mut families = self.families.write().unwrap_or_else(PoisonError::into_inner);
        let entries = families.entry(family.to_owned()).or_default();
        if !entries.iter().any(is_this) {
            let (help, unit) = (help.to_owned(), unit.to_owned());
            entries.push(MetadataEntry { metric_type, help, unit });
            self.entries.inc();
        }
    }

    /// What is known, of all families or one, by name.
    pub(crate) fn get(&self, family: Option<&str>) -> BTreeMap<String, Vec<MetadataEntry>> {
        let families = self.families.read().unwrap_or_else(PoisonError::into_inner);
        let of = |(name, entries): (&String, &Vec<MetadataEntry>)| (name.clone(), entries.clone());
        match family {
            Some(family) => families.get_key_value(family).map(of).into_iter().collect(),
            None => families.iter().map(of).collect(),
        }
    }
}

/// The family of a series, by its metric name: of histograms and summaries without the suffix.
pub(crate) fn family_of(name: &str, metric_type: MetricType) -> &str {
    let suffixes: &[&str] = match metric_type {
        MetricType::Histogram | MetricType::GaugeHistogram => {
            &["_bucket", "_count", "_sum", "_gcount", "_gsum"]
        }
        MetricType::Summary => &["_count", "_sum"],
        _ => &[],
    };
    suffixes.iter().find_map(|suffix| name.strip_suffix(suffix)).unwrap_or(name)
}

/// The name of a type in Prometheus's JSON.
pub(crate) fn type_name(metric_type: MetricType) -> &'static str {
    match metric_type {
        MetricType::Unknown => "unknown",
        MetricType::Counter => "counter",
        MetricType::Gauge => "gauge",
        MetricType::Histogram => "histogram",
        MetricType::GaugeHistogram => "gaugehistogram",
        MetricType::Summary => "summary",
        MetricType::Info => "info",
        MetricType::StateSet => "stateset",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_sent_twice_is_known_once() {
        let store = MetadataStore::default();
        for help in ["Requests", "Requests", "Other"] {
            store.learn("requests_total", MetricType::Counter, help, "");
        }
        store.learn("nothing", MetricType::Unknown, "", "");
        let known = store.get(None);
        assert_eq!(known.keys().collect::<Vec<_>>(), ["requests_total"]);
        assert_eq!(known["requests_total"].len(), 2);
        assert_eq!(store.entries.get(), 2);
        assert!(store.get(Some("other")).is_empty());
    }

    #[test]
    fn it_is_bounded() {
        let store = MetadataStore::default();
        for number in 0..100 {
            store.learn("a", MetricType::Gauge, &number.to_string(), "");
        }
        store.learn("b", MetricType::Gauge, &"x".repeat(TEXT_BYTES_MAX + 1), "");
        assert_eq!(store.get(None).len(), 1);
        assert_eq!(store.get(Some("a"))["a"].len(), ENTRIES_MAX);
        assert_eq!(store.entries.get(), ENTRIES_MAX as i64);
    }

    #[test]
    fn families_have_no_suffix() {
        assert_eq!(family_of("seconds_bucket", MetricType::Histogram), "seconds");
        assert_eq!(family_of("seconds_sum", MetricType::Summary), "seconds");
        assert_eq!(family_of("jobs_count", MetricType::Gauge), "jobs_count");
    }
}
