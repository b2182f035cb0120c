//! libFuzzer's way into the target `block_id`.
#![no_main]

tsdb_fuzz::libfuzzer!("block_id");
