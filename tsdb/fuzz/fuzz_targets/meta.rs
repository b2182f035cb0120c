//! libFuzzer's way into the target `meta`.
#![no_main]

tsdb_fuzz::libfuzzer!("meta");
