//! A monitoring server around [`tsdb::db::Db`]: samples come in by remote write, blocks are made and
//! compacted, and a real Prometheus asks its questions by remote read.
//!
//! ```text
//!   Args ──resolve──> Config ──start──> Server
//!                                         │
//!   listen   sockets, limits, time-outs ──┤
//!   http     routes, answers, counts    ──┤
//!   write    remote write 1.0 and 2.0   ──┤
//!   read     remote read, two ways      ──┤
//!   api      the rest of /api/v1        ──┤
//!   app      what all handlers share    ──┴──> tsdb::db::AsyncDb ──> blocking threads
//! ```
//!
//! Flags, paths, names of metrics and shapes of JSON are Prometheus's. Nothing in here knows how a
//! block or a log is made.
//!
//! ```no_run
//! use tsdb_server::{Args, Config, Server};
//!
//! # async fn run() -> Result<(), Box<dyn std::error::Error>> {
//! let args = Args::of_line(["tsdb-server", "--web.listen-address=127.0.0.1:0"])?;
//! let server = Server::start(Config::resolve(&args)?).await?;
//! println!("{:?}", server.addresses());
//! server.stop();
//! server.finished().await?;
//! # Ok(())
//! # }
//! ```

mod api;
mod app;
mod args;
mod config;
mod error;
mod exposition;
mod features;
mod http;
mod listen;
mod metadata;
mod page;
mod places;
mod protobuf;
mod read;
mod scrape;
mod server;
mod stall;
mod telemetry;
mod units;
mod web_config;
mod write;

pub use args::{Args, LogLevel, UncachedIo};
pub use config::{Config, RemoteRead, RemoteWrite};
pub use error::{ConfigError, ServerError};
pub use features::Features;
pub use server::{Server, Stopper};
pub use web_config::WebConfigError;
pub use write::{LabelLimits, MessageType};
