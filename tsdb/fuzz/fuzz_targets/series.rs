//! libFuzzer's way into the target `series`.
#![no_main]

tsdb_fuzz::libfuzzer!("series");
