//! A database for programs that run on tokio.
//!
//! The database blocks: it waits for disks and for locks. So each call goes to tokio's blocking
//! threads, whole: what is borrowed or locked is so within one call, never across an await. How many
//! are under way at a time is bounded, and who comes on top of that waits; that is the only queue.

use std::path::PathBuf;
use std::sync::Arc;

use tokio::sync::Semaphore;
use tokio::task::{JoinError, spawn_blocking};

use super::error::DbError;
use super::{Db, DbAppender, DbQuerier, Deleted, Snapshot};
use crate::query::{Matcher, TimeRange};

/// A handle on a database whose calls can be awaited. Clones share the database and its bound.
///
/// A call that is dropped before it is done is not undone: it runs to its end.
#[derive(Debug, Clone)]
pub struct AsyncDb {
    db: Arc<Db>,
    permits: Arc<Semaphore>,
}

/// Why a call had no outcome of the database's.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum AsyncDbError {
    /// The database's own.
    #[error(transparent)]
    Db(#[from] DbError),
    /// The call panicked, or the runtime is going down.
    #[error("the call did not come to its end")]
    Join(#[source] JoinError),
}

impl AsyncDb {
    /// A handle on `db`, of whose calls at most `calls_max` run at a time, and at least one.
    #[must_use]
    pub fn new(db: Arc<Db>, calls_max: usize) -> Self {
        let permits = Arc::new(Semaphore::new(calls_max.clamp(1, Semaphore::MAX_PERMITS)));
        Self { db, permits }
    }

    /// The database itself. Its calls block.
    #[must_use]
    pub fn db(&self) -> &Arc<Db> {
        &self.db
    }

    /// Runs `call` on a thread that may block, once fewer than the bound are under way.
    ///
    /// # Errors
    /// [`AsyncDbError::Join`].
    pub async fn call<T, F>(&self, call: F) -> Result<T, AsyncDbError>
    where
        T: Send + 'static,
        F: FnOnce(&Db) -> T + Send + 'static,
    {
        // Never closed, so it always has one to give.
        let permit = Arc::clone(&self.permits).acquire_owned().await.ok();
        let db = Arc::clone(&self.db);
        let run = move || {
            // Given back when the work is done, not when nobody waits for it any more.
            let _permit = permit;
            call(&db)
        };
        spawn_blocking(run).await.map_err(AsyncDbError::Join)
    }

    /// Runs `append` with an appender, whose commit is its own to do.
    ///
    /// # Errors
    /// No appender was to be had ([`DbError::Backlog`], [`DbError::Closed`]), or
    /// [`AsyncDbError::Join`].
    pub async fn append<T, F>(&self, append: F) -> Result<T, AsyncDbError>
    where
        T: Send + 'static,
        F: FnOnce(DbAppender<'_>) -> T + Send + 'static,
    {
        self.call(move |db| db.appender().map(append)).await?.map_err(AsyncDbError::Db)
    }

    /// Runs `query` over what is there now.
    ///
    /// # Errors
    /// [`DbError::Closed`], or [`AsyncDbError::Join`].
    pub async fn query<T, F>(&self, range: TimeRange, query: F) -> Result<T, AsyncDbError>
    where
        T: Send + 'static,
        F: FnOnce(&DbQuerier) -> T + Send + 'static,
    {
        let run = move |db: &Db| db.querier(range).map(|querier| query(&querier));
        self.call(run).await?.map_err(AsyncDbError::Db)
    }

    /// See [`Db::delete`].
    ///
    /// # Errors
    /// Those of [`Db::delete`], or [`AsyncDbError::Join`].
    pub async fn delete(
        &self,
        matchers: Vec<Matcher>,
        range: TimeRange,
    ) -> Result<Deleted, AsyncDbError> {
        self.call(move |db| db.delete(&matchers, range)).await?.map_err(AsyncDbError::Db)
    }

    /// See [`Db::snapshot`].
    ///
    /// # Errors
    /// Those of [`Db::snapshot`], or [`AsyncDbError::Join`].
    pub async fn snapshot(&self, dest: PathBuf, with_head: bool) -> Result<Snapshot, AsyncDbError> {
        self.call(move |db| db.snapshot(&dest, with_head)).await?.map_err(AsyncDbError::Db)
    }

    /// See [`Db::close`].
    ///
    /// # Errors
    /// Those of [`Db::close`], or [`AsyncDbError::Join`].
    pub async fn close(&self) -> Result<(), AsyncDbError> {
        // Not behind those who wait: they are to be refused.
        let db = Arc::clone(&self.db);
        spawn_blocking(move || db.close()).await.map_err(AsyncDbError::Join)?.map_err(Into::into)
    }
}
