//! libFuzzer's way into the target `chunk_float_histogram_st`.
#![no_main]

tsdb_fuzz::libfuzzer!("chunk_float_histogram_st");
