//! Signatures (AWS Signature Version 4), and the key for encryption on the server.

use std::time::SystemTime;

use aws_credential_types::Credentials;
use aws_sigv4::http_request::{
    PayloadChecksumKind, PercentEncodingMode, SignableBody, SignableRequest, SigningSettings, UriPathNormalizationMode,
    sign,
};
use aws_sigv4::sign::v4;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use hyper::header::{HOST, HeaderName, HeaderValue};
use jiff::Timestamp;
use md5::{Digest, Md5};
use tracing::Dispatch;

use crate::http::Request;
use crate::http::call::Call;
use crate::{Error, Kind, Options, Result, Secret};

/// Who signs, and for which region.
pub(super) struct Signer {
    access_key: String,
    secret_key: Secret,
    pub region: String,
}

impl Signer {
    /// Fails with `invalid_config` naming the option that is missing or cannot stand in a signature.
    pub(super) fn from_options(options: &Options) -> Result<Signer> {
        let wrong = |option: &str, why: &str| Error::new(Kind::InvalidConfig, format!("option {option}: {why}"));
        let missing = |option: &str| wrong(option, "unset");
        let signer = Signer {
            access_key: options
                .backup_s3_store_access_key
                .clone()
                .ok_or_else(|| missing("backup_s3_store_access_key"))?,
            secret_key: options
                .backup_s3_store_secret_key
                .clone()
                .ok_or_else(|| missing("backup_s3_store_secret_key"))?,
            region: options.backup_s3_region_name.clone(),
        };
        // Both stand in a header whose parts are divided by commas, the region between slashes.
        if signer.access_key.contains(|c: char| c == ',' || c.is_control()) {
            return Err(wrong("backup_s3_store_access_key", "has characters that a signature cannot carry"));
        }
        if signer.region.contains(|c: char| matches!(c, ',' | '/') || !c.is_ascii_graphic()) {
            return Err(wrong("backup_s3_region_name", "not the name of a region"));
        }
        Ok(signer)
    }

    /// Adds the headers that prove who sends the request. `sha256` is its body's, in hexadecimal.
    pub(super) fn sign(&self, request: Request, sha256: &str, now: Timestamp) -> Result<Request> {
        // What signs logs whole requests, the customer's key among their headers.
        tracing::dispatcher::with_default(&Dispatch::none(), || self.signed(request, sha256, now))
    }

    fn signed(&self, mut request: Request, sha256: &str, now: Timestamp) -> Result<Request> {
        let host = HeaderValue::from_str(&request.url.authority()).expect("checked when the URL was read");
        request.headers.insert(HOST, host);
        let credentials = Credentials::new(&self.access_key, self.secret_key.expose(), None, None, "options");
        let identity = credentials.into();
        let mut settings = SigningSettings::default();
        settings.percent_encoding_mode = PercentEncodingMode::Single;
        settings.payload_checksum_kind = PayloadChecksumKind::XAmzSha256;
        settings.uri_path_normalization_mode = UriPathNormalizationMode::Disabled;
        let params = v4::SigningParams::builder()
            .identity(&identity)
            .region(&self.region)
            .name("s3")
            .time(SystemTime::from(now))
            .settings(settings)
            .build()
            .map_err(|error| unsignable(&request, error))?
            .into();
        let scheme = if request.url.is_tls() { "https" } else { "http" };
        let uri = format!("{scheme}://{}{}", request.url.authority(), request.url.path());
        let body = SignableBody::Precomputed(sha256.to_owned());
        // All of them came from this crate's texts and options, and went through HTTP's check.
        let headers = request.headers.iter().filter_map(|(name, value)| Some((name.as_str(), value.to_str().ok()?)));
        let signable = SignableRequest::new(request.method.as_str(), uri, headers, body)
            .map_err(|error| unsignable(&request, error))?;
        let (instructions, _) = sign(signable, &params).map_err(|error| unsignable(&request, error))?.into_parts();
        let (signed, _) = instructions.into_parts();
        for header in signed {
            let name = HeaderName::from_static(header.name());
            let value = HeaderValue::from_str(header.value()).map_err(|error| unsignable(&request, error))?;
            request.headers.insert(name, value);
        }
        Ok(request)
    }
}

fn unsignable(request: &Request, error: impl Into<Box<dyn std::error::Error + Send + Sync>>) -> Error {
    Error::new(Kind::Internal, format!("{}: a request that cannot be signed", request.target)).with_source(error)
}

/// A key that goes with every put and get; the server encrypts with it and forgets it (SSE-C).
pub(super) struct CustomerKey {
    algorithm: String,
    key: Secret,
    md5: String,
}

impl CustomerKey {
    /// Both options, or neither; with only one the original goes on without encryption, and so does this.
    pub(super) fn from_options(options: &Options) -> Result<Option<CustomerKey>> {
        let (key, algorithm) = (&options.backup_s3_sse_customer_key, &options.backup_s3_sse_customer_algorithm);
        match (key, algorithm) {
            (Some(key), Some(algorithm)) => {
                let bytes = key.expose().as_bytes();
                if bytes.len() != 32 {
                    let what =
                        format!("option backup_s3_sse_customer_key: has {} bytes, expected 32 characters", bytes.len());
                    return Err(Error::new(Kind::InvalidConfig, what));
                }
                if algorithm != "AES256" {
                    let what = "option backup_s3_sse_customer_algorithm: expected AES256";
                    return Err(Error::new(Kind::InvalidConfig, what));
                }
                Ok(Some(CustomerKey {
                    algorithm: algorithm.clone(),
                    key: Secret::new(STANDARD.encode(bytes)),
                    md5: STANDARD.encode(Md5::digest(bytes)),
                }))
            }
            (None, None) => Ok(None),
            _ => {
                tracing::warn!(
                    "backup_s3_sse_customer_key and backup_s3_sse_customer_algorithm need each other: objects are \
                     not encrypted by the server"
                );
                Ok(None)
            }
        }
    }

    pub(super) fn add(&self, call: Call) -> Call {
        call.header("x-amz-server-side-encryption-customer-algorithm", &self.algorithm)
            .header("x-amz-server-side-encryption-customer-key", self.key.expose())
            .header("x-amz-server-side-encryption-customer-key-MD5", &self.md5)
    }
}
