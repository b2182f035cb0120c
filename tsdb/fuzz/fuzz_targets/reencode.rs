//! libFuzzer's way into the target `reencode`.
#![no_main]

tsdb_fuzz::libfuzzer!("reencode");
