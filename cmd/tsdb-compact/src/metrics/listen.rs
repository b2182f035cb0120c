//! `/metrics` over HTTP/1.1 while a command works: one thread, one request a connection.
//!
//! ```text
//!  GET /metrics   Accept: application/openmetrics-text...   OpenMetrics 1.0
//!                 anything else                             Prometheus's text format 0.0.4
//! ```
//!
//! Whoever is slow is hung up on, so that nobody keeps others waiting for long.

use std::io::{self, Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::Arc;
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use crossbeam_channel::{RecvTimeoutError, Sender, bounded};
use prometheus_client::encoding::{prometheus_text, text};
use prometheus_client::registry::Registry;

/// Between two looks for a new connection.
const LOOK_EVERY: Duration = Duration::from_millis(20);
/// For a whole request, and for each part of an answer.
const PATIENCE: Duration = Duration::from_secs(2);
/// Longest request line with its headers.
const REQUEST_BYTES_MAX: usize = 16 << 10;

const TEXT: &str = "text/plain; version=0.0.4; charset=utf-8";
const OPENMETRICS: &str = "application/openmetrics-text; version=1.0.0; charset=utf-8";

/// A thread that answers until it is dropped.
pub(super) struct Listener {
    address: SocketAddr,
    // Both are there until it is dropped.
    closing: Option<Sender<()>>,
    thread: Option<JoinHandle<()>>,
}

impl Listener {
    /// Listens at `HOST:PORT`, or on all interfaces at `:PORT`.
    ///
    /// # Errors
    /// If nobody can listen there.
    pub(super) fn start(address: &str, registry: Arc<Registry>) -> io::Result<Self> {
        let listener = match address.strip_prefix(':') {
            // A machine may have no IPv6.
            Some(port) => TcpListener::bind(format!("[::]:{port}"))
                .or_else(|_| TcpListener::bind(format!("0.0.0.0:{port}")))?,
            None => TcpListener::bind(address)?,
        };
        listener.set_nonblocking(true)?;
        let address = listener.local_addr()?;
        let (closing, closed) = bounded::<()>(0);
        let thread = std::thread::spawn(move || {
            loop {
                match listener.accept() {
                    // Who asked has gone, or will ask again.
                    Ok((stream, _)) => drop(answer(stream, &registry)),
                    Err(_) if closed.recv_timeout(LOOK_EVERY) == Err(RecvTimeoutError::Timeout) => {
                    }
                    Err(_) => return,
                }
            }
        });
        Ok(Self { address, closing: Some(closing), thread: Some(thread) })
    }

    /// Where it listens.
    pub(super) fn address(&self) -> SocketAddr {
        self.address
    }
}

impl Drop for Listener {
    fn drop(&mut self) {
        drop(self.closing.take());
        if let Some(thread) = self.thread.take() {
            // It ends with its channel; a panic of it has been printed.
            let _ = thread.join();
        }
    }
}

fn answer(mut stream: TcpStream, registry: &Registry) -> io::Result<()> {
    stream.set_nonblocking(false)?;
    stream.set_write_timeout(Some(PATIENCE))?;
    let head = read_head(&mut stream)?;
    let (status, content_type, body) = response(&head, registry);
    let body_sent = if head.starts_with("HEAD ") { "" } else { body.as_str() };
    write!(
        stream,
        "HTTP/1.1 {status}\r\nContent-Type: {content_type}\r\nContent-Length: {}\r\n\
         Connection: close\r\n\r\n{body_sent}",
        body.len()
    )
}

/// Request line and headers.
fn read_head(stream: &mut TcpStream) -> io::Result<String> {
    let until = Instant::now() + PATIENCE;
    let mut head = Vec::new();
    let mut buffer = [0; 1024];
    loop {
        let left = until.saturating_duration_since(Instant::now());
        if left.is_zero() || head.len() > REQUEST_BYTES_MAX {
            return Err(io::ErrorKind::InvalidInput.into());
        }
        stream.set_read_timeout(Some(left))?;
        let read = stream.read(&mut buffer)?;
        head.extend_from_slice(buffer.get(..read).unwrap_or_default());
        if read == 0 || head.windows(4).any(|end| end == b"\r\n\r\n") {
            return Ok(String::from_utf8_lossy(&head).into_owned());
        }
    }
}

/// Status, type and body.
fn response(head: &str, registry: &Registry) -> (&'static str, &'static str, String) {
    const PLAIN: &str = "text/plain; charset=utf-8";
    let mut words = head.lines().next().unwrap_or_default().split(' ');
    let (method, target) = (words.next().unwrap_or_default(), words.next().unwrap_or_default());
    if !words.next().is_some_and(|version| version.starts_with("HTTP/1.")) {
        return ("400 Bad Request", PLAIN, "not HTTP/1\n".to_owned());
    }
    if !["GET", "HEAD"].contains(&method) {
        return ("405 Method Not Allowed", PLAIN, "only GET and HEAD\n".to_owned());
    }
    if target.split('?').next() != Some("/metrics") {
        return ("404 Not Found", PLAIN, "only /metrics is here\n".to_owned());
    }
    let mut body = String::new();
    let (content_type, encoded) = if wants_openmetrics(head) {
        (OPENMETRICS, text::encode(&mut body, registry))
    } else {
        (TEXT, prometheus_text::encode(&mut body, registry))
    };
    match encoded {
        Ok(()) => ("200 OK", content_type, body),
        Err(_) => ("500 Internal Server Error", PLAIN, "can't be encoded\n".to_owned()),
    }
}

/// Whether OpenMetrics is what is asked for first. Who can take both names first what it likes
/// better, as Prometheus does, whose weights follow that order.
fn wants_openmetrics(head: &str) -> bool {
    let accepted = head.lines().skip(1).find_map(|line| {
        let (name, value) = line.split_once(':')?;
        name.eq_ignore_ascii_case("accept").then(|| value.to_ascii_lowercase())
    });
    let known = ["application/openmetrics-text", "text/plain"];
    let accepted = accepted.unwrap_or_default();
    let kinds = accepted.split(',').filter_map(|kind| kind.split(';').next()).map(str::trim);
    kinds.into_iter().find(|kind| known.contains(kind)) == Some(known[0])
}

#[cfg(test)]
mod tests {
    use super::*;

    fn asked(address: SocketAddr, request: &str) -> String {
        let mut stream = TcpStream::connect(address).unwrap();
        stream.write_all(request.as_bytes()).unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).unwrap();
        answer
    }

    fn listener() -> Listener {
        let mut registry = Registry::default();
        let jobs = prometheus_client::metrics::counter::Counter::<u64>::default();
        jobs.inc();
        registry.register("jobs", "Jobs", jobs);
        Listener::start("127.0.0.1:0", Arc::new(registry)).unwrap()
    }

    #[test]
    fn both_formats_are_told() {
        let listener = listener();
        let address = listener.address();
        let text = asked(address, "GET /metrics HTTP/1.1\r\nHost: a\r\n\r\n");
        assert!(text.starts_with("HTTP/1.1 200 OK\r\n") && text.contains(TEXT), "{text}");
        assert!(text.ends_with("\njobs_total 1\n"), "{text}");
        let asks = "GET /metrics?a=b HTTP/1.1\r\naccept: application/openmetrics-text;version=1.0.0\
                    ;q=0.5,text/plain;q=0.2,*/*;q=0.1\r\n\r\n";
        let text = asked(address, asks);
        assert!(text.contains(OPENMETRICS) && text.ends_with("jobs_total 1\n# EOF\n"), "{text}");
        let plain = "Accept: text/plain;version=0.0.4,application/openmetrics-text;q=0.1\r\n";
        assert!(!wants_openmetrics(&format!("GET /metrics HTTP/1.1\r\n{plain}")));
        let head = asked(address, "HEAD /metrics HTTP/1.1\r\n\r\n");
        assert!(head.ends_with("\r\n\r\n") && !head.contains("Content-Length: 0"), "{head}");
    }

    #[test]
    fn what_is_asked_wrongly_is_refused() {
        let listener = listener();
        let status = |request| asked(listener.address(), request)[9..12].to_owned();
        assert_eq!(status("GET / HTTP/1.1\r\n\r\n"), "404");
        assert_eq!(status("POST /metrics HTTP/1.1\r\n\r\n"), "405");
        assert_eq!(status("GET /metrics\r\n\r\n"), "400");
    }

    /// Fails if somebody who says nothing keeps others out, or the command from ending.
    #[test]
    fn whoever_is_silent_is_hung_up_on() {
        let listener = listener();
        let address = listener.address();
        let _silent = TcpStream::connect(address).unwrap();
        let text = asked(address, "GET /metrics HTTP/1.0\r\n\r\n");
        assert!(text.contains("jobs_total 1"), "{text}");
        drop(listener);
        assert!(TcpStream::connect(address).is_err(), "somebody still listens");
    }
}
