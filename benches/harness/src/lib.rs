//! What the benches share.
//!
//! ```text
//!  benches/head   benches/peer   benches/server   benches/uncached-io   cmd/tsdb-compact
//!        \              |              |                 |               /
//!  this crate: build  cgroup  measure  sample  watch  neighbour  latency  cache  machine  stats
//!              table  versus
//! ```
//!
//! [`measure`] is for benches that want peaks, [`watch`] for whoever wants to draw what happened when.
//! It knows nothing of blocks and of writers: a load is a command line. A crate of its own, so
//! that neither a bench depends on another bench nor a program on any bench's rivals and plots.

pub mod build;
pub mod cache;
pub mod cgroup;
pub mod latency;
pub mod machine;
pub mod measure;
pub mod neighbour;
pub mod sample;
pub mod stats;
pub mod table;
pub mod versus;
pub mod watch;
