//! The same requests through TLS: certificates are checked as the options say, for Swift as for S3.

use std::io;
use std::sync::Arc;

use async_trait::async_trait;
use clinker_drivers::chunked::store::ChunkStore;
use clinker_drivers::s3::S3Store;
use clinker_drivers::swift::SwiftStore;
use clinker_drivers::{Options, RequestContext, Result};
use clinker_env::{BoxStream, Clock, Env, Listener, Net, Tasks};
use jiff::Timestamp;
use rcgen::{CertificateParams, CertifiedIssuer, KeyPair, date_time_ymd};
use tokio_rustls::TlsAcceptor;
use tokio_rustls::rustls::ServerConfig;
use tokio_rustls::rustls::crypto::ring;
use tokio_rustls::rustls::pki_types::PrivateKeyDer;

use crate::support::{S3, Script, Step, env, md5, options, reason, reply, stored};

/// A server's certificate with its key, and the authority's in PEM form.
struct Identity {
    config: Arc<ServerConfig>,
    authority: String,
}

fn identity(name: &str) -> Identity {
    let authority = CertificateParams::new(Vec::new()).unwrap();
    let authority = CertifiedIssuer::self_signed(authority, KeyPair::generate().unwrap()).unwrap();
    let mut params = CertificateParams::new(vec![name.to_owned()]).unwrap();
    params.not_before = date_time_ymd(2026, 1, 1);
    params.not_after = date_time_ymd(2027, 1, 1);
    let key = KeyPair::generate().unwrap();
    let certificate = params.signed_by(&key, &authority).unwrap();
    let config = ServerConfig::builder_with_provider(Arc::new(ring::default_provider()))
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_no_client_auth()
        .with_single_cert(vec![certificate.der().clone()], PrivateKeyDer::try_from(key.serialize_der()).unwrap())
        .unwrap();
    Identity { config: Arc::new(config), authority: authority.pem() }
}

/// Puts a TLS server before whatever answers.
struct TlsNet {
    inner: Arc<dyn Net>,
    config: Arc<ServerConfig>,
}

#[async_trait]
impl Net for TlsNet {
    async fn connect(&self, host: &str, port: u16) -> io::Result<BoxStream> {
        let mut server = self.inner.connect(host, port).await?;
        let (near, far) = tokio::io::duplex(1 << 16);
        let acceptor = TlsAcceptor::from(self.config.clone());
        Tasks::Runtime.spawn(async move {
            // A client that does not like the certificate goes away.
            if let Ok(mut stream) = acceptor.accept(far).await {
                let _ = tokio::io::copy_bidirectional(&mut stream, &mut server).await;
            }
        });
        Ok(Box::new(near))
    }

    async fn listen(&self, _: u16) -> io::Result<Box<dyn Listener>> {
        Err(io::ErrorKind::Unsupported.into())
    }
}

struct Fixed(Timestamp);

impl Clock for Fixed {
    fn now(&self) -> Timestamp {
        self.0
    }
}

fn tls_env(script: &Arc<Script>, identity: &Identity, now: &str) -> Env {
    let plain = env(script);
    let net = Arc::new(TlsNet { inner: plain.net.clone(), config: identity.config.clone() });
    Env { net, clock: Arc::new(Fixed(now.parse().unwrap())), ..plain }
}

const SUMMER: &str = "2026-07-01T12:00:00Z";

/// Puts one object; the options' `CA` is the path of the authority's file.
async fn check(name: &str, now: &str, sets: &[(&str, &str)], expected: &str) {
    let identity = identity(name);
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("ca.pem");
    std::fs::write(&file, &identity.authority).unwrap();
    let https = [("backup_s3_endpoint_url", "https://s3"), ("backup_s3_retry_max_attempts", "0")];
    let mut options: Options = options(&[S3, &https]);
    for (option, value) in sets {
        options.set(option, &value.replace("CA", file.to_str().unwrap())).unwrap();
    }
    let script = Script::new([stored(b"x")]);
    let store = S3Store::new(&options, &tls_env(&script, &identity, now)).unwrap();
    let got: Result<()> = store.put(&RequestContext::admin(), "vol", "o-1", b"x".as_slice().into(), md5(b"x")).await;
    let got = if got.is_ok() { "ok".to_owned() } else { reason(got) };
    assert_eq!(got, expected);
    let lines: &[&str] = if expected == "ok" { &["PUT /vol/o-1"] } else { &[] };
    assert_eq!(script.lines(), lines);
}

#[tokio::test]
async fn a_certificate_is_checked_against_the_configured_authority() {
    let ca = ("backup_s3_ca_cert_file", "CA");
    let distrusted = "unreachable: put of o-1: s3's TLS certificate is not one to trust \
                      (option backup_s3_ca_cert_file)";
    check("s3", SUMMER, &[ca], "ok").await;
    check("elsewhere", SUMMER, &[ca], distrusted).await;
    // The host's clock says whether it is still good.
    check("s3", "2027-07-01T12:00:00Z", &[ca], distrusted).await;
    check("elsewhere", SUMMER, &[("backup_s3_verify_ssl", "false")], "ok").await;
    check(
        "s3",
        SUMMER,
        &[("backup_s3_ca_cert_file", "/nowhere/ca.pem")],
        "invalid_config: put of o-1: option backup_s3_ca_cert_file: the file cannot be read",
    )
    .await;
    check(
        "s3",
        SUMMER,
        &[("backup_s3_ca_cert_file", concat!(env!("CARGO_MANIFEST_DIR"), "/Cargo.toml"))],
        "invalid_config: put of o-1: option backup_s3_ca_cert_file: the file has no certificate in PEM form",
    )
    .await;
}

#[tokio::test]
async fn swift_speaks_tls_too() {
    let identity = identity("swift");
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("ca.pem");
    std::fs::write(&file, &identity.authority).unwrap();
    let options = options(&[&[
        ("backup_swift_url", "https://swift:8443/v1/AUTH_"),
        ("backup_swift_ca_cert_file", file.to_str().unwrap()),
    ]]);
    let script = Script::new([reply(200)]);
    let store = SwiftStore::new(&options, &tls_env(&script, &identity, SUMMER)).unwrap();
    store.check_for_setup_error().await.unwrap();
    assert_eq!(script.seen()[0].line, "swift:8443 GET /info");
    assert_eq!(script.seen()[0].headers["host"], "swift:8443");
}

#[tokio::test(start_paused = true)]
async fn a_server_that_does_not_shake_hands_is_given_up() {
    let https = [("backup_s3_endpoint_url", "https://s3"), ("backup_s3_retry_max_attempts", "0")];
    let (store, _) = crate::support::store(&[S3, &https, &[("backup_s3_verify_ssl", "no")]], [Step::Deaf]);
    let outcome = crate::support::put(&store, "o-1", b"x").await;
    assert_eq!(reason(outcome), "timeout: put of o-1: s3 did not answer within 60s");
}
