//! Parents that are still there beside their child: a run was killed before it could delete them,
//! or somebody restored them, or the child's meta.json says what is not so.
//!
//! ```text
//! metas    child names parent ── neither is marked, one group, times and sources cover ── else: dispute
//!             |                                    the parent is never merged with the child again
//!             v
//! content  every sample of every parent is in the child, checksums and postings are right
//!             |                                                                        else: dispute
//!             v
//!          the parents are deleted, if nothing of them or the child changed meanwhile
//! ```
//!
//! A dispute costs the two blocks their compaction and the run its clean exit; nothing is deleted.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::path::{Path, PathBuf};

use tsdb_format::meta::{BlockMeta, Ulid};

use super::scan::{ListedBlock, Listing};
use crate::block::leftovers;
use crate::block::publish::SourceFingerprint;
use crate::compact::compactor::Compactor;
use crate::compact::error::CompactError;
use crate::compact::plan_block::group_key;
use crate::compact::planner::NoCompact;
use crate::compact::verify_output::Holds;

/// A block that another one of the directory names as its parent.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Superseded {
    /// The parent's directory.
    pub parent: PathBuf,
    /// The child's.
    pub child: PathBuf,
}

/// A child that does not stand for a block that it names as its parent, or may not.
#[derive(Debug)]
#[non_exhaustive]
pub struct Dispute {
    /// The child's directory.
    pub child: PathBuf,
    /// The parent's.
    pub parent: PathBuf,
    /// What speaks against deleting the parent.
    pub doubt: Doubt,
}

/// What speaks against deleting a parent.
#[derive(Debug)]
#[non_exhaustive]
pub enum Doubt {
    /// The child is marked by somebody.
    Marked(NoCompact),
    /// Labels, resolution or partition differ.
    OtherGroup,
    /// The child's times don't cover the parent's.
    Times,
    /// The child's list of sources lacks some of the parent's.
    Sources,
    /// Something of the child is deleted that may not be of the parent.
    Tombstones,
    /// The child does not hold the parent's samples, or one of them can't be read.
    Content(Box<CompactError>),
}

impl fmt::Display for Doubt {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Marked(mark @ NoCompact::FailedBefore { .. }) => write!(f, "it {mark}"),
            Self::Marked(mark) => write!(f, "it is {mark}"),
            Self::OtherGroup => f.write_str("its labels, resolution or partition are others"),
            Self::Times => f.write_str("its times do not cover those of the parent"),
            Self::Sources => f.write_str("its compaction.sources lack those of the parent"),
            Self::Tombstones => f.write_str("it has tombstones, and may lack what the parent has"),
            Self::Content(error) => error.fmt(f),
        }
    }
}

impl fmt::Display for Dispute {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (child, parent) = (self.child.display(), self.parent.display());
        write!(f, "{child} names {parent} as its parent, but {}", self.doubt)
    }
}

impl std::error::Error for Dispute {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match &self.doubt {
            // Its own words are in those of the dispute.
            Doubt::Content(error) => error.source(),
            _ => None,
        }
    }
}

/// Finds out who names whom, and takes the blocks concerned out of planning. A child that does not
/// stand for one of its parents stands for none.
pub(super) fn find(listing: &mut Listing) {
    let metas: Vec<&BlockMeta> = listing.blocks.iter().map(|block| &block.meta).collect();
    let named = leftovers::superseded(&metas);
    let position: BTreeMap<Ulid, usize> =
        listing.blocks.iter().enumerate().map(|(at, block)| (block.meta.ulid, at)).collect();
    // What others marked is left as it is, and for them to delete.
    let is_left =
        |at: usize| listing.blocks[at].plan_block.no_compact.as_ref().is_some_and(is_of_others);
    let mut pairs = Vec::new();
    for (parent, children) in named {
        let Some(&parent) = position.get(&parent) else { continue };
        if is_left(parent) {
            continue;
        }
        for child in children.iter().filter_map(|child| position.get(child)) {
            let doubt = doubt(&listing.blocks[*child], &listing.blocks[parent].meta);
            pairs.push((parent, *child, doubt));
        }
    }
    let doubted: BTreeSet<usize> =
        pairs.iter().filter(|(_, _, doubt)| doubt.is_some()).map(|(_, child, _)| *child).collect();
    let mut disputes = Vec::new();
    let mut siblings = Vec::new();
    for (parent, child, doubt) in pairs {
        let dirs = [child, parent].map(|at| listing.blocks[at].dir.clone());
        let [child_dir, parent_dir] = dirs;
        match doubt {
            Some(doubt) => disputes.push(Dispute { child: child_dir, parent: parent_dir, doubt }),
            None if doubted.contains(&child) => siblings.push((child_dir, parent)),
            None => {
                let by = listing.blocks[child].meta.ulid;
                let no_compact = &mut listing.blocks[parent].plan_block.no_compact;
                if !matches!(no_compact, Some(NoCompact::Superseded { .. })) {
                    *no_compact = Some(NoCompact::Superseded { by });
                    let pair = Superseded { parent: parent_dir, child: child_dir };
                    listing.superseded.push(pair);
                }
            }
        }
    }
    for dispute in &disputes {
        let parents = siblings.iter().filter(|(child, _)| *child == dispute.child);
        let parents: Vec<usize> = parents.map(|(_, parent)| *parent).collect();
        hold(listing, dispute, &parents);
    }
    listing.disputes = disputes;
}

/// Takes both blocks of a dispute and the child's other parents out of planning, unless something
/// else did.
fn hold(listing: &mut Listing, dispute: &Dispute, siblings: &[usize]) {
    let both = [&dispute.child, &dispute.parent];
    for (at, block) in listing.blocks.iter_mut().enumerate() {
        if both.contains(&&block.dir) || siblings.contains(&at) {
            let held = || NoCompact::Held { reason: dispute.to_string() };
            block.plan_block.no_compact.get_or_insert_with(held);
        }
    }
}

fn is_of_others(mark: &NoCompact) -> bool {
    matches!(mark, NoCompact::NoCompactMark { .. } | NoCompact::DeletionMark)
}

/// What the metas say against the child.
fn doubt(child: &ListedBlock, parent: &BlockMeta) -> Option<Doubt> {
    match &child.plan_block.no_compact {
        Some(mark) if is_of_others(mark) => return Some(Doubt::Marked(mark.clone())),
        Some(mark @ NoCompact::FailedBefore { .. }) => return Some(Doubt::Marked(mark.clone())),
        _ => {}
    }
    doubt_of_metas(&child.meta, parent)
}

fn doubt_of_metas(child: &BlockMeta, parent: &BlockMeta) -> Option<Doubt> {
    if group_key(child) != group_key(parent) {
        return Some(Doubt::OtherGroup);
    }
    if child.min_time > parent.min_time || child.max_time < parent.max_time {
        return Some(Doubt::Times);
    }
    let sources = &child.compaction.sources;
    if !parent.compaction.sources.iter().all(|source| sources.contains(source)) {
        return Some(Doubt::Sources);
    }
    None
}

/// Of each child with what is left of its parents: whether it stands for all of them.
pub(super) fn prove(
    compactor: &Compactor,
    listing: &Listing,
) -> Result<(Vec<SourceFingerprint>, Vec<Dispute>), CompactError> {
    let mut families: BTreeMap<&Path, Vec<&Path>> = BTreeMap::new();
    for pair in &listing.superseded {
        families.entry(&pair.child).or_default().push(&pair.parent);
    }
    let mut proven = Vec::new();
    let mut disputes = Vec::new();
    for (child, parents) in families {
        match prove_family(compactor, child, &parents) {
            Ok(fingerprints) => proven.extend(fingerprints),
            Err((_, Doubt::Content(error))) if matches!(*error, CompactError::Cancelled) => {
                return Err(CompactError::Cancelled);
            }
            Err((parent, doubt)) => {
                let child = child.to_owned();
                disputes.push(Dispute { child, parent: parent.to_owned(), doubt });
            }
        }
    }
    Ok((proven, disputes))
}

/// What the parents look like, if the child holds them and none has changed; else the parent
/// concerned and what speaks against it.
fn prove_family<'p>(
    compactor: &Compactor,
    child: &Path,
    parents: &[&'p Path],
) -> Result<Vec<SourceFingerprint>, (&'p Path, Doubt)> {
    let Some(&first) = parents.first() else { return Ok(Vec::new()) };
    let content = |error: CompactError| {
        let concerned = match &error {
            CompactError::NotHeld(error) => Some(error.parent.as_path()),
            error => error.path(),
        };
        let parent =
            parents.iter().find(|parent| concerned.is_some_and(|path| path.starts_with(parent)));
        (parent.copied().unwrap_or(first), Doubt::Content(Box::new(error)))
    };
    let dirs: Vec<PathBuf> = [child].iter().chain(parents).map(|path| (*path).to_owned()).collect();
    let opened = compactor.open_sources(&dirs).map_err(content)?;
    let Some((child_source, parent_sources)) = opened.sources.split_first() else {
        return Ok(Vec::new());
    };
    // Looked at again: what was listed may have changed by the time it was opened.
    for (source, &parent) in parent_sources.iter().zip(parents) {
        if let Some(doubt) = doubt_of_metas(child_source.meta(), source.meta()) {
            return Err((parent, doubt));
        }
    }
    compactor.load_tombstones(&opened.sources).map_err(content)?;
    if child_source.stones().is_some_and(|stones| !stones.is_empty()) {
        return Err((first, Doubt::Tombstones));
    }
    let is_here = |id: Ulid| parent_sources.iter().any(|source| source.meta().ulid == id);
    let gone: Vec<(i64, i64)> = child_source
        .meta()
        .compaction
        .parents
        .iter()
        .filter(|parent| !is_here(parent.ulid))
        .map(|parent| (parent.min_time, parent.max_time))
        .collect();
    let holds = Holds {
        child: child_source,
        parents: parent_sources,
        gone: &gone,
        memory_budget_bytes: compactor.memory_budget_bytes(),
        cancel: compactor.cancel_token(),
    };
    holds.run().map_err(content)?;
    let mut fingerprints = opened.fingerprints.into_iter();
    if let Some(child) = fingerprints.next() {
        child.verify().map_err(|error| content(error.into()))?;
    }
    Ok(fingerprints.collect())
}
