//! A port of tests: parks what is pushed, completes it in any order, and watches that nobody
//! touches it meanwhile.

use std::io::{self, IoSlice};

use super::queue::{Completion, Port};
use crate::request::Request;
use crate::sys::fake::FakeDisk;
use crate::sys::{RawFile, WriteFlags};

/// See the module. The disk decides what takes part of a write, or fails.
pub(crate) struct ParkedPort {
    parked: Vec<Parked>,
    random: u64,
    /// The most that were parked at once, over all ports of a test.
    pub(crate) depth_seen: std::sync::Arc<std::sync::atomic::AtomicUsize>,
}

struct Parked {
    request: Request,
    disk: FakeDisk,
    flags: WriteFlags,
    hash: u64,
    /// As the disk was when it was submitted, so it will be answered.
    refused: bool,
}

/// FNV-1a over addresses, lengths and bytes.
fn hash(request: &Request) -> u64 {
    let mut hash = 0xcbf2_9ce4_8422_2325_u64;
    let mut mix = |byte: u8| hash = (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3);
    for slice in request.slices() {
        slice.as_ptr().addr().to_le_bytes().into_iter().for_each(&mut mix);
        slice.len().to_le_bytes().into_iter().for_each(&mut mix);
        slice.iter().copied().for_each(&mut mix);
    }
    hash
}

impl ParkedPort {
    pub(crate) fn new(seed: u64) -> Self {
        Self { parked: Vec::new(), random: seed | 1, depth_seen: Default::default() }
    }

    /// Below `bound`.
    fn random(&mut self, bound: usize) -> usize {
        self.random ^= self.random << 13;
        self.random ^= self.random >> 7;
        self.random ^= self.random << 17;
        (self.random % bound as u64) as usize
    }
}

impl Port for ParkedPort {
    fn push(&mut self, request: Request, file: &dyn RawFile, flags: WriteFlags) -> io::Result<()> {
        let disk = file.as_fake().expect("tests have fake disks");
        let (start, end) = (request.next_offset(), request.next_offset() + request.left() as u64);
        disk.check_alignment(&request.slices().collect::<Vec<_>>(), start);
        for other in &self.parked {
            let from = other.request.next_offset();
            let to = from + other.request.left() as u64;
            assert!(end <= from || to <= start, "{start}..{end} while {from}..{to} is under way");
        }
        let hash = hash(&request);
        let refused = disk.refuses();
        self.parked.push(Parked { request, disk, flags, hash, refused });
        self.depth_seen.fetch_max(self.parked.len(), std::sync::atomic::Ordering::Relaxed);
        Ok(())
    }

    fn pop(&mut self, wait: bool) -> io::Result<Option<Completion>> {
        if self.parked.is_empty() || (!wait && self.random(3) > 0) {
            return Ok(None);
        }
        let at = self.random(self.parked.len());
        let Parked { request, disk, flags, hash: before, refused } = self.parked.swap_remove(at);
        assert_eq!(hash(&request), before, "a buffer was touched while it was under way");
        let slices: Vec<IoSlice<'_>> = request.slices().collect();
        let result = match refused {
            true => Err(io::ErrorKind::InvalidInput.into()),
            false => disk.write_at(&slices, request.next_offset(), flags),
        };
        drop(slices);
        Ok(Some(Completion { request, result }))
    }
}
