//! `--web.config.file`: TLS, users, headers.

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};

use base64::Engine;
use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, IsCa, KeyPair};
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName};
use rustls::{ClientConfig, ClientConnection, RootCertStore, StreamOwned};

use crate::client::{Response, connect, request};
use crate::server::{TestServer, dir};

/// A certificate authority in a directory of its own.
struct Authority {
    issuer: CertifiedIssuer<'static, KeyPair>,
    dir: PathBuf,
}

impl Authority {
    fn new(dir: &Path) -> Self {
        let mut params = CertificateParams::new(Vec::new()).unwrap();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let issuer = CertifiedIssuer::self_signed(params, KeyPair::generate().unwrap()).unwrap();
        fs::write(dir.join("ca.pem"), issuer.pem()).unwrap();
        Self { issuer, dir: dir.to_owned() }
    }

    /// Writes `NAME.pem` and `NAME.key`.
    fn sign(&self, name: &str) {
        let key = KeyPair::generate().unwrap();
        let params = CertificateParams::new(vec!["localhost".to_owned()]).unwrap();
        let certificate = params.signed_by(&key, &self.issuer).unwrap();
        fs::write(self.dir.join(format!("{name}.pem")), certificate.pem()).unwrap();
        fs::write(self.dir.join(format!("{name}.key")), key.serialize_pem()).unwrap();
    }

    /// A client that trusts it, and shows the certificate of this name.
    fn client(&self, own: Option<&str>) -> Arc<ClientConfig> {
        let mut roots = RootCertStore::empty();
        roots.add(self.issuer.der().clone()).unwrap();
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let builder = ClientConfig::builder_with_provider(provider);
        let builder = builder.with_safe_default_protocol_versions().unwrap();
        let builder = builder.with_root_certificates(roots);
        Arc::new(match own {
            None => builder.with_no_client_auth(),
            Some(name) => {
                let file = |ending: &str| self.dir.join(format!("{name}.{ending}"));
                let certificate = CertificateDer::from_pem_file(file("pem")).unwrap();
                let key = PrivateKeyDer::from_pem_file(file("key")).unwrap();
                builder.with_client_auth_cert(vec![certificate], key).unwrap()
            }
        })
    }
}

fn get_tls(
    server: &TestServer,
    client: &Arc<ClientConfig>,
    path: &str,
) -> std::io::Result<Response> {
    let name = ServerName::try_from("localhost").unwrap();
    let connection = ClientConnection::new(Arc::clone(client), name).unwrap();
    let stream = StreamOwned::new(connection, connect(server.address));
    request(stream, "GET", path, &[], b"")
}

fn flag(dir: &Path, text: &str) -> String {
    let path = dir.join("web.yml");
    fs::write(&path, text).unwrap();
    format!("--web.config.file={}", path.display())
}

#[test]
fn users_are_let_in_by_their_passwords() {
    let (data, files) = (dir(), dir());
    let hash = bcrypt::hash("secret", 4).unwrap();
    let flag = flag(files.path(), &format!("basic_auth_users:\n  alice: {hash}\n"));
    let server = TestServer::start_unready(data.path(), &[&flag]);
    let get = |path: &str, user: &str| {
        let encoded = base64::engine::general_purpose::STANDARD.encode(user);
        server.get_with(path, &[("Authorization", &format!("Basic {encoded}"))])
    };
    for path in ["/-/healthy", "/metrics", "/api/v1/labels", "/nowhere"] {
        let response = server.get(path);
        assert_eq!(response.status, 401, "{path}");
        assert_eq!(response.header("WWW-Authenticate"), Some("Basic"));
        for user in ["alice:wrong", "bob:secret", "alice:", ":"] {
            assert_eq!(get(path, user).status, 401, "{path} {user}");
        }
    }
    for _ in 0..2 {
        assert_eq!(get("/-/healthy", "alice:secret").status, 200);
    }
    assert_eq!(get("/nowhere", "alice:secret").status, 404);
}

#[test]
fn tls_is_spoken_with_whom_it_should_be() {
    let (data, files) = (dir(), dir());
    let authority = Authority::new(files.path());
    ["server", "client"].iter().for_each(|name| authority.sign(name));
    let text = "tls_server_config:\n  cert_file: server.pem\n  key_file: server.key\n  \
        client_auth_type: RequireAndVerifyClientCert\n  client_ca_file: ca.pem\n\
        http_server_config:\n  headers:\n    X-Frame-Options: deny\n";
    let server = TestServer::start_unready(data.path(), &[&flag(files.path(), text)]);
    let response = get_tls(&server, &authority.client(Some("client")), "/-/healthy").unwrap();
    assert_eq!((response.status, response.header("X-Frame-Options")), (200, Some("deny")));
    assert!(get_tls(&server, &authority.client(None), "/-/healthy").is_err());
    let stranger = dir();
    let other = Authority::new(stranger.path());
    other.sign("client");
    let of_other = {
        let mut client = ClientConfig::clone(&authority.client(None));
        client.client_auth_cert_resolver =
            other.client(Some("client")).client_auth_cert_resolver.clone();
        Arc::new(client)
    };
    assert!(get_tls(&server, &of_other, "/-/healthy").is_err(), "a stranger's certificate");
    // Who speaks no TLS gets no answer.
    assert!(request(connect(server.address), "GET", "/-/healthy", &[], b"").is_err());
}

#[test]
fn certificates_are_changed_without_a_restart() {
    let (data, files) = (dir(), dir());
    let old = Authority::new(files.path());
    old.sign("server");
    let text = "tls_server_config: {cert_file: server.pem, key_file: server.key}\n";
    let server = TestServer::start_unready(data.path(), &[&flag(files.path(), text)]);
    assert_eq!(get_tls(&server, &old.client(None), "/-/healthy").unwrap().status, 200);
    // Half of a change can't be followed: what was good goes on.
    fs::write(files.path().join("server.key"), "no key").unwrap();
    std::thread::sleep(Duration::from_millis(1100));
    assert_eq!(get_tls(&server, &old.client(None), "/-/healthy").unwrap().status, 200);
    let new = Authority::new(files.path());
    new.sign("server");
    let begun = Instant::now();
    while get_tls(&server, &new.client(None), "/-/healthy").is_err() {
        assert!(begun.elapsed() < Duration::from_secs(10), "the new certificate is not served");
        std::thread::sleep(Duration::from_millis(50));
    }
}

#[test]
fn a_client_that_never_shakes_hands_is_ended() {
    let (data, files) = (dir(), dir());
    let authority = Authority::new(files.path());
    authority.sign("server");
    let text = "tls_server_config: {cert_file: server.pem, key_file: server.key}\n";
    let flags = [&flag(files.path(), text), "--web.read-timeout=300ms"];
    let server = TestServer::start_unready(data.path(), &flags);
    let mut stream = connect(server.address);
    let begun = Instant::now();
    let _ = std::io::Read::read_to_end(&mut stream, &mut Vec::new());
    assert!(begun.elapsed() < Duration::from_secs(10));
}

#[test]
fn what_can_t_be_followed_is_refused_at_once() {
    let files = dir();
    let authority = Authority::new(files.path());
    authority.sign("server");
    for (text, reason) in [
        ("nonsense: 1", "nonsense"),
        ("basic_auth_users: {alice: plain}", "alice"),
        ("tls_server_config: {cert_file: server.pem}", "key_file"),
        ("tls_server_config: {cert_file: none.pem, key_file: server.key}", "none.pem"),
        ("tls_server_config: {cert_file: server.pem, key_file: server.pem}", "key_file"),
        (
            "tls_server_config: {cert_file: server.pem, key_file: server.key, max_version: TLS11}",
            "max_version",
        ),
        (
            "tls_server_config: {cert_file: server.pem, key_file: server.key, client_auth_type: \
             RequestClientCert}",
            "client_auth_type",
        ),
    ] {
        let data = dir();
        let flag = flag(files.path(), text);
        let error = TestServer::refused(data.path(), &[&flag]);
        assert!(error.contains(reason), "{text}: {error}");
    }
}
