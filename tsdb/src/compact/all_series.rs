//! The postings list of all series: where the entry of each must stand.

use std::sync::Arc;

use tsdb_format::checksum::crc32c_append;
use tsdb_format::varint::uvarint;

use super::error::{CompactError, SourceFault, SourceRule, SummedPart};
use super::files::FileKey;
use super::source::Source;
use super::window::Window;

/// The postings list of all series, streamed.
pub(super) struct AllSeries {
    window: Window,
    left: u32,
    stored_after: bool,
    crc: u32,
}

const LIST_FAULT: SourceFault = SourceFault::Malformed(SourceRule::AllSeriesCutOff);

impl AllSeries {
    pub(super) fn open(source: &Arc<Source>, window_bytes: usize) -> Result<Self, CompactError> {
        let key = FileKey::index(source.number());
        let fault = |rule: SourceRule| source.fault(key, rule.into());
        let pool = || Arc::clone(source.pool());
        let mut table = Window::new(pool(), key, source.postings_table_section(), 4 << 10);
        let entry = table.peek(64)?.get(8..).unwrap_or_default();
        // The first entry is that of the empty name and value: | 2 | 0 | 0 | offset <uvarint> |.
        let offset = match entry {
            [2, 0, 0, rest @ ..] => uvarint(rest).map(|(offset, _)| offset),
            _ => None,
        };
        let offset = offset.ok_or_else(|| fault(SourceRule::AllSeriesNotFirst))?;
        let section = source.postings_section();
        if !section.contains(&offset) {
            return Err(fault(SourceRule::AllSeriesOutside));
        }
        let window_bytes = window_bytes.max(4 << 10);
        let mut window = Window::new(pool(), key, offset..section.end, window_bytes);
        let head: [u8; 8] =
            *window.peek(8)?.first_chunk().ok_or_else(|| source.fault(key, LIST_FAULT))?;
        let [len, left] = [&head[..4], &head[4..]]
            .map(|bytes| bytes.first_chunk().map_or(0, |bytes| u32::from_be_bytes(*bytes)));
        window.advance(8);
        if u64::from(len) != u64::from(left) * 4 + 4 || u64::from(len) > window.remaining() {
            return Err(source.fault(key, LIST_FAULT));
        }
        Ok(Self { window, left, stored_after: true, crc: crc32c_append(0, &head[4..]) })
    }

    #[inline]
    pub(super) fn next(&mut self, source: &Source) -> Result<Option<u32>, CompactError> {
        let more = self.left > 0;
        if !more && !self.stored_after {
            return Ok(None);
        }
        let Some(bytes) = self.window.peek(4)?.first_chunk::<4>().copied() else {
            return Err(source.fault(FileKey::index(source.number()), LIST_FAULT));
        };
        let value = u32::from_be_bytes(bytes);
        self.window.advance(4);
        if more {
            self.left -= 1;
            self.crc = crc32c_append(self.crc, &bytes);
            return Ok(Some(value));
        }
        self.stored_after = false;
        if value != self.crc {
            let fault = SourceFault::Checksum {
                what: SummedPart::AllSeries,
                stored: value,
                computed: self.crc,
            };
            return Err(source.fault(FileKey::index(source.number()), fault));
        }
        Ok(None)
    }

    /// The references of a window, unchecked; none behind the last one.
    fn peek_many(&mut self) -> Result<&[u8], CompactError> {
        if self.left == 0 {
            return Ok(&[]);
        }
        let bytes = self.window.peek(4)?;
        let count = (bytes.len() / 4).min(self.left as usize);
        Ok(bytes.get(..4 * count).unwrap_or_default())
    }
}

/// An upper bound of the longest series entry of a source, in bytes. Only looks at where the entries
/// stand.
pub(super) fn longest_entry_bytes(
    source: &Arc<Source>,
    window_bytes: usize,
) -> Result<u64, CompactError> {
    let section = source.series_section();
    if source.index_version() == 1 {
        return Ok(section.end - section.start);
    }
    let mut all = AllSeries::open(source, window_bytes)?;
    let (mut last, mut longest) = (None, 0);
    loop {
        let bytes = all.peek_many()?;
        if bytes.is_empty() {
            break;
        }
        for bytes in bytes.as_chunks().0 {
            let position = u64::from(u32::from_be_bytes(*bytes)) * source.series_align();
            longest = longest.max(position.saturating_sub(last.unwrap_or(position)));
            last = Some(position);
        }
        let len = bytes.len();
        all.window.advance(len);
        all.left -= len as u32 / 4;
    }
    Ok(longest.max(section.end.saturating_sub(last.unwrap_or(section.start))))
}
