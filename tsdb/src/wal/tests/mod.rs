//! Logs on the real and on the simulated filesystem.

mod checkpoint;
mod crash;
mod damage;
mod writing;

use std::path::{Path, PathBuf};
use std::sync::Arc;

use uncached_io::{Io, Policy};

use super::*;
use crate::vfs::{OsVfs, Vfs};

/// A page: the shortest segment there is.
const PAGE_BYTES: u64 = 32 << 10;

fn testdata(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../testdata/wal").join(name)
}

fn os(dir: &Path) -> Arc<dyn Vfs> {
    Arc::new(OsVfs::new(Io::probe(dir, Policy::Off).unwrap()))
}

/// The records up to the end of the log or to where it is damaged, and what that is.
fn read(dir: &Path) -> (Vec<Vec<u8>>, Option<Corruption>) {
    let mut reader = WalReader::open(dir).unwrap();
    let mut records = Vec::new();
    loop {
        match reader.next_record() {
            Ok(Some((_, record))) => records.push(record.to_vec()),
            Ok(None) => return (records, reader.torn().cloned()),
            Err(WalError::Corrupt(corruption)) => return (records, Some(corruption)),
            Err(error) => panic!("{error}"),
        }
    }
}

/// Reads and repairs until nothing is wrong. The records, and what was cut away.
fn recover(vfs: &dyn Vfs, dir: &Path) -> (Vec<Vec<u8>>, Vec<Repair>) {
    let mut repairs = Vec::new();
    loop {
        let (records, corruption) = read(dir);
        let Some(corruption) = corruption else { return (records, repairs) };
        assert!(repairs.len() < 3, "still {corruption}: {}", corruption.source);
        repairs.push(repair(vfs, dir, &corruption).unwrap());
    }
}

/// Records that tell themselves apart, from short to longer than a page. Not all compress.
fn numbered(count: u32) -> Vec<Vec<u8>> {
    let lengths = [5, 300, 9_000, 70, 20_000, 1, 40_000, 12_000];
    let of = |number: u32| {
        let length = lengths[number as usize % lengths.len()];
        let mut state = number;
        let mut record = number.to_be_bytes().to_vec();
        while record.len() < length {
            state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            record.push((state >> 24) as u8);
        }
        record
    };
    (0..count).map(of).collect()
}
