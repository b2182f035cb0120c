//! libFuzzer's way into the target `symbols`.
#![no_main]

tsdb_fuzz::libfuzzer!("symbols");
