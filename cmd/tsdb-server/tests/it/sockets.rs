//! Slow and hostile clients cost only themselves.

use std::io::{Read, Write};
use std::net::{Shutdown, TcpStream};
use std::time::{Duration, Instant};

use crate::client::{connect, read_response};
use crate::server::{TestServer, dir};

/// Reads until the server ends the connection; how long that took.
fn until_closed(stream: &mut TcpStream) -> Duration {
    let begun = Instant::now();
    let mut bytes = Vec::new();
    // Closed or reset: gone either way.
    let _ = stream.read_to_end(&mut bytes);
    begun.elapsed()
}

#[test]
fn a_slow_head_and_an_idle_connection_are_ended() {
    let dir = dir();
    let server = TestServer::start(dir.path(), &["--web.read-timeout=300ms"]);
    let mut idle = connect(server.address);
    let mut slow = connect(server.address);
    slow.write_all(b"GET /-/healthy HTTP/1.1\r\nHost: t\r\nX: ").unwrap();
    assert!(until_closed(&mut slow) < Duration::from_secs(10));
    assert!(until_closed(&mut idle) < Duration::from_secs(10));
    // One that was used is idle afterwards.
    let mut used = connect(server.address);
    used.write_all(b"GET /-/healthy HTTP/1.1\r\nHost: t\r\n\r\n").unwrap();
    assert!(until_closed(&mut used) < Duration::from_secs(10));
}

#[test]
fn an_endless_head_is_refused() {
    let dir = dir();
    let server = TestServer::start(dir.path(), &[]);
    let mut stream = connect(server.address);
    stream.write_all(b"GET / HTTP/1.1\r\nHost: t\r\n").unwrap();
    let mut sent = 0;
    while sent < 8 << 20 {
        let Ok(()) = stream.write_all(&[b'x'; 4096]) else { break };
        sent += 4096;
    }
    assert!(sent < 8 << 20, "all of it was taken");
    assert_eq!(server.get("/-/healthy").status, 200);
}

#[test]
fn a_slow_body_is_given_up() {
    let dir = dir();
    let server = TestServer::receiver(dir.path(), &["--web.read-timeout=300ms"]);
    let mut stream = connect(server.address);
    let head = b"POST /api/v1/write HTTP/1.1\r\nHost: t\r\nContent-Length: 1000\r\n\r\n";
    stream.write_all(head).unwrap();
    for _ in 0..20 {
        std::thread::sleep(Duration::from_millis(30));
        let _ = stream.write_all(b"x");
    }
    let response = read_response(stream).unwrap();
    assert_eq!(response.status, 408, "{response:?}");
}

#[test]
fn a_long_body_is_refused_before_it_is_read() {
    let dir = dir();
    let server = TestServer::receiver(dir.path(), &[]);
    let mut stream = connect(server.address);
    let head = b"POST /api/v1/write HTTP/1.1\r\nHost: t\r\nConnection: close\r\n\
        Content-Length: 40000000\r\n\r\n";
    stream.write_all(head).unwrap();
    let response = read_response(stream).unwrap();
    assert_eq!(response.status, 413, "{response:?}");
}

#[test]
fn an_idle_connection_makes_room() {
    let dir = dir();
    let server = TestServer::start(dir.path(), &["--web.max-connections=2"]);
    let mut used = connect(server.address);
    used.write_all(b"GET /-/healthy HTTP/1.1\r\nHost: t\r\n\r\n").unwrap();
    // The rest of a head is missing.
    let mut slow = connect(server.address);
    slow.write_all(b"GET /-/healthy HTTP/1.1\r\nX: ").unwrap();
    std::thread::sleep(Duration::from_millis(200));
    let begun = Instant::now();
    (0..3).for_each(|_| assert_eq!(server.get("/-/healthy").status, 200));
    let took = begun.elapsed();
    assert!(took < Duration::from_secs(20), "nobody made room before the time was up: {took:?}");
    // The answer was sent whole before.
    assert_eq!(read_response(used).unwrap().status, 200);
    until_closed(&mut slow);
}

#[test]
fn connections_beyond_the_limit_wait_for_requests_under_way() {
    let dir = dir();
    let flags = ["--web.max-connections=2", "--web.read-timeout=2s"];
    let server = TestServer::receiver(dir.path(), &flags);
    let begun = Instant::now();
    let held = [(); 2].map(|()| {
        let mut slow = connect(server.address);
        slow.write_all(b"POST /api/v1/write HTTP/1.1\r\nHost: t\r\nContent-Length: 9\r\n\r\n")
            .unwrap();
        slow
    });
    std::thread::sleep(Duration::from_millis(300));
    // Accepted by the kernel, answered once one of the others has lost its place.
    assert_eq!(server.get("/-/healthy").status, 200);
    assert!(begun.elapsed() >= Duration::from_millis(1500), "{:?}", begun.elapsed());
    for slow in held {
        assert_eq!(read_response(slow).unwrap().status, 408);
    }
}

#[test]
fn half_closed_connections_are_ended() {
    let dir = dir();
    let server = TestServer::receiver(dir.path(), &[]);
    let mut stream = connect(server.address);
    stream
        .write_all(b"POST /api/v1/write HTTP/1.1\r\nHost: t\r\nContent-Length: 9\r\n\r\nx")
        .unwrap();
    stream.shutdown(Shutdown::Write).unwrap();
    assert!(until_closed(&mut stream) < Duration::from_secs(10));
    let metrics = server.get("/metrics");
    assert!(metrics.text().contains("prometheus_ready 1"));
}

/// How many sockets this process may have for the clients of a test; the servers need some, too.
fn sockets_max() -> usize {
    let limits = std::fs::read_to_string("/proc/self/limits").unwrap();
    let line = limits.lines().find(|line| line.starts_with("Max open files")).unwrap();
    let soft = line.split_whitespace().nth(3).unwrap();
    soft.parse().unwrap_or(usize::MAX).saturating_sub(1000)
}

#[test]
fn ten_thousand_connections_cost_nobody_else() {
    let dir = dir();
    let server = TestServer::start(dir.path(), &["--web.max-connections=64"]);
    let count = 10_000.min(sockets_max());
    let mut held = Vec::new();
    for number in 0..count {
        let stream = TcpStream::connect(server.address);
        held.push(stream.unwrap_or_else(|error| panic!("connection {number}: {error}")));
    }
    // All of them are open on this side, and idle.
    let begun = Instant::now();
    assert_eq!(server.get("/-/healthy").status, 200);
    let took = begun.elapsed();
    assert!(took < Duration::from_secs(20), "they were waited for: {took:?}");
    drop(held);
}
