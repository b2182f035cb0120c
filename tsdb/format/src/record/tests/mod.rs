//! Tests over all record types.

mod golden;
mod robustness;
