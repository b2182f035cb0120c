//! The file as it is written.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use axum::http::{HeaderName, HeaderValue};
use serde::Deserialize;

use super::error::WebConfigError;

/// Headers that may be set, and the values that they may have; none for any.
const HEADERS: [(&str, &[&str]); 5] = [
    ("Strict-Transport-Security", &[]),
    ("X-Content-Type-Options", &["nosniff"]),
    ("X-Frame-Options", &["deny", "sameorigin"]),
    ("X-XSS-Protection", &[]),
    ("Content-Security-Policy", &[]),
];

/// The file.
#[derive(Debug, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(super) struct File {
    pub(super) tls_server_config: TlsSection,
    pub(super) http_server_config: HttpSection,
    /// Users with their passwords, hashed.
    pub(super) basic_auth_users: BTreeMap<String, String>,
}

/// `tls_server_config`.
#[derive(Debug, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(super) struct TlsSection {
    pub(super) cert: Option<String>,
    pub(super) cert_file: Option<PathBuf>,
    pub(super) key: Option<String>,
    pub(super) key_file: Option<PathBuf>,
    pub(super) client_ca: Option<String>,
    pub(super) client_ca_file: Option<PathBuf>,
    pub(super) client_auth_type: Option<String>,
    pub(super) client_allowed_sans: Vec<String>,
    pub(super) cipher_suites: Vec<String>,
    pub(super) curve_preferences: Vec<String>,
    pub(super) min_version: Option<String>,
    pub(super) max_version: Option<String>,
    /// Without effect in Prometheus, too.
    pub(super) prefer_server_cipher_suites: Option<bool>,
}

/// `http_server_config`.
#[derive(Debug, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(super) struct HttpSection {
    /// Taken, and without effect: HTTP is 1.1 here.
    pub(super) http2: Option<bool>,
    headers: BTreeMap<String, String>,
}

impl File {
    /// Reads a file. Paths in it are relative to its directory.
    pub(super) fn read(path: &Path) -> Result<Self, WebConfigError> {
        let text = read(path).and_then(|bytes| {
            String::from_utf8(bytes).map_err(|error| WebConfigError::Parse {
                path: path.to_owned(),
                reason: error.to_string(),
            })
        })?;
        let mut file = Self::parse(&text)
            .map_err(|reason| WebConfigError::Parse { path: path.to_owned(), reason })?;
        let tls = &mut file.tls_server_config;
        let dir = path.parent().unwrap_or(Path::new(""));
        let files = [&mut tls.cert_file, &mut tls.key_file, &mut tls.client_ca_file];
        for own in files.into_iter().flatten() {
            *own = dir.join(&*own);
        }
        Ok(file)
    }

    fn parse(text: &str) -> Result<Self, String> {
        let is_blank = |line: &str| line.is_empty() || line.starts_with('#');
        if text.lines().map(str::trim).all(is_blank) {
            return Ok(Self::default());
        }
        serde_yaml_ng::from_str(text).map_err(|error| error.to_string())
    }
}

impl HttpSection {
    /// The headers of all answers.
    pub(super) fn headers(&self) -> Result<Vec<(HeaderName, HeaderValue)>, WebConfigError> {
        let header = |(name, value): (&String, &String)| {
            let refused =
                |field, value: &str| WebConfigError::Unsupported { field, value: value.to_owned() };
            let known = HEADERS.iter().find(|(known, _)| known == name);
            let (_, values) = known.ok_or_else(|| refused("http_server_config.headers", name))?;
            if !values.is_empty() && !values.contains(&value.as_str()) {
                return Err(refused("http_server_config.headers", value));
            }
            let name = HeaderName::from_bytes(name.as_bytes());
            let name = name.map_err(|_| refused("http_server_config.headers", value))?;
            let text = HeaderValue::from_str(value);
            Ok((name, text.map_err(|_| refused("http_server_config.headers", value))?))
        };
        self.headers.iter().map(header).collect()
    }
}

pub(super) fn read(path: &Path) -> Result<Vec<u8>, WebConfigError> {
    fs::read(path).map_err(|source| WebConfigError::Read { path: path.to_owned(), source })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_file_is_prometheuss() {
        let text = "
tls_server_config:
  cert_file: server.crt
  key_file: server.key
  min_version: TLS12
http_server_config:
  http2: false
  headers:
    X-Frame-Options: deny
basic_auth_users:
  alice: $2y$10$abc
";
        let file = File::parse(text).unwrap();
        assert_eq!(file.tls_server_config.cert_file.as_deref(), Some(Path::new("server.crt")));
        assert_eq!(file.basic_auth_users["alice"], "$2y$10$abc");
        assert_eq!(file.http_server_config.headers().unwrap()[0].1, "deny");
        assert!(File::parse("\n# nothing\n").unwrap().basic_auth_users.is_empty());
    }

    #[test]
    fn what_is_not_known_is_refused() {
        for text in ["unknown: 1", "tls_server_config: {cert_fil: a}", "- a", "basic_auth_users: 7"]
        {
            assert!(File::parse(text).is_err(), "{text}");
        }
        for headers in ["X-Other: a", "X-Frame-Options: allow", "X-XSS-Protection: \"a\\nb\""] {
            let file = File::parse(&format!("http_server_config:\n  headers:\n    {headers}\n"));
            assert!(file.unwrap().http_server_config.headers().is_err(), "{headers}");
        }
    }
}
