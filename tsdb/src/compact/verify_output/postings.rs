//! Whether the postings of the output name every series under each of its labels, and no other.
//!
//! Series entries and postings lists both say which series carry which label pair; the one in order
//! of series, the other in order of pairs. Instead of bringing one into the other's order, both add
//! up a hash of every (name, value, series): equal sums, equal sets.
//!
//! ```text
//! list   | 0-padding to 4 | len 4 | count 4 | series 4 ... | crc 4 |
//! table  | len 4 | count 4 | 2 | name | value | list offset <uvarint> | ... | crc 4 |
//! ```

use std::sync::Arc;

use tsdb_format::checksum::{crc32c, crc32c_append};
use tsdb_format::varint::uvarint;

use crate::compact::error::{CompactError, SourceFault, SourceRule, SummedPart};
use crate::compact::files::FileKey;
use crate::compact::progress::CancelToken;
use crate::compact::source::Source;
use crate::compact::window::Window;

/// The longest name or value that is read.
const STRING_BYTES_MAX: u64 = 1 << 24;
/// How much of a list is looked at in one go, in bytes.
const LIST_STEP_BYTES: usize = 4 << 10;

/// A set of (label pair, series), as its size and the sum of the members' hashes.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct PostingsDigest {
    count: u64,
    sum: u64,
}

impl PostingsDigest {
    pub(super) fn add(&mut self, pair: u64, series: u64) {
        self.count += 1;
        self.sum = self.sum.wrapping_add(fold(pair ^ series, 0x9e37_79b9_7f4a_7c15));
    }
}

fn fold(a: u64, b: u64) -> u64 {
    let product = u128::from(a) * u128::from(b);
    (product >> 64) as u64 ^ product as u64
}

/// A hash of a label pair. It finds faults, not attackers.
pub(super) fn hash_pair(name: &[u8], value: &[u8]) -> u64 {
    let mut hash = 0x2d35_8dcc_aa6c_78a5;
    for string in [name, value] {
        for word in string.chunks(8) {
            let mut bytes = [0; 8];
            bytes[..word.len()].copy_from_slice(word);
            hash = fold(hash ^ u64::from_le_bytes(bytes), 0x8bb8_4b93_962e_acc9);
        }
        hash = fold(hash ^ string.len() as u64, 0x4b33_a62e_d433_d4a3);
    }
    hash
}

/// Reads all lists and their table and compares them with what the series say.
pub(super) fn check(
    source: &Arc<Source>,
    series: &PostingsDigest,
    window_bytes: usize,
    cancel: &CancelToken,
) -> Result<(), CompactError> {
    let mut lists = Lists::open(source, window_bytes);
    lists.check_table(cancel)?;
    if lists.digest != *series {
        return Err(lists.malformed(SourceRule::PostingsDisagree));
    }
    Ok(())
}

struct Lists<'a> {
    source: &'a Arc<Source>,
    table: Window,
    lists: Window,
    /// Name and value of the list at hand, behind each other, and where the value begins.
    pair: Vec<u8>,
    value_start: usize,
    last_pair: Vec<u8>,
    last_value_start: usize,
    digest: PostingsDigest,
}

impl<'a> Lists<'a> {
    fn open(source: &'a Arc<Source>, window_bytes: usize) -> Self {
        let key = FileKey::index(source.number());
        let window = |section| Window::new(Arc::clone(source.pool()), key, section, window_bytes);
        Self {
            table: window(source.postings_table_section()),
            lists: window(source.postings_section()),
            source,
            pair: Vec::new(),
            value_start: 0,
            last_pair: Vec::new(),
            last_value_start: 0,
            digest: PostingsDigest::default(),
        }
    }

    fn malformed(&self, rule: SourceRule) -> CompactError {
        self.source.fault(FileKey::index(self.source.number()), rule.into())
    }

    /// Compares the checksum behind `what`; a table or list that ends before has none.
    fn check_sum(
        &self,
        what: SummedPart,
        stored: Option<u32>,
        computed: u32,
    ) -> Result<(), CompactError> {
        match stored {
            Some(stored) if stored == computed => Ok(()),
            Some(stored) => {
                let fault = SourceFault::Checksum { what, stored, computed };
                Err(self.source.fault(FileKey::index(self.source.number()), fault))
            }
            None if what == SummedPart::PostingsList => Err(self.malformed(SourceRule::ListCutOff)),
            None => Err(self.malformed(SourceRule::PostingsTableCutOff)),
        }
    }

    fn check_table(&mut self, cancel: &CancelToken) -> Result<(), CompactError> {
        const CUT_OFF: SourceRule = SourceRule::PostingsTableCutOff;
        let size = self.table.remaining();
        let head: Option<[u8; 8]> = self.table.peek(8)?.first_chunk().copied();
        let Some([a, b, c, d, count @ ..]) = head else { return Err(self.malformed(CUT_OFF)) };
        if u64::from(u32::from_be_bytes([a, b, c, d])) + 8 != size {
            return Err(self.malformed(SourceRule::PostingsTableLength));
        }
        let mut crc = crc32c(&count);
        self.table.advance(8);
        for number in 0..u32::from_be_bytes(count) {
            if number % 1024 == 0 {
                cancel.check()?;
            }
            let entry = self.entry(&mut crc)?;
            let Some(offset) = entry else { return Err(self.malformed(CUT_OFF)) };
            if (number == 0) != self.pair.is_empty() {
                return Err(self.malformed(SourceRule::FirstListNotAll));
            }
            if number > 0 && self.pair_of_last() >= self.pair_of_this() {
                return Err(self.malformed(SourceRule::PostingsTableNotSorted));
            }
            self.check_list(offset)?;
            std::mem::swap(&mut self.pair, &mut self.last_pair);
            self.last_value_start = self.value_start;
        }
        let stored = self.table.peek(4)?.first_chunk().map(|bytes| u32::from_be_bytes(*bytes));
        self.check_sum(SummedPart::PostingsTable, stored, crc)?;
        if self.table.remaining() != 4 {
            return Err(self.malformed(SourceRule::PostingsTableLength));
        }
        if self.lists.remaining() > 0 {
            return Err(self.malformed(SourceRule::PostingsNotListed));
        }
        Ok(())
    }

    fn pair_of_this(&self) -> (&[u8], &[u8]) {
        self.pair.split_at(self.value_start)
    }

    fn pair_of_last(&self) -> (&[u8], &[u8]) {
        self.last_pair.split_at(self.last_value_start)
    }

    /// Reads an entry of the table into `pair`; returns the list's offset.
    fn entry(&mut self, crc: &mut u32) -> Result<Option<u64>, CompactError> {
        self.pair.clear();
        let mut consume = |table: &mut Window, len: usize, into: Option<&mut Vec<u8>>| {
            let Some(bytes) = table.peek(len)?.get(..len) else { return Ok(None) };
            *crc = crc32c_append(*crc, bytes);
            if let Some(into) = into {
                into.extend_from_slice(bytes);
            }
            table.advance(len);
            Ok::<_, CompactError>(Some(()))
        };
        if self.table.peek(1)?.first() != Some(&2) {
            return Ok(None);
        }
        consume(&mut self.table, 1, None)?;
        for _ in 0..2 {
            self.value_start = self.pair.len();
            let Some((len, prefix)) =
                uvarint(self.table.peek(10)?).filter(|(len, _)| *len <= STRING_BYTES_MAX)
            else {
                return Ok(None);
            };
            consume(&mut self.table, prefix, None)?;
            if consume(&mut self.table, len as usize, Some(&mut self.pair))?.is_none() {
                return Ok(None);
            }
        }
        let Some((offset, len)) = uvarint(self.table.peek(10)?) else { return Ok(None) };
        consume(&mut self.table, len, None)?;
        Ok(Some(offset))
    }

    /// Reads the list at `offset`, which must be where the one before it ends.
    fn check_list(&mut self, offset: u64) -> Result<(), CompactError> {
        const CUT_OFF: SourceRule = SourceRule::ListCutOff;
        let padding = self.lists.position().next_multiple_of(4) - self.lists.position();
        let padding = padding as usize;
        let zeros = self.lists.peek(padding)?.get(..padding);
        if !zeros.is_some_and(|zeros| zeros.iter().all(|byte| *byte == 0)) {
            return Err(self.malformed(SourceRule::PostingsPadding));
        }
        self.lists.advance(padding);
        if self.lists.position() != offset {
            return Err(self.malformed(SourceRule::ListsNotAdjacent));
        }
        let head: Option<[u8; 8]> = self.lists.peek(8)?.first_chunk().copied();
        let Some([a, b, c, d, count @ ..]) = head else { return Err(self.malformed(CUT_OFF)) };
        let mut left = u64::from(u32::from_be_bytes(count)) * 4;
        if u64::from(u32::from_be_bytes([a, b, c, d])) != left + 4 {
            return Err(self.malformed(SourceRule::ListLength));
        }
        let mut crc = crc32c(&count);
        self.lists.advance(8);
        let (name, value) = self.pair.split_at(self.value_start);
        let pair = hash_pair(name, value);
        let mut last = None;
        while left > 0 {
            let want = LIST_STEP_BYTES.min(usize::try_from(left).unwrap_or(usize::MAX));
            let Some(bytes) = self.lists.peek(want)?.get(..want) else {
                return Err(self.malformed(CUT_OFF));
            };
            crc = crc32c_append(crc, bytes);
            for series in bytes.as_chunks::<4>().0 {
                let series = u32::from_be_bytes(*series);
                if last.is_some_and(|last| last >= series) {
                    return Err(self.malformed(SourceRule::ListNotSorted));
                }
                last = Some(series);
                self.digest.add(pair, u64::from(series));
            }
            self.lists.advance(want);
            left -= want as u64;
        }
        let stored = self.lists.peek(4)?.first_chunk().map(|bytes| u32::from_be_bytes(*bytes));
        self.check_sum(SummedPart::PostingsList, stored, crc)?;
        self.lists.advance(4);
        Ok(())
    }
}
