//! Lengths and checksums made right, so that mutated content gets past them.

/// `content` framed as parts of an index are, behind `before` bytes of nothing.
///
/// ```text
/// | zeros | content length 4 | content | crc 4 |
/// ```
pub(super) fn section(before: usize, content: &[u8]) -> Vec<u8> {
    let mut out = vec![0; before];
    let length = u32::try_from(content.len()).unwrap_or(u32::MAX);
    out.extend_from_slice(&length.to_be_bytes());
    out.extend_from_slice(content);
    out.extend_from_slice(&crc32c::crc32c(content).to_be_bytes());
    out
}

/// The same with the length as uvarint, as series entries have it.
pub(super) fn entry(before: usize, content: &[u8]) -> Vec<u8> {
    let mut out = vec![0; before];
    tsdb_format::varint::put_uvarint(&mut out, content.len() as u64);
    out.extend_from_slice(content);
    out.extend_from_slice(&crc32c::crc32c(content).to_be_bytes());
    out
}

/// Makes the last four bytes of `framed` the checksum of those between `from` and them.
pub(super) fn fix_crc(framed: &mut [u8], from: usize) {
    let Some((covered, crc)) = framed.split_last_chunk_mut::<4>() else { return };
    if let Some(covered) = covered.get(from..) {
        *crc = crc32c::crc32c(covered).to_be_bytes();
    }
}

/// Makes the checksum right of the part of an index at `offset`, if it has room for one.
pub(super) fn fix_section(index: &mut [u8], offset: u64) {
    let Some(framed) = usize::try_from(offset).ok().and_then(|at| index.get_mut(at..)) else {
        return;
    };
    let Some((length, rest)) = framed.split_first_chunk_mut::<4>() else { return };
    let end = (u32::from_be_bytes(*length) as usize).saturating_add(4);
    if let Some(framed) = rest.get_mut(..end) {
        fix_crc(framed, 0);
    }
}
