//! Senders: each with a connection and requests of its own.

use std::net::SocketAddr;
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Result, anyhow, ensure};
use tsdb_bench_harness::latency::{Latencies, Latency};

use crate::http::{Connection, Request};

/// What senders saw.
#[derive(Debug)]
pub(crate) struct Sent {
    /// From the first request to the last answer.
    pub(crate) wall: Duration,
    /// Of each request, until its answer.
    pub(crate) latency: Latency,
}

/// Lets all send at a time, each its own requests one after the other; `rate`: requests a second of all
/// senders. A request that had to wait for the one before counts from when it was due.
///
/// # Errors
/// If anything is answered but by success.
pub(crate) fn send(to: SocketAddr, of_senders: &[Vec<Request>], rate: Option<f64>) -> Result<Sent> {
    let every = rate.map(|rate| Duration::from_secs_f64(of_senders.len() as f64 / rate));
    let begun = Instant::now();
    let all: Vec<Result<Latencies>> = thread::scope(|scope| {
        let senders: Vec<_> = of_senders
            .iter()
            .enumerate()
            .map(|(number, requests)| {
                // They don't send at the same moment.
                let offset = every.unwrap_or_default() / of_senders.len() as u32 * number as u32;
                let pace = every.map(|every| (begun + offset, every));
                scope.spawn(move || one(to, requests, pace))
            })
            .collect();
        let ended = senders.into_iter().map(thread::ScopedJoinHandle::join);
        ended.map(|ended| ended.unwrap_or_else(|_| Err(anyhow!("a sender panicked")))).collect()
    });
    let wall = begun.elapsed();
    let mut merged = Latencies::default();
    for latencies in all {
        merged.merge(latencies?);
    }
    let latency = merged.take().ok_or_else(|| anyhow!("nothing was sent"))?;
    Ok(Sent { wall, latency })
}

fn one(
    to: SocketAddr,
    requests: &[Request],
    pace: Option<(Instant, Duration)>,
) -> Result<Latencies> {
    let mut connection = Connection::open(to)?;
    let mut latencies = Latencies::with_capacity(requests.len());
    let mut due = pace.map(|(first, _)| first);
    for request in requests {
        if let Some(due) = due {
            thread::sleep(due.saturating_duration_since(Instant::now()));
        }
        let begun = due.unwrap_or_else(Instant::now);
        let answer = connection.ask(request)?;
        latencies.record(begun.elapsed());
        let text = String::from_utf8_lossy(&answer.body);
        ensure!(answer.status / 100 == 2, "a write: {}: {text}", answer.status);
        due = due.zip(pace).map(|(due, (_, every))| due + every);
    }
    Ok(latencies)
}
