//! libFuzzer's way into the target `record`.
#![no_main]

tsdb_fuzz::libfuzzer!("record");
