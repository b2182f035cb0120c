//! The power goes, or the disk fails, at every effect of a head: what was acknowledged is there
//! after the next start, and nothing else.

use std::collections::{BTreeMap, BTreeSet};

use super::golden::{Series, of_head};
use super::*;
use crate::head::{Head, HeadOptions, Sample};
use crate::vfs::sim::{Fault, FaultKind, SimVfs, Tree};
use crate::wal::SyncPolicy;

const SEED: u64 = 315;
const COMMITS: i64 = 34;

/// Time and bits of the value of each sample, by number of the series.
type Samples = BTreeSet<(u64, i64, u64)>;

fn options() -> HeadOptions {
    let wal = WalOptions::default().sync(SyncPolicy::EveryCommit);
    let mut options = HeadOptions::default().chunk_range_ms(200).out_of_order_window_ms(10_000);
    options.out_of_order_cap_max = 3;
    options.threads = 2;
    options.wal(wal)
}

fn open(vfs: &SimVfs, dir: &Path) -> Result<std::sync::Arc<Head>, crate::head::HeadError> {
    let (cancel, progress) = (CancelToken::new(), ReplayProgress::new());
    let vfs: Arc<dyn Vfs> = Arc::new(vfs.clone());
    Head::open(vfs, dir, i64::MIN, options(), &cancel, &progress).map(|(head, _)| head)
}

/// Appends until something fails: what was acknowledged, and all that was tried.
fn append_some(vfs: &SimVfs, dir: &Path) -> (Samples, Samples) {
    let (mut acknowledged, mut tried) = (Samples::new(), Samples::new());
    let Ok(head) = open(vfs, dir) else { return (acknowledged, tried) };
    for commit in 0..COMMITS {
        let mut appender = head.appender();
        let mut these = Samples::new();
        for series in 0..3u64 {
            // Two steps on, then one back: a third comes late.
            let time = 1_000 + 60 * commit - if commit % 3 == 2 { 95 } else { 0 };
            let value = (series * 1_000) as f64 + commit as f64;
            let name = format!("s{series}");
            let labels = [("__name__", name.as_str()), ("job", "test")].into_iter().collect();
            appender.append(None, &labels, Sample::float(time, value)).unwrap();
            these.insert((series, time, value.to_bits()));
        }
        tried.extend(&these);
        if appender.commit().is_err() {
            return (acknowledged, tried);
        }
        acknowledged.extend(these);
        if commit % 8 == 7 && head.map_chunks().is_err() {
            return (acknowledged, tried);
        }
    }
    let _ = head.close();
    (acknowledged, tried)
}

fn recovered(tree: &Tree, story: &dyn std::fmt::Display) -> Samples {
    let dir = tempfile::tempdir().unwrap();
    tree.write_to(dir.path()).unwrap();
    let vfs = SimVfs::new(dir.path()).unwrap();
    let mut all = Vec::new();
    // The second start reads what the first one wrote.
    for _ in 0..2 {
        let head = open(&vfs, dir.path()).unwrap_or_else(|error| panic!("{story}: {error}"));
        let mut series = Series::new();
        of_head(&head, &mut series);
        let samples: Samples = series
            .iter()
            .flat_map(|(labels, content)| {
                let number = labels.split('"').nth(1).unwrap()[1..].parse::<u64>().unwrap();
                content.iter().map(move |(time, (_, _, bits))| (number, *time, *bits))
            })
            .collect();
        all.push(samples);
    }
    assert!(all[0] == all[1], "{story}: the second start has others");
    all.swap_remove(0)
}

#[test]
fn what_was_acknowledged_is_there_and_nothing_is_invented() {
    let effects = {
        let dir = tempfile::tempdir().unwrap();
        let vfs = SimVfs::new(dir.path()).unwrap();
        let (acknowledged, tried) = append_some(&vfs, dir.path());
        assert_eq!((acknowledged.len(), &acknowledged), (3 * COMMITS as usize, &tried));
        vfs.effect_count()
    };
    assert!(effects > 100, "{effects}");
    let mut by_kind: BTreeMap<String, u32> = BTreeMap::new();
    for at in (0..effects).step_by(2) {
        for kind in [FaultKind::Stop, FaultKind::ShortWrite, FaultKind::FailingSync] {
            let dir = tempfile::tempdir().unwrap();
            let vfs = SimVfs::new(dir.path()).unwrap();
            vfs.inject(Fault { at, kind });
            let (acknowledged, tried) = append_some(&vfs, dir.path());
            if !vfs.fault_fired() {
                continue;
            }
            let images = if kind == FaultKind::Stop { 9 } else { 4 };
            for image in vfs.images(vfs.effect_count(), SEED).take(images) {
                let story = format!("{kind:?} at {at}, seed {SEED}: {image}");
                let there = recovered(image.tree(), &story);
                let lost: Vec<_> = acknowledged.difference(&there).collect();
                assert!(lost.is_empty(), "{story}: {lost:?} are lost");
                let invented: Vec<_> = there.difference(&tried).collect();
                assert!(invented.is_empty(), "{story}: {invented:?} are invented");
                *by_kind.entry(format!("{kind:?}")).or_default() += 1;
            }
        }
    }
    assert!(by_kind.len() == 3 && by_kind.values().all(|count| *count > 50), "{by_kind:?}");
}
