//! Requests to one S3 server: signatures, retries by mode, and the reason of a refused HEAD.

use std::sync::Mutex;
use std::time::Duration;

use bytes::Bytes;
use clinker_env::{Env, Work};
use sha2::{Digest, Sha256};
use tokio::time::{Instant, sleep_until};

use super::answers::{failure, is_passing_conflict, is_throttling};
use super::sign::{CustomerKey, Signer};
use crate::http::call::{Call, Effort};
use crate::http::retry::{self, DELAY_MAX};
use crate::http::{Failure, HttpClient, Method, Response, RetryPolicy, TlsOptions, Url};
use crate::{Error, Kind, Options, Result};

/// What error texts call the object store.
pub(super) const S3: &str = "s3";

/// `backup_s3_retry_mode`.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Mode {
    Legacy,
    Standard,
    Adaptive,
}

pub(super) struct Client {
    env: Env,
    http: HttpClient,
    endpoint: Url,
    signer: Signer,
    customer_key: Option<CustomerKey>,
    mode: Mode,
    policy: RetryPolicy,
    /// `adaptive`: no request goes out before, because the server has asked for fewer.
    pause: Mutex<Option<Instant>>,
}

impl Client {
    pub(super) fn new(options: &Options, env: &Env) -> Result<Client> {
        let endpoint = options.backup_s3_endpoint_url.as_deref();
        let endpoint = endpoint
            .ok_or_else(|| Error::new(Kind::InvalidConfig, "option backup_s3_endpoint_url: unset"))
            .and_then(|url| Url::parse("option backup_s3_endpoint_url", url))?;
        for (option, proxy) in [
            ("backup_s3_http_proxy", &options.backup_s3_http_proxy),
            ("backup_s3_https_proxy", &options.backup_s3_https_proxy),
        ] {
            if proxy.is_some() {
                return Err(Error::new(Kind::Unsupported, format!("option {option}: must be empty")));
            }
        }
        let tls = TlsOptions {
            verify: options.backup_s3_verify_ssl,
            ca_file: options.backup_s3_ca_cert_file.clone(),
            ca_option: "backup_s3_ca_cert_file",
        };
        let timeout = Duration::try_from_secs_f64(options.backup_s3_timeout)
            .ok()
            .filter(|timeout| !timeout.is_zero())
            .ok_or_else(|| Error::new(Kind::InvalidConfig, "option backup_s3_timeout: not a length of time"))?;
        let (mode, first, cap) = match options.backup_s3_retry_mode.as_str() {
            "standard" => (Mode::Standard, 1, Duration::from_secs(20)),
            "adaptive" => (Mode::Adaptive, 1, Duration::from_secs(20)),
            _ => (Mode::Legacy, 2, DELAY_MAX),
        };
        let attempts = options.backup_s3_retry_max_attempts.saturating_add(1);
        Ok(Client {
            env: env.clone(),
            http: HttpClient::new(env, timeout)
                .with_tls(tls)
                .with_idle_max(options.backup_s3_max_pool_connections)
                .with_at_once(options.backup_max_inflight_chunks),
            endpoint,
            signer: Signer::from_options(options)?,
            customer_key: CustomerKey::from_options(options)?,
            mode,
            policy: RetryPolicy { attempts, first_delay: Duration::from_secs(first), cap },
            pause: Mutex::default(),
        })
    }

    pub(super) fn customer_key(&self) -> Option<&CustomerKey> {
        self.customer_key.as_ref()
    }

    /// Sends the request until it is answered with success, or the status that is fine as well.
    pub(super) async fn send(&self, effort: Effort, call: Call) -> Result<Response> {
        let policy = if effort == Effort::Full { self.policy } else { RetryPolicy::ONCE };
        let sha256 = self.sha256(call.body.clone()).await;
        let spread = |delay| match self.mode {
            Mode::Legacy => delay,
            Mode::Standard | Mode::Adaptive => retry::spread(&*self.env.rng, delay),
        };
        let outcome = policy.run_with(&call.stop, || self.attempt(&call, &sha256), spread).await;
        match outcome {
            Err(error) if call.method == Method::HEAD && !error.retry => Err(self.reason(&call, error).await),
            outcome => outcome,
        }
    }

    async fn sha256(&self, body: Bytes) -> String {
        let len = body.len() as u64;
        let digest = move || hex::encode(Sha256::digest(&body));
        if len == 0 { digest() } else { self.env.compute(Work::Hash, len, digest).await }
    }

    async fn attempt(&self, call: &Call, sha256: &str) -> Result<Response, Failure> {
        let pause = *self.pause.lock().expect("no panic while locked");
        if let Some(until) = pause {
            sleep_until(until).await;
        }
        // Signed anew each time: a signature is good for a quarter of an hour only.
        let request = self.signer.sign(call.request(S3, &self.endpoint)?, sha256, self.env.clock.now())?;
        let response = call.noted(self.http.request(&request).await).map_err(|mut error| {
            error.what = format!("{}: {}", call.what, error.what);
            error
        })?;
        let status = response.status;
        tracing::debug!(target: "clinker_drivers::s3", request = call.what, status, "answered");
        if call.accepts(&response) && !is_passing_conflict(&response) {
            return Ok(response);
        }
        let paced = self.http.paces(&request, &response);
        let failure = Failure { paced, ..failure(&call.what, &self.signer.region, &response) };
        if self.mode == Mode::Adaptive && is_throttling(&response) {
            let wait = failure.retry_after.unwrap_or(self.policy.first_delay).min(self.policy.cap);
            *self.pause.lock().expect("no panic while locked") = Some(Instant::now() + wait);
        }
        Err(failure)
    }

    /// Why a HEAD was refused: its answer has no document, so a listing of one name is asked for, once.
    async fn reason(&self, head: &Call, refusal: Error) -> Error {
        if !matches!(refusal.kind, Kind::Auth | Kind::Internal) {
            return refusal;
        }
        let call = Call::new(Method::GET, head.what.as_str(), format!("{}?list-type=2&max-keys=1", head.path));
        let sha256 = self.sha256(Bytes::new()).await;
        match self.attempt(&call, &sha256).await {
            Err(why) if matches!(why.error.kind, Kind::Auth | Kind::InvalidConfig | Kind::InvalidBackup) => why.error,
            _ => refusal,
        }
    }
}
