//! A server of this process, in a directory of its own.

use std::net::SocketAddr;
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use tempfile::TempDir;
use tokio::runtime::Runtime;
use tsdb::vfs::{OsVfs, Vfs};
use tsdb_server::{Args, Config, Server, ServerError};

use crate::client::{Response, connect, request};

/// How long a server may take to be ready.
const READY_WAIT: Duration = Duration::from_secs(60);

/// A server that runs until it is dropped or stopped.
pub(crate) struct TestServer {
    pub(crate) address: SocketAddr,
    server: Option<Server>,
    runtime: Option<Runtime>,
}

/// A directory for a server, small enough to be made for each test.
pub(crate) fn dir() -> TempDir {
    tempfile::tempdir().unwrap()
}

impl TestServer {
    /// Starts one on `dir` with these flags, and waits until it is ready.
    pub(crate) fn start(dir: &Path, flags: &[&str]) -> Self {
        Self::start_unready(dir, flags).until_ready()
    }

    /// Starts one with files of the test's, and a configuration that it has changed.
    pub(crate) fn start_on(
        dir: &Path,
        flags: &[&str],
        change: impl FnOnce(&mut Config),
        filesystem: impl FnOnce(OsVfs) -> Arc<dyn Vfs> + Send + 'static,
    ) -> Self {
        let mut config = config(dir, flags);
        change(&mut config);
        Self::run(config, filesystem).until_ready()
    }

    fn until_ready(self) -> Self {
        let begun = Instant::now();
        while self.get("/-/ready").status != 200 {
            assert!(begun.elapsed() < READY_WAIT, "the server does not become ready");
            std::thread::sleep(Duration::from_millis(5));
        }
        self
    }

    /// Starts one with remote write on.
    pub(crate) fn receiver(dir: &Path, flags: &[&str]) -> Self {
        Self::start(dir, &[&["--web.enable-remote-write-receiver"], flags].concat())
    }

    /// Starts one, and does not wait.
    pub(crate) fn start_unready(dir: &Path, flags: &[&str]) -> Self {
        Self::run(config(dir, flags), |files| Arc::new(files))
    }

    fn run(
        config: Config,
        filesystem: impl FnOnce(OsVfs) -> Arc<dyn Vfs> + Send + 'static,
    ) -> Self {
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(2)
            .max_blocking_threads(config.blocking_threads_max())
            .enable_all()
            .build()
            .unwrap();
        let server = runtime.block_on(Server::start_on(config, filesystem)).unwrap();
        let address = server.addresses()[0];
        Self { address, server: Some(server), runtime: Some(runtime) }
    }

    /// Why a server does not start.
    pub(crate) fn refused(dir: &Path, flags: &[&str]) -> String {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        let refused = runtime.block_on(Server::start(config(dir, flags))).err();
        let refused = anyhow::Error::new(refused.expect("it starts"));
        format!("{refused:#}")
    }

    pub(crate) fn get(&self, path: &str) -> Response {
        request(connect(self.address), "GET", path, &[], b"").unwrap()
    }

    pub(crate) fn get_with(&self, path: &str, headers: &[(&str, &str)]) -> Response {
        request(connect(self.address), "GET", path, headers, b"").unwrap()
    }

    pub(crate) fn post(&self, path: &str, headers: &[(&str, &str)], body: &[u8]) -> Response {
        request(connect(self.address), "POST", path, headers, body).unwrap()
    }

    /// The data of an answer of the API that is well.
    pub(crate) fn data(&self, path: &str) -> serde_json::Value {
        let response = self.get(path);
        assert_eq!(response.status, 200, "{path}: {response:?}");
        assert_eq!(response.header("Content-Type"), Some("application/json"));
        let mut json = response.json();
        assert_eq!(json["status"], "success", "{path}");
        json["data"].take()
    }

    /// Tells it to stop, without waiting.
    pub(crate) fn tell_to_stop(&self) {
        self.server.as_ref().unwrap().stop();
    }

    /// Stops it, and waits until it has.
    pub(crate) fn stop(mut self) -> Result<(), ServerError> {
        self.end()
    }

    fn end(&mut self) -> Result<(), ServerError> {
        let (Some(server), Some(runtime)) = (self.server.take(), self.runtime.take()) else {
            return Ok(());
        };
        server.stop();
        let ended = runtime.block_on(server.finished());
        runtime.shutdown_timeout(Duration::from_secs(5));
        ended
    }
}

impl Drop for TestServer {
    fn drop(&mut self) {
        if let Err(error) = self.end()
            && !std::thread::panicking()
        {
            panic!("the server did not end well: {error:?}");
        }
    }
}

/// The configuration of a server on `dir`.
fn config(dir: &Path, flags: &[&str]) -> Config {
    let path = format!("--storage.tsdb.path={}", dir.display());
    // Unless a test wants it: what is stored is what the test stores.
    let quiet = "--web.self-scrape-interval=0s";
    let has_own = flags.iter().any(|flag| flag.starts_with("--web.self-scrape-interval"));
    let own = ["tsdb-server", "--web.listen-address=127.0.0.1:0", &path];
    let quiet: &[&str] = if has_own { &[] } else { &[quiet] };
    Config::resolve(&Args::of_line([&own[..], quiet, flags].concat()).unwrap()).unwrap()
}
