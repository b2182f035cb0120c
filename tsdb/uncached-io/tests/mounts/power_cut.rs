//! The power goes at a random moment; after the next mount, every promise is kept.
//!
//! ```text
//! create N.tmp -> write, sync_partial, resume ... -> finish -> rename to N -> sync directory
//! ```
//!
//! A file under its final name is whole, whatever happened; a file that was finished, and whose
//! name was durable, is whole; what was synced half way is a prefix of what is there. So is, where
//! each write is to be durable, all but what the writer's buffers may hold.
//! `UNCACHED_IO_POINTS` sets how many moments are tried on each filesystem.

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::io;
use std::path::Path;
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use uncached_io::{CreateOptions, Durability, EngineKind, Io, Writer};

use crate::content::{BUFFER_BYTES, Random, assert_same, io_with_buffers, pattern, read, working};
use crate::mount::{Kind, Mount, Under};

const LEN_MAX: usize = 300_000;
const PIECE_MAX: usize = 60_000;

/// What was promised of a file, by its number.
#[derive(Debug, Clone, Copy, Default)]
struct Promise {
    /// What it is to be; its final name says that it is.
    len_bytes: usize,
    /// Made durable by a sync.
    prefix_bytes: usize,
    /// Made durable by the writes themselves.
    written_bytes: usize,
    /// Whole, with so many bytes.
    finished_bytes: Option<usize>,
    /// The directory was synced since the file was made: its name, old or new, is durable too.
    named: bool,
}

#[derive(Debug, Default)]
struct Promises {
    made: Mutex<BTreeMap<usize, Promise>>,
    /// Set before the power goes: what is promised afterwards, nobody would have heard. (An fsync
    /// during the shutdown of an XFS may say that all is well.)
    off: AtomicBool,
}

impl Promise {
    /// Whether no sync has made durable what it promises.
    fn rests_on_writes(&self) -> bool {
        self.named && self.finished_bytes.is_none() && self.written_bytes > self.prefix_bytes
    }
}

impl Promises {
    fn note(&self, number: usize, change: impl FnOnce(&mut Promise)) {
        let mut made = self.made.lock().unwrap();
        let promise = made.entry(number).or_default();
        if !self.off.load(Ordering::SeqCst) {
            change(promise);
        }
    }
}

#[test]
fn after_a_power_cut_every_promise_is_kept() {
    let points = std::env::var("UNCACHED_IO_POINTS").ok().map_or(30, |n| n.parse().unwrap());
    let mut random = Random::new("power cuts");
    for kind in [Kind::Ext4, Kind::Xfs, Kind::Ext4On4Kn, Kind::XfsOn4Kn] {
        let Some(mut mount) = Mount::with_size(kind, Under::Memory, 64) else { continue };
        let (mut finished, mut prefixes, mut written) = (0, 0, 0);
        for point in 0..points {
            let promises = write_until_the_power_goes(kind, &mount, &mut random);
            mount.remount();
            check(&mount.path(), &promises, &format!("{kind:?}, point {point}"));
            finished += promises.values().filter(|it| it.finished_bytes.is_some()).count();
            prefixes += promises.values().filter(|it| it.prefix_bytes > 0).count();
            written += promises.values().filter(|it| it.rests_on_writes()).count();
            for entry in fs::read_dir(mount.path()).unwrap().map(Result::unwrap) {
                if entry.file_type().unwrap().is_file() {
                    fs::remove_file(entry.path()).unwrap();
                }
            }
            // Or the next power cut brings them back.
            sync_dir(&mount.path()).unwrap();
        }
        eprintln!(
            "{}: {finished} finished files, {prefixes} synced prefixes, {written} written ones",
            kind.name()
        );
        assert!(finished > points && prefixes > points, "too little was promised to be a test");
    }
}

fn write_until_the_power_goes(
    kind: Kind,
    mount: &Mount,
    random: &mut Random,
) -> BTreeMap<usize, Promise> {
    let promises = Promises::default();
    let (files, delay) = (2 + random.below(9), Duration::from_micros(random.below(5_000) as u64));
    std::thread::scope(|scope| {
        let (dir, promises) = (mount.path(), &promises);
        let writing = scope.spawn(move || {
            let mut ios = Vec::new();
            for engine in working(kind, &dir) {
                ios.extend([1, 2, 4].map(|n| (io_with_buffers(&dir, engine, n), n)));
            }
            for number in 0.. {
                let (io, buffers) = &ios[random.below(ios.len())];
                // An error is how it learns of the power cut.
                if write_one(&dir, io, *buffers, number, random, promises).is_err() {
                    return;
                }
            }
        });
        // By files, not by time alone: a busy machine gets as far as an idle one.
        while promises.made.lock().unwrap().len() < files && !writing.is_finished() {
            std::thread::sleep(Duration::from_millis(1));
        }
        std::thread::sleep(delay);
        promises.off.store(true, Ordering::SeqCst);
        mount.cut_power();
        writing.join().unwrap();
    });
    promises.made.into_inner().unwrap()
}

/// Writes one file, and notes each promise as soon as it is made.
fn write_one(
    dir: &Path,
    io: &Io,
    buffers: usize,
    number: usize,
    random: &mut Random,
    promises: &Promises,
) -> io::Result<()> {
    let unfinished = dir.join(format!("{number}.tmp"));
    let durability = [Durability::Finish, Durability::EachWrite][random.below(2)];
    let options = CreateOptions::default().durability(durability);
    let syncs_once_in = if durability == Durability::EachWrite { 12 } else { 4 };
    let len = random.below(LEN_MAX);
    promises.made.lock().unwrap().entry(number).or_default().len_bytes = len;
    let mut writer = io.create(&unfinished, options)?;
    if random.below(3) > 0 {
        sync_dir(dir)?;
        promises.note(number, |it| it.named = true);
    }
    let content = content_of(number);
    let mut at = 0;
    while at < len {
        let piece = (1 + random.below(PIECE_MAX)).min(len - at);
        writer.write_all(&content[at..at + piece])?;
        at += piece;
        if durability == Durability::EachWrite {
            let durable = durable_bytes(at, buffers);
            promises.note(number, |it| it.written_bytes = durable);
        }
        if random.below(syncs_once_in) == 0 {
            writer.sync_partial()?;
            promises.note(number, |it| it.prefix_bytes = at);
            if random.below(4) == 0 {
                writer = resumed(writer, io, &unfinished, at, options)?;
            }
        }
    }
    writer.finish()?;
    promises.note(number, |it| it.finished_bytes = Some(len));
    fs::rename(&unfinished, dir.join(number.to_string()))?;
    if random.below(2) == 0 {
        sync_dir(dir)?;
        promises.note(number, |it| it.named = true);
    }
    Ok(())
}

/// How much of `at` bytes is durable when each write is: what is not yet written fills the writer's
/// buffers at most.
fn durable_bytes(at: usize, buffers: usize) -> usize {
    at.saturating_sub(buffers * BUFFER_BYTES)
}

fn resumed(
    writer: Writer,
    io: &Io,
    path: &Path,
    len: usize,
    options: CreateOptions,
) -> io::Result<Writer> {
    drop(writer);
    Ok(io.resume(path, len as u64, options)?)
}

fn content_of(number: usize) -> Vec<u8> {
    pattern(1000 + number as u64, LEN_MAX)
}

fn sync_dir(dir: &Path) -> io::Result<()> {
    File::open(dir)?.sync_all()
}

fn check(dir: &Path, promises: &BTreeMap<usize, Promise>, what: &str) {
    let there = |number: usize| {
        let last = dir.join(number.to_string());
        let unfinished = dir.join(format!("{number}.tmp"));
        [last, unfinished].into_iter().find(|path| path.exists())
    };
    for (&number, promise) in promises {
        let what = format!("{what}: file {number}, {promise:?}");
        let Some(path) = there(number) else {
            assert!(!promise.named, "{what} is gone");
            continue;
        };
        let (got, wanted) = (read(&path), content_of(number));
        if let Some(len) = promise.finished_bytes {
            assert_same(&got, &wanted[..len], &what);
        }
        let prefix = promise.prefix_bytes.max(promise.written_bytes);
        assert!(got.len() >= prefix, "{what}: {} bytes", got.len());
        assert_same(&got[..prefix], &wanted[..prefix], &what);
    }
    for entry in fs::read_dir(dir).unwrap().map(Result::unwrap) {
        let name = entry.file_name().into_string().unwrap();
        let Ok(number) = name.parse::<usize>() else { continue };
        let len = promises[&number].len_bytes;
        assert_same(&read(&entry.path()), &content_of(number)[..len], &format!("{what}: {name}"));
    }
}

/// So that the list of engines above can't be empty unseen.
#[test]
fn there_are_engines_to_cut_off() {
    let Some(mount) = Mount::with_size(Kind::Ext4, Under::Memory, 64) else { return };
    let found = working(Kind::Ext4, &mount.path());
    assert!(found.contains(&EngineKind::Thread) && found.contains(&EngineKind::Buffered));
}

/// Nothing is synced but the directory, before the first write. Where only the end of the file
/// would be durable, the same cut takes bytes away: so this could fail.
#[test]
fn each_write_is_durable_without_a_sync() {
    for kind in [Kind::Ext4, Kind::Xfs, Kind::Ext4On4Kn, Kind::XfsOn4Kn] {
        let Some(mut mount) = Mount::with_size(kind, Under::Memory, 64) else { continue };
        let engines = working(kind, &mount.path());
        let mut lost = 0;
        for (number, &engine) in engines.iter().enumerate() {
            for buffers in [1, 2, 3] {
                let kept = kept_by_the_cut(&mut mount, engine, buffers, Durability::EachWrite);
                let wanted = durable_bytes(LEN_MAX, buffers);
                let what = format!("{kind:?}, {engine}, {buffers} buffers");
                assert!(kept.len() >= wanted, "{what}: {} bytes of {wanted}", kept.len());
                assert_same(&kept[..wanted], &content_of(buffers)[..wanted], &what);
            }
            let kept = kept_by_the_cut(&mut mount, engine, 1, Durability::Finish);
            let wanted = durable_bytes(LEN_MAX, 1);
            lost += usize::from(kept.get(..wanted) != Some(&content_of(1)[..wanted]));
            eprintln!("{}: {lost} of {} lost unless each is durable", kind.name(), number + 1);
        }
        // One or another may be kept by luck: the journal goes to the disk every few seconds too.
        assert!(lost > 0, "{kind:?}: nothing is lost in a power cut");
    }
}

/// What is there of [`LEN_MAX`] bytes that were written without a sync.
fn kept_by_the_cut(
    mount: &mut Mount,
    engine: EngineKind,
    buffers: usize,
    durability: Durability,
) -> Vec<u8> {
    let dir = mount.path();
    let path = dir.join("file");
    let io = io_with_buffers(&dir, engine, buffers);
    let mut writer = io.create(&path, CreateOptions::default().durability(durability)).unwrap();
    sync_dir(&dir).unwrap();
    for piece in content_of(buffers).chunks(PIECE_MAX) {
        writer.write_all(piece).unwrap();
    }
    mount.cut_power();
    drop((writer, io));
    mount.remount();
    let kept = read(&path);
    fs::remove_file(&path).unwrap();
    // Or the next power cut brings it back.
    sync_dir(&dir).unwrap();
    kept
}
