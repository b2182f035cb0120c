//! What can be wrong with the file.

use std::io;
use std::path::PathBuf;

/// A web configuration that can't be followed.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum WebConfigError {
    /// A file can't be read.
    #[error("cannot read {}", path.display())]
    Read {
        /// The file.
        path: PathBuf,
        /// What the OS said.
        source: io::Error,
    },
    /// It is no YAML, or has fields that it should not have.
    #[error("cannot parse {}: {reason}", path.display())]
    Parse {
        /// The file.
        path: PathBuf,
        /// Where and why.
        reason: String,
    },
    /// A field is missing that others need.
    #[error("missing {field}")]
    Missing {
        /// The field, or what may stand for it.
        field: &'static str,
    },
    /// A field has a value that there is not here.
    #[error("{field}: {value:?} is not supported")]
    Unsupported {
        /// The field.
        field: &'static str,
        /// Its value.
        value: String,
    },
    /// A password is not hashed by bcrypt.
    #[error("basic_auth_users: the password of {user:?} is no bcrypt hash")]
    Password {
        /// Whose.
        user: String,
    },
    /// Text that should be certificates or a key is not.
    #[error("{field}: no PEM of the right kind: {reason}")]
    Pem {
        /// The field.
        field: &'static str,
        /// What is wrong.
        reason: String,
    },
    /// Certificate and key don't go together, or TLS can't be had so.
    #[error("tls_server_config: {0}")]
    Tls(#[from] rustls::Error),
    /// The certificates of clients can't be verified so.
    #[error("client_ca: {reason}")]
    ClientCa {
        /// What is wrong.
        reason: String,
    },
}
