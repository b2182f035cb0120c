//! Postings, grouped in bounded memory.
//!
//! Series arrive in label order with ascending references; the index wants, for each label pair in
//! (name, value) order, the references of the series that carry it. Each label name has a buffer of
//! `value << 32 | reference`, which one integer sort brings into index order. When the buffers of
//! all names together reach their share of the memory budget they are sorted and written out as a
//! run; at the end the runs (and what is still in memory, the last run) are merged. Runs are in
//! time order and references ascend, so a list is the concatenation of its pieces.
//!
//! ```text
//! run    | name + 1 <uvarint> | group ... | 0 |   name ...        names ascending, 0: "all series"
//! group  | value + 1 <uvarint> | count <uvarint> | first <uvarint> | delta <uvarint> ... |
//! ```

use std::collections::HashMap;
use std::path::PathBuf;
use std::sync::Arc;

use tsdb_format::varint::put_uvarint;

use super::error::{CompactError, LimitedPart};
use super::postings_run::RunReader;
use super::spill::{SpillOptions, SpillWriter, Spilled};
use crate::vfs::Vfs;

/// Where postings may spill, and how much memory they may take.
pub(super) struct PostingsOptions {
    pub(super) vfs: Arc<dyn Vfs>,
    /// Runs are files in this directory.
    pub(super) dir: PathBuf,
    pub(super) memory_bytes_max: usize,
}

/// Collects which series carry which label pairs.
pub(super) struct PostingsBuilder {
    options: PostingsOptions,
    names: Vec<NameBuffer>,
    slots: HashMap<u32, u32>,
    /// The slot that served each label position of the series before.
    last_slots: Vec<u32>,
    all: NameBuffer,
    entries: usize,
    entries_max: usize,
    runs: Vec<Spilled>,
}

/// The entries of one label name since the last run.
struct NameBuffer {
    /// The merged symbol id of the name, plus one; 0 for the list of all series.
    key: u64,
    /// `value << 32 | reference`
    entries: Vec<u64>,
    sorted: bool,
}

impl NameBuffer {
    fn new(key: u64) -> Self {
        Self { key, entries: Vec::new(), sorted: true }
    }

    #[inline]
    fn push(&mut self, value: u32, reference: u32) {
        let entry = u64::from(value) << 32 | u64::from(reference);
        self.sorted &= self.entries.last().is_none_or(|last| *last < entry);
        self.entries.push(entry);
    }

    fn sort(&mut self) {
        if !self.sorted {
            self.entries.sort_unstable();
            self.sorted = true;
        }
    }
}

impl PostingsBuilder {
    pub(super) fn new(options: PostingsOptions) -> Self {
        // A vector that grows by doubling holds at most twice what it needs.
        let entries_max = (options.memory_bytes_max / 16).max(64);
        Self {
            options,
            names: Vec::new(),
            slots: HashMap::new(),
            last_slots: Vec::new(),
            all: NameBuffer::new(0),
            entries: 0,
            entries_max,
            runs: Vec::new(),
        }
    }

    /// Adds a series: its reference (offset / 16) and its labels as (name, value) symbol ids.
    /// References ascend from call to call.
    pub(super) fn add(&mut self, reference: u32, labels: &[u32]) -> Result<(), CompactError> {
        self.all.push(0, reference);
        for (position, pair) in labels.chunks_exact(2).enumerate() {
            let slot = match self.last_slots.get(position) {
                Some(&slot) if self.names[slot as usize].key == u64::from(pair[0]) + 1 => slot,
                _ => self.slot(position, pair[0]),
            };
            self.names[slot as usize].push(pair[1], reference);
        }
        self.entries += 1 + labels.len() / 2;
        if self.entries >= self.entries_max {
            self.spill()?;
        }
        Ok(())
    }

    #[cold]
    fn slot(&mut self, position: usize, name: u32) -> u32 {
        let names = &mut self.names;
        let slot = *self.slots.entry(name).or_insert_with(|| {
            names.push(NameBuffer::new(u64::from(name) + 1));
            names.len() as u32 - 1
        });
        if self.last_slots.len() <= position {
            self.last_slots.resize(position + 1, slot);
        }
        self.last_slots[position] = slot;
        slot
    }

    fn spill(&mut self) -> Result<(), CompactError> {
        let path = self.options.dir.join(format!("postings-{:04}", self.runs.len()));
        let spill = SpillOptions { path, memory_bytes_max: 0, buffer_bytes: 256 << 10 };
        let mut out = SpillWriter::new(Arc::clone(&self.options.vfs), spill);
        self.write_run(&mut out)?;
        self.runs.push(out.finish()?);
        self.entries = 0;
        Ok(())
    }

    /// Writes what is buffered as a run and empties the buffers, which keep their memory.
    fn write_run(&mut self, out: &mut SpillWriter) -> Result<(), CompactError> {
        self.names.sort_unstable_by_key(|name| name.key);
        self.slots.clear();
        self.last_slots.clear();
        for (slot, name) in self.names.iter().enumerate() {
            self.slots.insert((name.key - 1) as u32, slot as u32);
        }
        let mut bytes = Vec::with_capacity(8 << 10);
        for name in std::iter::once(&mut self.all).chain(&mut self.names) {
            if name.entries.is_empty() {
                continue;
            }
            name.sort();
            put_uvarint(&mut bytes, name.key);
            for group in name.entries.chunk_by(|a, b| a >> 32 == b >> 32) {
                put_group(&mut bytes, group, out)?;
            }
            bytes.push(0);
            name.entries.clear();
        }
        out.write_all(&bytes)?;
        Ok(())
    }

    /// Ends collecting; the lists can be read in the order of the index.
    pub(super) fn finish(mut self) -> Result<PostingsRuns, CompactError> {
        let spill = SpillOptions {
            path: self.options.dir.join("postings-last"),
            memory_bytes_max: if self.runs.is_empty() { usize::MAX } else { 0 },
            buffer_bytes: 256 << 10,
        };
        let mut out = SpillWriter::new(Arc::clone(&self.options.vfs), spill);
        self.write_run(&mut out)?;
        let mut runs = std::mem::take(&mut self.runs);
        runs.push(out.finish()?);
        Ok(PostingsRuns { runs, memory_bytes_max: self.options.memory_bytes_max })
    }
}

fn put_group(
    bytes: &mut Vec<u8>,
    group: &[u64],
    out: &mut SpillWriter,
) -> Result<(), CompactError> {
    put_uvarint(bytes, (group[0] >> 32) + 1);
    put_uvarint(bytes, group.len() as u64);
    let mut last = 0;
    for entry in group {
        let reference = entry & u64::from(u32::MAX);
        put_uvarint(bytes, reference - last);
        last = reference;
        if bytes.len() > (8 << 10) - 16 {
            out.write_all(bytes)?;
            bytes.clear();
        }
    }
    Ok(())
}

/// All postings, on their way into the index.
pub(super) struct PostingsRuns {
    runs: Vec<Spilled>,
    memory_bytes_max: usize,
}

/// What receives the postings lists, in the order of the index.
pub(super) trait PostingsSink {
    /// A list begins: `pair` is (name, value), or `None` for the list of all series.
    fn begin(&mut self, pair: Option<(u32, u32)>, count: u32) -> Result<(), CompactError>;
    /// The next references of the list, ascending.
    fn references(&mut self, references: &[u32]) -> Result<(), CompactError>;
    /// The list is complete.
    fn end(&mut self) -> Result<(), CompactError>;
}

impl PostingsRuns {
    /// Hands every list to `sink` and removes the runs.
    pub(super) fn merge_into(self, sink: &mut impl PostingsSink) -> Result<(), CompactError> {
        let window_bytes = (self.memory_bytes_max / self.runs.len().max(1)).clamp(4 << 10, 1 << 20);
        let mut readers = Vec::with_capacity(self.runs.len());
        for run in &self.runs {
            readers.push(RunReader::new(run, window_bytes)?);
        }
        let mut buffer = Vec::with_capacity(1024);
        while let Some(key) = readers.iter().filter_map(RunReader::key).min() {
            let here = |reader: &RunReader<'_>| reader.key() == Some(key);
            let count: u64 =
                readers.iter().filter(|reader| here(reader)).map(RunReader::count).sum();
            let count = u32::try_from(count).map_err(|_| {
                CompactError::limit(LimitedPart::Postings, count, u64::from(u32::MAX))
            })?;
            let pair = (key.0 > 0).then_some(((key.0.wrapping_sub(1)) as u32, (key.1 - 1) as u32));
            sink.begin(pair, count)?;
            for reader in readers.iter_mut().filter(|reader| here(reader)) {
                while reader.references(&mut buffer)? {
                    sink.references(&buffer)?;
                }
                reader.next_group()?;
            }
            sink.end()?;
        }
        drop(readers);
        for run in self.runs {
            run.remove()?;
        }
        Ok(())
    }
}
