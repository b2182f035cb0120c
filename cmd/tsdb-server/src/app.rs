//! What all handlers share.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, OnceLock};
use std::time::SystemTime;

use prometheus_client::registry::Registry;
use tsdb::db::{AsyncDb, Db, Opening};

use crate::api::CardinalityCache;
use crate::config::Config;
use crate::http::BodyBudget;
use crate::metadata::MetadataStore;
use crate::telemetry::Metrics;

/// Memory of all bodies that have arrived, in part or whole.
const BODY_BYTES_MAX: usize = 256 << 20;

/// The database and what goes with it, once it is open.
pub(crate) struct Opened {
    /// Takes appends.
    pub(crate) appends: AsyncDb,
    /// Takes queries, which appends don't wait for, nor they for appends.
    pub(crate) queries: AsyncDb,
    /// Takes remote reads, which may last as long as their readers are slow.
    pub(crate) reads: AsyncDb,
    /// The database's own metrics.
    pub(crate) registry: Registry,
}

/// What all handlers share.
pub(crate) struct App {
    pub(crate) config: Config,
    pub(crate) started: SystemTime,
    /// How far the database's opening is, and how to stop it.
    pub(crate) opening: Opening,
    pub(crate) metrics: Metrics,
    /// Memory of bodies that arrive.
    pub(crate) bodies: BodyBudget,
    pub(crate) metadata: MetadataStore,
    pub(crate) cardinality: Arc<CardinalityCache>,
    opened: OnceLock<Opened>,
    stopping: AtomicBool,
}

/// Why a request can't be answered now: the server starts or stops.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct NotReady {
    pub(crate) is_stopping: bool,
}

impl App {
    pub(crate) fn new(config: Config) -> Self {
        let (mut metrics, metadata) = (Metrics::new(), MetadataStore::default());
        metadata.register(&mut metrics.registry);
        Self {
            config,
            started: SystemTime::now(),
            opening: Opening::default(),
            metrics,
            bodies: BodyBudget::new(BODY_BYTES_MAX),
            metadata,
            cardinality: Arc::default(),
            opened: OnceLock::new(),
            stopping: AtomicBool::new(false),
        }
    }

    /// Begins to answer with this database.
    pub(crate) fn set_db(&self, db: Arc<Db>) {
        let calls_max = self.config.calls_max;
        let mut registry = Registry::default();
        db.register_metrics(&mut registry);
        let appends = AsyncDb::new(Arc::clone(&db), calls_max);
        let queries = AsyncDb::new(Arc::clone(&db), calls_max);
        let reads = AsyncDb::new(db, self.config.remote_read.concurrent_max);
        // Called once; a second database would not be served.
        let _ = self.opened.set(Opened { appends, queries, reads, registry });
        self.metrics.ready.set(1);
    }

    /// Answers no more.
    pub(crate) fn set_stopping(&self) {
        self.stopping.store(true, Ordering::Release);
        self.metrics.ready.set(0);
        self.opening.cancel.cancel();
    }

    /// The database, if it is open and the server is not stopping.
    pub(crate) fn ready(&self) -> Result<&Opened, NotReady> {
        let is_stopping = self.stopping.load(Ordering::Acquire);
        match self.opened.get() {
            Some(opened) if !is_stopping => Ok(opened),
            _ => Err(NotReady { is_stopping }),
        }
    }

    /// The database, if it is open, stopping or not.
    pub(crate) fn opened(&self) -> Option<&Opened> {
        self.opened.get()
    }
}
