//! libFuzzer's way into the target `postings_table`.
#![no_main]

tsdb_fuzz::libfuzzer!("postings_table");
