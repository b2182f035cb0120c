//! Random scans of a few windows against a slice: what an interpreter (miri) gets done within a
//! minute, and a compiled test by the hundred.

use super::*;

const WINDOW_BYTES: usize = 512;

/// Numbers that look random (Marsaglia's xorshift).
struct Random(u64);

impl Random {
    fn below(&mut self, bound: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        (self.0 >> 11) as usize % bound
    }
}

/// Takes what is left, now by windows, now by reads of a few bytes.
fn take_all(scan: &mut Scan, random: &mut Random) -> (Vec<u8>, Option<Error>) {
    let mut all = Vec::new();
    loop {
        if random.below(2) == 0 {
            let mut piece = vec![0; 1 + random.below(700)];
            match scan.read(&mut piece) {
                Ok(got) => all.extend_from_slice(&piece[..got]),
                // The next window says it with its type.
                Err(_) => assert!(scan.next_window().is_err(), "it sticks"),
            }
        }
        match scan.next_window() {
            Ok(Some(bytes)) => all.extend_from_slice(bytes),
            Ok(None) => return (all, None),
            Err(error) => return (all, Some(error)),
        }
    }
}

#[test]
fn whatever_fails_what_comes_before_it_is_handed_out() {
    let (mut whole, mut failed, mut short) = (0, 0, 0);
    for seed in 0..if cfg!(miri) { 30_u64 } else { 1000 } {
        println!("seed {seed}");
        let mut random = Random(seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1);
        let len = random.below(3000);
        let mut disk = Disk::new(len);
        let start = random.below(3200);
        let end = start + random.below(3200);
        let (mut bad, mut cut) = (None, len);
        match random.below(4) {
            0 | 1 => bad = Some(start + random.below(1500)),
            2 => cut = random.below(len + 1),
            _ => {}
        }
        disk.bad_offset = bad.map(|bad| bad as u64);
        disk.content.truncate(cut);
        let disk = Arc::new(disk);
        let options = ScanOptions::default()
            .window_bytes(WINDOW_BYTES)
            .buffers(random.below(5))
            .threads(random.below(4));
        let mut scan = scan(&disk, start as u64..end as u64, options);
        if random.below(8) == 0 {
            // Given up after some of it.
            for _ in 0..random.below(3) {
                let _ = scan.next_window();
            }
            drop(scan);
            assert_eq!(Arc::strong_count(&disk), 1, "a helper is left");
            continue;
        }
        let (got, error) = take_all(&mut scan, &mut random);
        let (start, end) = (start.min(len), end.min(len));
        // The window in which it fails does not come at all; of a shorter file, what there is does.
        let stop = match bad.filter(|bad| (start..end).contains(bad)) {
            Some(bad) => start.max(bad - bad % WINDOW_BYTES),
            None => end.min(cut).max(start),
        };
        assert!(
            got == disk.content[start.min(cut)..stop.min(cut)],
            "{start}..{end}, {bad:?} {cut}"
        );
        match error {
            Some(Error::Os { .. }) if stop < end && bad.is_some() => failed += 1,
            Some(Error::UnexpectedEof { .. }) if cut < end => short += 1,
            None if stop == end => whole += 1,
            other => panic!("{other:?} after {start}..{stop} of {start}..{end}"),
        }
    }
    assert!(whole > 2 && failed > 0 && short > 0, "{whole} {failed} {short}: hardly a program");
}
