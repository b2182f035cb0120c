//! Places for connections: a fixed number. When all are taken, the connection that has been idle for
//! longest makes room for the next one; one with a request under way never does.
//!
//! ```text
//!   accepted ──> idle ──request──> busy ──answered──> idle ── ...
//!                 └── wanted by somebody else: closed, once what is being sent is sent
//! ```

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tokio::sync::{Notify, OwnedSemaphorePermit, Semaphore};
use tokio::time::timeout;

/// Whoever waits asks another idle connection to go after this.
const ASK_AGAIN: Duration = Duration::from_millis(50);

/// Places of all sockets of a server.
#[derive(Debug)]
pub(crate) struct Places {
    free: Arc<Semaphore>,
    /// Connections without a request, by when they became so.
    idle: Mutex<BTreeMap<u64, Arc<Notify>>>,
    turn: AtomicU64,
}

/// The place of one connection, given back when it is dropped.
#[derive(Debug)]
pub(crate) struct Place {
    places: Arc<Places>,
    wanted: Arc<Notify>,
    turn: AtomicU64,
    was_used: AtomicBool,
    _free: OwnedSemaphorePermit,
}

impl Places {
    pub(crate) fn new(count: usize) -> Self {
        let free = Arc::new(Semaphore::new(count.min(Semaphore::MAX_PERMITS)));
        Self { free, idle: Mutex::default(), turn: AtomicU64::new(0) }
    }

    /// A place, once there is one. `None`: never.
    pub(crate) async fn take(self: Arc<Self>) -> Option<Place> {
        let free = match Arc::clone(&self.free).try_acquire_owned() {
            Ok(free) => free,
            Err(_) => self.wait().await?,
        };
        let (turn, was_used) = (AtomicU64::new(0), AtomicBool::new(false));
        let place = Place { places: self, wanted: Arc::default(), turn, was_used, _free: free };
        place.set_idle();
        Some(place)
    }

    async fn wait(&self) -> Option<OwnedSemaphorePermit> {
        loop {
            let longest_idle = self.lock().pop_first();
            if let Some((_, wanted)) = longest_idle {
                wanted.notify_one();
            }
            let free = timeout(ASK_AGAIN, Arc::clone(&self.free).acquire_owned()).await;
            if let Ok(free) = free {
                return free.ok();
            }
        }
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, BTreeMap<u64, Arc<Notify>>> {
        self.idle.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Place {
    /// A request is under way from now on.
    pub(crate) fn set_busy(&self) {
        self.was_used.store(true, Ordering::Relaxed);
        self.places.lock().remove(&self.turn.load(Ordering::Relaxed));
    }

    /// It is answered.
    pub(crate) fn set_idle(&self) {
        let turn = self.places.turn.fetch_add(1, Ordering::Relaxed);
        self.turn.store(turn, Ordering::Relaxed);
        self.places.lock().insert(turn, Arc::clone(&self.wanted));
    }

    /// Whether there ever was a request.
    pub(crate) fn was_used(&self) -> bool {
        self.was_used.load(Ordering::Relaxed)
    }

    /// Returns when somebody else needs it more.
    pub(crate) async fn wanted(&self) {
        self.wanted.notified().await;
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        self.places.lock().remove(&self.turn.load(Ordering::Relaxed));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn the_longest_idle_makes_room() {
        let places = Arc::new(Places::new(2));
        let first = Arc::clone(&places).take().await.unwrap();
        let second = Arc::clone(&places).take().await.unwrap();
        // The first becomes idle later than the second.
        first.set_busy();
        first.set_idle();
        let third = tokio::spawn(Arc::clone(&places).take());
        second.wanted().await;
        drop(second);
        let third = third.await.unwrap().unwrap();
        assert!(!third.was_used() && first.was_used());
    }

    #[tokio::test]
    async fn the_busy_are_left_alone() {
        let places = Arc::new(Places::new(1));
        let busy = Arc::clone(&places).take().await.unwrap();
        busy.set_busy();
        let waiting = tokio::spawn(Arc::clone(&places).take());
        assert!(timeout(ASK_AGAIN * 3, busy.wanted()).await.is_err());
        busy.set_idle();
        busy.wanted().await;
        drop(busy);
        assert!(waiting.await.unwrap().is_some());
        assert!(places.lock().is_empty());
    }
}
