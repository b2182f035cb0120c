//! libFuzzer's way into the target `chunk_xor`.
#![no_main]

tsdb_fuzz::libfuzzer!("chunk_xor");
