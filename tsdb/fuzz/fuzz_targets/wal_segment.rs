//! libFuzzer's way into the target `wal_segment`.
#![no_main]

tsdb_fuzz::libfuzzer!("wal_segment");
