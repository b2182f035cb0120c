//! `--web.config.file`: TLS, basic authentication and headers, as all of Prometheus's exporters have
//! them.
//!
//! The file is looked at again as time goes by: certificates and users change without a restart. A
//! change that can't be followed is logged, and what was good before goes on.
//!
//! What rustls has not is refused by name: client certificates that nobody verifies, TLS below 1.2,
//! curves and ciphers of old. HTTP is 1.1 either way.
//!
//! Source: the page "HTTPS and authentication"; exporter-toolkit 0.19, `web/tls_config.go`,
//! `web/handler.go`.

mod auth;
mod error;
mod file;
mod guard;
mod tls;
mod watched;

pub use error::WebConfigError;
pub(crate) use guard::guard;
pub(crate) use watched::WebConfig;
