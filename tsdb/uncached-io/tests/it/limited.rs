//! Random programs on the real engines that meet a real fault: a limit on the size of a file, in
//! the middle of whatever is being done. What is said to be complete is there; with the limit
//! lifted the file is resumed, and ends as the model does.

use std::path::{Path, PathBuf};
use std::process::Command;

use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use uncached_io::{
    CreateOptions, Durability, EngineKind, Error, Io, IoOptions, Mode, Operation, Writer,
};

use crate::contract::every_engine;
use crate::{disk_dir, pattern};

const CHILD_DIR: &str = "UNCACHED_IO_LIMITED_DIR";
const EFBIG: i32 = 27;
/// Programs of each engine.
const PROGRAMS: u64 = 25;
const LIMIT_BYTES_MAX: usize = 300_000;

#[test]
fn programs_that_meet_a_limit_keep_their_prefix_and_go_on_without_it() {
    let dir = disk_dir();
    // The signal is ignored, so the write fails instead.
    let output = Command::new("sh")
        .args(["-c", "trap '' XFSZ; exec \"$0\" \"$@\""])
        .arg(std::env::current_exe().unwrap())
        .args(["--exact", "limited::child_meets_limits", "--ignored", "--nocapture"])
        .env(CHILD_DIR, dir.path())
        .output()
        .unwrap();
    let stdout = String::from_utf8_lossy(&output.stdout);
    assert!(output.status.success(), "{stdout}{}", String::from_utf8_lossy(&output.stderr));
    assert!(stdout.contains("1 passed"), "the child did not run: {stdout}");
}

#[test]
#[ignore = "run by programs_that_meet_a_limit_keep_their_prefix_and_go_on_without_it"]
fn child_meets_limits() {
    let Some(dir) = std::env::var_os(CHILD_DIR).map(PathBuf::from) else { return };
    let options = IoOptions::default().buffer_bytes(16 << 10).buffers_per_writer(3);
    for (kind, io) in every_engine(&dir, options) {
        for seed in 1..=PROGRAMS {
            let path = dir.join(format!("{kind}-{seed}"));
            println!("{kind}, seed {seed}");
            Program::new(seed).run(kind, &io, &path);
        }
    }
}

/// Sets the limit on the size of files; none without one.
fn limit(bytes: Option<u64>) {
    let Rlimit { maximum, .. } = getrlimit(Resource::Fsize);
    setrlimit(Resource::Fsize, Rlimit { current: bytes.or(maximum), maximum }).unwrap();
}

struct Program {
    random: u64,
    model: Vec<u8>,
    synced: usize,
}

impl Program {
    fn new(seed: u64) -> Self {
        Self { random: seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1, model: Vec::new(), synced: 0 }
    }

    fn below(&mut self, bound: usize) -> usize {
        self.random ^= self.random << 13;
        self.random ^= self.random >> 7;
        self.random ^= self.random << 17;
        (self.random >> 11) as usize % bound
    }

    fn append(&mut self, len: usize) -> Vec<u8> {
        let bytes = pattern(self.model.len() + len).split_off(self.model.len());
        self.model.extend_from_slice(&bytes);
        bytes
    }

    fn step(&mut self, writer: &mut Writer) -> Result<(), Error> {
        match self.below(8) {
            0 => {
                writer.sync_partial()?;
                self.synced = self.model.len();
                Ok(())
            }
            1 | 2 => {
                let mut buf = writer.take_buffer()?;
                let len = self.below(buf.capacity() + 1);
                let bytes = self.append(len);
                buf.as_mut_slice()[..len].copy_from_slice(&bytes);
                writer.write_owned(buf, len)
            }
            _ => {
                let len = self.below(30_000);
                let bytes = self.append(len);
                writer.write_all(&bytes)
            }
        }
    }

    fn run(&mut self, kind: EngineKind, io: &Io, path: &Path) {
        // A direct write that is cut short in mid block would be refused for its length.
        let unit = match io.mode() {
            Mode::Direct(alignment) => alignment.offset_align,
            _ => 1,
        };
        let most = self.below(LIMIT_BYTES_MAX / unit) * unit;
        let durability = [Durability::Finish, Durability::EachWrite][self.below(2)];
        let options = CreateOptions::default().durability(durability);
        limit(Some(most as u64));
        let mut writer = io.create(path, options).unwrap();
        let mut met = None;
        while met.is_none() && self.model.len() < most + 100_000 {
            met = self.step(&mut writer).err();
        }
        let error = writer.finish().unwrap_err();
        limit(None);
        assert!(met.is_none_or(|met| met == error), "the first error sticks");
        let Error::Os { operation, offset_bytes, completed_bytes, errno, .. } = error else {
            panic!("{error:?}")
        };
        assert_eq!((operation, errno.0), (Operation::Write, EFBIG));
        let completed = completed_bytes as usize;
        assert!((self.synced..=most).contains(&completed), "{} {completed} {most}", self.synced);
        assert!(offset_bytes + unit as u64 > completed_bytes, "{offset_bytes} {completed}");
        let there = std::fs::read(path).unwrap();
        assert!(there[..completed] == self.model[..completed], "{kind}: another prefix");

        self.model.truncate(completed);
        let mut writer = io.resume(path, completed_bytes, options).unwrap();
        for _ in 0..6 {
            self.step(&mut writer).unwrap();
        }
        let finished = writer.finish().unwrap();
        assert_eq!(finished.len_bytes, self.model.len() as u64);
        assert!(std::fs::read(path).unwrap() == self.model, "{kind}: resumed to something else");
        std::fs::remove_file(path).unwrap();
    }
}
