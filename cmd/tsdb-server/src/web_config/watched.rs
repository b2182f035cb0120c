//! The file as it applies now.

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant, SystemTime};

use axum::http::{HeaderName, HeaderValue};
use rustls::ServerConfig;

use super::auth::Users;
use super::error::WebConfigError;
use super::file::File;

/// Files are looked at again after this.
const LOOK_AGAIN: Duration = Duration::from_secs(1);

/// What a file comes to.
#[derive(Debug)]
pub(super) struct Loaded {
    pub(super) tls: Option<Arc<ServerConfig>>,
    pub(super) users: Arc<Users>,
    pub(super) headers: Vec<(HeaderName, HeaderValue)>,
    /// Files that it depends on.
    files: Vec<PathBuf>,
}

/// A file that may change.
#[derive(Debug)]
pub(crate) struct WebConfig {
    path: PathBuf,
    state: Mutex<State>,
}

#[derive(Debug)]
struct State {
    loaded: Arc<Loaded>,
    stamps: Vec<Stamp>,
    looked: Instant,
}

/// When a file was changed, and how long it is; `None` if it is not there.
type Stamp = Option<(SystemTime, u64)>;

impl Loaded {
    fn read(path: &Path) -> Result<Self, WebConfigError> {
        let File { tls_server_config: tls, http_server_config, basic_auth_users } =
            File::read(path)?;
        let config = if tls.is_enabled() { Some(Arc::new(tls.server_config()?)) } else { None };
        let files = std::iter::once(path).chain(tls.files()).map(Path::to_owned).collect();
        let (users, headers) =
            (Arc::new(Users::new(basic_auth_users)?), http_server_config.headers()?);
        Ok(Self { tls: config, users, headers, files })
    }

    fn stamps(&self) -> Vec<Stamp> {
        let stamp = |path: &PathBuf| {
            let metadata = fs::metadata(path).ok()?;
            Some((metadata.modified().ok()?, metadata.len()))
        };
        self.files.iter().map(stamp).collect()
    }
}

impl WebConfig {
    /// Reads a file for the first time.
    pub(crate) fn read(path: &Path) -> Result<Self, WebConfigError> {
        let loaded = Arc::new(Loaded::read(path)?);
        let state = State { stamps: loaded.stamps(), loaded, looked: Instant::now() };
        Ok(Self { path: path.to_owned(), state: Mutex::new(state) })
    }

    /// How TLS is spoken now; `None`: it is not. That does not change while the server runs.
    pub(crate) fn tls(&self) -> Option<Arc<ServerConfig>> {
        self.current().tls.clone()
    }

    /// What applies now.
    pub(super) fn current(&self) -> Arc<Loaded> {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        if state.looked.elapsed() >= LOOK_AGAIN {
            state.looked = Instant::now();
            let stamps = state.loaded.stamps();
            if stamps != state.stamps {
                self.load_again(&mut state, stamps);
            }
        }
        Arc::clone(&state.loaded)
    }

    fn load_again(&self, state: &mut State, stamps: Vec<Stamp>) {
        // Said once for each change.
        state.stamps = stamps;
        match Loaded::read(&self.path) {
            Ok(loaded) if loaded.tls.is_some() != state.loaded.tls.is_some() => {
                tracing::error!("{}: TLS is switched by a restart only", self.path.display());
            }
            Ok(loaded) => {
                state.stamps = loaded.stamps();
                state.loaded = Arc::new(loaded);
                tracing::info!("{} has changed, and applies", self.path.display());
            }
            Err(error) => {
                tracing::error!(
                    "{} has changed, and can't be followed: {error}",
                    self.path.display()
                );
            }
        }
    }
}
