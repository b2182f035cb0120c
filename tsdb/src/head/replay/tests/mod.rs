//! Logs and files into a head that only remembers.

mod crash;
mod golden;
mod model;
mod speed;

use std::fs;
use std::path::Path;

use tsdb_format::chunkenc::{ChunkAppender, Encoding, Histogram, STALE_NAN_BITS, ValueType};
use tsdb_format::head_chunks::HeadChunk;
use tsdb_format::record::{
    Exemplar, FloatSample, HeadChunkRef, HeadSeriesRef, MetadataEntry, MetricType, MmapMarker,
    SampleId, SampleVersion, Tombstone, encode_exemplars, encode_histograms, encode_metadata,
    encode_mmap_markers, encode_samples, encode_series, encode_tombstones,
};
use tsdb_format::tombstones::Interval;
use uncached_io::{Io, Policy};

use self::model::{Kind, Model};
use super::*;
use crate::vfs::OsVfs;
use crate::wal::{Wal, WalOptions, segment_path};

struct Dir(tempfile::TempDir);

impl Dir {
    fn new() -> Self {
        Self(tempfile::tempdir().unwrap())
    }

    fn path(&self) -> &Path {
        self.0.path()
    }

    fn vfs(&self) -> Arc<dyn Vfs> {
        Arc::new(OsVfs::new(Io::probe(self.path(), Policy::Off).unwrap()))
    }

    fn log(&self, name: &str, records: &[Vec<u8>]) {
        let wal = Wal::open(self.vfs(), &self.path().join(name), WalOptions::default()).unwrap();
        wal.log(records).unwrap();
        wal.close().unwrap();
    }

    fn files(&self, chunks: &[HeadChunk<'_>]) -> Vec<HeadChunkRef> {
        let cancel = CancelToken::new();
        let load = LoadOptions { min_valid_time: i64::MIN, is_read_only: false, cancel: &cancel };
        let dir = self.path().join("chunks_head");
        let options = ChunkFilesOptions::default();
        let (files, _) = ChunkFiles::open(self.vfs(), &dir, options, load).unwrap();
        let refs = chunks.iter().map(|chunk| files.write(chunk).unwrap()).collect();
        files.close().unwrap();
        refs
    }

    fn replay_with(
        &self,
        threads: usize,
        min_valid_time: i64,
        is_read_only: bool,
    ) -> Result<(Model, Replayed), ReplayError<std::convert::Infallible>> {
        let (cancel, progress) = (CancelToken::new(), ReplayProgress::new());
        let options = ReplayOptions {
            vfs: &self.vfs(),
            dir: self.path(),
            min_valid_time,
            threads,
            chunk_files: ChunkFilesOptions::default(),
            is_read_only,
            cancel: &cancel,
            progress: &progress,
        };
        let (model, _, replayed) = replay(&options, |_| Model::default())?;
        assert_eq!(progress.phase(), ReplayPhase::Done);
        // It goes on where everything starts over.
        assert!(progress.records() >= replayed.records);
        Ok((model, replayed))
    }

    fn replay(&self) -> (Model, Replayed) {
        self.replay_with(2, i64::MIN, false).unwrap()
    }
}

fn series(entries: &[(u64, &str)]) -> Vec<u8> {
    let mut out = Vec::new();
    let labels = |name| vec![("__name__", name), ("job", "test")];
    encode_series(&mut out, entries.iter().map(|(of, name)| ((*of).into(), labels(*name))));
    out
}

fn samples(entries: &[(u64, i64, f64)]) -> Vec<u8> {
    let mut out = Vec::new();
    let sample = |&(of, time, value)| FloatSample { id: SampleId::new(of, time), value };
    encode_samples(&mut out, SampleVersion::V1, entries.iter().map(sample));
    out
}

fn histograms(entries: &[(u64, i64, f64)]) -> Vec<u8> {
    let (mut out, mut custom) = (Vec::new(), Vec::new());
    let values: Vec<_> = entries
        .iter()
        .map(|&(of, time, sum)| (SampleId::new(of, time), Histogram { sum, ..Default::default() }))
        .collect();
    let each = values.iter().map(|(id, value)| (*id, value));
    encode_histograms(&mut out, &mut custom, SampleVersion::V1, each);
    out
}

fn markers(entries: &[(u64, HeadChunkRef)]) -> Vec<u8> {
    let mut out = Vec::new();
    let marker = |&(of, chunk_ref)| MmapMarker { series_ref: HeadSeriesRef::from(of), chunk_ref };
    encode_mmap_markers(&mut out, entries.iter().map(marker));
    out
}

fn chunk<'d>(of: u64, times: (i64, i64), data: &'d [u8], is_out_of_order: bool) -> HeadChunk<'d> {
    let (min_time, max_time) = times;
    let encoding = Encoding::Xor as u8;
    HeadChunk { series_ref: of.into(), min_time, max_time, encoding, is_out_of_order, data }
}

fn one_sample(time: i64) -> Vec<u8> {
    let mut appender = ChunkAppender::new(Encoding::Xor);
    appender.append_float(0, time, 1.0).unwrap();
    appender.bytes().to_vec()
}

fn times(of: &model::Series) -> Vec<i64> {
    of.samples.iter().map(|(_, time, ..)| *time).collect()
}

fn name(of: &str) -> String {
    format!("__name__={of},job=test")
}

#[test]
fn samples_find_their_series_whatever_the_number_of_threads() {
    let dir = Dir::new();
    let mut records = Vec::new();
    let names: Vec<String> = (0..40).map(|number| format!("s{number}")).collect();
    let entries: Vec<(u64, &str)> =
        names.iter().enumerate().map(|(n, name)| (n as u64 + 1, name.as_str())).collect();
    records.push(series(&entries));
    for time in 0..3_000 {
        let all: Vec<_> = (1..=40).map(|of| (of, 10 * time, (of * 7) as f64)).collect();
        records.push(samples(&all));
    }
    // Not newer; of nobody; of a type from the future; a record without a byte.
    records.push(samples(&[(1, 5, 0.0), (99, 5, 0.0), (98, 6, 0.0), (99, 7, 0.0)]));
    records.push(vec![77, 1, 2]);
    records.push(markers(&[(1, HeadChunkRef::new(1, 8))]));
    dir.log("wal", &records);
    let mut all = Vec::new();
    for threads in [1, 2, 3, 7] {
        let (model, replayed) = dir.replay_with(threads, i64::MIN, false).unwrap();
        assert_eq!((replayed.series, replayed.floats), (40, 120_000), "{threads}");
        assert_eq!((replayed.rejected, replayed.unknown_records), (1, 2));
        let unknown = UnknownRefs { series: 2, samples: 3, ..UnknownRefs::default() };
        assert_eq!(replayed.unknown, unknown);
        assert_eq!(replayed.log_repairs, []);
        assert_eq!(*model.times.lock().unwrap(), Some((0, 29_990)));
        assert_eq!(*model.last_ref.lock().unwrap(), 99, "nobody else gets what has samples");
        all.push(model.all());
    }
    assert!(all.windows(2).all(|pair| pair[0] == pair[1]));
    for (at, name_of) in names.iter().enumerate() {
        let of = &all[0][&name(name_of)];
        assert_eq!(of.samples.len(), 3_000);
        let bits = ((at as u64 + 1) as f64 * 7.0).to_bits();
        assert_eq!(of.samples[2_999], (0, 29_990, Kind::Float, bits));
    }
    // Nothing is left of samples that blocks have.
    let (model, replayed) = dir.replay_with(3, 29_985, false).unwrap();
    assert_eq!((replayed.floats, replayed.rejected), (40, 0));
    assert_eq!(replayed.before_min_valid_time, 40 * 2_999 + 4);
    assert_eq!(times(&model.all()[&name("s0")]), [29_990]);
}

#[test]
fn what_stands_beside_samples_is_added_to_its_series() {
    let dir = Dir::new();
    let mut stones = Vec::new();
    encode_tombstones(
        &mut stones,
        [(1, 5, 9), (1, -3, -1), (50, 1, 2)].map(|(of, min, max)| Tombstone {
            series_ref: HeadSeriesRef::from(of),
            interval: Interval { min, max },
        }),
    );
    let mut exemplars = Vec::new();
    encode_exemplars(
        &mut exemplars,
        [(1, 12), (2, 13), (51, 14), (1, -9)].map(|(of, timestamp_ms)| Exemplar {
            series_ref: HeadSeriesRef::from(of),
            timestamp_ms,
            value: 1.0,
            labels: vec![("trace_id", "x")],
        }),
    );
    let mut metadata = Vec::new();
    encode_metadata(
        &mut metadata,
        [(1, "bytes"), (2, "s"), (1, "bits"), (52, "none")].map(|(of, unit)| MetadataEntry {
            series_ref: HeadSeriesRef::from(of),
            metric_type: MetricType::Gauge,
            unit,
            help: "",
        }),
    );
    dir.log("wal", &[series(&[(1, "a"), (2, "b")]), stones, exemplars, metadata]);
    let (model, replayed) = dir.replay_with(2, 0, false).unwrap();
    let all = model.all();
    let (a, b) = (&all[&name("a")], &all[&name("b")]);
    assert_eq!((&*a.tombstones, &*a.exemplars, &*a.unit), (&[(5, 9)][..], &[12][..], "bits"));
    assert_eq!((&*b.tombstones, &*b.exemplars, &*b.unit), (&[][..], &[13][..], "s"));
    assert_eq!((replayed.tombstones, replayed.exemplars, replayed.metadata), (1, 2, 3));
    let unknown =
        UnknownRefs { series: 3, tombstones: 1, exemplars: 1, metadata: 1, ..Default::default() };
    assert_eq!(replayed.unknown, unknown);
    assert_eq!(*model.last_ref.lock().unwrap(), 52, "all of these were given out once");
    assert_eq!(
        replayed.last_recorded_ref, 50,
        "what stands above it only exemplars and metadata have"
    );
}

#[test]
fn another_reference_of_a_series_is_the_same_series() {
    let dir = Dir::new();
    let records = [
        series(&[(1, "a")]),
        samples(&[(1, 10, 1.0), (1, 20, 2.0)]),
        series(&[(7, "a"), (8, "b")]),
        samples(&[(7, 30, 3.0), (8, 30, 1.0)]),
        samples(&[(1, 40, 4.0), (7, 50, 5.0)]),
        histograms(&[(7, 60, 1.0)]),
    ];
    dir.log("wal", &records);
    dir.log("wbl", &[samples(&[(7, 5, 9.0), (8, 5, 8.0)])]);
    let (model, replayed) = dir.replay();
    let all = model.all();
    let a = &all[&name("a")];
    // It was dropped in between: blocks have what stands in front of the second record.
    assert_eq!((a.series_ref, times(a)), (1, vec![30, 40, 50, 60]));
    assert_eq!(a.late.keys().copied().collect::<Vec<_>>(), [5]);
    assert_eq!((replayed.series, replayed.duplicate_series), (2, 1));
    assert_eq!((replayed.floats, replayed.histograms, replayed.out_of_order), (6, 1, 2));
    let expiries: Vec<_> = model.expiries.lock().unwrap().clone().into_iter().collect();
    assert_eq!(expiries, [(7, 60)], "checkpoints keep it as long as the log needs it");
    let late_refs: Vec<u64> = model.late_refs.lock().unwrap().iter().copied().collect();
    assert_eq!(late_refs, [7], "and as long as the other log does");
}

/// It had been dropped: blocks have its late chunks. After a restart it goes on under its first
/// reference, and late chunks of that are new ones; the log has their markers.
#[test]
fn late_chunks_of_the_first_reference_are_those_that_markers_name() {
    let dir = Dir::new();
    let data = one_sample(10);
    let refs = dir.files(&[
        chunk(1, (1, 2), &data, true),
        chunk(7, (3, 4), &data, true),
        chunk(1, (5, 6), &data, true),
        chunk(1, (7, 8), &data, true),
    ]);
    dir.log("wal", &[series(&[(1, "a")]), series(&[(7, "a")])]);
    dir.log(
        "wbl",
        &[
            samples(&[(7, 3, 1.0), (7, 4, 1.0)]),
            markers(&[(7, refs[1])]),
            samples(&[(1, 5, 1.0), (1, 6, 1.0)]),
            markers(&[(1, refs[2])]),
            // Written by a flush that did not end: no marker, and its samples are here.
            samples(&[(1, 7, 1.0), (1, 8, 1.0)]),
            markers(&[(1, HeadChunkRef::default())]),
            samples(&[(1, 9, 1.0)]),
        ],
    );
    let (model, replayed) = dir.replay();
    let all = model.all();
    let a = &all[&name("a")];
    let chunks: Vec<_> = a.late_chunks.iter().map(|chunk| chunk.chunk_ref).collect();
    assert_eq!(chunks, [refs[1], refs[2]]);
    assert_eq!(a.late.keys().copied().collect::<Vec<_>>(), [7, 8, 9]);
    assert_eq!((replayed.duplicate_series, replayed.late_chunks_of_other_refs), (1, 1));
    // As in 3.15 the oldest time is that of a chunk that was passed over.
    assert_eq!(*model.late_times.lock().unwrap(), Some((1, 9)));
    assert!(model.late_refs.lock().unwrap().contains(&7));
}

#[test]
fn loaded_chunks_have_what_is_not_newer() {
    let dir = Dir::new();
    let data = one_sample(10);
    dir.files(&[
        chunk(1, (10, 30), &data, false),
        chunk(1, (40, 60), &data, false),
        chunk(1, (5, 90), &data, true),
        chunk(2, (1, 2), &data, false),
        chunk(55, (1, 2), &data, false),
    ]);
    let stale = f64::from_bits(STALE_NAN_BITS);
    dir.log(
        "wal",
        &[
            series(&[(1, "a"), (2, "b")]),
            samples(&[(1, 10, 1.0), (1, 60, 1.0), (1, 61, 1.0), (2, 70, stale)]),
        ],
    );
    let (model, replayed) = dir.replay();
    let all = model.all();
    let a = &all[&name("a")];
    assert_eq!((a.chunks.len(), a.late_chunks.len(), times(a)), (2, 1, vec![61]));
    assert_eq!((replayed.in_loaded_chunks, replayed.loaded_chunks), (2, 4));
    assert_eq!(replayed.orphaned_chunks, 1);
    assert_eq!(*model.times.lock().unwrap(), Some((1, 70)));
    assert_eq!(*model.late_times.lock().unwrap(), Some((5, 90)));
    assert_eq!(all[&name("b")].samples[0].2, Kind::Float);
}

#[test]
fn a_stale_marker_of_a_histogram_series_is_a_histogram() {
    let dir = Dir::new();
    let stale = f64::from_bits(STALE_NAN_BITS);
    dir.log(
        "wal",
        &[
            series(&[(1, "a"), (2, "b")]),
            histograms(&[(1, 10, 1.0)]),
            samples(&[(2, 10, 1.0), (1, 20, stale), (2, 20, stale)]),
        ],
    );
    let (model, replayed) = dir.replay();
    let all = model.all();
    assert_eq!(all[&name("a")].samples[1], (0, 20, Kind::Histogram, STALE_NAN_BITS));
    assert_eq!(all[&name("b")].samples[1], (0, 20, Kind::Float, STALE_NAN_BITS));
    assert_eq!((replayed.floats, replayed.histograms), (2, 2));
}

#[test]
fn a_dropped_series_begins_again_under_its_new_reference() {
    let dir = Dir::new();
    let mut stones = Vec::new();
    encode_tombstones(&mut stones, [Tombstone::of_dropped(1.into())]);
    dir.log(
        "wal",
        &[
            series(&[(1, "a"), (2, "b")]),
            samples(&[(1, 10, 1.0), (2, 10, 1.0)]),
            stones,
            series(&[(3, "a")]),
            samples(&[(3, 30, 3.0)]),
        ],
    );
    let (model, replayed) = dir.replay();
    let all = model.all();
    let a = &all[&name("a")];
    assert_eq!((a.series_ref, times(a)), (3, vec![30]));
    assert_eq!(times(&all[&name("b")]), [10]);
    assert_eq!(replayed.duplicate_series, 0);
    assert!(model.expiries.lock().unwrap().is_empty());
}

/// As behind a checkpoint, or where two appenders made sure of it.
#[test]
fn a_series_that_is_named_again_keeps_what_it_has() {
    let dir = Dir::new();
    let data = one_sample(10);
    dir.files(&[chunk(1, (10, 30), &data, false), chunk(1, (2, 9), &data, true)]);
    let named = series(&[(1, "a")]);
    dir.log("wal", &[named.clone(), samples(&[(1, 40, 1.0)]), named, samples(&[(1, 50, 1.0)])]);
    let (model, replayed) = dir.replay();
    let all = model.all();
    let a = &all[&name("a")];
    assert_eq!((a.chunks.len(), a.late_chunks.len(), times(a)), (1, 1, vec![40, 50]));
    assert_eq!((replayed.series, replayed.duplicate_series), (1, 0));
}

/// A marker clears of what stands in front of it what is in its chunk.
#[test]
fn a_marker_clears_what_its_chunk_has() {
    let data = one_sample(10);
    for lost in [false, true] {
        let dir = Dir::new();
        let mut refs = dir.files(&[
            chunk(1, (5, 6), &data, true),
            chunk(1, (7, 8), &data, true),
            chunk(2, (5, 6), &data, true),
        ]);
        if lost {
            // As if the second one had not reached the disk, and others had been written since.
            refs[1] = HeadChunkRef::new(1, refs[1].offset() - 1);
        }
        dir.log("wal", &[series(&[(1, "a"), (2, "b")])]);
        dir.log(
            "wbl",
            &[
                markers(&[(1, HeadChunkRef::default()), (2, HeadChunkRef::default())]),
                samples(&[(1, 5, 1.0), (1, 6, 1.0), (1, 7, 1.0), (1, 8, 1.0), (2, 5, 1.0)]),
                samples(&[(1, 5, 2.0)]),
                markers(&[(1, refs[0]), (1, refs[1]), (77, refs[0])]),
                samples(&[(1, 9, 1.0)]),
                // Of another series.
                markers(&[(2, refs[0])]),
            ],
        );
        let (model, replayed) = dir.replay();
        let all = model.all();
        let late: Vec<i64> = all[&name("a")].late.keys().copied().collect();
        let wanted = if lost { vec![7, 8, 9] } else { vec![9] };
        assert_eq!(late, wanted, "{lost}");
        assert_eq!(all[&name("b")].late.len(), 1);
        assert_eq!(replayed.markers_without_chunk, if lost { 2 } else { 1 });
        assert_eq!((replayed.out_of_order, replayed.out_of_order_duplicates), (6, 1));
        assert_eq!(replayed.unknown_in_wbl.mmap_markers, 1);
        assert_eq!(replayed.unknown.mmap_markers, 0);
        assert_eq!(*model.late_times.lock().unwrap(), Some((5, 9)));
    }
}

#[test]
fn a_damaged_record_ends_the_log_and_leaves_nothing_of_what_follows() {
    let damaged = {
        let mut record = samples(&[(1, 30, 1.0), (2, 30, 2.0)]);
        record.truncate(record.len() - 3);
        record
    };
    let records = [
        series(&[(1, "a"), (2, "b")]),
        samples(&[(1, 10, 1.0), (2, 20, 2.0)]),
        damaged,
        series(&[(3, "c")]),
        samples(&[(3, 40, 1.0)]),
    ];
    for threads in [1, 3] {
        let dir = Dir::new();
        dir.log("wal", &records);
        dir.log("wbl", &[samples(&[(1, 5, 1.0), (3, 5, 1.0)])]);
        let before = fs::read(segment_path(&dir.path().join("wal"), 0)).unwrap();
        let (model, replayed) = dir.replay_with(threads, i64::MIN, true).unwrap();
        assert_eq!(times(&model.all()[&name("a")]), [10], "read only");
        assert_eq!(replayed.damage.len(), 1);
        assert_eq!(fs::read(segment_path(&dir.path().join("wal"), 0)).unwrap(), before);

        let (model, replayed) = dir.replay_with(threads, i64::MIN, false).unwrap();
        let all = model.all();
        assert_eq!(all.keys().cloned().collect::<Vec<_>>(), [name("a"), name("b")]);
        assert_eq!((times(&all[&name("a")]), times(&all[&name("b")])), (vec![10], vec![20]));
        assert_eq!((replayed.series, replayed.floats, replayed.out_of_order), (2, 2, 1));
        assert_eq!(replayed.unknown_in_wbl.samples, 1, "the series record is cut away");
        let [repair] = &*replayed.log_repairs else { panic!("{:?}", replayed.log_repairs) };
        let cut: u64 = repair.cut.iter().map(|path| path.metadata().unwrap().len()).sum();
        assert!(cut > 0 && cut == repair.cut_bytes);
        let (again, replayed) = dir.replay_with(threads, i64::MIN, false).unwrap();
        assert_eq!(again.all(), all);
        assert_eq!(replayed.log_repairs, []);
    }
}

#[test]
fn a_torn_end_is_cut_off() {
    let dir = Dir::new();
    dir.log("wal", &[series(&[(1, "a")]), samples(&[(1, 10, 1.0)]), samples(&[(1, 20, 1.0)])]);
    let path = segment_path(&dir.path().join("wal"), 0);
    let whole = fs::read(&path).unwrap();
    let end = whole.iter().rposition(|byte| *byte != 0).unwrap();
    fs::write(&path, &whole[..end - 2]).unwrap();
    let (model, replayed) = dir.replay();
    assert_eq!(times(&model.all()[&name("a")]), [10]);
    assert_eq!((replayed.floats, replayed.log_repairs.len()), (1, 1));
    assert_eq!(dir.replay().1.log_repairs, []);
}

#[test]
fn it_can_be_cancelled() {
    let dir = Dir::new();
    dir.log("wal", &[series(&[(1, "a")])]);
    let (cancel, progress) = (CancelToken::new(), ReplayProgress::new());
    cancel.cancel();
    dir.files(&[chunk(1, (1, 2), &one_sample(1), false)]);
    let options = ReplayOptions {
        vfs: &dir.vfs(),
        dir: dir.path(),
        min_valid_time: 0,
        threads: 2,
        chunk_files: ChunkFilesOptions::default(),
        is_read_only: false,
        cancel: &cancel,
        progress: &progress,
    };
    let outcome = replay(&options, |_| Model::default());
    assert!(matches!(outcome, Err(ReplayError::Cancelled)));
}
