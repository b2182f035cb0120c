//! libFuzzer's way into the target `chunk_histogram`.
#![no_main]

tsdb_fuzz::libfuzzer!("chunk_histogram");
