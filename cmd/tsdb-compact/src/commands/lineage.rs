//! Parents that stand beside their child, as `plan` and `compact` tell of them.

use tsdb::compact::{CompactError, Dispute, Doubt, Superseded, Undeleted};

use crate::errors::{chain, with_advice};
use crate::output::{complain, path_json, paths_json, say};

/// Announces what `compact` deletes if the proof holds.
pub(crate) fn print_superseded(superseded: &[Superseded]) {
    for Superseded { parent, child, .. } in superseded {
        let (parent, child) = (parent.display(), child.display());
        say!("would delete {parent}, if {child}, which was made of it, holds all of its samples");
    }
}

/// The same, as `--json` has it.
pub(crate) fn superseded_json(superseded: &[Superseded]) -> Vec<serde_json::Value> {
    let json = |pair: &Superseded| {
        let (parent, child) = (path_json(&pair.parent), path_json(&pair.child));
        serde_json::json!({ "path": parent, "by": child })
    };
    superseded.iter().map(json).collect()
}

/// Names children that do not stand for their parents, and says what to do.
pub(crate) fn print_disputes(disputes: &[Dispute]) {
    for dispute in disputes {
        let (parent, child) = (dispute.parent.display(), dispute.child.display());
        complain!("in doubt: {child} names {parent} as its parent, but {}", doubt_text(dispute));
        complain!(
            "  nothing is deleted and neither is compacted; move {child} away to go on with what \
             it was made of, or move that away to go on with {child}"
        );
    }
}

fn doubt_text(dispute: &Dispute) -> String {
    match &dispute.doubt {
        Doubt::Content(error) => match &**error {
            CompactError::NotHeld(_) => error.to_string(),
            error => chain(error),
        },
        doubt => doubt.to_string(),
    }
}

/// The same, as `--json` has it.
pub(crate) fn disputes_json(disputes: &[Dispute]) -> Vec<serde_json::Value> {
    let json = |dispute: &Dispute| {
        let (child, parent) = (path_json(&dispute.child), path_json(&dispute.parent));
        serde_json::json!({ "child": child, "parent": parent, "doubt": doubt_text(dispute) })
    };
    disputes.iter().map(json).collect()
}

/// Names blocks that should be gone.
pub(crate) fn print_undeleted(undeleted: Option<&Undeleted>) {
    let Some(undeleted) = undeleted else { return };
    for block in &undeleted.blocks {
        complain!(
            "published, but {} could not be deleted because of this: {}",
            block.display(),
            with_advice(&undeleted.error)
        );
    }
    if undeleted.blocks.is_empty() {
        complain!("published, but deleting did not end: {}", with_advice(&undeleted.error));
    }
    complain!("  the next run tries again");
}

/// The same, as `--json` has it.
pub(crate) fn undeleted_json(undeleted: Option<&Undeleted>) -> serde_json::Value {
    undeleted.map_or(serde_json::Value::Null, |undeleted| {
        let blocks = paths_json(&undeleted.blocks);
        serde_json::json!({ "blocks": blocks, "error": chain(&undeleted.error) })
    })
}
