//! The log of samples that came out of order, and how it is mended.
//!
//! These samples are in memory before they are logged, so a log that broke must not go unnoticed: the
//! commit fails, and later ones take nothing out of order, until the log goes on in a new segment
//! ([`Wal::mended`](crate::wal::Wal::mended)). That is tried at once, and then from time to time.

use std::sync::{MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use super::ooo::WblBatch;
use super::shared::Shared;
use crate::wal::{Wal, WalError};

/// How long a log that could not be mended is left alone.
const PATIENCE: Duration = Duration::from_secs(10);

/// What is known of a log that broke.
#[derive(Default)]
pub(super) struct BrokenLog {
    /// When it was tried last to mend it.
    tried: Option<Instant>,
    /// What is in memory without being logged. Who appends it once more is told that it is there, so
    /// it goes to the log as soon as that goes on.
    unlogged: Vec<WblBatch>,
}

impl Shared {
    /// Logs what came out of order. If the log breaks over it, it is mended, and what was cut off is
    /// logged once more.
    pub(super) fn log_late(&self, batch: &mut WblBatch) -> Result<(), WalError> {
        let log = |batch: &mut WblBatch| match &*self.wbl() {
            Some(wbl) => wbl.log(batch.records()),
            // The head was closed meanwhile.
            None => Err(WalError::Broken),
        };
        log(batch)
            .or_else(|error| {
                let told = &error as &dyn std::error::Error;
                tracing::error!(error = told, "logging out-of-order samples failed");
                if self.mend_late_log() { log(batch) } else { Err(error) }
            })
            .or_else(|error| {
                let mut state = self.broken_late_log();
                // Somebody else may have mended it since.
                let is_broken = self.wbl().as_ref().is_none_or(Wal::is_broken);
                let outcome = if is_broken { Err(error) } else { log(batch) };
                outcome.inspect_err(|_| {
                    let none = WblBatch::new(self.sample_version());
                    state.unlogged.push(std::mem::replace(batch, none));
                })
            })
    }

    /// Mends the log if it is broken, and if that was not tried just now. Whether it is whole.
    pub(super) fn mend_late_log(&self) -> bool {
        if !self.wbl().as_ref().is_some_and(Wal::is_broken) {
            return true;
        }
        let mut state = self.broken_late_log();
        let is_early = state.tried.is_some_and(|tried| tried.elapsed() < PATIENCE);
        let mut wbl = self.wbl.write().unwrap_or_else(PoisonError::into_inner);
        let Some(broken) = wbl.as_ref().filter(|wbl| wbl.is_broken()) else { return true };
        if is_early {
            return false;
        }
        state.tried = Some(Instant::now());
        let BrokenLog { unlogged, .. } = &mut *state;
        let mended = broken.mended().and_then(|mended| {
            mended.log(unlogged.iter_mut().flat_map(WblBatch::records)).map(|()| mended)
        });
        match mended {
            Ok(mended) => {
                *wbl = Some(mended);
                *state = BrokenLog::default();
                true
            }
            Err(error) => {
                let error = &error as &dyn std::error::Error;
                tracing::error!(error, "the log of out-of-order samples could not be mended");
                false
            }
        }
    }

    fn broken_late_log(&self) -> MutexGuard<'_, BrokenLog> {
        self.late_log.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
