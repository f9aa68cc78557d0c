//! The rustls client: one configuration per client, made at the first connection.

use std::fmt;
use std::io;
use std::sync::Arc;
use std::time::Duration;

use clinker_env::{BoxStream, Clock, Env};
use tokio::sync::OnceCell;
use tokio_rustls::TlsConnector;
use tokio_rustls::rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use tokio_rustls::rustls::crypto::{CryptoProvider, ring, verify_tls12_signature, verify_tls13_signature};
use tokio_rustls::rustls::pki_types::pem::PemObject;
use tokio_rustls::rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use tokio_rustls::rustls::time_provider::TimeProvider;
use tokio_rustls::rustls::{ClientConfig, DigitallySignedStruct, Error as TlsError, RootCertStore, SignatureScheme};

use super::TlsOptions;
use crate::{Error, Kind, Result};

/// Where systems keep the authorities they trust.
const SYSTEM: [&str; 3] =
    ["/etc/ssl/certs/ca-certificates.crt", "/etc/pki/tls/certs/ca-bundle.crt", "/etc/ssl/cert.pem"];
/// More than any bundle of authorities has.
const BUNDLE_BYTES_MAX: u64 = 16 << 20;

/// A client's side of TLS.
pub struct Tls {
    options: TlsOptions,
    config: OnceCell<Arc<ClientConfig>>,
}

impl Tls {
    pub fn new(options: TlsOptions) -> Tls {
        Tls { options, config: OnceCell::new() }
    }

    /// Does the handshake with `host`, which errors call `target`. The caller has the time-out.
    pub async fn wrap(&self, env: &Env, target: &str, host: &str, stream: BoxStream) -> Result<BoxStream> {
        let config = self.config.get_or_try_init(|| self.configure(env)).await?;
        let name = ServerName::try_from(host.to_owned())
            .map_err(|_| Error::new(Kind::InvalidConfig, format!("{target}: its host is no name a certificate has")))?;
        let stream = TlsConnector::from(Arc::clone(config)).connect(name, stream).await;
        Ok(Box::new(stream.map_err(|error| self.failed(target, error))?))
    }

    async fn configure(&self, env: &Env) -> Result<Arc<ClientConfig>> {
        let provider = Arc::new(ring::default_provider());
        let builder = ClientConfig::builder_with_details(Arc::clone(&provider), Arc::new(HostTime(env.clock.clone())))
            .with_safe_default_protocol_versions()
            .map_err(|error| Error::new(Kind::Internal, "no version of TLS").with_source(error))?;
        let config = if self.options.verify {
            builder.with_root_certificates(self.authorities(env).await?)
        } else {
            builder.dangerous().with_custom_certificate_verifier(Arc::new(AnyCertificate(provider)))
        };
        Ok(Arc::new(config.with_no_client_auth()))
    }

    async fn authorities(&self, env: &Env) -> Result<RootCertStore> {
        let option = self.options.ca_option;
        let mut store = RootCertStore::empty();
        let bundle = match &self.options.ca_file {
            Some(path) => read(env, path).await.map_err(|error| {
                Error::new(Kind::InvalidConfig, format!("option {option}: the file cannot be read")).with_source(error)
            })?,
            None => system_bundle(env).await?,
        };
        // A bundle may hold what rustls does not know; what remains must be something.
        store.add_parsable_certificates(CertificateDer::pem_slice_iter(&bundle).flatten());
        if store.is_empty() {
            let what = match self.options.ca_file {
                Some(_) => format!("option {option}: the file has no certificate in PEM form"),
                None => "TLS: the system's file of certificate authorities has none".to_owned(),
            };
            return Err(Error::new(Kind::InvalidConfig, what));
        }
        Ok(store)
    }

    fn failed(&self, target: &str, error: io::Error) -> Error {
        let inner = error.get_ref().and_then(|inner| inner.downcast_ref::<TlsError>());
        if matches!(inner, Some(TlsError::InvalidCertificate(_))) {
            let option = Some(self.options.ca_option).filter(|option| !option.is_empty());
            let option = option.map(|option| format!(" (option {option})")).unwrap_or_default();
            // Another try would meet the same certificate.
            let what = format!("{target}'s TLS certificate is not one to trust{option}");
            return Error::new(Kind::Unreachable, what).with_source(error);
        }
        Error::transient(Kind::Unreachable, format!("{target} did not complete the TLS handshake")).with_source(error)
    }
}

async fn read(env: &Env, path: &str) -> io::Result<Vec<u8>> {
    let file = env.fs.open(path).await?;
    let len = file.len().await?;
    if len > BUNDLE_BYTES_MAX {
        return Err(io::Error::new(io::ErrorKind::FileTooLarge, "too large for certificates"));
    }
    Ok(file.read_at(0, len as usize).await?.to_vec())
}

async fn system_bundle(env: &Env) -> Result<Vec<u8>> {
    for path in SYSTEM {
        if let Ok(bundle) = read(env, path).await {
            return Ok(bundle);
        }
    }
    Err(Error::new(Kind::InvalidConfig, "TLS: the system has no file of certificate authorities"))
}

/// The host's wall clock, by which certificates expire.
struct HostTime(Arc<dyn Clock>);

impl fmt::Debug for HostTime {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("HostTime")
    }
}

impl TimeProvider for HostTime {
    fn current_time(&self) -> Option<UnixTime> {
        let seconds = u64::try_from(self.0.now().as_second()).ok()?;
        Some(UnixTime::since_unix_epoch(Duration::from_secs(seconds)))
    }
}

/// Takes any certificate, as long as the server has its key.
#[derive(Debug)]
struct AnyCertificate(Arc<CryptoProvider>);

impl ServerCertVerifier for AnyCertificate {
    fn verify_server_cert(
        &self,
        _: &CertificateDer<'_>,
        _: &[CertificateDer<'_>],
        _: &ServerName<'_>,
        _: &[u8],
        _: UnixTime,
    ) -> Result<ServerCertVerified, TlsError> {
        Ok(ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, TlsError> {
        verify_tls12_signature(message, certificate, signed, &self.0.signature_verification_algorithms)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, TlsError> {
        verify_tls13_signature(message, certificate, signed, &self.0.signature_verification_algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.0.signature_verification_algorithms.supported_schemes()
    }
}
