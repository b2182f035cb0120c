//! Scans of a made-up disk: reads that are late, out of order, cut off, or fail.

use std::collections::HashSet;
use std::io::{BufRead, Read};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Condvar, Mutex};

use super::*;
use crate::error::{Errno, Operation};

mod short_scans;

const WINDOW: usize = 4096;

#[derive(Default)]
struct State {
    /// Offsets of reads that wait until they are let go.
    parked: HashSet<u64>,
    under_way: usize,
    under_way_max: usize,
    /// Offsets, in the order in which reads began.
    began: Vec<u64>,
}

struct Disk {
    content: Vec<u8>,
    len_at_open: u64,
    /// The read that covers this offset fails.
    bad_offset: Option<u64>,
    panics: bool,
    state: Mutex<State>,
    changed: Condvar,
    buffers_seen: Mutex<HashSet<usize>>,
    finished: AtomicUsize,
}

impl Disk {
    fn new(len: usize) -> Self {
        Self {
            content: (0..len).map(|at| (at ^ (at >> 8)) as u8).collect(),
            len_at_open: len as u64,
            bad_offset: None,
            panics: false,
            state: Mutex::default(),
            changed: Condvar::new(),
            buffers_seen: Mutex::default(),
            finished: AtomicUsize::new(0),
        }
    }

    fn park(&self, offset: u64) {
        self.state.lock().unwrap().parked.insert(offset);
    }

    fn let_go(&self, offset: u64) {
        self.state.lock().unwrap().parked.remove(&offset);
        self.changed.notify_all();
    }

    fn wait_until(&self, condition: impl Fn(&State) -> bool) {
        let state = self.state.lock().unwrap();
        drop(self.changed.wait_while(state, |state| !condition(state)).unwrap());
    }
}

impl Fetch for Arc<Disk> {
    fn fetch(
        &self,
        offset_bytes: u64,
        len_bytes: usize,
        buf: &mut AlignedBuf,
    ) -> Result<Range<usize>, Error> {
        self.buffers_seen.lock().unwrap().insert(buf.as_slice().as_ptr().addr());
        let mut state = self.state.lock().unwrap();
        state.began.push(offset_bytes);
        state.under_way += 1;
        state.under_way_max = state.under_way_max.max(state.under_way);
        self.changed.notify_all();
        let parked = |state: &mut State| state.parked.contains(&offset_bytes);
        let mut state = self.changed.wait_while(state, parked).unwrap();
        state.under_way -= 1;
        drop(state);
        self.finished.fetch_add(1, Ordering::SeqCst);
        assert!(!self.panics, "as asked");
        assert!(len_bytes <= buf.capacity(), "a window fits its buffer");
        if let Some(bad) = self.bad_offset
            && (offset_bytes..offset_bytes + len_bytes as u64).contains(&bad)
        {
            return Err(Error::Os {
                operation: Operation::Read,
                path: self.path(),
                offset_bytes,
                completed_bytes: 0,
                errno: Errno(5),
            });
        }
        let start = (offset_bytes as usize).min(self.content.len());
        let there = &self.content[start..(start + len_bytes).min(self.content.len())];
        // Not at the start of the buffer, as an unaligned range would not be either.
        let skip = (buf.capacity() - there.len()).min(3);
        buf.as_mut_slice()[skip..skip + there.len()].copy_from_slice(there);
        Ok(skip..skip + there.len())
    }

    fn len_bytes(&self) -> u64 {
        self.len_at_open
    }

    fn path(&self) -> PathBuf {
        PathBuf::from("made up")
    }

    fn aligns(&self) -> (usize, usize) {
        (512, 512)
    }
}

fn pool() -> Arc<BufferPool> {
    Arc::new(BufferPool::new(1 << 20))
}

fn options(buffers: usize, threads: usize) -> ScanOptions {
    ScanOptions::default().window_bytes(WINDOW).buffers(buffers).threads(threads)
}

fn scan(disk: &Arc<Disk>, range: Range<u64>, options: ScanOptions) -> Scan {
    Scan::new(Arc::clone(disk), range, options, pool())
}

/// All windows, and the error that ended them.
fn drain(scan: &mut Scan) -> (Vec<u8>, Option<Error>) {
    let mut all = Vec::new();
    loop {
        let position = scan.position();
        match scan.next_window() {
            Ok(Some(bytes)) => {
                let len = bytes.len() as u64;
                all.extend_from_slice(bytes);
                assert_eq!(scan.position(), position + len);
            }
            Ok(None) => return (all, None),
            Err(error) => return (all, Some(error)),
        }
    }
}

#[test]
fn any_range_comes_whole_and_in_order() {
    let disk = Arc::new(Disk::new(10 * WINDOW + 77));
    let len = disk.content.len() as u64;
    let ranges = [
        0..len,
        0..0,
        5..5,
        1..len - 1,
        4095..4097,
        4096..8192,
        700..len + 1000,
        len..len + 5,
        u64::MAX - 1..u64::MAX,
        0..u64::MAX,
    ];
    for range in ranges {
        for (buffers, threads) in [(1, 1), (2, 1), (3, 2), (8, 4), (0, 0)] {
            let mut scan = scan(&disk, range.clone(), options(buffers, threads));
            let expected =
                &disk.content[range.start.min(len) as usize..range.end.min(len) as usize];
            assert_eq!(scan.remaining_bytes(), expected.len() as u64);
            assert!(drain(&mut scan) == (expected.to_vec(), None), "{range:?} {buffers} {threads}");
            assert_eq!(scan.next_window(), Ok(None), "the end stays the end");
        }
    }
}

#[test]
fn windows_that_arrive_out_of_order_are_handed_out_in_order() {
    let disk = Arc::new(Disk::new(4 * WINDOW));
    disk.park(0);
    let helper = {
        let disk = Arc::clone(&disk);
        std::thread::spawn(move || {
            // The first window comes after the second and third.
            disk.wait_until(|state| state.began.contains(&(2 * WINDOW as u64)));
            disk.let_go(0);
        })
    };
    let mut scan = scan(&disk, 0..u64::MAX, options(3, 2));
    assert!(drain(&mut scan) == (disk.content.clone(), None));
    helper.join().unwrap();
}

#[test]
fn memory_and_reads_under_way_stay_within_the_options() {
    let disk = Arc::new(Disk::new(40 * WINDOW));
    for (buffers, threads) in [(1, 1), (2, 2), (3, 2), (5, 9)] {
        disk.buffers_seen.lock().unwrap().clear();
        disk.state.lock().unwrap().under_way_max = 0;
        // A pool that keeps nothing shows every buffer that is taken.
        let empty = Arc::new(BufferPool::new(0));
        let mut scan = Scan::new(Arc::clone(&disk), 0..u64::MAX, options(buffers, threads), empty);
        assert!(drain(&mut scan) == (disk.content.clone(), None));
        let seen = disk.buffers_seen.lock().unwrap().len();
        assert!(seen <= buffers, "{seen} buffers instead of {buffers}");
        let most = disk.state.lock().unwrap().under_way_max;
        assert!(most <= threads.min(buffers), "{most} reads at a time by {threads} threads");
    }
}

#[test]
fn it_reads_ahead_of_a_consumer_that_waits() {
    let disk = Arc::new(Disk::new(10 * WINDOW));
    let mut scan = scan(&disk, 0..u64::MAX, options(3, 2));
    scan.next_window().unwrap();
    // Nobody asks for more, and yet: one window is at hand, and there are two more buffers.
    disk.wait_until(|state| state.began.len() == 3 && state.under_way == 0);
    std::thread::sleep(std::time::Duration::from_millis(20));
    assert_eq!(disk.state.lock().unwrap().began.len(), 3, "no more than there are buffers");
}

#[test]
fn the_first_error_in_file_order_sticks_and_comes_after_all_before_it() {
    for (buffers, threads) in [(1, 1), (3, 2), (6, 4)] {
        let mut disk = Disk::new(10 * WINDOW);
        disk.bad_offset = Some(3 * WINDOW as u64 + 10);
        let disk = Arc::new(disk);
        let mut scan = scan(&disk, 100..u64::MAX, options(buffers, threads));
        let (bytes, error) = drain(&mut scan);
        assert!(bytes == disk.content[100..3 * WINDOW], "{buffers}");
        let Some(Error::Os { operation: Operation::Read, offset_bytes, errno, .. }) = error else {
            panic!("{error:?}")
        };
        assert_eq!((offset_bytes, errno.0), (3 * WINDOW as u64, 5));
        assert_eq!(scan.next_window().unwrap_err(), error.clone().unwrap());
        assert_eq!(scan.next_window().unwrap_err(), error.unwrap(), "and sticks");
        assert_eq!(scan.position(), 3 * WINDOW as u64);
    }
}

#[test]
fn a_file_that_was_cut_off_gives_what_is_left_then_an_error() {
    for there in [0, 10, WINDOW, 2 * WINDOW + 500] {
        for (buffers, threads) in [(1, 1), (3, 2)] {
            let mut disk = Disk::new(there);
            disk.len_at_open = 5 * WINDOW as u64;
            let disk = Arc::new(disk);
            let mut scan = scan(&disk, 0..u64::MAX, options(buffers, threads));
            let (bytes, error) = drain(&mut scan);
            assert!(bytes == disk.content, "{there}");
            let Some(Error::UnexpectedEof { offset_bytes, wanted_bytes, got_bytes, .. }) = error
            else {
                panic!("{error:?}")
            };
            assert_eq!(offset_bytes, (there - there % WINDOW) as u64);
            assert_eq!((wanted_bytes, got_bytes), (WINDOW, there % WINDOW));
            assert!(scan.next_window().is_err(), "and sticks");
        }
    }
}

#[test]
fn dropping_it_waits_for_reads_under_way_and_starts_no_more() {
    let disk = Arc::new(Disk::new(50 * WINDOW));
    let parked = [WINDOW as u64, 2 * WINDOW as u64];
    parked.iter().for_each(|offset| disk.park(*offset));
    let pool = pool();
    let mut scan = Scan::new(Arc::clone(&disk), 0..u64::MAX, options(8, 2), Arc::clone(&pool));
    scan.next_window().unwrap();
    disk.wait_until(|state| state.under_way == 2);
    let release = {
        let disk = Arc::clone(&disk);
        std::thread::spawn(move || {
            std::thread::sleep(std::time::Duration::from_millis(20));
            assert_eq!(disk.finished.load(Ordering::SeqCst), 1, "both are still parked");
            parked.iter().for_each(|offset| disk.let_go(*offset));
        })
    };
    drop(scan);
    assert!(disk.finished.load(Ordering::SeqCst) >= 3, "they were waited for");
    release.join().unwrap();
    assert_eq!(Arc::strong_count(&disk), 1, "no helper is left that knows the disk");
    let began = disk.state.lock().unwrap().began.len();
    assert!(began <= 5, "{began} reads, though nobody wanted more than the first");
    assert_eq!(pool.take(WINDOW, 512).capacity(), WINDOW);
}

#[test]
fn buffers_come_from_the_pool_and_go_back() {
    let disk = Arc::new(Disk::new(20 * WINDOW));
    let pool = pool();
    for _ in 0..5 {
        let mut scan = Scan::new(Arc::clone(&disk), 0..u64::MAX, options(3, 2), Arc::clone(&pool));
        scan.next_window().unwrap();
        scan.next_window().unwrap();
        drop(scan);
    }
    let seen = disk.buffers_seen.lock().unwrap().len();
    assert!(seen <= 3, "five scans took {seen} buffers in all");
}

#[test]
fn a_small_range_starts_no_thread() {
    let disk = Arc::new(Disk::new(3 * WINDOW));
    let mut scan = scan(&disk, 10..WINDOW as u64, options(3, 2));
    scan.next_window().unwrap();
    assert!(scan.ahead.is_none());
    assert_eq!(scan.next_window(), Ok(None));
}

#[test]
#[should_panic(expected = "as asked")]
fn a_panic_of_a_helper_goes_on_in_the_consumer() {
    let mut disk = Disk::new(10 * WINDOW);
    disk.panics = true;
    let _ = scan(&Arc::new(disk), 0..u64::MAX, options(3, 2)).next_window();
}

#[test]
fn read_and_windows_may_take_turns() {
    let disk = Arc::new(Disk::new(5 * WINDOW + 9));
    let mut scan = scan(&disk, 3..u64::MAX, options(3, 2));
    let mut head = vec![0; 10];
    scan.read_exact(&mut head).unwrap();
    assert_eq!((head.as_slice(), scan.position()), (&disk.content[3..13], 13));
    let rest = scan.next_window().unwrap().unwrap().to_vec();
    assert!(rest == disk.content[13..WINDOW], "what is left of the window at hand");
    assert_eq!(scan.fill_buf().unwrap().len(), WINDOW);
    scan.consume(WINDOW + 500); // no more than there is
    assert_eq!(scan.position(), 2 * WINDOW as u64);
    let mut tail = Vec::new();
    scan.read_to_end(&mut tail).unwrap();
    assert!(tail == disk.content[2 * WINDOW..]);
    assert_eq!(scan.remaining_bytes(), 0);
}
