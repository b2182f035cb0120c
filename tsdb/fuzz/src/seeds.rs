//! What `testdata` holds, cut into what the targets take.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

use tsdb_format::chunkenc::Encoding;
use tsdb_format::chunks::{SEGMENT_HEADER_BYTES, decode_chunk};
use tsdb_format::head_chunks::{HeadChunk, encode_head_chunk, head_chunks_header};
use tsdb_format::index::{IndexVersion, PostingsList, PostingsTable, SeriesEntry, TOC_BYTES, Toc};

use crate::Target;

mod records;

/// At most so many seeds for a target: enough for every shape in `testdata`.
const SEEDS_MAX: usize = 200;

/// Valid inputs for `target`, none longer than it takes, the same ones each time.
///
/// # Panics
/// If `testdata` does not lie where the repository has it.
#[must_use]
pub fn seeds(target: &Target) -> Vec<Vec<u8>> {
    let encoding =
        Encoding::ALL.into_iter().find(|encoding| chunk_target(*encoding) == target.name);
    let all = match (target.name, encoding) {
        (_, Some(encoding)) => chunks(encoding),
        ("reencode", _) => pairs(),
        ("segment", _) => files("chunks/000001"),
        ("head_chunks", _) => head_chunk_files(),
        ("index", _) => files("index"),
        ("tombstones", _) => files("tombstones"),
        ("meta", _) => files("meta.json"),
        ("record", _) => records::records(),
        ("wal_segment", _) => records::segments(),
        ("selector", _) => SELECTORS.iter().map(|text| text.as_bytes().to_vec()).collect(),
        ("block_id", _) => blocks().iter().filter_map(|block| name_of(block)).collect(),
        ("varint", _) => (0..64).map(|bit| uvarint(1 << bit)).collect(),
        (part, _) => files("index").iter().flat_map(|index| parts(part, index)).collect(),
    };
    let fits = |seed: &Vec<u8>| !seed.is_empty() && seed.len() <= target.input_bytes_max;
    // The same content once, short ones first.
    let different: BTreeSet<(usize, Vec<u8>)> =
        all.into_iter().filter(fits).map(|seed| (seed.len(), seed)).collect();
    let step = different.len().div_ceil(SEEDS_MAX).max(1);
    different.into_iter().step_by(step).map(|(_, seed)| seed).collect()
}

const SELECTORS: &[&str] = &[
    "up",
    "http_requests_total{code=~\"5..\",job!=\"test\"}",
    "{__name__=~\"node_.+\",instance!~\"(a|b)c*|d{2,3}\"}",
    "{\"metric.with.dots\",`raw`=\"\\u00e9\\x41\\101\"} # comment",
    "a:b{x='[[:alpha:]]\\\\d\\\\pL(?i:x)\\\\Qa.b\\\\E',}",
    "{a=~\"^$|()|.*|[^a-z]\"}",
];

fn chunk_target(encoding: Encoding) -> &'static str {
    match encoding {
        Encoding::Xor => "chunk_xor",
        Encoding::Histogram => "chunk_histogram",
        Encoding::FloatHistogram => "chunk_float_histogram",
        Encoding::Xor2 => "chunk_xor2",
        Encoding::HistogramSt => "chunk_histogram_st",
        Encoding::FloatHistogramSt => "chunk_float_histogram_st",
    }
}

/// Every source block of `testdata`, sorted.
fn blocks() -> Vec<PathBuf> {
    let testdata = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../testdata");
    let mut found = Vec::new();
    for folder in list(&testdata.join("blocks")) {
        found.extend(list(&folder));
    }
    found.extend(list(&testdata.join("index-v1")));
    assert!(!found.is_empty(), "no blocks in {}", testdata.display());
    found
}

fn list(dir: &Path) -> Vec<PathBuf> {
    let entries = fs::read_dir(dir).into_iter().flatten().flatten();
    let mut paths: Vec<PathBuf> = entries.map(|entry| entry.path()).collect();
    paths.sort();
    paths
}

fn name_of(block: &Path) -> Option<Vec<u8>> {
    block.file_name().and_then(|name| name.to_str()).map(|name| name.as_bytes().to_vec())
}

fn files(name: &str) -> Vec<Vec<u8>> {
    blocks().iter().filter_map(|block| fs::read(block.join(name)).ok()).collect()
}

fn uvarint(value: u64) -> Vec<u8> {
    let mut out = Vec::new();
    tsdb_format::varint::put_uvarint(&mut out, value);
    out
}

/// Chunks of one encoding, out of the first segment of each block.
fn chunks(encoding: Encoding) -> Vec<Vec<u8>> {
    let mut found = Vec::new();
    for segment in files("chunks/000001") {
        let mut rest = segment.get(SEGMENT_HEADER_BYTES..).unwrap_or_default();
        while let Ok(record) = decode_chunk(rest) {
            if record.encoding == encoding as u8 && record.verify().is_ok() {
                found.push(record.data.to_vec());
            }
            rest = rest.get(record.record_bytes..).unwrap_or_default();
        }
    }
    found
}

/// Head chunk files of a few chunks each, of all encodings, in order and out of order, with and
/// without zeros behind them.
fn head_chunk_files() -> Vec<Vec<u8>> {
    let mut found = Vec::new();
    for encoding in Encoding::ALL {
        for (number, several) in chunks(encoding).chunks(3).take(8).enumerate() {
            let mut file = head_chunks_header().to_vec();
            for (series, data) in several.iter().enumerate() {
                let chunk = HeadChunk {
                    series_ref: ((series as u64 + 1) << (8 * number)).into(),
                    min_time: 1_000 * number as i64,
                    max_time: 2_000 + series as i64,
                    encoding: encoding as u8,
                    is_out_of_order: (number + series) % 3 == 0,
                    data,
                };
                encode_head_chunk(&mut file, &chunk);
            }
            file.resize(file.len() + [0, 3, 100][number % 3], 0);
            found.push(file);
        }
    }
    found
}

/// Two chunks each, of every two encodings, as the target `reencode` takes them.
fn pairs() -> Vec<Vec<u8>> {
    let of = Encoding::ALL.map(chunks);
    let mut found = Vec::new();
    for (first, left) in of.iter().enumerate() {
        for (second, right) in of.iter().enumerate() {
            for (left, right) in left.iter().zip(right.iter().skip(1)).step_by(7).take(6) {
                // The place to split at is in 256ths: the second chunk gets what rounding leaves.
                let split = (left.len() * 256).div_ceil(left.len() + right.len()).min(255);
                let mut pair = vec![first as u8, second as u8, split as u8, 100, 150];
                pair.extend_from_slice(left);
                pair.extend_from_slice(right);
                found.push(pair);
            }
        }
    }
    found
}

/// The contents of all parts of one kind of an index, without frame.
fn parts(part: &str, index: &[u8]) -> Vec<Vec<u8>> {
    let (Ok(version), Ok(toc)) = (IndexVersion::of(index), Toc::decode(index)) else {
        return Vec::new();
    };
    let section = |offset: u64| {
        let at = usize::try_from(offset).ok()?;
        let (length, rest) = index.get(at..)?.split_first_chunk::<4>()?;
        rest.get(..u32::from_be_bytes(*length) as usize).map(<[u8]>::to_vec)
    };
    let Ok(table) = PostingsTable::open(index, toc.postings_table) else { return Vec::new() };
    match part {
        "symbols" => section(toc.symbols).into_iter().collect(),
        "postings_table" => section(toc.postings_table).into_iter().collect(),
        "toc" => vec![index.get(index.len() - TOC_BYTES..).unwrap_or_default().to_vec()],
        "postings" => table.iter(index).filter_map(|entry| section(entry.offset)).collect(),
        "series" => {
            let all = table.find(index, b"", b"");
            let Some(Ok(all)) = all.map(|offset| PostingsList::at(index, offset)) else {
                return Vec::new();
            };
            all.iter().filter_map(|id| entry_content(index, version.series_offset(id))).collect()
        }
        other => panic!("no seeds for {other}"),
    }
}

/// A series entry without length and checksum.
fn entry_content(index: &[u8], offset: u64) -> Option<Vec<u8>> {
    let length = SeriesEntry::default().decode(index, offset).ok()?;
    let entry = index.get(usize::try_from(offset).ok()?..)?.get(..length)?;
    let (_, field) = tsdb_format::varint::uvarint(entry)?;
    entry.get(field..length - 4).map(<[u8]>::to_vec)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::TARGETS;

    #[test]
    fn every_target_has_seeds_that_fit() {
        for target in TARGETS {
            let seeds = seeds(target);
            assert!(seeds.len() >= 5, "{target:?} has {} seeds", seeds.len());
            assert!(seeds.len() <= SEEDS_MAX);
            assert!(seeds.iter().all(|seed| seed.len() <= target.input_bytes_max));
        }
    }
}
