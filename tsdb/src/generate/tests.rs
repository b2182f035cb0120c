//! Generated blocks are what was asked for, and the same each time.

use std::collections::BTreeMap;
use std::path::PathBuf;

use tsdb_format::chunkenc::num_samples;
use tsdb_format::varint::uvarint;

use super::*;
use crate::compact::{CompactOptions, Compactor};
use crate::vfs::{Io, OsVfs, Policy};

struct Made {
    dir: tempfile::TempDir,
    blocks: Vec<BuiltBlock>,
}

impl Made {
    fn dirs(&self) -> Vec<PathBuf> {
        self.blocks.iter().map(|block| block.path.clone()).collect()
    }
}

fn os() -> Arc<dyn Vfs> {
    Arc::new(OsVfs::new(Io::probe(&std::env::temp_dir(), Policy::Off).unwrap()))
}

fn make(options: &GenerateOptions) -> Made {
    let dir = tempfile::tempdir().unwrap();
    let mut blocks = Vec::new();
    let cancel = CancelToken::new();
    generate(&os(), dir.path(), options, &cancel, |block| blocks.push(block.clone())).unwrap();
    Made { dir, blocks }
}

fn small() -> GenerateOptions {
    GenerateOptions { series: 700, samples: 150, ..GenerateOptions::default() }
}

/// Chunks and samples in the block's segments by encoding, as the records themselves say.
fn count_records(block: &BuiltBlock) -> BTreeMap<Encoding, (u64, u64)> {
    let mut counts = BTreeMap::new();
    let mut segments: Vec<_> =
        std::fs::read_dir(block.path.join("chunks")).unwrap().map(|e| e.unwrap().path()).collect();
    segments.sort();
    for segment in segments {
        let bytes = std::fs::read(segment).unwrap();
        let mut at = 8;
        while at < bytes.len() {
            let (len, prefix) = uvarint(&bytes[at..]).unwrap();
            let encoding = Encoding::try_from(bytes[at + prefix]).unwrap();
            let data = &bytes[at + prefix + 1..][..len as usize];
            let count: &mut (u64, u64) = counts.entry(encoding).or_default();
            count.0 += 1;
            count.1 += u64::from(num_samples(encoding, data).unwrap());
            at += prefix + 1 + len as usize + 4;
        }
    }
    counts
}

#[test]
fn a_block_has_exactly_the_series_and_samples_asked_for() {
    for series in [1, 3, 700] {
        let made = make(&GenerateOptions { series, ..small() });
        let stats = &made.blocks[0].meta.stats;
        assert_eq!((stats.num_series, stats.num_samples), (series, series * 150));
        assert_eq!(stats.num_chunks, series * 2);
        let counts = count_records(&made.blocks[0]);
        assert_eq!(counts, BTreeMap::from([(Encoding::Xor, (series * 2, series * 150))]));
    }
}

#[test]
fn the_same_options_make_the_same_bytes_and_another_seed_does_not() {
    let options = GenerateOptions {
        blocks: 2,
        replicas: 2,
        churn: 0.5,
        histogram_share: 0.3,
        tombstone_share: 0.2,
        ..small()
    };
    let bytes = |made: &Made| -> Vec<Vec<u8>> {
        let files = ["meta.json", "tombstones", "index", "chunks/000001"];
        let read = |dir: &PathBuf| files.map(|file| std::fs::read(dir.join(file)).unwrap());
        made.dirs().iter().flat_map(read).collect()
    };
    let first = bytes(&make(&options));
    assert!(first == bytes(&make(&options)));
    let other = bytes(&make(&GenerateOptions { seed: 2, ..options }));
    assert!(first.iter().zip(&other).all(|(a, b)| a != b));
}

#[test]
fn every_encoding_asked_for_is_there() {
    let encodings = Encoding::ALL.to_vec();
    let made = make(&GenerateOptions { encodings, histogram_share: 0.5, ..small() });
    let counts = count_records(&made.blocks[0]);
    assert_eq!(counts.len(), 6, "{counts:?}");
    let samples = |histograms: bool| -> u64 {
        let of = counts.iter().filter(|(encoding, _)| encoding.is_histogram() == histograms);
        of.map(|(_, (_, samples))| samples).sum()
    };
    let stats = &made.blocks[0].meta.stats;
    assert_eq!((samples(false), samples(true)), (350 * 150, 350 * 150));
    assert_eq!(stats.num_float_samples, 350 * 150);
    assert_eq!(stats.num_histogram_samples, 350 * 150);
    let chunks: u64 = counts.values().map(|(chunks, _)| chunks).sum();
    assert_eq!(stats.num_chunks, chunks);
}

#[test]
fn churn_makes_new_series_and_replicas_make_none() {
    let options = GenerateOptions { series: 3000, samples: 2, blocks: 3, ..small() };
    let merged_series = |options: &GenerateOptions| {
        let made = make(options);
        let out = tempfile::tempdir().unwrap();
        let compactor = Compactor::new(os(), CompactOptions::default());
        let merged = compactor.merge(&made.dirs(), out.path()).unwrap();
        let ledger = merged.ledger;
        let samples: u64 = made.blocks.iter().map(|block| block.meta.stats.num_samples).sum();
        assert_eq!(ledger.samples_in, samples);
        (merged.block.unwrap().meta.stats.num_series, ledger)
    };
    assert_eq!(merged_series(&options).0, 3000);
    let (series, _) = merged_series(&GenerateOptions { churn: 0.4, ..options.clone() });
    assert!((5000..5800).contains(&series), "{series}");
    // Aligned replicas agree on counters and disagree on gauges; others only interleave.
    let (series, ledger) = merged_series(&GenerateOptions { replicas: 2, ..options });
    assert_eq!(series, 3000);
    assert!(ledger.superseded_conflicting > 0 && ledger.duplicate > 0, "{ledger:?}");
    assert!(ledger.samples_out > 3000 * 2 * 3 * 3 / 2, "{ledger:?}");
}

#[test]
fn tombstones_delete_samples_of_their_share_of_the_series() {
    let options = GenerateOptions { tombstone_share: 0.25, ..small() };
    let made = make(&options);
    let stones = made.blocks[0].meta.stats.num_tombstones;
    assert!((120..230).contains(&stones), "{stones}");
    let json = std::fs::read(made.dirs()[0].join("meta.json")).unwrap();
    assert_eq!(BlockMeta::decode(&json).unwrap(), made.blocks[0].meta);
    let out = tempfile::tempdir().unwrap();
    let compactor = Compactor::new(os(), CompactOptions::default());
    let merged = compactor.merge(&made.dirs(), out.path()).unwrap();
    assert!(merged.ledger.tombstoned > stones * 5, "{:?}", merged.ledger);
}

#[test]
fn series_come_in_label_order() {
    let catalog = Catalog::new(0.2);
    let options = GenerateOptions { series: 4000, ..small() };
    let targets = Targets::new(&options, &catalog).unwrap();
    let names = targets.names();
    let table = SeriesTable::new(&catalog, &names);
    let symbols: Vec<&str> = table.symbols().collect();
    assert!(symbols.is_sorted_by(|a, b| a < b));
    let (mut members, mut labels) = (Vec::new(), Vec::new());
    let mut last: Vec<&str> = Vec::new();
    let mut count = 0;
    for metric in table.metrics() {
        table.members(metric, &mut members);
        for &member in &members {
            table.labels(member, &mut labels);
            let strings: Vec<&str> = labels.iter().map(|&id| symbols[id as usize]).collect();
            let names: Vec<&str> = strings.iter().copied().step_by(2).collect();
            assert!(names.is_sorted_by(|a, b| a < b), "{strings:?}");
            assert!(last < strings, "{last:?} {strings:?}");
            last = strings;
            count += 1;
        }
    }
    assert_eq!(count, 4000);
}

#[test]
fn a_sample_of_floats_takes_what_it_takes_in_reality() {
    let made = make(&GenerateOptions { series: 4000, samples: 480, ..small() });
    let block = &made.blocks[0];
    let bytes = block.chunk_bytes as f64 / block.meta.stats.num_samples as f64;
    assert!((1.3..2.5).contains(&bytes), "{bytes}");
}

#[test]
fn options_that_make_no_sense_are_refused() {
    let refuse = |change: &dyn Fn(&mut GenerateOptions)| {
        let mut options = small();
        change(&mut options);
        options.validate().unwrap_err().to_string()
    };
    assert!(refuse(&|o| o.series = 0).contains("series"));
    assert!(refuse(&|o| o.interval_ms = -1).contains("interval"));
    assert!(refuse(&|o| o.churn = 1.5).contains("churn is 1.5"));
    assert!(refuse(&|o| o.histogram_share = f64::NAN).contains("histograms"));
    assert!(refuse(&|o| o.encodings = vec![Encoding::Histogram]).contains("floats"));
    assert!(refuse(&|o| o.start_ms = i64::MAX).contains("timestamp"));
    let dir = tempfile::tempdir().unwrap();
    let options = GenerateOptions { series: u64::MAX, ..small() };
    let result = generate(&os(), dir.path(), &options, &CancelToken::new(), |_| ());
    assert!(matches!(result, Err(GenerateError::Options(InvalidOptions::Targets { .. }))));
}

#[test]
fn cancelling_leaves_nothing_and_a_second_run_is_refused() {
    let dir = tempfile::tempdir().unwrap();
    let cancel = CancelToken::new();
    cancel.cancel();
    let result = generate(&os(), dir.path(), &small(), &cancel, |_| ());
    assert!(matches!(result, Err(GenerateError::Write(CompactError::Cancelled))));
    assert_eq!(std::fs::read_dir(dir.path()).unwrap().count(), 0);
    let made = make(&small());
    let again = generate(&os(), made.dir.path(), &small(), &CancelToken::new(), |_| ());
    assert!(again.unwrap_err().to_string().contains(&made.blocks[0].meta.ulid.to_string()));
    assert_eq!(std::fs::read_dir(made.dir.path()).unwrap().count(), 1);
}
