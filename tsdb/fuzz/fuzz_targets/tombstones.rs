//! libFuzzer's way into the target `tombstones`.
#![no_main]

tsdb_fuzz::libfuzzer!("tombstones");
