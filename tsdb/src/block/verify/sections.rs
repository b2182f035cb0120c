//! The sections of an index, end to end: what stands between them, and what no reader asks for.
//!
//! ```text
//! | header | symbols | series ... | label indices | postings ... | label offset table |
//! | postings offset table | TOC |
//! ```
//!
//! Each begins where the one before it ends, but for the padding in front of postings lists. Label
//! indices and their table were written until Prometheus 2.21 and are empty since.

use tsdb_format::checksum::crc32c;
use tsdb_format::index::PostingsList;
use tsdb_format::{DecodeError, DecodeErrorKind, Rule};

use super::report::{FindingKind, Findings};
use crate::block::index_reader::BlockIndex;

/// What postings lists and label indices are aligned to, in bytes.
const ALIGN_BYTES: u64 = 4;

pub(super) fn check(index: &BlockIndex, has_table: bool, findings: &mut Findings) {
    let toc = index.toc();
    let mut fault = |detail: String| findings.fault(FindingKind::Index, index.path(), detail);
    let symbols_end = index.symbol_table().end();
    if symbols_end != toc.series {
        fault(format!("symbols end at {symbols_end}, but series begin at {}", toc.series));
    }
    let order = [toc.label_indices, toc.postings, toc.label_indices_table, toc.postings_table];
    if !order.is_sorted() {
        fault(format!(
            "label indices, postings and the tables of both begin at {order:?}, out of order"
        ));
        return;
    }
    if let Err(error) = check_framed(index.bytes(), toc.label_indices, toc.postings) {
        fault(format!("label indices: {error}"));
    }
    if let Err(error) = check_framed(index.bytes(), toc.label_indices_table, toc.postings_table) {
        fault(format!("label offset table: {error}"));
    }
    if has_table {
        check_lists(index, findings);
    } else {
        check_unlisted(index, findings);
    }
}

/// Without a table that says where the lists are: one behind the other, each for itself.
fn check_unlisted(index: &BlockIndex, findings: &mut Findings) {
    let (toc, bytes) = (index.toc(), index.bytes());
    let mut at = toc.postings.next_multiple_of(ALIGN_BYTES);
    while at < toc.label_indices_table {
        let list = PostingsList::at_unverified(bytes, at);
        if let Err(error) = PostingsList::at(bytes, at) {
            let detail = format!("the postings list at {at}: {error}");
            findings.fault(FindingKind::Postings, index.path(), detail);
        }
        let Ok(list) = list else { return };
        at = (at + list.encoded_bytes()).next_multiple_of(ALIGN_BYTES);
    }
}

/// Every section `| length 4 | content | crc 4 |` from `start` to `end`; zeros may stand between.
fn check_framed(index: &[u8], start: u64, end: u64) -> Result<(), DecodeError> {
    let mut at = start;
    while at < end {
        let aligned = at.next_multiple_of(ALIGN_BYTES);
        if !is_zero(index, at, aligned.min(end)) {
            return Err(DecodeError::malformed(at, Rule::Padding));
        }
        if aligned >= end {
            // Padding ends a section. Where there is none, nothing is padded.
            let nothing = at == start;
            return if nothing { Err(DecodeError::eof(start)) } else { Ok(()) };
        }
        at = framed_end(index, aligned)?;
    }
    if at > end {
        return Err(DecodeError::malformed(end, Rule::SectionEnd));
    }
    Ok(())
}

fn framed_end(index: &[u8], offset: u64) -> Result<u64, DecodeError> {
    let eof = || DecodeError::eof(offset);
    let at = usize::try_from(offset).map_err(|_| eof())?;
    let (length, rest) =
        index.get(at..).and_then(<[u8]>::split_first_chunk::<4>).ok_or_else(eof)?;
    let length = u32::from_be_bytes(*length);
    let (content, behind) = rest.split_at_checked(length as usize).ok_or_else(eof)?;
    let expected = behind.first_chunk().map(|crc| u32::from_be_bytes(*crc)).ok_or_else(eof)?;
    let actual = crc32c(content);
    if expected != actual {
        let kind = DecodeErrorKind::ChecksumMismatch { expected, actual };
        return Err(DecodeError::new(offset, kind));
    }
    Ok(offset + u64::from(length) + 8)
}

/// Lists fill the postings, with less than an alignment of zeros in between.
fn check_lists(index: &BlockIndex, findings: &mut Findings) {
    let (toc, bytes) = (index.toc(), index.bytes());
    let mut places: Vec<(u64, u64)> = Vec::with_capacity(index.postings_table().len());
    for entry in index.postings_table().iter(bytes) {
        // Lists that can't be read are found one by one elsewhere.
        let Ok(list) = PostingsList::at_unverified(bytes, entry.offset) else { return };
        places.push((entry.offset, entry.offset + list.encoded_bytes()));
    }
    places.sort_unstable();
    // Entries may share a list.
    places.dedup();
    places.push((toc.label_indices_table, toc.label_indices_table));
    let mut at = toc.postings;
    for (start, end) in places {
        if start < at {
            let detail = format!("a postings list at {start} begins before {at}, where it may");
            findings.fault(FindingKind::Postings, index.path(), detail);
        } else if start - at >= ALIGN_BYTES || !is_zero(bytes, at, start) {
            let detail = format!("bytes {at} to {start} of the postings are in no list");
            findings.note(FindingKind::Postings, index.path(), detail);
        }
        at = end;
    }
}

fn is_zero(index: &[u8], start: u64, end: u64) -> bool {
    let bytes = index.get(start as usize..end as usize).unwrap_or_default();
    bytes.iter().all(|byte| *byte == 0)
}
