//! Head chunk files on the real and on the simulated filesystem.

mod crash;
mod damage;
mod writing;

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use tsdb_format::chunkenc::{ChunkAppender, Encoding};
use tsdb_format::head_chunks::HeadChunk;
use tsdb_format::record::HeadChunkRef;
use uncached_io::{Io, Policy};

use super::*;
use crate::compact::CancelToken;
use crate::vfs::{OsVfs, Vfs};

/// Small files, so that tests have many.
fn small() -> ChunkFilesOptions {
    ChunkFilesOptions {
        file_bytes_max: 700,
        write_bytes: 150,
        map_bytes: 300,
        waiting_bytes_max: 2_000,
        sync_aside: false,
        threads: 2,
    }
}

fn os(dir: &Path) -> Arc<dyn Vfs> {
    Arc::new(OsVfs::new(Io::probe(dir, Policy::Off).unwrap()))
}

/// A chunk that tells itself apart.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Owned {
    series_ref: u64,
    times: (i64, i64),
    encoding: Encoding,
    is_out_of_order: bool,
    data: Vec<u8>,
}

impl Owned {
    fn borrow(&self) -> HeadChunk<'_> {
        HeadChunk {
            series_ref: self.series_ref.into(),
            min_time: self.times.0,
            max_time: self.times.1,
            encoding: self.encoding as u8,
            is_out_of_order: self.is_out_of_order,
            data: &self.data,
        }
    }
}

/// Chunks of five series, every fourth of them out of order, of different lengths.
fn numbered(count: usize) -> Vec<Owned> {
    (0..count)
        .map(|number| {
            let encoding = if number % 3 == 0 { Encoding::Xor2 } else { Encoding::Xor };
            let mut appender = ChunkAppender::new(encoding);
            let start = 1_000 * number as i64;
            let samples = 1 + 7 * number as i64 % 40;
            for at in 0..samples {
                appender
                    .append_float(0, start + 10 * at, (number * 31) as f64 + at as f64)
                    .unwrap();
            }
            let is_out_of_order = number % 4 == 3;
            let data = appender.bytes().to_vec();
            let times = (start, start + 10 * (samples - 1));
            Owned { series_ref: 1 + number as u64 % 5, times, encoding, is_out_of_order, data }
        })
        .collect()
}

fn load(cancel: &CancelToken) -> LoadOptions<'_> {
    LoadOptions { min_valid_time: i64::MIN, is_read_only: false, cancel }
}

fn open(vfs: Arc<dyn Vfs>, dir: &Path) -> (ChunkFiles, LoadedFiles) {
    ChunkFiles::open(vfs, dir, small(), load(&CancelToken::new())).unwrap()
}

/// Everything that was loaded, in the order of the files, read back.
fn all(files: &ChunkFiles, loaded: &LoadedFiles) -> Vec<(HeadChunkRef, Owned)> {
    let mut all = Vec::new();
    for series_ref in loaded.series_refs() {
        for chunk in loaded.of(series_ref) {
            let read = files.chunk(chunk.chunk_ref).unwrap();
            assert_eq!((read.series_ref(), read.encoding()), (series_ref, chunk.encoding));
            let samples = tsdb_format::chunkenc::num_samples(chunk.encoding, &read).unwrap();
            assert_eq!(samples, chunk.samples);
            let times = (chunk.min_time, chunk.max_time);
            let (encoding, is_out_of_order) = (chunk.encoding, chunk.is_out_of_order);
            let series_ref = series_ref.get();
            let data = read.to_vec();
            all.push((
                chunk.chunk_ref,
                Owned { series_ref, times, encoding, is_out_of_order, data },
            ));
        }
    }
    all.sort_by_key(|(chunk_ref, _)| *chunk_ref);
    all
}

fn without_refs(all: Vec<(HeadChunkRef, Owned)>) -> Vec<Owned> {
    all.into_iter().map(|(_, chunk)| chunk).collect()
}

/// The names in a directory, sorted.
fn names(dir: &Path) -> Vec<String> {
    let entries = fs::read_dir(dir).unwrap();
    let mut names: Vec<String> =
        entries.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
    names.sort();
    names
}

fn paths(dir: &Path) -> Vec<PathBuf> {
    names(dir).into_iter().map(|name| dir.join(name)).collect()
}
