//! `tls_server_config` as rustls has it.

use std::path::Path;
use std::sync::Arc;

use rustls::crypto::{CryptoProvider, SupportedKxGroup, ring};
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::server::WebPkiClientVerifier;
use rustls::server::danger::ClientCertVerifier;
use rustls::version::{TLS12, TLS13};
use rustls::{NamedGroup, RootCertStore, ServerConfig, SupportedProtocolVersion};

use super::error::WebConfigError;
use super::file::{TlsSection, read};

/// Curves by Go's names.
const CURVES: [(&str, NamedGroup); 3] = [
    ("CurveP256", NamedGroup::secp256r1),
    ("CurveP384", NamedGroup::secp384r1),
    ("X25519", NamedGroup::X25519),
];

impl TlsSection {
    /// Whether TLS is asked for.
    pub(super) fn is_enabled(&self) -> bool {
        let texts = [&self.cert, &self.key, &self.client_ca, &self.client_auth_type];
        let files = [&self.cert_file, &self.key_file, &self.client_ca_file];
        texts.iter().any(|text| text.is_some()) || files.iter().any(|file| file.is_some())
    }

    /// The files that it names.
    pub(super) fn files(&self) -> impl Iterator<Item = &Path> {
        let files = [&self.cert_file, &self.key_file, &self.client_ca_file];
        files.into_iter().flatten().map(|path| path.as_path())
    }

    /// How TLS is spoken; files are read.
    pub(super) fn server_config(&self) -> Result<ServerConfig, WebConfigError> {
        let cert = self.pem(&self.cert, self.cert_file.as_deref(), "cert or cert_file")?;
        let key = self.pem(&self.key, self.key_file.as_deref(), "key or key_file")?;
        let certs = certificates("cert_file", &cert)?;
        let key = PrivateKeyDer::from_pem_slice(&key).map_err(|error| WebConfigError::Pem {
            field: "key_file",
            reason: error.to_string(),
        })?;
        let provider = Arc::new(self.provider()?);
        let verifier = self.client_verifier(&provider)?;
        let builder = ServerConfig::builder_with_provider(provider);
        let builder = builder.with_protocol_versions(&self.versions()?)?;
        let builder = builder.with_client_cert_verifier(verifier);
        let mut config = builder.with_single_cert(certs, key)?;
        config.alpn_protocols = vec![b"http/1.1".to_vec()];
        Ok(config)
    }

    /// What a field holds, or the file that it names.
    fn pem(
        &self,
        text: &Option<String>,
        file: Option<&Path>,
        field: &'static str,
    ) -> Result<Vec<u8>, WebConfigError> {
        match (file, text) {
            (Some(path), _) => read(path),
            (None, Some(text)) => Ok(text.clone().into_bytes()),
            (None, None) => Err(WebConfigError::Missing { field }),
        }
    }

    fn provider(&self) -> Result<CryptoProvider, WebConfigError> {
        let mut provider = ring::default_provider();
        if !self.cipher_suites.is_empty() {
            let mut asked = Vec::new();
            for name in &self.cipher_suites {
                let suites = provider.cipher_suites.iter();
                let is_this = |known: &str| known == name || known == format!("{name}_SHA256");
                let found = suites.copied().find(|known| is_this(&format!("{:?}", known.suite())));
                asked.push(found.ok_or_else(|| unsupported("cipher_suites", name))?);
            }
            // Those of TLS 1.3 are not to be chosen, in Go neither.
            let of_1_3 = provider.cipher_suites.iter().filter(|known| known.tls13().is_some());
            provider.cipher_suites = of_1_3.copied().chain(asked).collect();
        }
        if !self.curve_preferences.is_empty() {
            let group = |name: &String| -> Result<&'static dyn SupportedKxGroup, WebConfigError> {
                let known = CURVES.iter().find(|(known, _)| known == name);
                let groups = provider.kx_groups.iter().copied();
                known
                    .and_then(|(_, wanted)| groups.clone().find(|group| group.name() == *wanted))
                    .ok_or_else(|| unsupported("curve_preferences", name))
            };
            provider.kx_groups =
                self.curve_preferences.iter().map(group).collect::<Result<_, _>>()?;
        }
        Ok(provider)
    }

    /// 1.2 and 1.3, as far as they are between the limits.
    fn versions(&self) -> Result<Vec<&'static SupportedProtocolVersion>, WebConfigError> {
        let number = |field, name: &Option<String>, default| match name.as_deref() {
            None => Ok(default),
            Some("TLS13") => Ok(3),
            Some("TLS12") => Ok(2),
            Some("TLS11") => Ok(1),
            Some("TLS10") => Ok(0),
            Some(other) => Err(unsupported(field, other)),
        };
        let min = number("min_version", &self.min_version, 2)?;
        let max = number("max_version", &self.max_version, 3)?;
        let all = [(2, &TLS12), (3, &TLS13)].into_iter();
        let versions: Vec<_> =
            all.filter(|(n, _)| (min..=max).contains(n)).map(|(_, version)| version).collect();
        if versions.is_empty() {
            let asked = self.max_version.clone().unwrap_or_default();
            return Err(unsupported("max_version", &asked));
        }
        Ok(versions)
    }

    fn client_verifier(
        &self,
        provider: &Arc<CryptoProvider>,
    ) -> Result<Arc<dyn ClientCertVerifier>, WebConfigError> {
        if let Some(name) = self.client_allowed_sans.first() {
            return Err(unsupported("client_allowed_sans", name));
        }
        let has_ca = self.client_ca.is_some() || self.client_ca_file.is_some();
        let is_optional = match self.client_auth_type.as_deref().unwrap_or_default() {
            "" | "NoClientCert" if has_ca => {
                return Err(WebConfigError::Missing { field: "client_auth_type" });
            }
            "" | "NoClientCert" => return Ok(WebPkiClientVerifier::no_client_auth()),
            "VerifyClientCertIfGiven" => true,
            "RequireAndVerifyClientCert" => false,
            other => return Err(unsupported("client_auth_type", other)),
        };
        let ca = self.pem(&self.client_ca, self.client_ca_file.as_deref(), "client_ca_file")?;
        let refused = |reason: String| WebConfigError::ClientCa { reason };
        let mut roots = RootCertStore::empty();
        for certificate in certificates("client_ca_file", &ca)? {
            roots.add(certificate).map_err(|error| refused(error.to_string()))?;
        }
        let builder =
            WebPkiClientVerifier::builder_with_provider(Arc::new(roots), Arc::clone(provider));
        let builder = if is_optional { builder.allow_unauthenticated() } else { builder };
        builder.build().map(|verifier| verifier as _).map_err(|error| refused(error.to_string()))
    }
}

fn certificates(
    field: &'static str,
    pem: &[u8],
) -> Result<Vec<CertificateDer<'static>>, WebConfigError> {
    let refused = |reason| WebConfigError::Pem { field, reason };
    let all: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(pem).collect();
    let all = all.map_err(|error| refused(error.to_string()))?;
    if all.is_empty() { Err(refused("there is no certificate".to_owned())) } else { Ok(all) }
}

fn unsupported(field: &'static str, value: &str) -> WebConfigError {
    WebConfigError::Unsupported { field, value: value.to_owned() }
}
