//! Generated blocks, read sample by sample by Prometheus.

use std::sync::Arc;

use serde_json::Value;
use tsdb::compact::CancelToken;
use tsdb::generate::{Encoding, GenerateOptions, generate};
use tsdb::vfs::{Io, OsVfs, Policy, Vfs};

use crate::judge;

#[test]
fn prometheus_reads_all_that_was_generated() {
    let Some(mut command) = judge::command("digest") else { return };
    let dir = tempfile::tempdir().unwrap();
    let vfs: Arc<dyn Vfs> = Arc::new(OsVfs::new(Io::probe(dir.path(), Policy::Off).unwrap()));
    let mut options = GenerateOptions::default();
    options.series = 2000;
    options.samples = 250;
    options.blocks = 2;
    options.replicas = 2;
    options.churn = 0.3;
    options.histogram_share = 0.4;
    options.encodings = Encoding::ALL.to_vec();
    options.tombstone_share = 0.1;
    options.segment_bytes_max = 1 << 20;
    options.seed = judge::seed();
    let mut blocks = Vec::new();
    generate(&vfs, dir.path(), &options, &CancelToken::new(), |block| blocks.push(block.clone()))
        .unwrap();

    let output = command.args(blocks.iter().map(|block| &block.path)).output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let digests = String::from_utf8(output.stdout).unwrap();
    for (block, line) in blocks.iter().zip(digests.lines()) {
        let digest: Value = serde_json::from_str(line).unwrap();
        let stats = &block.meta.stats;
        let number = |name: &str| digest[name].as_u64().unwrap();
        assert_eq!(digest["block"], block.path.to_str().unwrap());
        assert_eq!((number("series"), number("chunks")), (2000, stats.num_chunks), "{digest}");
        assert_eq!(number("count") + number("deleted"), 2000 * 250, "{digest}");
        assert!(number("deleted") > 0, "{digest}");
        let chunks = digest["chunks_by_encoding"].as_array().unwrap();
        assert!(chunks[1..].iter().all(|count| count.as_u64() > Some(0)), "{digest}");
        let within = |time: &str| {
            (block.meta.min_time..block.meta.max_time).contains(&digest[time].as_i64().unwrap())
        };
        assert!(within("min_time") && within("max_time"), "{digest}");
    }
}
