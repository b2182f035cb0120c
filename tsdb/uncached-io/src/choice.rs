//! Which engine writes in a directory: by policy, by what was asked for, by what is there.

use std::path::Path;

use crate::engine::{EngineKind, EngineRefusal, EngineReport, ring_works};
use crate::error::{Errno, Error};
use crate::policy::{FallbackReason, Mode, Policy};
use crate::probe;

/// Of the direct engines, the one that is used where nobody asks for another.
pub(crate) const DIRECT_DEFAULT: EngineKind = EngineKind::IoUring;

/// How files of a directory are written, and what was tried before.
#[derive(Debug, Clone)]
pub(crate) struct Choice {
    pub(crate) mode: Mode,
    pub(crate) engine: EngineKind,
    pub(crate) refused: Vec<EngineReport>,
}

impl Choice {
    pub(crate) fn buffered(reason: FallbackReason) -> Self {
        let mode = Mode::Buffered { reason };
        Self { mode, engine: EngineKind::Buffered, refused: Vec::new() }
    }

    fn dontcache(reason: FallbackReason) -> Self {
        let mode = Mode::DontCache { reason };
        Self { mode, engine: EngineKind::DontCache, refused: Vec::new() }
    }
}

/// Tries the engines in order until one can be had.
pub(crate) fn choose(
    dir: &Path,
    policy: Policy,
    asked: Option<EngineKind>,
) -> Result<Choice, Error> {
    if let Some(engine) = asked.filter(|engine| !engine.is_direct()) {
        return through_cache(dir, policy, engine);
    }
    if policy == Policy::Off {
        let reason = FallbackReason::PolicyOff;
        let result = Err(EngineRefusal::NotUncached(reason));
        let refused = asked.map(|kind| EngineReport { kind, result }).into_iter().collect();
        return Ok(Choice { refused, ..Choice::buffered(reason) });
    }
    let wanted = asked.unwrap_or(DIRECT_DEFAULT);
    let reason = match probe::probe(dir)? {
        Ok(alignment) => {
            let (engine, refused) = first_direct(wanted);
            return Ok(Choice { mode: Mode::Direct(alignment), engine, refused });
        }
        Err(reason) => reason,
    };
    if policy == Policy::Required {
        return Err(Error::NotUncached { path: dir.to_owned(), reason });
    }
    let result = Err(EngineRefusal::NotUncached(reason));
    let mut choice = fall_back(dir, reason)?;
    choice.refused.insert(0, EngineReport { kind: wanted, result });
    Ok(choice)
}

/// Whether each engine works for files of `dir`, the preferred ones first. Writes files there
/// that have no name; starts nothing that stays.
#[must_use]
pub fn engines(dir: &Path) -> Vec<EngineReport> {
    let untried = |error: &Error| EngineRefusal::Untried(error.errno().unwrap_or(Errno(0)));
    let direct = match probe::probe(dir) {
        Ok(Ok(_)) => Ok(()),
        Ok(Err(reason)) => Err(EngineRefusal::NotUncached(reason)),
        Err(error) => Err(untried(&error)),
    };
    let report = |kind| {
        let result = match kind {
            EngineKind::IoUring => direct.and_then(|()| ring_works()),
            EngineKind::Thread | EngineKind::Blocking => direct,
            EngineKind::DontCache => match probe::dontcache(dir) {
                Ok(result) => result,
                Err(error) => Err(untried(&error)),
            },
            EngineKind::Buffered => match &direct {
                Err(EngineRefusal::Untried(errno)) => Err(EngineRefusal::Untried(*errno)),
                _ => Ok(()),
            },
        };
        EngineReport { kind, result }
    };
    EngineKind::ALL.into_iter().map(report).collect()
}

/// The direct engine that is wanted, or the next in line.
fn first_direct(wanted: EngineKind) -> (EngineKind, Vec<EngineReport>) {
    if wanted == EngineKind::IoUring
        && let Err(refusal) = ring_works()
    {
        let refused = EngineReport { kind: wanted, result: Err(refusal) };
        return (EngineKind::Thread, vec![refused]);
    }
    (wanted, Vec::new())
}

/// An engine through the page cache, because it was asked for.
fn through_cache(dir: &Path, policy: Policy, engine: EngineKind) -> Result<Choice, Error> {
    let reason = match policy {
        Policy::Required => {
            let reason = FallbackReason::EngineAsked(engine);
            return Err(Error::NotUncached { path: dir.to_owned(), reason });
        }
        Policy::Prefer => FallbackReason::EngineAsked(engine),
        Policy::Off => FallbackReason::PolicyOff,
    };
    if engine == EngineKind::Buffered {
        Ok(Choice::buffered(reason))
    } else {
        fall_back(dir, reason)
    }
}

/// Through the page cache, leaving as little there as the filesystem allows.
pub(crate) fn fall_back(dir: &Path, reason: FallbackReason) -> Result<Choice, Error> {
    match probe::dontcache(dir)? {
        Ok(()) => Ok(Choice::dontcache(reason)),
        Err(refusal) => {
            let refused = EngineReport { kind: EngineKind::DontCache, result: Err(refusal) };
            Ok(Choice { refused: vec![refused], ..Choice::buffered(reason) })
        }
    }
}
