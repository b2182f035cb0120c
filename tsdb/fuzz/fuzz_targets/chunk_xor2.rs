//! libFuzzer's way into the target `chunk_xor2`.
#![no_main]

tsdb_fuzz::libfuzzer!("chunk_xor2");
