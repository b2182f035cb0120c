//! Writes on the calling thread: for files too small to overlap anything.

use std::time::Duration;

use super::{BufferSupply, Engine, SharedTarget};
use crate::buffer::AlignedBuf;
use crate::error::Error;
use crate::target::Filled;

/// See the module.
pub(crate) struct BlockingEngine {
    target: SharedTarget,
    supply: BufferSupply,
    idle: Option<AlignedBuf>,
    failed: Option<Error>,
}

impl BlockingEngine {
    pub(crate) fn new(target: SharedTarget, supply: BufferSupply) -> Self {
        Self { target, supply, idle: None, failed: None }
    }
}

impl Engine for BlockingEngine {
    fn submit(&mut self, mut filled: Filled) -> Result<(), Error> {
        self.drain()?;
        let result = self.target.lock().write(&mut filled);
        self.idle = Some(filled.buf);
        self.failed = result.err();
        self.drain()
    }

    fn acquire(&mut self) -> Result<AlignedBuf, Error> {
        self.drain()?;
        Ok(self.idle.take().unwrap_or_else(|| self.supply.take()))
    }

    fn drain(&mut self) -> Result<(), Error> {
        self.failed.clone().map_or(Ok(()), Err)
    }

    fn waited(&self) -> (u64, Duration) {
        (0, Duration::ZERO)
    }
}

impl Drop for BlockingEngine {
    fn drop(&mut self) {
        if let Some(buf) = self.idle.take() {
            self.supply.pool.give(buf);
        }
    }
}
