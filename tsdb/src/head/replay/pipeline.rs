//! One log through feed and workers.

use std::collections::HashSet;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use crossbeam_channel::{Receiver, Sender, bounded, unbounded};
use tsdb_format::DecodeError;
use tsdb_format::record::HeadSeriesRef;

use super::batch::Batch;
use super::feed::{Feed, FeedError};
use super::report::Replayed;
use super::target::ReplayHead;
use super::worker::{Worker, WorkerEnd};
use super::{Attempt, BadEnd, ReplayError, ReplayPhase};
use crate::wal::{Corruption, Position, WalError, WalReader, checkpoint_dir, segment_path, segments};

/// Batches that may wait for a worker.
const BATCHES_WAITING_MAX: usize = 4;

/// Which log.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Log {
    /// The write-ahead log.
    Wal,
    /// The write-behind log, of samples that came out of order.
    Wbl,
}

impl Log {
    pub(super) fn dir(self) -> &'static str {
        match self {
            Self::Wal => "wal",
            Self::Wbl => "wbl",
        }
    }

    fn phase(self) -> ReplayPhase {
        match self {
            Self::Wal => ReplayPhase::Wal,
            Self::Wbl => ReplayPhase::Wbl,
        }
    }
}

/// Why a log was not read to its end.
enum Stop<E> {
    /// Workers say where, or why.
    Workers,
    Wal(WalError),
    /// It is known to end here.
    AtEnd(Corruption),
    Record(Position, DecodeError),
    Head(E),
    Cancelled,
}

/// Replays a log. `None` if it ends well.
pub(super) fn replay_log<H: ReplayHead>(
    attempt: &mut Attempt<'_, H>,
    log: Log,
) -> Result<Option<BadEnd>, ReplayError<H::Error>> {
    let options = attempt.options;
    let dir = options.dir.join(log.dir());
    let numbers = segments(&dir)?;
    let of = |number: Option<&u32>| number.copied().unwrap_or(0);
    options.progress.begin(log.phase(), of(numbers.first()), of(numbers.last()));
    let mut reader = WalReader::open(&dir)?;
    let threads = options.threads.max(1);
    let is_stopped = AtomicBool::new(false);
    // Batches come back to be filled again.
    let (give_back, empty) = unbounded();
    let Attempt { head, loaded, refs, replayed, ends, .. } = attempt;
    let end = ends.of(log);
    let (head, loaded) = (&*head, &**loaded);
    let (stop, ends) = std::thread::scope(|scope| {
        let (mut senders, mut workers) = (Vec::new(), Vec::new());
        for number in 0..threads {
            let (sender, batches) = bounded(BATCHES_WAITING_MAX);
            senders.push(sender);
            let (give_back, is_stopped) = (give_back.clone(), &is_stopped);
            let worker = Worker::new(head, loaded, log, (number, threads), options.min_valid_time);
            workers.push(scope.spawn(move || run_worker(worker, &batches, &give_back, is_stopped)));
        }
        let unknown = HashSet::new();
        let min_valid_time = options.min_valid_time;
        let mut feed = Feed { log, head, loaded, refs, replayed, min_valid_time, unknown };
        let mut feeder =
            Feeder { senders, empty, is_stopped: &is_stopped, batch: Batch::default(), sent: 0 };
        let stop = feeder.run(&mut feed, &mut reader, options, end);
        let unknown = feed.unknown;
        drop(feeder);
        let ends: Vec<_> = workers.into_iter().map(|worker| worker.join()).collect();
        (stop.err(), (ends, unknown))
    });
    let (ends, unknown) = ends;
    let mut all = Vec::new();
    for end in ends {
        match end {
            Ok(end) => all.push(end),
            Err(panic) => std::panic::resume_unwind(panic),
        }
    }
    let found = add_ends(replayed, head, all, unknown);
    bad_end(&dir, found, stop, &reader)
}

/// What a worker met that it can't go on from.
type Found<E> = Option<Result<(Position, DecodeError), E>>;

/// Adds up what workers did; the first thing in the log that one could not take.
fn add_ends<H: ReplayHead>(
    replayed: &mut Replayed,
    head: &H,
    ends: Vec<WorkerEnd<H::Error>>,
    mut unknown: HashSet<HeadSeriesRef>,
) -> Found<H::Error> {
    let mut found: Found<H::Error> = None;
    for end in ends {
        end.add_to(replayed, head);
        unknown.extend(&end.unknown);
        found = match (found, end.failure) {
            (Some(Err(error)), _) | (_, Some(Err(error))) => Some(Err(error)),
            (Some(Ok(a)), Some(Ok(b))) => Some(Ok(if b.0 < a.0 { b } else { a })),
            (a, b) => a.or(b),
        };
    }
    replayed.unknown.series += unknown.len() as u64;
    found
}

fn bad_end<E: std::error::Error>(
    dir: &Path,
    found: Found<E>,
    stop: Option<Stop<E>>,
    reader: &WalReader,
) -> Result<Option<BadEnd>, ReplayError<E>> {
    let damaged = |(position, source): (Position, DecodeError)| {
        let corruption = corruption(dir, position, source);
        Ok(Some(BadEnd { corruption, record: Some(position), is_torn_end: false }))
    };
    match (found, stop) {
        (Some(Err(error)), _) | (_, Some(Stop::Head(error))) => Err(ReplayError::Head(error)),
        (_, Some(Stop::Cancelled)) => Err(ReplayError::Cancelled),
        // What a worker found stands in front of what stopped the feed, which is ahead.
        (Some(Ok(found)), _) => damaged(found),
        (None, Some(Stop::Record(position, source))) => damaged((position, source)),
        (None, Some(Stop::Wal(WalError::Corrupt(corruption)))) => {
            Ok(Some(BadEnd { corruption, record: None, is_torn_end: false }))
        }
        (None, Some(Stop::AtEnd(corruption))) => {
            Ok(Some(BadEnd { corruption, record: None, is_torn_end: false }))
        }
        (None, Some(Stop::Wal(error))) => Err(error.into()),
        (None, Some(Stop::Workers) | None) => Ok(reader.torn().map(|torn| BadEnd {
            corruption: torn.clone(),
            record: None,
            is_torn_end: true,
        })),
    }
}

/// A record that does not decode ends the log in front of it.
fn corruption(dir: &Path, position: Position, source: DecodeError) -> Corruption {
    let Position { segment, offset_bytes } = position;
    let path = match segment.checkpoint {
        Some(number) => segment_path(&checkpoint_dir(dir, number), segment.number),
        None => segment_path(dir, segment.number),
    };
    let source = source.shifted(offset_bytes);
    Corruption { segment, path, good_bytes: offset_bytes, source }
}

fn run_worker<H: ReplayHead>(
    mut worker: Worker<'_, H>,
    batches: &Receiver<Arc<Batch>>,
    give_back: &Sender<Batch>,
    is_stopped: &AtomicBool,
) -> WorkerEnd<H::Error> {
    for batch in batches {
        if worker.take(&batch).is_err() {
            is_stopped.store(true, Ordering::Relaxed);
        }
        // The last one who is done with it.
        if let Some(mut batch) = Arc::into_inner(batch) {
            batch.clear();
            let _ = give_back.send(batch);
        }
    }
    worker.finish()
}

/// Fills batches and sends them to all workers.
struct Feeder<'f> {
    senders: Vec<Sender<Arc<Batch>>>,
    empty: Receiver<Batch>,
    is_stopped: &'f AtomicBool,
    batch: Batch,
    /// Records that progress knows of.
    sent: u64,
}

impl Feeder<'_> {
    fn run<H: ReplayHead>(
        &mut self,
        feed: &mut Feed<'_, H>,
        reader: &mut WalReader,
        options: &super::ReplayOptions<'_>,
        end: Option<&(Log, Position, Corruption)>,
    ) -> Result<(), Stop<H::Error>> {
        let outcome = loop {
            let (position, record) = match reader.next_record() {
                Ok(Some(next)) => next,
                Ok(None) => break Ok(()),
                Err(error) => break Err(Stop::Wal(error)),
            };
            if let Some((_, at, corruption)) = end
                && *at == position
            {
                break Err(Stop::AtEnd(corruption.clone()));
            }
            match feed.take(position, record, &mut self.batch) {
                Ok(()) => {}
                Err(FeedError::Decode(source)) => break Err(Stop::Record(position, source)),
                Err(FeedError::Head(error)) => break Err(Stop::Head(error)),
            }
            if self.batch.is_full() {
                options.progress.at(position.segment.number, reader.records() - self.sent);
                self.sent = reader.records();
                if options.cancel.is_cancelled() {
                    break Err(Stop::Cancelled);
                }
                self.send(feed);
                if self.is_stopped.load(Ordering::Relaxed) {
                    break Err(Stop::Workers);
                }
            }
        };
        if !matches!(outcome, Err(Stop::Cancelled | Stop::Head(_))) {
            // All of it is in front of the damage, if there is any.
            self.send(feed);
        }
        options.progress.at(options.progress.segments().2, reader.records() - self.sent);
        outcome
    }

    fn send<H>(&mut self, feed: &Feed<'_, H>) {
        if self.batch.is_empty() {
            return;
        }
        let next = self.empty.try_recv().unwrap_or_default();
        let mut batch = std::mem::replace(&mut self.batch, next);
        batch.refs = feed.refs.share();
        let batch = Arc::new(batch);
        for sender in &self.senders {
            // A worker that is gone has panicked, which is told when it is joined.
            let _ = sender.send(batch.clone());
        }
    }
}
