//! libFuzzer's way into the target `selector`.
#![no_main]

tsdb_fuzz::libfuzzer!("selector");
