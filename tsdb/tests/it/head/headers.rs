//! Headers of chunks of histograms, where 3.15 writes chunks anew without need.

use tsdb_format::varint::uvarint;

/// The header of a chunk of histograms that goes on where the one before ended.
const NOT_COUNTER_RESET: u8 = 0x40;

/// How many chunks of histograms say only in ours that no counter was reset since the one before; `None`
/// if anything else differs.
///
/// A deletion behind a series' last sample leaves 3.15 an interval that ends before it begins. It takes
/// no sample away, but has it write chunks anew that lie around it, and these lose that word.
pub(crate) fn headers_kept(mut ours: &[u8], mut theirs: &[u8]) -> Option<usize> {
    let mut kept = 0;
    if ours.split_off(..8)? != theirs.split_off(..8)? || ours.len() != theirs.len() {
        return None;
    }
    while !ours.is_empty() {
        let (len, varint) = uvarint(ours)?;
        let end = varint + 1 + usize::try_from(len).ok()?;
        let (our_chunk, our_crc) = (ours.split_off(..end)?, ours.split_off(..4)?);
        let (their_chunk, their_crc) = (theirs.split_off(..end)?, theirs.split_off(..4)?);
        if our_chunk == their_chunk && our_crc == their_crc {
            continue;
        }
        // Encoding, then the number of samples in two bytes.
        let (encoding, header) = (*our_chunk.get(varint)?, varint + 3);
        let is_of_histograms = matches!(encoding, 2 | 3 | 5 | 6);
        let words = (our_chunk.get(header)?, their_chunk.get(header)?);
        let rest_is_equal = our_chunk[..header] == their_chunk[..header]
            && our_chunk[header + 1..] == their_chunk[header + 1..];
        if !is_of_histograms || words != (&NOT_COUNTER_RESET, &0) || !rest_is_equal {
            return None;
        }
        kept += 1;
    }
    (kept > 0).then_some(kept)
}
