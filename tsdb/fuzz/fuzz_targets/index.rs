//! libFuzzer's way into the target `index`.
#![no_main]

tsdb_fuzz::libfuzzer!("index");
