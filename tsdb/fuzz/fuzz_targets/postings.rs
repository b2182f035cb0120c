//! libFuzzer's way into the target `postings`.
#![no_main]

tsdb_fuzz::libfuzzer!("postings");
