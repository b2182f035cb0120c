//! What the sessions in `tests/cli` find in their directory, by the session's name.

use std::fs::{self, File};
use std::os::unix::fs::{MetadataExt, PermissionsExt, chown, symlink};
use std::path::{Path, PathBuf};

use tempfile::TempDir;

use crate::damage::{IndexEditor, flip, overwrite, replace, set_first_encoding, truncate};
use crate::fixtures::{self, PROGRAM, copy_block, copy_case};

/// The block that is damaged: 20 float series, 24 chunks.
const BLOCK: &str = "01HF84E401CVGSXMNR6BDNGNAW";
const BLOCK_CASE: &str = "five-blocks";

/// Programs of the sessions beside `tsdb-compact`, and what must live until they are replayed.
pub(crate) struct Programs {
    /// A directory that everybody may enter.
    dir: TempDir,
    locks: Vec<File>,
    memories: Vec<TempDir>,
}

/// Makes the sandbox of the session `name` in `dir`; false, said aloud, if it can't be replayed
/// on this machine.
pub(crate) fn prepare(name: &str, dir: &Path, programs: &mut Programs) -> bool {
    let data = dir.join("data");
    match name {
        "help" | "generate" | "manual" => {}
        "usage" => usage(dir),
        "compact" | "list" => copy_case("five-blocks", &data),
        "merge" | "verify" => copy_case("basic", &data),
        "merge-samples" => merge_samples(dir),
        "plan" => plan(dir),
        "dump" | "query" => {
            copy_case("encodings", &data);
            copy_case("one-sample", &dir.join("small"));
        }
        "dump-damaged" => {
            copy_case("five-blocks", &data);
            flip(&data.join(BLOCK).join("chunks/000001"), 100);
            // One byte in the list of all series, which is the first of the postings.
            let lists = dir.join("lists");
            copy_case("five-blocks", &lists);
            let first = IndexEditor::open(&lists.join(BLOCK)).postings().next_multiple_of(4);
            flip(&lists.join(BLOCK).join("index"), first + 9);
        }
        "blame" => blame(&data),
        "marks" => marks(dir),
        "damaged-chunks" => damaged_chunks(dir),
        "damaged-index" => damaged_index(dir),
        "damaged-tombstones" => damaged_tombstones(dir),
        "damaged-meta" => damaged_meta(dir),
        "no-block" => no_block(dir),
        "names" => names(dir),
        "series" => series(dir),
        "space" => return space(dir),
        "lock" => {
            copy_case("basic", &dir.join("elsewhere"));
            programs.hold_lock(&data);
        }
        "midway" => midway(dir),
        "lineage" => lineage(dir),
        "disk-full" => return disk_full(dir),
        "uncached" | "probe" => return programs.uncached(name, dir),
        "unprivileged" => return unprivileged(dir),
        "read-only" => return read_only(dir),
        "special" => special(dir),
        other => panic!("tests/it/sandboxes.rs has no sandbox for the session {other}"),
    }
    true
}

fn usage(dir: &Path) {
    copy_case("basic", &dir.join("data"));
    fs::create_dir(dir.join("empty")).unwrap();
    fs::write(dir.join("file"), "not a directory").unwrap();
}

fn merge_samples(dir: &Path) {
    for case in ["replicas-identical", "replicas-jittered", "tombstones", "all-deleted"] {
        copy_case(case, &dir.join(case));
    }
}

fn plan(dir: &Path) {
    for case in ["five-blocks", "replicas-identical", "tombstones", "hints"] {
        copy_case(case, &dir.join(case));
    }
}

/// Two groups: one with a flipped byte in its second block, one that is fine.
fn blame(data: &Path) {
    copy_case("five-blocks", data);
    flip(&data.join("01HF84E402BFA834FXZHWPEB9P/chunks/000001"), 100);
    let flags = ["--series", "100", "--samples", "24", "--interval", "5m", "--blocks", "4"];
    fixtures::generate(data, &flags);
}

/// Blocks of others, and marks of others.
fn marks(dir: &Path) {
    let thanos = dir.join("thanos");
    copy_case("churn", &thanos);
    for (n, ulid) in fixtures::names(&thanos).iter().enumerate() {
        let labels = if n == 1 { "b" } else { "a" };
        let field = format!(
            "{{\n\t\"thanos\": {{\"labels\": {{\"replica\": \"{labels}\"}}, \
             \"downsample\": {{\"resolution\": 0}}, \"source\": \"sidecar\"}},"
        );
        replace(&thanos.join(ulid).join("meta.json"), "{", &field);
    }
    let marked = dir.join("marked");
    copy_case("five-blocks", &marked);
    let mark = r#"{"id":"01HF84E401CVGSXMNR6BDNGNAW","version":1,"reason":"manual","details":"kept for an audit","no_compact_time":1700000000}"#;
    fs::write(marked.join(BLOCK).join("no-compact-mark.json"), mark).unwrap();
    let mark = r#"{"id":"01HF84E40506GAHJQQA0AFBH4X","version":1,"deletion_time":1700000000}"#;
    let file = marked.join("01HF84E40506GAHJQQA0AFBH4X/deletion-mark.json");
    fs::write(file, mark).unwrap();
}

/// A copy of the block in a directory that is called by its fault.
fn block(dir: &Path, fault: &str) -> PathBuf {
    copy_block(BLOCK_CASE, BLOCK, &dir.join(fault))
}

fn damaged_chunks(dir: &Path) {
    let segment = |fault: &str| block(dir, fault).join("chunks/000001");
    flip(&segment("flipped"), 100);
    truncate(&segment("truncated"), 1000);
    truncate(&segment("empty"), 0);
    set_first_encoding(&segment("encoding"), 99);
    overwrite(&segment("magic"), 0, b"ELF!");
    overwrite(&segment("version"), 4, &[9]);
    overwrite(&segment("length"), 8, &[0xff, 0xff, 0xff, 0xff, 0x0f]);
    fs::remove_file(segment("missing")).unwrap();
    let segments = copy_block("many-segments", "01HF84E401FB19QFE8SKZNEB10", &dir.join("gap"));
    fs::remove_file(segments.join("chunks/000003")).unwrap();
}

fn damaged_index(dir: &Path) {
    let index = |fault: &str| block(dir, fault).join("index");
    fs::remove_file(index("missing")).unwrap();
    truncate(&index("empty"), 0);
    truncate(&index("truncated"), 1000);
    overwrite(&index("magic"), 0, b"ELF!");
    overwrite(&index("version"), 4, &[9]);
    let toc = index("toc");
    let len = usize::try_from(toc.metadata().unwrap().len()).unwrap();
    flip(&toc, len - 20);
    let at = |block: &Path, offset: &dyn Fn(&IndexEditor) -> usize| {
        flip(&block.join("index"), offset(&IndexEditor::open(block)));
    };
    at(&block(dir, "symbols"), &|index| index.symbols() + 20);
    at(&block(dir, "series"), &|index| index.section(1).next_multiple_of(16) + 8);
    at(&block(dir, "postings"), &|index| index.postings().next_multiple_of(4) + 30);
    at(&block(dir, "postings-table"), &|index| index.postings_table() + 20);

    // An absurd count under a right checksum.
    let counted = block(dir, "count");
    let mut index = IndexEditor::open(&counted);
    let symbols = index.symbols();
    index.edit_sized(symbols, |symbols| symbols[..4].copy_from_slice(&[0xff; 4]));
    index.save();
}

/// Series that no Prometheus would write, under right checksums.
fn series(dir: &Path) {
    let edit = |fault: &str, edit: &dyn Fn(&mut IndexEditor)| {
        let mut index = IndexEditor::open(&block(dir, fault));
        edit(&mut index);
        index.save();
    };
    edit("not-utf8", &|index| index.replace_symbol(b"test_gauge", b"test_g\xffuge"));
    edit("no-labels", &|index| {
        index.edit_series(3, |content, labels| {
            content.splice(..labels, [0]);
        });
    });
    edit("unsorted", &IndexEditor::swap_series);
    edit("unknown-symbol", &|index| index.edit_series(3, |content, _| content[1] = 0x7f));
    edit("unknown-chunk", &|index| {
        index.edit_series(5, |content, labels| {
            // Count, first time (6 bytes), length in time, then the reference.
            let (_, len) = tsdb_format::varint::uvarint(&content[labels + 7..]).unwrap();
            let reference = labels + 7 + len;
            content[reference..reference + 2].copy_from_slice(&[0xff, 0x7f]);
        });
    });
    edit("overlapping-chunks", &|index| index.overlap_chunks());
    edit("unknown-series", &|index| {
        // The list of all series comes first: its count, then where each entry stands.
        let list = index.postings().next_multiple_of(4);
        index.edit_sized(list, |list| *list.last_mut().unwrap() = 0xff);
    });
}

fn damaged_tombstones(dir: &Path) {
    let file = |fault: &str| {
        let block = copy_block("tombstones", "01HF84E401ZZ4ENT28SMX2M60Y", &dir.join(fault));
        block.join("tombstones")
    };
    flip(&file("flipped"), 40);
    truncate(&file("truncated"), 30);
    overwrite(&file("magic"), 0, b"ELF!");
    overwrite(&file("version"), 4, &[9]);
}

fn damaged_meta(dir: &Path) {
    let meta = |fault: &str| block(dir, fault).join("meta.json");
    fs::remove_file(meta("missing")).unwrap();
    truncate(&meta("truncated"), 100);
    fs::write(meta("empty"), "").unwrap();
    replace(&meta("version"), "\"version\": 1", "\"version\": 2");
    replace(&meta("ulid"), BLOCK, "01HF84E4ZZZZZZZZZZZZZZZZZZ");
    replace(&meta("times"), "1700013600000", "1700006400000");
    replace(&meta("narrow-times"), "1700013600000", "1700010000000");
    replace(&meta("stats"), "\"numSamples\": 480", "\"numSamples\": 481");
}

fn no_block(dir: &Path) {
    let data = dir.join("data");
    copy_case("five-blocks", &data);
    fs::create_dir(data.join("01HF84E4060000000000000000")).unwrap();
    fs::create_dir(data.join("wal")).unwrap();
    fs::write(data.join("01HF84E4070000000000000000"), "a file with the name of a block").unwrap();
    let text = dir.join("text/01HF84E4080000000000000000");
    fs::create_dir_all(&text).unwrap();
    fs::write(text.join("meta.json"), "Dear diary,").unwrap();
    fs::write(text.join("index"), "today I was an index.").unwrap();
}

/// Directories that are not called as they should be.
fn names(dir: &Path) {
    let rename = |case: &str, name: &str| {
        let block = block(dir, case);
        fs::rename(&block, block.with_file_name(name)).unwrap();
    };
    rename("lower", &BLOCK.to_ascii_lowercase());
    rename("other", "01HF84E4090000000000000000");
    rename("overflow", "8ZZZZZZZZZZZZZZZZZZZZZZZZZ");
    rename("twice", "01HF84E4090000000000000000");
    block(dir, "twice");
    block(dir, "here");
    block(dir, "there");
}

/// Named pipes and a device where files of a block should be.
fn special(dir: &Path) {
    let in_place_of = |fault: &str, part: &str| {
        let part = block(dir, fault).join(part);
        // Marks are not there before.
        let _ = fs::remove_file(&part);
        part
    };
    for (fault, part) in [
        ("meta", "meta.json"),
        ("index", "index"),
        ("chunks", "chunks/000001"),
        ("tombstones", "tombstones"),
        ("mark", "no-compact-mark.json"),
    ] {
        pipe(&in_place_of(fault, part));
    }
    symlink("/dev/zero", in_place_of("device", "tombstones")).unwrap();
    for (data, file) in [("marks", "tsdb-compact-failed.json"), ("lock", "lock")] {
        copy_case("five-blocks", &dir.join(data));
        pipe(&dir.join(data).join(file));
    }
    // One block of three that would be compacted.
    copy_case("five-blocks", &dir.join("data"));
    let index = dir.join("data/01HF84E402BFA834FXZHWPEB9P/index");
    fs::remove_file(&index).unwrap();
    pipe(&index);
}

fn pipe(path: &Path) {
    assert!(std::process::Command::new("mkfifo").arg(path).status().unwrap().success());
}

/// A place for a tiny disk.
fn space(dir: &Path) -> bool {
    copy_case("five-blocks", &dir.join("data"));
    has_place_for_disk(dir, "space")
}

/// Blocks beside what was made of them: by a run that was killed, damaged since, marked since, and
/// with samples outside of their times; and two that each claim to be made of the other one.
fn lineage(dir: &Path) {
    for (name, case, merged) in [
        ("killed", "five-blocks", 3),
        ("damaged", "five-blocks", 3),
        ("marked", "five-blocks", 3),
        ("oor", "out-of-range", 2),
    ] {
        let data = dir.join(name);
        copy_case(case, &data);
        let blocks = fixtures::entries(&data);
        let mut merge = fixtures::program();
        merge.arg("merge").args(&blocks[..merged]).arg("--output").arg(&data);
        fixtures::expect_code(&mut merge, 0);
        let child = fixtures::entries(&data).into_iter().find(|path| !blocks.contains(path));
        let child = child.unwrap();
        match name {
            "damaged" => flip(&child.join("chunks/000001"), 2000),
            "marked" => fs::write(child.join("deletion-mark.json"), "{}").unwrap(),
            _ => {}
        }
    }
    let circle = dir.join("circle");
    copy_case("five-blocks", &circle);
    let names = fixtures::names(&circle);
    for (name, other) in [(&names[0], &names[1]), (&names[1], &names[0])] {
        let parents = format!(
            "\"level\": 1, \"parents\": [{{\"ulid\": \"{other}\", \"minTime\": 0, \"maxTime\": 1}}],"
        );
        replace(&circle.join(name).join("meta.json"), "\"level\": 1,", &parents);
    }
}

/// Large enough to be caught while it is being merged; and tombstones to be put into a block.
fn midway(dir: &Path) {
    let flags = ["--series", "50000", "--samples", "4", "--interval", "30m", "--blocks", "5"];
    fixtures::generate(&dir.join("data"), &flags);
    let deleted = ["--series", "10", "--samples", "20", "--tombstones", "0.5"];
    fixtures::generate(&dir.join("some"), &deleted);
    let block = &fixtures::entries(&dir.join("some"))[0];
    fs::rename(block, dir.join("deleted")).unwrap();
}

/// A place for a small disk.
fn disk_full(dir: &Path) -> bool {
    midway(dir);
    has_place_for_disk(dir, "disk-full")
}

/// Blocks that are looked at on a disk that is mounted read-only.
fn read_only(dir: &Path) -> bool {
    copy_case("five-blocks", &dir.join("data"));
    has_place_for_disk(dir, "read-only")
}

/// Whether a disk can be mounted on `disk`, which is made.
fn has_place_for_disk(dir: &Path, session: &str) -> bool {
    let mut trial = std::process::Command::new("unshare");
    let trial = trial.args(["--mount", "mount", "-t", "tmpfs", "tmpfs"]).arg(dir).output();
    if !trial.is_ok_and(|trial| trial.status.success()) {
        let why = format!("session {session}: only root can mount a small disk");
        fixtures::skip("TSDB_CLI_TESTS", &why);
        return false;
    }
    fs::create_dir(dir.join("disk")).unwrap();
    true
}

/// A directory of somebody else's; only root can be somebody else.
fn unprivileged(dir: &Path) -> bool {
    if fs::metadata("/proc/self").unwrap().uid() != 0 {
        fixtures::skip("TSDB_CLI_TESTS", "session unprivileged: only root can be somebody else");
        return false;
    }
    copy_case("five-blocks", &dir.join("data"));
    // Theirs, but for the blocks in it.
    let foreign = dir.join("foreign");
    copy_case("five-blocks", &foreign);
    chown(&foreign, Some(65534), Some(65534)).unwrap();
    let output = dir.join("output");
    fs::create_dir(&output).unwrap();
    chown(&output, Some(65534), Some(65534)).unwrap();
    copy_case("five-blocks", &dir.join("secret"));
    let secret = dir.join("secret").join(BLOCK).join("index");
    fs::set_permissions(secret, fs::Permissions::from_mode(0o600)).unwrap();
    true
}

impl Programs {
    pub(crate) fn new() -> Self {
        let dir = tempfile::Builder::new().prefix("it-").tempdir().unwrap();
        fs::set_permissions(dir.path(), fs::Permissions::from_mode(0o755)).unwrap();
        Self { dir, locks: Vec::new(), memories: Vec::new() }
    }

    /// A directory in memory, which has a page cache and nothing else.
    fn uncached(&mut self, name: &str, dir: &Path) -> bool {
        copy_case("basic", &dir.join("data"));
        let Ok(memory) = tempfile::tempdir_in("/dev/shm") else {
            let why = format!("session {name}: no /dev/shm to write to");
            fixtures::skip("TSDB_CLI_TESTS", &why);
            return false;
        };
        symlink(memory.path(), dir.join("memory")).unwrap();
        self.memories.push(memory);
        true
    }

    /// As a Prometheus that runs on the directory would.
    fn hold_lock(&mut self, data: &Path) {
        copy_case("five-blocks", data);
        let lock = File::create(data.join("lock")).unwrap();
        lock.try_lock().unwrap();
        self.locks.push(lock);
    }

    /// `on-tiny-disk tsdb-compact ...` runs it with a disk of one page on `disk`.
    ///
    /// `on-read-only-disk tsdb-compact ...` runs it with the content of `data` on `disk`, to be read
    /// only.
    ///
    /// `on-small-disk COMMAND` mounts a disk of 64 MiB on `disk`, for that command only, and says
    /// what is left there.
    ///
    /// `as-nobody tsdb-compact ...` runs it without privileges. `midway ACTION -- tsdb-compact
    /// merge ...` stops the program while its temporary block is there, runs the shell command
    /// ACTION, in which `$PID` is the program, and lets it go on. The program has the lowest
    /// priority, so that it is caught.
    pub(crate) fn wrappers(&self) -> Vec<(&'static str, PathBuf)> {
        let copy = self.dir.path().join("tsdb-compact");
        fs::copy(PROGRAM, &copy).unwrap();
        let nobody = format!(
            "shift\nexec setpriv --reuid 65534 --regid 65534 --clear-groups {} \"$@\"\n",
            copy.display()
        );
        let midway = format!(
            r#"action=$1; shift 3
nice -n 19 {PROGRAM} "$@" & PID=$!
until ls -d */tsdb-compact-*.tmp/index >/dev/null 2>&1; do
  kill -0 $PID 2>/dev/null || {{ echo "midway: too late" >&2; exit 99; }}
done
kill -STOP $PID
eval "$action"
kill -CONT $PID
exec 2>/dev/null
wait $PID
"#
        );
        let midway = self.script("midway", &midway);
        let small_disk = format!(
            r#"shift; exec unshare --mount sh -c 'mount -t tmpfs -o size=64m tmpfs disk
"$0" "$@"; code=$?
echo "on the disk: $(ls -A disk)"
exit $code' {} "$@"
"#,
            midway.display()
        );
        let tiny_disk = format!(
            r#"shift; exec unshare --mount sh -c 'mount -t tmpfs -o size=4k tmpfs disk
exec "$0" "$@"' {PROGRAM} "$@"
"#
        );
        let read_only = format!(
            r#"shift; exec unshare --mount sh -c 'mount --bind data disk
mount -o remount,bind,ro disk
exec "$0" "$@"' {PROGRAM} "$@"
"#
        );
        vec![
            ("on-tiny-disk", self.script("on-tiny-disk", &tiny_disk)),
            ("as-nobody", self.script("as-nobody", &nobody)),
            ("midway", midway),
            ("on-small-disk", self.script("on-small-disk", &small_disk)),
            ("on-read-only-disk", self.script("on-read-only-disk", &read_only)),
        ]
    }

    fn script(&self, name: &str, body: &str) -> PathBuf {
        let path = self.dir.path().join(format!("{name}.sh"));
        fs::write(&path, format!("#!/bin/sh\n{body}")).unwrap();
        fs::set_permissions(&path, fs::Permissions::from_mode(0o755)).unwrap();
        path
    }
}
