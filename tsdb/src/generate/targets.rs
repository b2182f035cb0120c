//! The nodes and pods that are scraped, and how they come and go.

use super::catalog::{Catalog, Kind};
use super::options::{GenerateOptions, InvalidOptions};
use super::random::{mix, unit};

/// One slot in this many is a node, the others are pods.
const SLOTS_PER_NODE: u64 = 16;
/// Serial numbers are spread over all five-letter suffixes.
const SUFFIXES: u64 = 27u64.pow(SUFFIX_LETTERS);
const SUFFIX_LETTERS: u32 = 5;
/// Coprime with 27, so that each suffix is used once.
const SUFFIX_STRIDE: u64 = 7_654_321;
/// Those of Kubernetes's random names: no words come of them.
const LETTERS: &[u8; 27] = b"bcdfghjklmnpqrstvwxz2456789";
/// Namespace and name.
const APPS: [(&str, &str); 24] = [
    ("shop", "checkout"),
    ("shop", "cart"),
    ("shop", "catalogue"),
    ("shop", "recommendations"),
    ("shop", "payments"),
    ("search", "query-frontend"),
    ("search", "indexer"),
    ("search", "suggest"),
    ("identity", "login"),
    ("identity", "sessions"),
    ("identity", "directory"),
    ("media", "thumbnailer"),
    ("media", "transcoder"),
    ("media", "cdn-origin"),
    ("messaging", "broker"),
    ("messaging", "mailer"),
    ("messaging", "push-gateway"),
    ("billing", "invoices"),
    ("billing", "ledger"),
    ("platform", "api-gateway"),
    ("platform", "feature-flags"),
    ("platform", "scheduler"),
    ("platform", "config-reloader"),
    ("analytics", "event-collector"),
];

/// Something that is scraped.
#[derive(Debug, Clone, Copy)]
pub(super) struct Target {
    pub(super) kind: Kind,
    /// Unlike that of any other target, earlier ones included.
    serial: u64,
    /// How many of its kind's series it exposes.
    pub(super) series: u32,
    pub(super) seed: u64,
}

/// The targets of one block.
pub(super) struct Targets {
    targets: Vec<Target>,
    ends: Vec<bool>,
    seed: u64,
    churn: f64,
    blocks: u32,
}

impl Targets {
    /// The targets of the first block: as many as it takes to have exactly the series asked for.
    pub(super) fn new(
        options: &GenerateOptions,
        catalog: &Catalog,
    ) -> Result<Self, InvalidOptions> {
        let generations = if options.churn > 0.0 { u64::from(options.blocks) } else { 1 };
        let nodes = u64::from(catalog.series(Kind::Node));
        let cycle = nodes + u64::from(catalog.series(Kind::Pod)) * (SLOTS_PER_NODE - 1);
        // Rounded up to whole cycles, so that no target is made before it is known that all fit.
        let found = options.series.div_ceil(cycle).saturating_mul(SLOTS_PER_NODE * generations);
        if found > SUFFIXES {
            return Err(InvalidOptions::Targets { found, limit: SUFFIXES });
        }
        let mut targets = Vec::new();
        let mut left = options.series;
        while left > 0 {
            let slot = targets.len() as u64;
            let kind =
                if slot % SLOTS_PER_NODE == SLOTS_PER_NODE / 2 { Kind::Node } else { Kind::Pod };
            let series = u64::from(catalog.series(kind)).min(left);
            left -= series;
            let seed = mix(options.seed, slot);
            targets.push(Target { kind, serial: slot, series: series as u32, seed });
        }
        let (seed, churn, blocks) = (options.seed, options.churn, options.blocks);
        let mut this = Self { targets, ends: Vec::new(), seed, churn, blocks };
        this.note_ends(0);
        Ok(this)
    }

    /// Goes on to block `block`, the next one.
    pub(super) fn churn(&mut self, block: u32) {
        let slots = self.targets.len() as u64;
        for (target, ends) in self.targets.iter_mut().zip(&self.ends) {
            if *ends {
                target.serial += slots;
                target.seed = mix(self.seed, target.serial);
            }
        }
        self.note_ends(block);
    }

    fn note_ends(&mut self, block: u32) {
        let next = u64::from(block) + 1;
        let more = next < u64::from(self.blocks);
        let start = mix(self.seed, next);
        // Multiples of the golden ratio fall evenly: the share is met even with few targets.
        let replaced = |slot: u64| {
            unit(slot.wrapping_mul(0x9e37_79b9_7f4a_7c15).wrapping_add(start)) < self.churn
        };
        self.ends = (0..self.targets.len() as u64).map(|slot| more && replaced(slot)).collect();
    }

    pub(super) fn get(&self, number: u32) -> &Target {
        &self.targets[number as usize]
    }

    /// Whether the target is replaced after this block.
    pub(super) fn ends_after(&self, number: u32) -> bool {
        self.ends[number as usize]
    }

    /// The labels of each target, without the label names.
    pub(super) fn names(&self) -> Vec<(Target, Vec<String>)> {
        self.targets.iter().map(|target| (*target, target.fields())).collect()
    }
}

impl Target {
    /// The values of [`Kind::fields`], in that order.
    fn fields(&self) -> Vec<String> {
        let serial = self.serial;
        let address = |port: u32| {
            format!("10.{}.{}.{}:{port}", serial >> 16 & 255, serial >> 8 & 255, serial & 255)
        };
        let owned = str::to_owned;
        match self.kind {
            Kind::Node => vec![
                owned("eu-central-1"),
                owned("node-exporter"),
                address(9100),
                owned("node-exporter"),
                owned("monitoring"),
                node_name(serial),
                format!("node-exporter-{}", suffix(serial)),
            ],
            Kind::Pod => {
                // Pods of an app stand side by side, so that each has some dozens of them.
                let app = mix(7, serial / 24) as usize % APPS.len();
                let (namespace, name) = APPS[app];
                let set = mix(8, serial / 24);
                vec![
                    owned("eu-central-1"),
                    owned(name),
                    address(8080),
                    format!("{namespace}/{name}"),
                    owned(namespace),
                    node_name(mix(9, serial) % (serial / SLOTS_PER_NODE + 1) * SLOTS_PER_NODE),
                    format!("{name}-{:08x}-{}", set >> 32, suffix(serial)),
                ]
            }
        }
    }
}

fn node_name(serial: u64) -> String {
    let (a, b) = (serial >> 8 & 255, serial & 255);
    format!("ip-10-{}-{a}-{b}.eu-central-1.compute.internal", serial >> 16 & 255)
}

/// Five letters that no other serial number has.
fn suffix(serial: u64) -> String {
    let mut rest = (serial + 1) * SUFFIX_STRIDE % SUFFIXES;
    let mut text = String::with_capacity(SUFFIX_LETTERS as usize);
    for _ in 0..SUFFIX_LETTERS {
        text.push(char::from(LETTERS[(rest % 27) as usize]));
        rest /= 27;
    }
    text
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn suffixes_do_not_repeat() {
        let texts: BTreeSet<String> = (0..50_000).map(suffix).collect();
        assert_eq!(texts.len(), 50_000);
    }

    #[test]
    fn churn_replaces_its_share_and_never_brings_a_target_back() {
        let catalog = Catalog::new(0.0);
        let options = GenerateOptions {
            series: 200_000,
            blocks: 4,
            churn: 0.4,
            ..GenerateOptions::default()
        };
        let mut targets = Targets::new(&options, &catalog).unwrap();
        let mut seen: BTreeSet<u64> = targets.targets.iter().map(|t| t.serial).collect();
        let series: u32 = targets.targets.iter().map(|t| t.series).sum();
        assert_eq!(series, 200_000);
        let slots = targets.targets.len();
        for block in 1..4 {
            targets.churn(block);
            let new = targets.targets.iter().filter(|t| seen.insert(t.serial)).count();
            let share = new as f64 / slots as f64;
            assert!((0.39..0.41).contains(&share), "{share}");
        }
        assert!(targets.ends.iter().all(|ends| !ends), "nothing follows the last block");
    }
}
