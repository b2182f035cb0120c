//! libFuzzer's way into the target `varint`.
#![no_main]

tsdb_fuzz::libfuzzer!("varint");
