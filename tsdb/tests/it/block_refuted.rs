//! Blocks with right checksums and wrong content: each rule of the format broken once.

use tsdb::block::Block;
use tsdb::block::verify::{BlockReport, FindingKind, verify_block};
use tsdb_format::chunks::{BlockChunkRef, encode_chunk};
use tsdb_format::index::SeriesEntry;
use tsdb_format::labels::Labels;

use crate::block_builder::BlockBuilder;

/// What is found once `tamper` has been at a sound block. Reading it must not panic either.
fn tampered(tamper: impl FnOnce(&mut BlockBuilder)) -> BlockReport {
    let mut builder = BlockBuilder::sound();
    tamper(&mut builder);
    let (_guard, dir) = builder.write();
    if let Ok(block) = Block::open(&dir) {
        read_all(&block);
    }
    verify_block(&dir)
}

/// Whatever comes of it.
fn read_all(block: &Block) {
    let index = block.index();
    let (mut entry, mut labels) = (SeriesEntry::default(), Labels::default());
    for name in index.label_names().unwrap_or_default() {
        for label in index.label_values(name).flatten() {
            for series in index.postings_of(label).into_iter().flatten() {
                let _ = index.series_labels(series, &mut entry);
            }
        }
    }
    for series in index.all_postings().into_iter().flatten() {
        if index.series(series, &mut entry).is_ok() {
            let _ = index.labels(&entry, &mut labels);
            for chunk in &entry.chunks {
                let _ = block.chunk(chunk.reference);
            }
        }
    }
}

#[track_caller]
fn finds(kinds: &[FindingKind], tamper: impl FnOnce(&mut BlockBuilder)) {
    let report = tampered(tamper);
    let mut found: Vec<_> = report.findings.iter().map(|finding| finding.kind).collect();
    found.sort_unstable();
    found.dedup();
    let mut kinds = kinds.to_vec();
    kinds.sort_unstable();
    assert_eq!(found, kinds, "{:#?}", report.findings);
    assert!(!report.is_ok());
}

#[test]
fn the_block_itself_is_sound_in_version_2_and_3() {
    for version in [2, 3] {
        let report = tampered(|block| block.version = version);
        assert_eq!(report.findings, []);
        assert_eq!((report.counts.series, report.counts.samples), (3, 15));
    }
    finds(&[FindingKind::Index], |block| block.version = 4);
    finds(&[FindingKind::Index], |block| block.version = 0);
}

#[test]
fn symbols() {
    use FindingKind::{Labels, Postings, PostingsTable, SeriesOrder, Symbols};
    finds(&[SeriesOrder, Symbols], |block| block.symbols.swap(1, 2));
    finds(&[Symbols], |block| block.symbols.push(b"x".to_vec()));
    finds(&[Symbols, Labels, PostingsTable, Postings], |block| block.symbols[5] = vec![0xff]);
    finds(&[Labels, PostingsTable], |block| block.series[2].labels[1].1 = 6);
    finds(&[Labels, PostingsTable], |block| block.series[0].labels[0].0 = u32::MAX);
}

#[test]
fn label_sets() {
    use FindingKind::{Labels, SeriesOrder};
    finds(&[Labels], |block| block.series[0].labels.clear());
    finds(&[Labels, SeriesOrder], |block| block.series[1].labels.insert(0, (0, 2)));
    finds(&[Labels], |block| block.series[2].labels.swap(0, 1));
    finds(&[Labels], |block| {
        block.symbols[0].clear();
        for series in &mut block.series {
            series.labels[0] = (0, 4);
        }
    });
}

#[test]
fn order_of_series() {
    finds(&[FindingKind::SeriesOrder], |block| {
        let first = block.series[0].labels.clone();
        block.series[0].labels = std::mem::replace(&mut block.series[1].labels, first);
    });
    use FindingKind::{ChunkReference, SeriesOrder};
    finds(&[ChunkReference, SeriesOrder], |block| block.series.swap(0, 1));
    finds(&[FindingKind::SeriesOrder], |block| {
        block.series[1].labels = block.series[0].labels.clone();
    });
}

#[test]
fn postings() {
    use FindingKind::{Postings, PostingsTable, Segment, Series, Stats};
    let lists = |change: fn(&mut Vec<crate::block_builder::List>)| {
        move |block: &mut BlockBuilder| {
            let mut lists = block.sound_lists();
            change(&mut lists);
            block.lists = Some(lists);
        }
    };
    // 0: all series, 1: __name__="up", 2 to 4: job="a", "b", "x"
    finds(
        &[Postings],
        lists(|lists| {
            lists[1].2.remove(1);
        }),
    );
    finds(
        &[Postings],
        lists(|lists| {
            lists[1].2.pop();
        }),
    );
    finds(&[Postings], lists(|lists| lists[2].2.push(1)));
    finds(&[Postings], lists(|lists| lists[2].2.push(9)));
    finds(&[Postings], lists(|lists| lists[1].2.swap(0, 1)));
    finds(&[Postings], lists(|lists| lists[1].2.push(2)));
    finds(
        &[Postings],
        lists(|lists| {
            lists.remove(3);
        }),
    );
    finds(
        &[Postings],
        lists(|lists| {
            lists.remove(0);
        }),
    );
    finds(&[PostingsTable], lists(|lists| lists.swap(2, 3)));
    finds(&[Postings, PostingsTable], lists(|lists| lists.push(lists[4].clone())));
    finds(&[PostingsTable], lists(|lists| lists.push((b"y".to_vec(), b"y".to_vec(), vec![0]))));
    // Series that the list of all series does not have.
    finds(
        &[Stats, Segment, Series, Postings],
        lists(|lists| {
            lists[0].2.remove(1);
        }),
    );
    finds(
        &[Stats, Segment, Series, Postings],
        lists(|lists| {
            lists[0].2.pop();
        }),
    );
    finds(&[Series], lists(|lists| lists[0].2.push(9)));
    finds(&[Postings], lists(|lists| lists[0].2.swap(0, 1)));
}

#[test]
fn chunk_references() {
    use FindingKind::{ChunkReference, Stats, TimeRange};
    let point =
        |reference| move |block: &mut BlockBuilder| block.series[1].chunks[0].reference = reference;
    finds(&[ChunkReference], point(BlockChunkRef::new(1, 8)));
    finds(&[ChunkReference], point(BlockChunkRef::new(i32::MAX as u32, 8)));
    finds(&[FindingKind::Series], point(BlockChunkRef::new(u32::MAX, 8)));
    finds(&[ChunkReference], point(BlockChunkRef::new(0, 0)));
    finds(&[ChunkReference], point(BlockChunkRef::new(0, u32::MAX)));
    // Two series with one chunk: of the bytes that nobody refers to any more there is a note.
    finds(&[ChunkReference, FindingKind::Segment], |block| {
        let last = block.series[0].chunks[1].reference;
        block.series[0].chunks[0].reference = last;
        block.series[0].chunks[0].min_time = 40;
        block.series[0].chunks[0].max_time = 50;
        block.series[0].chunks[1] = block.series[0].chunks[0];
        block.series[0].chunks.pop();
        let chunk = block.series[0].chunks[0];
        block.series[1].chunks.insert(0, chunk);
        block.series[1].chunks.truncate(1);
        block.series[1].chunks[0] = chunk;
        block.samples -= 8 - 2;
    });
    finds(&[Stats], |block| block.samples += 1);
    finds(&[TimeRange], |block| {
        let chunk = block.chunk(&[99, 100]);
        block.series[2].chunks.push(chunk);
    });
}

#[test]
fn chunks_against_the_index() {
    use FindingKind::{Chunk, ChunkOrder, Samples, Stats};
    finds(&[Samples], |block| block.series[0].chunks[0].min_time = 9);
    finds(&[Samples], |block| block.series[0].chunks[0].max_time = 31);
    finds(&[ChunkOrder], |block| {
        let chunk = block.chunk(&[50, 60]);
        block.series[2].chunks.push(chunk);
    });
    finds(&[ChunkOrder, Samples], |block| block.series[2].chunks[1].min_time = 30);
    finds(&[Samples], |block| {
        let chunk = block.chunk(&[60, 80, 70, 90]);
        block.series[2].chunks.push(chunk);
    });
    finds(&[Samples], |block| {
        let chunk = block.chunk(&[60, 60]);
        block.series[2].chunks.push(chunk);
    });
    for (encoding, data, kind) in [
        (9, &[0, 1, 2][..], Chunk),
        (0, &[0, 1, 2], Chunk),
        (1, &[0, 9], Chunk),
        (2, &[0, 9, 0], Chunk),
        (1, &[], Chunk),
        (1, &[0, 0], Samples),
    ] {
        finds(&[kind], |block| {
            let at = BlockChunkRef::new(0, block.segment.len() as u32);
            encode_chunk(&mut block.segment, encoding, data);
            let mut chunk = block.series[2].chunks[1];
            (chunk.min_time, chunk.max_time, chunk.reference) = (60, 60, at);
            block.series[2].chunks.push(chunk);
        });
    }
    finds(&[Stats, FindingKind::Segment], |block| {
        block.series[2].chunks.pop();
    });
}

#[test]
fn a_time_range_that_overflows_is_an_error() {
    finds(&[FindingKind::Series], |block| {
        block.series[2].chunks[0].min_time = i64::MAX - 5;
        block.series[2].chunks[0].max_time = i64::MIN + 5;
    });
}
