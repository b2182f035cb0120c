//! A server from its start to its end.
//!
//! ```text
//!   listen ──> answer /-/healthy, /metrics ──> database open ──> answer everything
//!   told to stop ──> accept nothing, 503 to what is new ──> requests end, or time is up ──> close
//! ```

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use tokio::net::TcpListener;
use tokio::sync::watch;
use tokio::task::{JoinHandle, JoinSet, spawn_blocking};
use tokio::time::{sleep, timeout};
use tsdb::db::Db;
use tsdb::vfs::{Io, OsVfs, Vfs};

use crate::app::App;
use crate::config::Config;
use crate::error::ServerError;
use crate::http;
use crate::listen::{Serving, listen, serve, stopped};
use crate::places::Places;
use crate::scrape;
use crate::web_config::WebConfig;

/// How long a stop waits for an opening that was told to end; it looks at that between records.
const OPENING_WAIT: Duration = Duration::from_secs(10);

/// A server that runs, until it is told to stop.
///
/// Dropping it tells it to stop; only [`Server::finished`] says when it has.
#[derive(Debug)]
pub struct Server {
    addresses: Vec<SocketAddr>,
    stopper: Stopper,
    main: JoinHandle<Result<(), ServerError>>,
}

/// Makes of the operating system's files those that the database sees.
type Filesystem = Box<dyn FnOnce(OsVfs) -> Arc<dyn Vfs> + Send>;

/// Tells a server to stop.
#[derive(Debug, Clone)]
pub struct Stopper(Arc<watch::Sender<bool>>);

impl Stopper {
    /// Tells it. Requests under way are answered first, for as long as the configuration allows.
    pub fn stop(&self) {
        self.0.send_replace(true);
    }
}

impl Server {
    /// Listens, and begins to open the database: until it is open, `/-/ready` and whatever needs it
    /// answer 503.
    ///
    /// # Errors
    /// An address can't be listened on, or the web configuration not be followed. What is wrong with
    /// the database is told by [`Self::finished`].
    pub async fn start(config: Config) -> Result<Self, ServerError> {
        Self::start_on(config, |files| Arc::new(files)).await
    }

    /// As [`Self::start`], with a database whose files go through what `filesystem` makes of the
    /// operating system's: to watch, slow down or break them.
    ///
    /// # Errors
    /// As [`Self::start`].
    pub async fn start_on(
        config: Config,
        filesystem: impl FnOnce(OsVfs) -> Arc<dyn Vfs> + Send + 'static,
    ) -> Result<Self, ServerError> {
        let web_config = config.web_config.as_deref().map(WebConfig::read).transpose()?;
        let web_config = web_config.map(Arc::new);
        let mut listeners = Vec::new();
        let mut addresses = Vec::new();
        for &address in &config.listen {
            let refused = |source| ServerError::Listen { address, source };
            let listener = listen(address).map_err(refused)?;
            addresses.push(listener.local_addr().map_err(refused)?);
            listeners.push(listener);
        }
        for address in &addresses {
            tracing::info!(%address, "listening");
        }
        let (stop, told) = watch::channel(false);
        let stopper = Stopper(Arc::new(stop));
        let app = Arc::new(App::new(config));
        let main = tokio::spawn(run(
            (app, Box::new(filesystem)),
            web_config,
            listeners,
            stopper.clone(),
            told,
        ));
        Ok(Self { addresses, stopper, main })
    }

    /// Where it listens; what was asked for as port 0 is a real one here.
    #[must_use]
    pub fn addresses(&self) -> &[SocketAddr] {
        &self.addresses
    }

    /// Tells it to stop.
    pub fn stop(&self) {
        self.stopper.stop();
    }

    /// What tells it to stop.
    #[must_use]
    pub fn stopper(&self) -> Stopper {
        self.stopper.clone()
    }

    /// Waits until it has stopped.
    ///
    /// # Errors
    /// The database did not open, or not close well.
    pub async fn finished(mut self) -> Result<(), ServerError> {
        (&mut self.main).await?
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.stopper.stop();
    }
}

/// Serves until told to stop, or until the database does not open.
async fn run(
    (app, filesystem): (Arc<App>, Filesystem),
    web_config: Option<Arc<WebConfig>>,
    listeners: Vec<TcpListener>,
    stopper: Stopper,
    mut told: watch::Receiver<bool>,
) -> Result<(), ServerError> {
    let serving = Arc::new(Serving {
        router: http::router(&app, web_config.as_ref()),
        places: Arc::new(Places::new(app.config.max_connections)),
        header_timeout: app.config.header_timeout,
        stall_timeout: app.config.read_timeout,
        web_config,
    });
    let mut accepting = JoinSet::new();
    for listener in listeners {
        accepting.spawn(serve(listener, Arc::clone(&serving), told.clone()));
    }
    if let Some(every) = app.config.self_scrape_interval {
        let scrape = scrape::run(Arc::clone(&app), every, app.config.instance(), told.clone());
        accepting.spawn(scrape);
    }
    let mut opening = spawn_blocking({
        let app = Arc::clone(&app);
        move || open(&app, filesystem)
    });
    let opened = tokio::select! {
        opened = &mut opening => Some(opened?),
        () = stopped(&mut told) => None,
    };
    let outcome = match opened {
        Some(Ok(())) => {
            stopped(&mut told).await;
            Ok(())
        }
        Some(Err(error)) => Err(error),
        None => Ok(()),
    };
    app.set_stopping();
    stopper.stop();
    drain(&mut accepting, app.config.shutdown_timeout).await;
    if opened_late(outcome.is_ok(), &app) {
        let _ = timeout(OPENING_WAIT, &mut opening).await;
    }
    close(&app).await?;
    outcome
}

/// Whether the database may still be opening.
fn opened_late(is_well: bool, app: &App) -> bool {
    is_well && app.opened().is_none()
}

/// Opens the database; blocks.
fn open(app: &App, filesystem: Filesystem) -> Result<(), ServerError> {
    let Config { dir, db: options, .. } = &app.config;
    let refused = |source| ServerError::Directory { dir: dir.clone(), source };
    std::fs::create_dir_all(dir).map_err(refused)?;
    let io = Io::probe(dir, options.uncached_io).map_err(|error| refused(error.into()))?;
    let opened = Db::open_with(filesystem(OsVfs::new(io)), dir, options.clone(), &app.opening);
    let db = match opened {
        Ok(db) => db,
        Err(_) if app.opening.cancel.is_cancelled() => return Ok(()),
        Err(error) => return Err(ServerError::Open(Box::new(error))),
    };
    report(&db);
    app.set_db(Arc::new(db));
    tracing::info!("ready");
    Ok(())
}

/// Logs what was found.
fn report(db: &Db) {
    for problem in db.problems() {
        tracing::error!("a block is not served: {}", problem.error);
    }
    let (replayed, blocks) = (db.replayed(), db.blocks().len());
    let (series, floats) = (replayed.series, replayed.floats);
    let (histograms, repairs) = (replayed.histograms, replayed.log_repairs.len());
    tracing::info!(blocks, series, floats, histograms, repairs, "the database is open");
}

/// Waits for requests under way; for no longer than `limit`.
async fn drain(accepting: &mut JoinSet<()>, limit: Duration) {
    let all = async { while accepting.join_next().await.is_some() {} };
    tokio::select! {
        () = all => {}
        () = sleep(limit) => tracing::warn!("requests under way are cut off: the time is up"),
    }
    accepting.shutdown().await;
}

async fn close(app: &App) -> Result<(), ServerError> {
    let Some(opened) = app.opened() else { return Ok(()) };
    opened.appends.close().await.map_err(|error| ServerError::Close(Box::new(error)))
}
