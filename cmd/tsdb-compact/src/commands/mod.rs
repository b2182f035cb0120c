//! One file for each command.

pub(crate) mod compact;
pub(crate) mod compare;
pub(crate) mod dump;
pub(crate) mod generate;
mod lineage;
pub(crate) mod list;
pub(crate) mod manual;
pub(crate) mod merge;
pub(crate) mod plan;
pub(crate) mod probe;
pub(crate) mod query;
pub(crate) mod report;
pub(crate) mod verify;
