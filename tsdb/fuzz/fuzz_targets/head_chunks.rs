//! libFuzzer's way into the target `head_chunks`.
#![no_main]

tsdb_fuzz::libfuzzer!("head_chunks");
