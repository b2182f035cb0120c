//! The database as a whole.

#[cfg(feature = "tokio")]
mod async_handle;
mod blocks;
mod crash;
mod crash_blocks;
mod metrics;
mod model;
mod regression;
mod threads;
mod world;
