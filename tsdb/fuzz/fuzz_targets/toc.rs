//! libFuzzer's way into the target `toc`.
#![no_main]

tsdb_fuzz::libfuzzer!("toc");
