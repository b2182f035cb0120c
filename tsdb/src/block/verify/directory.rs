//! A data directory: its blocks among each other.

use std::path::{Path, PathBuf};

use super::report::{BlockReport, Finding, FindingKind, Overlap, Severity, VerifyReport};
use crate::block::list::{BlockList, list_blocks};
use crate::block::open_error::OpenError;

/// The blocks of a data directory, not read yet.
pub(super) struct Listed(BlockList);

pub(super) fn list(dir: &Path) -> Result<Listed, OpenError> {
    list_blocks(dir).map(Listed)
}

impl Listed {
    /// Everything that calls itself a block, by name.
    pub(super) fn dirs(&self) -> Vec<PathBuf> {
        let blocks = self.0.blocks.iter().map(|block| block.dir.clone());
        let problems = self.0.problems.iter().map(|problem| problem.dir.clone());
        let mut dirs: Vec<_> = blocks.chain(problems).collect();
        dirs.sort_unstable();
        dirs
    }

    /// `blocks`, with what shows only when one looks at all of them.
    pub(super) fn report(self, mut blocks: Vec<BlockReport>) -> VerifyReport {
        let overlaps = self.overlaps();
        for problem in &self.0.problems {
            let OpenError::DuplicateUlid { other, ulid, .. } = &problem.error else { continue };
            let Some(block) = blocks.iter_mut().find(|block| block.dir == problem.dir) else {
                continue;
            };
            let detail = format!("holds block {ulid}, which {} holds as well", other.display());
            // In the place of what was wrong with the name alone.
            block.findings.retain(|finding| finding.kind != FindingKind::Identity);
            block.findings.insert(
                0,
                Finding {
                    severity: Severity::Fault,
                    kind: FindingKind::Identity,
                    file: block.dir.clone(),
                    series: None,
                    chunk: None,
                    detail,
                },
            );
        }
        let faults = blocks.iter().map(|block| block.faults).sum();
        VerifyReport { blocks, overlaps, faults }
    }

    fn overlaps(&self) -> Vec<Overlap> {
        let mut metas: Vec<_> = self.0.blocks.iter().map(|block| &block.meta).collect();
        metas.sort_by_key(|meta| (meta.min_time, meta.max_time, meta.ulid));
        let mut overlaps = Vec::new();
        for (position, first) in metas.iter().enumerate() {
            let behind = metas.iter().skip(position + 1);
            for second in behind.take_while(|second| second.min_time < first.max_time) {
                overlaps.push(Overlap {
                    blocks: [first.ulid, second.ulid],
                    min_time: second.min_time,
                    max_time: first.max_time.min(second.max_time),
                });
            }
        }
        overlaps
    }
}
