//! A limit on bytes a second holds for all that reads and writes.

use std::num::NonZeroU64;
use std::time::{Duration, Instant};

use uncached_io::{AlignedBuf, CreateOptions, Io, IoOptions, Policy, ScanOptions};

use crate::{disk_dir, pattern};

const MIB: usize = 1 << 20;
const BYTES_PER_SECOND: u64 = 16 << 20;

#[test]
fn writers_readers_and_scans_share_a_limit() {
    for policy in [Policy::Off, Policy::Prefer] {
        let dir = disk_dir();
        let options = IoOptions::default()
            .buffer_bytes(256 << 10)
            .read_from_page_cache(false)
            .bytes_per_second_max(NonZeroU64::new(BYTES_PER_SECOND));
        let io = Io::probe_with(dir.path(), policy, options).unwrap();
        let (start, bytes) = (Instant::now(), pattern(2 * MIB));
        std::thread::scope(|scope| {
            for name in ["one", "other"] {
                let (io, path, bytes) = (&io, dir.path().join(name), &bytes);
                scope.spawn(move || {
                    let mut writer = io.create(&path, CreateOptions::default()).unwrap();
                    writer.write_all(bytes).unwrap();
                    writer.finish().unwrap();
                    let reader = io.open(&path).unwrap();
                    let mut read = AlignedBuf::default();
                    assert!(reader.read_at(0, MIB, &mut read).unwrap() == &bytes[..MIB]);
                    let mut scan = reader.scan(0..MIB as u64, ScanOptions::default());
                    while scan.next_window().unwrap().is_some() {}
                });
            }
        });
        // 8 MiB in all, of which the last piece of each thread and the burst need not be waited for.
        let least = Duration::from_millis(8 * 1000 / 16 - 100 - 2 * 100);
        let (took, stats) = (start.elapsed(), io.stats());
        assert!(took >= least, "{policy:?}: {took:?}, {stats:?}");
        assert!(stats.limit_wait_time > Duration::ZERO);
    }
}
