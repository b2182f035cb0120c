//! Servers as processes of their own: ours, and Prometheus.

use std::fs;
use std::net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream};
use std::path::Path;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::time::{Duration, Instant};

use crate::client::{Response, request};
use crate::programs::Programs;

const READY_WAIT: Duration = Duration::from_secs(60);

/// A server that is killed when it is dropped.
pub(crate) struct Process {
    child: Child,
    pub(crate) address: SocketAddr,
}

/// A port that was free just now.
pub(crate) fn free_address() -> SocketAddr {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
    listener.local_addr().unwrap()
}

impl Process {
    /// Ours, with remote write on.
    pub(crate) fn ours(dir: &Path, address: SocketAddr, flags: &[&str]) -> Self {
        let mut command = Command::new(env!("CARGO_BIN_EXE_tsdb-server"));
        command
            .arg(format!("--storage.tsdb.path={}", dir.display()))
            .arg(format!("--web.listen-address={address}"))
            .args(["--web.enable-remote-write-receiver", "--log.level=warn"])
            .args(flags);
        Self::start(&mut command, address)
    }

    /// Prometheus, with remote write on and this configuration.
    pub(crate) fn prometheus(programs: &Programs, dir: &Path, config: &str) -> Self {
        fs::create_dir_all(dir).unwrap();
        let file = dir.join("prometheus.yml");
        fs::write(&file, config).unwrap();
        let address = free_address();
        let mut command = Command::new(programs.prometheus());
        command
            .arg(format!("--config.file={}", file.display()))
            .arg(format!("--storage.tsdb.path={}", dir.join("data").display()))
            .arg(format!("--web.listen-address={address}"))
            .args(["--web.enable-remote-write-receiver", "--log.level=warn"])
            .args(["--enable-feature=exemplar-storage"]);
        Self::start(&mut command, address)
    }

    /// Any server that will be ready at this address.
    pub(crate) fn start(command: &mut Command, address: SocketAddr) -> Self {
        command.stdin(Stdio::null()).stdout(Stdio::null());
        let child = command.spawn().unwrap_or_else(|error| panic!("{command:?}: {error}"));
        let mut started = Self { child, address };
        let begun = Instant::now();
        while started.get("/-/ready").is_none_or(|response| response.status != 200) {
            let ended = started.child.try_wait().unwrap();
            assert!(ended.is_none(), "{command:?} ended: {ended:?}");
            assert!(begun.elapsed() < READY_WAIT, "{command:?} does not become ready");
            std::thread::sleep(Duration::from_millis(50));
        }
        started
    }

    /// An answer; `None` if there is none.
    pub(crate) fn get(&self, path: &str) -> Option<Response> {
        request(TcpStream::connect(self.address).ok()?, "GET", path, &[], b"").ok()
    }

    pub(crate) fn post(&self, path: &str, headers: &[(&str, &str)], body: &[u8]) -> Response {
        request(TcpStream::connect(self.address).unwrap(), "POST", path, headers, body).unwrap()
    }

    /// SIGTERM, and how it ended.
    pub(crate) fn terminate(mut self) -> ExitStatus {
        let pid = self.child.id().to_string();
        assert!(Command::new("kill").args(["-TERM", &pid]).status().unwrap().success());
        self.child.wait().unwrap()
    }

    /// SIGKILL.
    pub(crate) fn kill(mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
