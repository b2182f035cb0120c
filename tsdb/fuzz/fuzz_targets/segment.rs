//! libFuzzer's way into the target `segment`.
#![no_main]

tsdb_fuzz::libfuzzer!("segment");
