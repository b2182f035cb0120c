//! Compaction is stopped, and made to fail, at each of its effects; the power is cut there, too.
//! The sources or the child hold every sample then, no half block can be loaded, and the next run
//! does what this one did not.

use std::collections::{BTreeMap, BTreeSet};

use tsdb_format::meta::Ulid;

use super::super::budget::{LongShares, Shares};
use super::super::directory::{DirectoryCompactor, DirectoryReport, Doubt};
use super::super::planner::{Decision, Plan, PlanBlock, PlanKind, Planner, Reason};
use super::spills::tiny;
use super::streams::streaming;
use super::*;
use crate::block::leftovers;
use crate::compact::CancelToken;
use crate::generate::{Encoding, GenerateOptions, generate};
use crate::vfs::sim::{Effect, Fault, FaultKind, SimVfs, Tree};

/// How many images of a crash are looked at before the next run is tried on one.
const IMAGES_PER_RECOVERY: usize = 41;

/// How many effects may be attempted beside those that happen.
const SLACK: usize = 8;

/// Plans all blocks as long as there are two, or one of which something is deleted.
pub(super) struct Everything;

impl Planner for Everything {
    fn plan(&self, blocks: &[&PlanBlock]) -> Plan {
        let decision = |block: &&PlanBlock| Decision {
            id: block.id,
            planned: true,
            reasons: vec![Reason::Planned(PlanKind::Overlap)],
        };
        if blocks.len() < 2 && blocks.iter().all(|block| block.num_tombstones == 0) {
            return Plan::default();
        }
        Plan {
            blocks: blocks.iter().map(|block| block.id).collect(),
            kind: Some(PlanKind::Overlap),
            decisions: blocks.iter().map(decision).collect(),
        }
    }
}

#[derive(Debug, Clone, Copy, PartialEq)]
enum Job {
    /// Merge the blocks of the directory into it.
    Merge,
    /// Compact the directory in place.
    Directory,
}

/// Files and directories of a block, by path; directories have no bytes.
type Content = BTreeMap<PathBuf, Option<Vec<u8>>>;

struct Scene {
    job: Job,
    shares: Shares,
    before: Tree,
    sources: Vec<String>,
    /// Every block as it has to be where it is, by name.
    whole: BTreeMap<String, Content>,
    /// The block that the job makes, if it does.
    child: Option<String>,
    /// The blocks that are there in the end.
    after: BTreeSet<String>,
    effects: usize,
    reads: usize,
    /// The names of the files that were spilled.
    spilled: BTreeSet<String>,
}

/// Whatever a run tells of, as the error it was.
pub(super) fn all_went_well(report: DirectoryReport) -> Result<(), CompactError> {
    for tried in report.compactions {
        tried.result.map(|_| ())?;
        tried.undeleted.map_or(Ok(()), |left| Err(left.error))?;
    }
    report.undeleted.map_or(Ok(()), |left| Err(left.error))?;
    if let Some(error) = report.unwritten_marks {
        return Err(error.into());
    }
    if let Some(stuck) = report.swept.stuck.into_iter().next() {
        return Err(stuck.error.into());
    }
    match report.disputes.into_iter().next().map(|dispute| dispute.doubt) {
        None => Ok(()),
        Some(Doubt::Content(error)) => Err(*error),
        Some(doubt) => panic!("{doubt}"),
    }
}

fn is_block(name: &str) -> bool {
    Ulid::from_string(name).is_ok()
}

/// The blocks of a directory, by name.
fn blocks(tree: &Tree) -> BTreeMap<String, Content> {
    let mut blocks: BTreeMap<String, Content> = BTreeMap::new();
    for path in tree.paths() {
        let name = path.iter().next().unwrap().to_str().unwrap();
        if is_block(name) {
            let bytes = tree.bytes(path).map(<[u8]>::to_vec);
            blocks.entry(name.to_owned()).or_default().insert(path.to_owned(), bytes);
        }
    }
    blocks
}

fn has_leftovers(tree: &Tree) -> bool {
    tree.paths().any(|path| path.iter().next().unwrap().to_str().unwrap().starts_with("tsdb-c"))
}

impl Scene {
    /// Of a case of `testdata`.
    fn new(case: &str, job: Job, shares: Shares) -> Self {
        Self::of(&sources(case), job, shares)
    }

    /// Does the job once, undisturbed, to learn what it does.
    fn of(sources: &[PathBuf], job: Job, shares: Shares) -> Self {
        let dir = tempfile::tempdir().unwrap();
        let mut names = Vec::new();
        for source in sources {
            let name = source.file_name().unwrap().to_str().unwrap().to_owned();
            Tree::of(source).unwrap().write_to_new(&dir.path().join(&name));
            names.push(name);
        }
        let before = Tree::of(dir.path()).unwrap();
        let mut scene = Self {
            job,
            shares,
            whole: blocks(&before),
            before,
            sources: names,
            child: None,
            after: BTreeSet::new(),
            effects: 0,
            reads: 0,
            spilled: BTreeSet::new(),
        };
        let vfs = SimVfs::new(dir.path()).unwrap();
        scene.run(&vfs, dir.path()).unwrap();
        (scene.effects, scene.reads) = (vfs.effect_count(), vfs.read_count());
        scene.spilled = spilled(&vfs);
        let after = blocks(&Tree::of(dir.path()).unwrap());
        scene.after = after.keys().cloned().collect();
        scene.child = scene.after.iter().find(|name| !scene.sources.contains(name)).cloned();
        scene.whole.extend(after);
        scene
    }

    fn run(&self, vfs: &SimVfs, dir: &Path) -> Result<(), CompactError> {
        self.run_with(vfs, dir, self.shares)
    }

    fn run_with(&self, vfs: &SimVfs, dir: &Path, shares: Shares) -> Result<(), CompactError> {
        let options = CompactOptions {
            threads: 1,
            block_id: Some(Ulid::from_parts(1_800_000_000_000, 7)),
            ..options(true)
        };
        let compactor = Compactor::new(Arc::new(vfs.clone()), options).with_shares(shares);
        match self.job {
            Job::Merge => {
                let sources: Vec<PathBuf> =
                    self.sources.iter().map(|name| dir.join(name)).collect();
                compactor.merge(&sources, dir).map(|_| ())
            }
            Job::Directory => {
                let planner = Everything;
                let report =
                    DirectoryCompactor::new(compactor, &planner).run(dir, &mut |_, _| {})?;
                all_went_well(report)
            }
        }
    }

    /// A fresh directory with the sources, and a fault in store.
    fn stage(&self, fault: Fault) -> (tempfile::TempDir, SimVfs) {
        let dir = tempfile::tempdir().unwrap();
        self.before.write_to(dir.path()).unwrap();
        let vfs = SimVfs::new(dir.path()).unwrap();
        vfs.inject(fault);
        (dir, vfs)
    }

    /// Whatever is there under a block's name is whole, and every sample is somewhere.
    fn check(&self, tree: &Tree, what: &dyn std::fmt::Display) {
        let found = blocks(tree);
        for (name, content) in &found {
            assert!(self.whole.get(name) == Some(content), "{what}: block {name} is not whole");
        }
        let has_child = self.child.as_ref().is_some_and(|child| found.contains_key(child));
        let has_sources = self.sources.iter().all(|name| found.contains_key(name));
        let nothing_left = self.child.is_none();
        assert!(has_child || has_sources || nothing_left, "{what}: samples are lost");
    }

    /// The next run ends where an undisturbed one would have ended.
    fn recover(&self, tree: &Tree, what: &dyn std::fmt::Display) {
        let dir = tempfile::tempdir().unwrap();
        tree.write_to(dir.path()).unwrap();
        let vfs = SimVfs::new(dir.path()).unwrap();
        if self.job == Job::Merge {
            leftovers::remove(&vfs, dir.path(), None).unwrap();
        }
        let done = self.child.as_ref().is_some_and(|child| dir.path().join(child).exists());
        if !(done && self.job == Job::Merge) {
            // Parents are held against their child, for which nothing is sorted on disk.
            let shares = Shares { tombstone_bytes: 1 << 20, ..self.shares };
            self.run_with(&vfs, dir.path(), shares)
                .unwrap_or_else(|error| panic!("{what}, then {error}"));
        }
        let after = Tree::of(dir.path()).unwrap();
        self.check(&after, what);
        let found: BTreeSet<String> = blocks(&after).into_keys().collect();
        assert_eq!(found, self.after, "{what}: the next run did not finish");
        assert!(!has_leftovers(&after), "{what}: leftovers survived the next run");
    }
}

fn spilled(vfs: &SimVfs) -> BTreeSet<String> {
    let created = vfs.effects().into_iter().filter_map(|effect| match effect {
        Effect::Create { path, .. } => Some(path),
        _ => None,
    });
    let spilled = created.filter(|path| path.parent().is_some_and(|dir| dir.ends_with("spill")));
    spilled.map(|path| path.file_name().unwrap().to_str().unwrap().to_owned()).collect()
}

trait WriteToNew {
    fn write_to_new(&self, dir: &Path);
}

impl WriteToNew for Tree {
    fn write_to_new(&self, dir: &Path) {
        fs::create_dir(dir).unwrap();
        self.write_to(dir).unwrap();
    }
}

/// The seed of what is drawn: `TSDB_FAULT_SEED`, or one that never changes.
fn seed() -> u64 {
    let seed = std::env::var("TSDB_FAULT_SEED").ok().map_or(315, |text| text.parse().unwrap());
    eprintln!("TSDB_FAULT_SEED={seed}");
    seed
}

fn stop_everywhere(scene: &Scene) {
    stop_at(scene, 1);
}

/// At one effect of `every`, from one that the seed says.
fn stop_at(scene: &Scene, every: usize) {
    let seed = seed();
    let mut images = 0;
    for at in (seed as usize % every..).step_by(every) {
        let (dir, vfs) = scene.stage(Fault { at, kind: FaultKind::Stop });
        let outcome = scene.run(&vfs, dir.path());
        assert!(outcome.is_err() || !vfs.fault_fired(), "stop at effect {at}");
        let tree = Tree::of(dir.path()).unwrap();
        let what = format!("killed at effect {at} of {}", scene.effects);
        scene.check(&tree, &what);
        scene.recover(&tree, &what);
        if !vfs.fault_fired() {
            // What was refused (a directory that is there already) counts as an attempt only.
            assert!(
                (scene.effects..scene.effects + SLACK.max(every)).contains(&at),
                "{at} effects"
            );
            break;
        }
        for image in vfs.images(usize::MAX, seed) {
            scene.check(image.tree(), &image);
            images += 1;
            if images % IMAGES_PER_RECOVERY == 0 {
                scene.recover(image.tree(), &image);
            }
        }
    }
    eprintln!("{:?}: {} effects, {images} images", scene.job, scene.effects);
    assert!(images * every > 10 * scene.effects, "a crash has many outcomes");
}

fn fail_everywhere(scene: &Scene) {
    fail_at(scene, 1);
}

/// At one effect of `every`, from one that the seed says.
fn fail_at(scene: &Scene, every: usize) {
    let seed = seed();
    for kind in FaultKind::AT_EFFECTS.into_iter().filter(|kind| *kind != FaultKind::Stop) {
        let mut fired = 0;
        for at in (seed as usize % every..scene.effects + SLACK).step_by(every) {
            let (dir, vfs) = scene.stage(Fault { at, kind });
            let outcome = scene.run(&vfs, dir.path());
            let what = format!("{kind:?} at effect {at} of {}", scene.effects);
            assert!(outcome.is_err() || !vfs.fault_fired(), "{what}: it was not noticed");
            fired += usize::from(vfs.fault_fired());
            let tree = Tree::of(dir.path()).unwrap();
            scene.check(&tree, &what);
            // What can't be removed stays for the next run.
            assert!(!has_leftovers(&tree) || kind == FaultKind::DeviceError, "{what}: leftovers");
            if at % 3 == 0 {
                scene.recover(&tree, &what);
            }
            for image in vfs.images(usize::MAX, seed).take(8) {
                scene.check(image.tree(), &format!("{what}, {image}"));
            }
        }
        assert!(fired > 0, "{kind:?} struck {fired} times only");
    }
}

fn fail_every_read(scene: &Scene) {
    fail_reads(scene, 1);
}

fn fail_reads(scene: &Scene, every: usize) {
    for at in (0..scene.reads).step_by(every) {
        let (dir, vfs) = scene.stage(Fault { at, kind: FaultKind::ReadError });
        let outcome = scene.run(&vfs, dir.path());
        let Err(error) = outcome else { panic!("read {at} of {} failed unnoticed", scene.reads) };
        assert!(matches!(error, CompactError::Vfs(_)), "read {at}: {error}");
        let tree = Tree::of(dir.path()).unwrap();
        assert!(blocks(&tree) == blocks(&scene.before), "read {at}: {error}");
        assert!(!has_leftovers(&tree), "read {at}: leftovers");
    }
}

#[test]
fn merge_stopped_at_every_effect() {
    stop_everywhere(&Scene::new("out-of-order", Job::Merge, tiny()));
}

#[test]
fn merge_failing_at_every_effect() {
    let scene = Scene::new("out-of-order", Job::Merge, tiny());
    fail_everywhere(&scene);
    fail_every_read(&scene);
}

#[test]
fn directory_stopped_at_every_effect() {
    stop_everywhere(&Scene::new("out-of-order", Job::Directory, tiny()));
}

#[test]
fn directory_failing_at_every_effect() {
    let scene = Scene::new("out-of-order", Job::Directory, tiny());
    fail_everywhere(&scene);
    fail_every_read(&scene);
}

#[test]
fn blocks_without_samples_deleted_under_faults() {
    let scene = Scene::new("all-deleted", Job::Directory, tiny());
    assert!(scene.after.is_empty());
    stop_everywhere(&scene);
    fail_everywhere(&scene);
}

/// Two replicas of a few series, floats and histograms, of each of which something is deleted.
fn replicas(dir: &Path) -> Vec<PathBuf> {
    let options = GenerateOptions {
        series: 17,
        samples: 70,
        replicas: 2,
        histogram_share: 0.2,
        encodings: Encoding::ALL.to_vec(),
        tombstone_share: 1.0,
        ..GenerateOptions::default()
    };
    let mut blocks = Vec::new();
    let made = |block: &crate::compact::BuiltBlock| blocks.push(block.path.clone());
    generate(&os_vfs(dir), dir, &options, &CancelToken::new(), made).unwrap();
    blocks
}

/// A job in which every series is streamed, its entry spilled, and tombstones are sorted on disk in
/// more runs than one.
fn streamed(job: Job) -> Scene {
    let dir = tempfile::tempdir().unwrap();
    let long = LongShares { piece_bytes: 1, ..streaming().long };
    let shares = Shares { sort_bytes: 0, index_buffer_bytes: 8, long, ..streaming() };
    let scene = Scene::of(&replicas(dir.path()), job, shares);
    for file in ["tombstones-000000-0001", "tombstones-000001-0001", "series-entry"] {
        let is_there = scene.spilled.iter().any(|name| name.starts_with(file));
        assert!(is_there, "{file} was not spilled: {:?}", scene.spilled);
    }
    scene
}

/// A streaming scene has many effects: one of this many is tried, each with `TSDB_FAULTS_EVERY=1`.
fn streaming_every() -> usize {
    let every = std::env::var("TSDB_FAULTS_EVERY").ok().and_then(|text| text.parse().ok());
    every.unwrap_or(16)
}

#[test]
fn streaming_merge_stopped_at_every_effect() {
    stop_at(&streamed(Job::Merge), streaming_every());
}

#[test]
fn streaming_merge_failing_at_every_effect() {
    let scene = streamed(Job::Merge);
    fail_at(&scene, streaming_every());
    fail_reads(&scene, streaming_every());
}

#[test]
fn streaming_directory_stopped_at_every_effect() {
    stop_at(&streamed(Job::Directory), streaming_every());
}

/// A block that can't be read is left out, and the other one rewritten for its tombstones: what
/// failing reads do is seen by the merge alone.
#[test]
fn streaming_directory_failing_at_every_effect() {
    fail_at(&streamed(Job::Directory), streaming_every());
}
