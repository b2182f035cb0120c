//! Tests over all encodings.

mod golden;
mod robustness;
mod round_trip;
