//! The disks that a power cut may leave, one after the other.

use std::collections::HashSet;
use std::collections::VecDeque;
use std::fmt;

use super::Effect;
use super::model::{Fate, InodeId, Model};
use super::tree::Tree;

/// How many images are drawn at random, after the systematic ones.
const DRAWN: usize = 16;

/// A disk that a power cut may leave.
#[derive(Debug, Clone)]
pub struct DiskImage {
    tree: Tree,
    effects: usize,
    story: String,
}

impl DiskImage {
    /// What is on it. `write_to` makes a directory of it.
    #[must_use]
    pub fn tree(&self) -> &Tree {
        &self.tree
    }

    /// After how many effects the power went.
    #[must_use]
    pub fn effects(&self) -> usize {
        self.effects
    }
}

/// When the power went, and what was lost: for a test's message.
impl fmt::Display for DiskImage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "power cut after {} effects: {}", self.effects, self.story)
    }
}

/// The images of one moment. Each is different; the same seed gives the same ones.
pub struct Images {
    model: Model,
    effects: usize,
    /// What is undecided: changes of entries by index, then inodes with unsynced content.
    changes: Vec<usize>,
    inodes: Vec<InodeId>,
    queue: VecDeque<Outcome>,
    seen: HashSet<(Vec<bool>, Vec<Fate>)>,
}

/// One way in which everything undecided went.
#[derive(Clone)]
struct Outcome {
    changes: Vec<bool>,
    inodes: Vec<Fate>,
}

impl Images {
    pub(super) fn new<'a>(
        base: &Tree,
        effects: impl ExactSizeIterator<Item = &'a Effect>,
        seed: u64,
    ) -> Self {
        let count = effects.len();
        let model = Model::of(base, effects);
        let changes: Vec<usize> =
            (0..model.changes.len()).filter(|index| !model.changes[*index].durable).collect();
        let inodes: Vec<InodeId> =
            (0..model.inodes.len()).filter(|id| model.inodes[*id].is_dirty()).collect();
        let is_dir: Vec<bool> = inodes.iter().map(|id| model.inodes[*id].is_dir).collect();
        let queue = outcomes(changes.len(), &is_dir, seed ^ (count as u64) << 32);
        Self { model, effects: count, changes, inodes, queue, seen: HashSet::new() }
    }

    /// The same images, the two extreme ones first and the others in an order that follows from
    /// `seed`: for who looks at a few only.
    #[must_use]
    pub fn mixed(mut self, seed: u64) -> Self {
        let mut random = SplitMix(seed);
        if let Some(others) = self.queue.make_contiguous().get_mut(2..) {
            for last in (1..others.len()).rev() {
                let drawn = random.next() % (last as u64 + 1);
                others.swap(last, usize::try_from(drawn).unwrap_or(0));
            }
        }
        self
    }

    fn image(&self, outcome: &Outcome, arrived: &[bool]) -> DiskImage {
        let fate = |id: InodeId| {
            let undecided = self.inodes.iter().position(|inode| *inode == id);
            undecided.map_or(Fate::Kept, |index| outcome.inodes[index])
        };
        let tree = self.model.tree(arrived, fate);
        let missing: Vec<String> = self
            .model
            .changes
            .iter()
            .zip(arrived)
            .filter(|(_, there)| !**there)
            .map(|(change, _)| match (&change.from, &change.to) {
                (Some((_, from)), Some(((_, to), _))) => format!("rename {from:?} to {to:?}"),
                (Some((_, name)), None) => format!("removal of {name:?}"),
                (None, Some(((_, name), _))) => format!("creation of {name:?}"),
                (None, None) => String::new(),
            })
            .collect();
        let story = format!(
            "lost {missing:?}; unsynced content {:?}",
            self.inodes.iter().zip(&outcome.inodes).collect::<Vec<_>>()
        );
        DiskImage { tree, effects: self.effects, story }
    }
}

impl Iterator for Images {
    type Item = DiskImage;

    fn next(&mut self) -> Option<DiskImage> {
        loop {
            let outcome = self.queue.pop_front()?;
            let chosen = |index: usize| {
                let undecided = self.changes.binary_search(&index);
                undecided.is_ok_and(|undecided| outcome.changes[undecided])
            };
            let arrived = self.model.arrived(chosen);
            if self.seen.insert((arrived.clone(), outcome.inodes.clone())) {
                return Some(self.image(&outcome, &arrived));
            }
        }
    }
}

/// Everything lost; everything kept; all but one thing kept; all but one thing lost; then chance.
fn outcomes(changes: usize, is_dir: &[bool], seed: u64) -> VecDeque<Outcome> {
    let mut random = SplitMix(seed);
    let none = Outcome { changes: vec![false; changes], inodes: vec![Fate::Lost; is_dir.len()] };
    let all = Outcome { changes: vec![true; changes], inodes: vec![Fate::Kept; is_dir.len()] };
    let mut outcomes = VecDeque::from([none.clone(), all.clone()]);
    for base in [&all, &none] {
        for index in 0..changes {
            let mut outcome = base.clone();
            outcome.changes[index] = !outcome.changes[index];
            outcomes.push_back(outcome);
        }
    }
    for (index, is_dir) in is_dir.iter().enumerate() {
        for fate in fates(*is_dir, &mut random) {
            let mut outcome = all.clone();
            outcome.inodes[index] = fate;
            outcomes.push_back(outcome);
        }
    }
    for _ in 0..DRAWN {
        let changes = (0..changes).map(|_| random.next() & 1 == 1).collect();
        let mut draw = |is_dir: &bool| {
            let fates = fates(*is_dir, &mut random);
            let drawn = random.next() % fates.len() as u64;
            fates[usize::try_from(drawn).unwrap_or(0)]
        };
        let inodes = is_dir.iter().map(&mut draw).collect();
        outcomes.push_back(Outcome { changes, inodes });
    }
    outcomes
}

/// What may become of unsynced content; a directory has only owner and mode to lose.
fn fates(is_dir: bool, random: &mut SplitMix) -> Vec<Fate> {
    let mut fates = vec![Fate::Lost, Fate::Kept];
    if !is_dir {
        fates.push(Fate::Prefix(random.next()));
        fates.push(Fate::Zeros);
        fates.push(Fate::Torn(random.next()));
        fates.push(Fate::Padded);
    }
    fates
}

/// SplitMix64 (Steele, Lea, Flood 2014): small, and the same everywhere for ever.
struct SplitMix(u64);

impl SplitMix {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        mixed ^ (mixed >> 31)
    }
}
