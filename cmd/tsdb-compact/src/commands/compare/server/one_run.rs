//! One run of one server: started in a cgroup of its own, fed, asked, watched, stopped.

use std::fs::{self, File};
use std::io;
use std::net::{Ipv4Addr, SocketAddr, TcpListener};
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, bail};
use rustix::process::{Pid, Signal, kill_process};
use serde::{Deserialize, Serialize};
use tsdb_bench_harness::cgroup::{Cgroup, join};
use tsdb_bench_harness::latency::{Latencies, Latency};
use tsdb_bench_harness::sample::Sample;
use tsdb_bench_harness::watch::unix_ms;

use super::super::arms::Side;
use super::super::model::{Run, Settings};
use super::super::one_run::last_words;
use super::super::validity::Invalid;
use super::super::writes::Writes;
use super::blocks::{Blocks, Made};
use super::load::{Load, Plan};
use super::program::Server;
use super::{Session, http, wire};

/// For a server to become ready, and to end.
const PATIENCE: Duration = Duration::from_secs(60);
/// More than what one can read is not told.
const COMPLAINTS_MAX: usize = 3;
const COMPACTION: &str = "prometheus_tsdb_compaction_duration_seconds";
const WRITE: &str = "tsdb_compactor_chunk_write_duration_seconds";

/// What a server did in one run.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(in super::super) struct Served {
    pub(in super::super) samples_sent: u64,
    pub(in super::super) queries: u64,
    pub(in super::super) query_p50_seconds: Option<f64>,
    pub(in super::super) query_p99_seconds: Option<f64>,
    pub(in super::super) query_max_seconds: Option<f64>,
    /// Of one remote write request.
    pub(in super::super) append_p99_seconds: Option<f64>,
    /// At the end.
    pub(in super::super) made: Made,
    /// At each sample.
    pub(in super::super) made_by: Vec<(f64, Made)>,
    /// Of flushes and compactions, as the server counts them.
    pub(in super::super) compactions: Option<Writes>,
}

/// What goes on at the same time.
struct Shared<'p> {
    plan: Plan<'p>,
    address: SocketAddr,
    /// Ticks of which every sample was acknowledged.
    acknowledged: AtomicU64,
    stop: AtomicBool,
}

impl Session<'_> {
    /// Runs an arm once; `None` if it was stopped on the way.
    pub(super) fn one_run(
        &self,
        side: Side,
        settings: &Settings,
        load: &Load,
    ) -> anyhow::Result<Option<Run>> {
        let dir = self.workspace.named_run(side.name())?;
        let logs = dir.make("logs")?;
        fs::write(dir.join("prometheus.yml"), "{}\n").context("writing prometheus.yml")?;
        let group =
            self.cgroups.map(|cgroups| cgroups.create(settings.memory_limit_bytes)).transpose()?;
        let address = free_address()?;
        let started_unix_ms = unix_ms();
        let command = self.server(side).command(dir.path(), address, load);
        let mut running = Running::start(&command, side, &logs, group.as_ref())?;
        let started = running.started;
        running.wait_until_ready(address, &logs)?;
        let shared = Shared {
            plan: Plan::starting(load, unix_ms()),
            address,
            acknowledged: AtomicU64::new(0),
            stop: AtomicBool::new(false),
        };
        let mut watcher = Watcher {
            pid: running.child.id(),
            started,
            group: group.as_ref(),
            dir: &dir.join("data"),
            every: settings.sample_every,
            samples: Vec::new(),
            blocks: Blocks::of(&dir.join("data")),
            made_by: Vec::new(),
        };
        let (fed, asked) = self.load(&shared, &mut watcher, &mut running, load)?;
        if self.cancel.is_cancelled() {
            return Ok(None);
        }
        let metrics = http::get(address, "/metrics").ok();
        let metrics = metrics.map(|answer| String::from_utf8_lossy(&answer.body).into_owned());
        let sent = shared.plan.samples_of(fed.ticks);
        let mut invalid = [fed.complaints.as_slice(), &asked.complaints].concat();
        invalid.extend(appended_all(metrics.as_deref(), sent));
        let ended = watcher.sample(Instant::now());
        invalid.extend(running.terminate(&logs)?);
        let ended_at = Instant::now();
        watcher.while_(|| ended_at.elapsed() < settings.watch_after && !self.cancel.is_cancelled());
        let mut run = Run {
            arm: side,
            started_unix_ms,
            invalid,
            wall_seconds: ended.seconds,
            cpu_seconds: ended.cpu_seconds,
            usage_peak_bytes: group.as_ref().and_then(Cgroup::peak_bytes),
            limit_hits: group.as_ref().and_then(Cgroup::limit_hits),
            io: ended.io,
            input_pages_left: 0,
            output: None,
            writes: metrics.as_deref().and_then(|text| Writes::named(text, WRITE)),
            queried: None,
            served: None,
            ended,
            samples: watcher.samples,
        };
        run.served = Some(Served {
            samples_sent: sent,
            made: watcher.blocks.look(),
            made_by: watcher.made_by,
            compactions: metrics.as_deref().and_then(|text| Writes::named(text, COMPACTION)),
            ..Served::timed(&fed, &asked)
        });
        dir.remove()?;
        Ok(Some(run))
    }

    /// Feeds and asks until the load is over, and watches meanwhile.
    fn load(
        &self,
        shared: &Shared<'_>,
        watcher: &mut Watcher<'_>,
        running: &mut Running,
        load: &Load,
    ) -> anyhow::Result<(Seen, Seen)> {
        let (fed, asked) = thread::scope(|scope| {
            let feeder = scope.spawn(|| shared.feed(load.interval));
            let asker = scope.spawn(|| shared.ask(load.queries_per_second));
            watcher.while_(|| {
                if self.cancel.is_cancelled() || running.has_ended() {
                    shared.stop.store(true, Ordering::Relaxed);
                }
                !feeder.is_finished()
            });
            let fed = feeder.join();
            shared.stop.store(true, Ordering::Relaxed);
            (fed, asker.join())
        });
        let (Ok(fed), Ok(asked)) = (fed, asked) else { bail!("a thread of the load panicked") };
        Ok((fed, asked))
    }

    fn server(&self, side: Side) -> &Server {
        let [baseline, candidate] = &self.servers;
        match side {
            Side::Baseline => baseline,
            Side::Candidate => candidate,
        }
    }
}

impl Served {
    /// The latencies alone.
    fn timed(fed: &Seen, asked: &Seen) -> Self {
        let seconds = |micros: fn(&Latency) -> f64| asked.latency.as_ref().map(|l| micros(l) / 1e6);
        Self {
            samples_sent: 0,
            queries: asked.latency.as_ref().map_or(0, |latency| latency.count),
            query_p50_seconds: seconds(|latency| latency.p50),
            query_p99_seconds: seconds(|latency| latency.p99),
            query_max_seconds: seconds(|latency| latency.max),
            append_p99_seconds: fed.latency.as_ref().map(|latency| latency.p99 / 1e6),
            made: Made::default(),
            made_by: Vec::new(),
            compactions: None,
        }
    }
}

/// What a thread of the load saw.
#[derive(Debug, Default)]
struct Seen {
    ticks: u64,
    latency: Option<Latency>,
    complaints: Vec<Invalid>,
}

impl Shared<'_> {
    fn is_stopped(&self) -> bool {
        self.stop.load(Ordering::Relaxed)
    }

    /// Sends every tick at its time, or as soon as the server lets it.
    fn feed(&self, interval: Duration) -> Seen {
        let (begun, mut latencies, mut seen) =
            (Instant::now(), Latencies::default(), Seen::default());
        let mut snappy = snap::raw::Encoder::new();
        for tick in 0..self.plan.ticks() {
            let due = begun + interval.saturating_mul(u32::try_from(tick).unwrap_or(u32::MAX));
            while !self.is_stopped() && Instant::now() < due {
                let left = due.saturating_duration_since(Instant::now());
                thread::sleep(left.min(Duration::from_millis(100)));
            }
            if self.is_stopped() {
                break;
            }
            for request in self.plan.requests(tick) {
                let Ok(body) = snappy.compress_vec(&request) else { continue };
                let started = Instant::now();
                let error = match http::post(self.address, "/api/v1/write", WRITE_HEADERS, &body) {
                    Ok(answer) if answer.status / 100 == 2 => None,
                    Ok(answer) => Some(format!("{} {}", answer.status, answer.words())),
                    Err(error) => Some(error.to_string()),
                };
                latencies.record(started.elapsed());
                if let Some(error) = error {
                    seen.complaints.push(Invalid::Refused { error });
                    seen.latency = latencies.take();
                    return seen;
                }
            }
            seen.ticks = tick + 1;
            self.acknowledged.store(seen.ticks, Ordering::Release);
        }
        seen.latency = latencies.take();
        seen
    }

    /// Asks until it is stopped; an answer has to hold every sample that was acknowledged.
    fn ask(&self, per_second: f64) -> Seen {
        let (begun, mut latencies, mut seen) =
            (Instant::now(), Latencies::default(), Seen::default());
        let mut number = 0_u64;
        while !self.is_stopped() && seen.complaints.len() < COMPLAINTS_MAX {
            let due = begun + Duration::from_secs_f64(number as f64 / per_second);
            thread::sleep(due.saturating_duration_since(Instant::now()));
            number += 1;
            let acknowledged = self.acknowledged.load(Ordering::Acquire);
            let Some(question) = self.plan.question(number, acknowledged) else { continue };
            let request = wire::read_request(&question.metric, question.start_ms, question.end_ms);
            let Ok(body) = snap::raw::Encoder::new().compress_vec(&request) else { continue };
            let started = Instant::now();
            let answer = http::post(self.address, "/api/v1/read", READ_HEADERS, &body);
            let took = started.elapsed();
            if self.is_stopped() {
                break;
            }
            latencies.record(took);
            let error = match answer {
                Ok(answer) if answer.status == 200 => match samples_in(&answer.body) {
                    Some(samples) if samples == question.samples => None,
                    Some(samples) => Some(format!("{samples} samples of {}", question.samples)),
                    None => Some("what is no answer to a remote read".to_owned()),
                },
                Ok(answer) => Some(format!("{} {}", answer.status, answer.words())),
                Err(error) => Some(error.to_string()),
            };
            seen.complaints.extend(
                error.map(|answer| Invalid::WrongAnswer { metric: question.metric, answer }),
            );
        }
        seen.latency = latencies.take();
        seen
    }
}

const WRITE_HEADERS: &str = "Content-Type: application/x-protobuf\r\nContent-Encoding: snappy\r\n\
                             X-Prometheus-Remote-Write-Version: 0.1.0\r\n";
const READ_HEADERS: &str = "Content-Type: application/x-protobuf\r\nContent-Encoding: snappy\r\n\
                            X-Prometheus-Remote-Read-Version: 0.1.0\r\n";

fn samples_in(body: &[u8]) -> Option<u64> {
    wire::samples_in(&snap::raw::Decoder::new().decompress_vec(body).ok()?)
}

/// Holds what the server says that it took against what was sent.
fn appended_all(metrics: Option<&str>, sent: u64) -> Option<Invalid> {
    let name = "prometheus_tsdb_head_samples_appended_total{type=\"float\"} ";
    let line = metrics?.lines().find_map(|line| line.strip_prefix(name));
    let appended = line.and_then(|value| value.parse::<f64>().ok()).map_or(0, |n| n as u64);
    (appended != sent).then_some(Invalid::OtherSamples { appended, sent })
}

/// Samples the server from outside.
struct Watcher<'w> {
    pid: u32,
    started: Instant,
    group: Option<&'w Cgroup>,
    dir: &'w Path,
    every: Duration,
    samples: Vec<Sample>,
    blocks: Blocks,
    made_by: Vec<(f64, Made)>,
}

impl Watcher<'_> {
    fn while_(&mut self, mut goes_on: impl FnMut() -> bool) {
        let mut due = Instant::now();
        while goes_on() {
            self.sample(Instant::now());
            due = (due + self.every).max(Instant::now());
            thread::sleep(due.saturating_duration_since(Instant::now()));
        }
    }

    fn sample(&mut self, at: Instant) -> Sample {
        let seconds = at.duration_since(self.started).as_secs_f64();
        let sample = Sample::take(seconds, self.pid, self.group, self.dir);
        self.samples.push(sample);
        self.made_by.push((seconds, self.blocks.look()));
        sample
    }
}

/// A server that is killed when it is dropped.
struct Running {
    child: Child,
    started: Instant,
    side: Side,
}

impl Running {
    fn start(
        command: &Command,
        side: Side,
        logs: &Path,
        group: Option<&Cgroup>,
    ) -> anyhow::Result<Self> {
        let mut joined = join(command, group);
        joined.stdin(Stdio::null()).stdout(Stdio::null());
        joined.stderr(File::create(logs.join("stderr")).context("creating a log")?);
        // Of its own, so that Ctrl-C reaches only who can count what is finished.
        joined.process_group(0);
        let started = Instant::now();
        let child = joined.spawn().with_context(|| format!("starting {command:?}"))?;
        Ok(Self { child, started, side })
    }

    fn has_ended(&mut self) -> bool {
        !matches!(self.child.try_wait(), Ok(None))
    }

    fn wait_until_ready(&mut self, address: SocketAddr, logs: &Path) -> anyhow::Result<()> {
        while !http::get(address, "/-/ready").is_ok_and(|answer| answer.status == 200) {
            let side = self.side.name();
            if self.has_ended() {
                bail!("the {side} ended at once: {}", complaints(logs));
            }
            if self.started.elapsed() > PATIENCE {
                bail!("the {side} does not become ready: {}", complaints(logs));
            }
            thread::sleep(Duration::from_millis(20));
        }
        Ok(())
    }

    /// SIGTERM, and what is wrong with how it ends.
    fn terminate(&mut self, logs: &Path) -> anyhow::Result<Option<Invalid>> {
        if let Some(pid) = i32::try_from(self.child.id()).ok().and_then(Pid::from_raw) {
            // It may have ended by itself in the meantime.
            let _ = kill_process(pid, Signal::TERM);
        }
        let asked = Instant::now();
        while asked.elapsed() < PATIENCE {
            if let Some(status) = self.child.try_wait().context("waiting for the server")? {
                let (message, text) = (complaints(logs), status.to_string());
                return Ok((!status.success()).then_some(Invalid::Failed { status: text, message }));
            }
            thread::sleep(Duration::from_millis(20));
        }
        Ok(Some(Invalid::TimedOut { seconds: PATIENCE.as_secs() }))
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn complaints(logs: &Path) -> String {
    let bytes = fs::read(logs.join("stderr")).unwrap_or_default();
    last_words(&String::from_utf8_lossy(&bytes))
}

/// A port that was free just now.
fn free_address() -> io::Result<SocketAddr> {
    TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?.local_addr()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_server_that_took_fewer_samples_is_told() {
        let metrics = "# TYPE prometheus_tsdb_head_samples_appended_total counter\n\
                       prometheus_tsdb_head_samples_appended_total{type=\"float\"} 1.2e+06\n";
        assert_eq!(appended_all(Some(metrics), 1_200_000), None);
        let told = appended_all(Some(metrics), 1_200_001);
        assert_eq!(told, Some(Invalid::OtherSamples { appended: 1_200_000, sent: 1_200_001 }));
        assert_eq!(appended_all(None, 5), None, "a server that does not tell");
    }
}
