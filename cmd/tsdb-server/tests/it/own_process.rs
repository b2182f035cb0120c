//! A server in a process of its own: its memory is nobody else's.

use std::net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use prost::Message;

use crate::client::{Response, connect, request};
use crate::exchange::{V1, snappy};
use crate::messages::v1;

const READY_WAIT: Duration = Duration::from_secs(60);

/// A server that is killed when it is dropped.
pub(crate) struct OwnProcess {
    child: Child,
    pub(crate) address: SocketAddr,
}

impl OwnProcess {
    /// With remote write on, and these flags; errors are logged.
    pub(crate) fn start(dir: &Path, flags: &[&str]) -> Self {
        let flags = [&["--log.level=error"], flags].concat();
        Self::logging(Path::new(env!("CARGO_BIN_EXE_tsdb-server")), dir, &flags, Stdio::inherit())
    }

    /// The same of another program; what it logs goes to `log`.
    pub(crate) fn logging(program: &Path, dir: &Path, flags: &[&str], log: Stdio) -> Self {
        let address = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap().local_addr().unwrap();
        let child = Command::new(program)
            .arg(format!("--storage.tsdb.path={}", dir.display()))
            .arg(format!("--web.listen-address={address}"))
            .args(["--web.enable-remote-write-receiver", "--web.self-scrape-interval=0s"])
            .args(flags)
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(log)
            .spawn()
            .unwrap();
        let mut started = Self { child, address };
        let begun = Instant::now();
        while !started.is_ready() {
            assert!(started.child.try_wait().unwrap().is_none(), "the server has ended");
            assert!(begun.elapsed() < READY_WAIT, "the server does not become ready");
            std::thread::sleep(Duration::from_millis(20));
        }
        started
    }

    fn is_ready(&self) -> bool {
        let Ok(stream) = TcpStream::connect(self.address) else { return false };
        request(stream, "GET", "/-/ready", &[], b"").is_ok_and(|response| response.status == 200)
    }

    pub(crate) fn get(&self, path: &str) -> Response {
        request(connect(self.address), "GET", path, &[], b"").unwrap()
    }

    /// A remote write of a message that is encoded already.
    pub(crate) fn write(&self, content_type: &str, message: &[u8]) -> Response {
        let headers = [("Content-Type", content_type), ("Content-Encoding", "snappy")];
        let body = snappy(message);
        request(connect(self.address), "POST", "/api/v1/write", &headers, &body).unwrap()
    }

    pub(crate) fn write_v1(&self, timeseries: Vec<v1::TimeSeries>) -> Response {
        let request = v1::WriteRequest { timeseries, metadata: Vec::new() };
        self.write(V1, &request.encode_to_vec())
    }

    /// A gauge or counter of `/metrics` without labels.
    pub(crate) fn metric(&self, name: &str) -> f64 {
        let metrics = self.get("/metrics");
        let line = metrics.text().lines().find(|line| line.starts_with(&format!("{name} ")));
        line.and_then(|line| line.split(' ').nth(1)?.parse().ok()).expect(name)
    }

    /// The most memory that it had at a time, in bytes.
    pub(crate) fn peak_bytes(&self) -> u64 {
        self.status_bytes("VmHWM:")
    }

    /// The memory that it has, in bytes.
    pub(crate) fn resident_bytes(&self) -> u64 {
        self.status_bytes("VmRSS:")
    }

    fn status_bytes(&self, field: &str) -> u64 {
        let status = std::fs::read_to_string(format!("/proc/{}/status", self.child.id())).unwrap();
        let line = status.lines().find(|line| line.starts_with(field)).unwrap();
        line.split_whitespace().nth(1).unwrap().parse::<u64>().unwrap() << 10
    }

    /// SIGTERM; whether it ended well.
    pub(crate) fn terminate(mut self) -> bool {
        let pid = self.child.id().to_string();
        assert!(Command::new("kill").args(["-TERM", &pid]).status().unwrap().success());
        self.child.wait().unwrap().success()
    }
}

impl Drop for OwnProcess {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
