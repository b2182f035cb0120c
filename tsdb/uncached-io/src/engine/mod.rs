//! Who issues the writes: the calling thread, a helper beside it, or the kernel's own queue.

mod blocking;
mod buffers;
mod kind;
#[cfg(test)]
pub(crate) mod parked;
mod queue;
mod thread;
// The same condition as for the dependency.
#[cfg(all(target_os = "linux", any(target_arch = "x86_64", target_arch = "aarch64")))]
mod uring;

pub(crate) use blocking::BlockingEngine;
pub(crate) use buffers::{BufferSupply, Buffers};
pub use kind::{EngineKind, EngineRefusal, EngineReport, UnknownEngine};
#[cfg(any(
    test,
    all(target_os = "linux", any(target_arch = "x86_64", target_arch = "aarch64"))
))]
pub(crate) use queue::QueueEngine;
pub(crate) use thread::ThreadEngine;

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use crate::buffer::AlignedBuf;
use crate::error::Error;
use crate::request::Request;
use crate::target::Target;

/// Takes filled buffers, writes them, hands empty ones out.
///
/// The first error sticks: every later call returns it, and nothing more is issued. Dropping
/// an engine waits for what is under way and gives up what is not issued yet. Requests under way
/// at the same time never overlap: the writer drains before it writes a block again.
pub(crate) trait Engine: Send {
    /// Takes a request, which the engine owns from here; waits if too many are under way.
    fn submit(&mut self, request: Request) -> Result<(), Error>;

    /// An empty buffer; waits for one if all are under way. Its content is arbitrary.
    fn acquire(&mut self) -> Result<AlignedBuf, Error>;

    /// Waits until everything submitted is written.
    fn drain(&mut self) -> Result<(), Error>;

    /// Its buffers, and how long the caller was kept waiting for them.
    fn buffers(&self) -> &Buffers;

    /// The same, to be changed.
    fn buffers_mut(&mut self) -> &mut Buffers;
}

/// A file shared between a writer and its engine. Never contended: whoever is not writing waits.
#[derive(Clone)]
pub(crate) struct SharedTarget(Arc<Mutex<Target>>);

impl SharedTarget {
    pub(crate) fn new(target: Target) -> Self {
        Self(Arc::new(Mutex::new(target)))
    }

    pub(crate) fn lock(&self) -> MutexGuard<'_, Target> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// An engine, and how it comes that it is this one.
pub(crate) struct Started {
    pub(crate) engine: Box<dyn Engine>,
    pub(crate) kind: EngineKind,
    /// Why none of those before it in line, in order.
    pub(crate) refusals: Vec<EngineRefusal>,
}

/// Starts the engine that is wanted, or the next in line, and says why none of those before.
pub(crate) fn start(kind: EngineKind, target: &SharedTarget, supply: &BufferSupply) -> Started {
    let blocking = || Box::new(BlockingEngine::new(target.clone(), supply.clone()));
    let through_cache = matches!(kind, EngineKind::DontCache | EngineKind::Buffered);
    if kind == EngineKind::Blocking || (through_cache && supply.count_max < 2) {
        return Started { engine: blocking(), kind, refusals: Vec::new() };
    }
    let mut refusals = Vec::new();
    if kind == EngineKind::IoUring {
        match ring(target, supply) {
            Ok(engine) => return Started { engine, kind, refusals },
            Err(refused) => refusals.push(refused),
        }
    }
    match ThreadEngine::start(target.clone(), supply.clone()) {
        Ok(engine) => {
            let kind = if through_cache { kind } else { EngineKind::Thread };
            Started { engine: Box::new(engine), kind, refusals }
        }
        Err(refused) => {
            let kind = if through_cache { kind } else { EngineKind::Blocking };
            refusals.push(refused);
            Started { engine: blocking(), kind, refusals }
        }
    }
}

/// Whether rings can be had here.
pub(crate) fn ring_works() -> Result<(), EngineRefusal> {
    #[cfg(all(target_os = "linux", any(target_arch = "x86_64", target_arch = "aarch64")))]
    return uring::works();
    #[cfg(not(all(target_os = "linux", any(target_arch = "x86_64", target_arch = "aarch64"))))]
    return Err(EngineRefusal::UnsupportedPlatform);
}

#[cfg(all(target_os = "linux", any(target_arch = "x86_64", target_arch = "aarch64")))]
fn ring(target: &SharedTarget, supply: &BufferSupply) -> Result<Box<dyn Engine>, EngineRefusal> {
    Ok(Box::new(uring::start(target.clone(), supply.clone())?))
}

#[cfg(not(all(target_os = "linux", any(target_arch = "x86_64", target_arch = "aarch64"))))]
fn ring(_: &SharedTarget, _: &BufferSupply) -> Result<Box<dyn Engine>, EngineRefusal> {
    Err(EngineRefusal::UnsupportedPlatform)
}
