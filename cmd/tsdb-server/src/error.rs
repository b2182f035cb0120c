//! What can go wrong with a server as a whole. What is wrong with a request is its handler's to say.

use std::io;
use std::net::SocketAddr;
use std::path::PathBuf;

use tokio::task::JoinError;
use tsdb::db::{AsyncDbError, DbError};

use crate::web_config::WebConfigError;

/// Flags that can't be followed.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ConfigError {
    /// A listen address has no known form.
    #[error("--web.listen-address: {address:?} is no address such as 127.0.0.1:9090")]
    ListenAddress {
        /// What was given.
        address: String,
        /// What is wrong with it.
        source: io::Error,
    },
    /// A feature that there is not.
    #[error("--enable-feature: there is no feature {name:?}; there are {known}")]
    UnknownFeature {
        /// What was given.
        name: String,
        /// What there is.
        known: String,
    },
    /// Two flags contradict each other.
    #[error("--enable-feature=use-uncached-io and --uncached-io={given} contradict each other")]
    Contradiction {
        /// The other flag's value.
        given: &'static str,
    },
}

/// Why a server could not start, or ended by itself.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ServerError {
    /// The web configuration can't be followed.
    #[error("--web.config.file")]
    WebConfig(#[from] WebConfigError),
    /// An address can't be listened on.
    #[error("cannot listen on {address}")]
    Listen {
        /// The address.
        address: SocketAddr,
        /// What the OS said.
        source: io::Error,
    },
    /// The data directory can't be made, or not written to as it should be.
    #[error("cannot use {} as data directory", dir.display())]
    Directory {
        /// The directory.
        dir: PathBuf,
        /// What the OS said.
        source: io::Error,
    },
    /// The database does not open.
    #[error("cannot open the database")]
    Open(#[source] Box<DbError>),
    /// The database did not end well; nothing that was acknowledged is lost by that.
    #[error("cannot close the database")]
    Close(#[source] Box<AsyncDbError>),
    /// A part of the server panicked.
    #[error("a part of the server ended before its time")]
    Join(#[from] JoinError),
}
