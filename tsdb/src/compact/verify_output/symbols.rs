//! Strings of one block's symbol table, by reference, in bounded memory.
//!
//! The table is scanned once, front to back; what stays in memory is where every group of about
//! 8 KiB begins. Groups are then read on demand and a few of them kept: series come in label order,
//! so that the references at each position of a label set mostly ascend.
//!
//! ```text
//! | len 4 | count 4 | len <uvarint> | string | len <uvarint> | string | ... | crc 4 |
//!                   ^ group 0                ^ group 1 ...
//! ```
//!
//! Versions 2 and 3 of the index refer to a symbol by its number, version 1 by its offset.

use std::sync::Arc;

use tsdb_format::checksum::crc32c_append;
use tsdb_format::varint::uvarint;

use super::fetch::Fetch;
use crate::compact::error::{CompactError, SourceFault, SourceRule, SummedPart};
use crate::compact::files::FileKey;
use crate::compact::source::Source;
use crate::compact::window::Window;

/// How long a group grows before the next one begins; one of a long string is longer.
pub(super) const GROUP_BYTES: u64 = 8 << 10;
/// The longest symbol that is read.
const SYMBOL_BYTES_MAX: u64 = 1 << 24;
/// How many groups are kept at most: they are searched one by one.
const SLOTS_MAX: usize = 64;

/// Some consecutive symbols.
#[derive(Debug, Clone, Copy)]
struct Group {
    /// What series entries call its first symbol.
    first: u32,
    /// Where in the file it begins.
    offset: u64,
}

/// A group that is in memory.
#[derive(Default)]
struct Slot {
    group: usize,
    used: u64,
    bytes: Fetch,
    /// The symbol that was found last, and where it begins.
    id: u32,
    at: usize,
}

/// The symbol table of one block.
pub(super) struct SymbolStrings {
    source: Arc<Source>,
    groups: Vec<Group>,
    /// Where the strings end.
    end: u64,
    /// Where the table ends by its length field.
    declared_end: u64,
    slots: Vec<Slot>,
    slots_max: usize,
    clock: u64,
}

impl SymbolStrings {
    /// Scans the table of `source` and checks its checksum and order.
    pub(super) fn open(
        source: &Arc<Source>,
        window_bytes: usize,
        share_bytes: u64,
    ) -> Result<Self, CompactError> {
        let groups_kept = usize::try_from(share_bytes / GROUP_BYTES).unwrap_or(SLOTS_MAX);
        let mut strings = Self {
            source: Arc::clone(source),
            groups: Vec::new(),
            end: 0,
            declared_end: 0,
            slots: Vec::new(),
            slots_max: groups_kept.clamp(2, SLOTS_MAX),
            clock: 0,
        };
        strings.scan(window_bytes)?;
        Ok(strings)
    }

    fn malformed(&self, rule: SourceRule) -> CompactError {
        self.source.fault(FileKey::index(self.source.number()), rule.into())
    }

    fn scan(&mut self, window_bytes: usize) -> Result<(), CompactError> {
        let key = FileKey::index(self.source.number());
        let section = self.source.symbols_section();
        let mut window = Window::new(Arc::clone(self.source.pool()), key, section, window_bytes);
        let cut_off = SourceRule::SymbolTableCutOff;
        let head: [u8; 8] =
            *window.peek(8)?.first_chunk().ok_or_else(|| self.malformed(cut_off))?;
        let [len, count] =
            [[head[0], head[1], head[2], head[3]], [head[4], head[5], head[6], head[7]]]
                .map(u32::from_be_bytes);
        self.declared_end = window.position() + 4 + u64::from(len) + 4;
        let mut crc = crc32c_append(0, &head[4..]);
        window.advance(8);
        let by_offset = self.source.index_version() == 1;
        let mut last: Vec<u8> = Vec::new();
        for number in 0..count {
            let offset = window.position();
            if self.groups.last().is_none_or(|group| offset - group.offset >= GROUP_BYTES) {
                let first = if by_offset { u32::try_from(offset).ok() } else { Some(number) };
                let first = first.ok_or_else(|| self.malformed(cut_off))?;
                self.groups.push(Group { first, offset });
            }
            let Some((len, prefix)) =
                uvarint(window.peek(10)?).filter(|(len, _)| *len <= SYMBOL_BYTES_MAX)
            else {
                return Err(self.malformed(cut_off));
            };
            let total = prefix + len as usize;
            let entry = window.peek(total)?;
            let entry = entry.get(..total).ok_or_else(|| self.malformed(cut_off))?;
            crc = crc32c_append(crc, entry);
            let string = &entry[prefix..];
            if number > 0 && string <= last.as_slice() {
                return Err(self.malformed(SourceRule::SymbolsNotSorted));
            }
            last.clear();
            last.extend_from_slice(string);
            window.advance(total);
        }
        self.end = window.position();
        let stored = window.peek(4)?.first_chunk().map(|bytes| u32::from_be_bytes(*bytes));
        match stored {
            Some(stored) if stored == crc => Ok(()),
            Some(stored) => {
                let (what, computed) = (SummedPart::SymbolTable, crc);
                Err(self.source.fault(key, SourceFault::Checksum { what, stored, computed }))
            }
            None => Err(self.malformed(cut_off)),
        }
    }

    /// Where the table ends; `None` if its length field says something else than its content.
    pub(super) fn end(&self) -> Option<u64> {
        let end = self.end + 4;
        (end == self.declared_end).then_some(end)
    }

    /// The string that series entries call `id`.
    pub(super) fn get(&mut self, id: u32) -> Result<&[u8], CompactError> {
        let group = self.groups.partition_point(|group| group.first <= id);
        let Some(group) = group.checked_sub(1) else { return Err(self.unknown(id)) };
        let slot = self.load(group)?;
        let first = self.groups[group];
        let by_offset = self.source.index_version() == 1;
        let Slot { bytes, id: known, at, .. } = &mut self.slots[slot];
        if by_offset {
            (*known, *at) = (id, (id - first.first) as usize);
        } else if id < *known {
            (*known, *at) = (first.first, 0);
        }
        loop {
            let rest = bytes.bytes().get(*at..).unwrap_or_default();
            let Some((len, prefix)) = uvarint(rest) else { break };
            let end = *at + prefix + len as usize;
            if *known < id {
                *known += 1;
                *at = end;
                continue;
            }
            let range = *at + prefix..end;
            let found = self.slots[slot].bytes.bytes().get(range);
            return found.ok_or_else(|| {
                let key = FileKey::index(self.source.number());
                self.source.fault(key, SourceFault::SymbolOutOfRange(u64::from(id)))
            });
        }
        Err(self.unknown(id))
    }

    #[cold]
    fn unknown(&self, id: u32) -> CompactError {
        let key = FileKey::index(self.source.number());
        self.source.fault(key, SourceFault::SymbolOutOfRange(u64::from(id)))
    }

    /// The slot that holds `group`, read if need be in place of the one used longest ago.
    fn load(&mut self, group: usize) -> Result<usize, CompactError> {
        self.clock += 1;
        let now = self.clock;
        if let Some(slot) = self.slots.iter().position(|slot| slot.group == group) {
            self.slots[slot].used = now;
            return Ok(slot);
        }
        let oldest = self.slots.iter().enumerate().min_by_key(|(_, slot)| slot.used);
        let slot = match oldest {
            Some((slot, _)) if self.slots.len() >= self.slots_max => slot,
            _ => {
                self.slots.push(Slot::default());
                self.slots.len() - 1
            }
        };
        let Group { first, offset } = self.groups[group];
        let end = self.groups.get(group + 1).map_or(self.end, |next| next.offset);
        let key = FileKey::index(self.source.number());
        let file = self.source.pool().get(key)?;
        let into = &mut self.slots[slot];
        into.group = usize::MAX;
        into.bytes.read(file.as_ref(), offset, (end - offset) as usize)?;
        (into.group, into.used, into.id, into.at) = (group, now, first, 0);
        Ok(slot)
    }
}
