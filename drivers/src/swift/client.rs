//! Requests to one Swift account: retries and the token's renewal.

use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use clinker_env::Env;

use super::auth::{Access, Session};
use crate::context::RequestContext;
use crate::http::call::{Call, Effort, named, refused};
use crate::http::retry::DELAY_MAX;
use crate::http::{Failure, HttpClient, Method, Request, Response, RetryPolicy, TlsOptions, Url};
use crate::{Options, Result};

/// What error texts call the object store.
pub(super) const SWIFT: &str = "swift";

pub(super) struct Client {
    http: HttpClient,
    access: Access,
    policy: RetryPolicy,
}

impl Client {
    pub(super) fn new(options: &Options, env: &Env) -> Result<Client> {
        let policy = RetryPolicy {
            attempts: options.backup_swift_retry_attempts.saturating_add(1),
            first_delay: Duration::from_secs(options.backup_swift_retry_backoff),
            cap: DELAY_MAX,
        };
        let tls = TlsOptions {
            verify: !options.backup_swift_auth_insecure,
            ca_file: options.backup_swift_ca_cert_file.clone(),
            ca_option: "backup_swift_ca_cert_file",
        };
        Ok(Client {
            http: HttpClient::new(env, Duration::from_secs(options.backup_swift_timeout))
                .with_tls(tls)
                .with_at_once(options.backup_max_inflight_chunks),
            access: Access::from_options(options)?,
            policy,
        })
    }

    pub(super) fn access(&self) -> &Access {
        &self.access
    }

    /// Sends the request until it is answered with success, or the status that is fine as well.
    pub(super) async fn send(&self, context: &RequestContext, effort: Effort, call: Call) -> Result<Response> {
        let may_renew = AtomicBool::new(effort == Effort::Full);
        let attempt = || async {
            let outcome = self.attempt(context, &call, &may_renew).await;
            outcome.map_err(|failure| named(&call.what, failure))
        };
        let policy = if effort == Effort::Full { self.policy } else { RetryPolicy::ONCE };
        policy.run(&call.stop, attempt).await
    }

    async fn attempt(
        &self,
        context: &RequestContext,
        call: &Call,
        may_renew: &AtomicBool,
    ) -> Result<Response, Failure> {
        let session = self.access.session(&self.http, context).await?;
        let mut sent = request(call, &session)?;
        let mut response = call.noted(self.http.request(&sent).await)?;
        if response.status == 401
            && may_renew.swap(false, Ordering::Relaxed)
            && let Some(session) = self.access.renewed(&self.http, &session).await?
        {
            tracing::warn!(target: "clinker_drivers::swift", request = call.what, "the token was refused and renewed");
            sent = request(call, &session)?;
            response = call.noted(self.http.request(&sent).await)?;
        }
        let status = response.status;
        tracing::debug!(target: "clinker_drivers::swift", request = call.what, status, "answered");
        if call.accepts(&response) {
            return Ok(response);
        }
        Err(Failure { paced: self.http.paces(&sent, &response), ..refused(SWIFT, "", &response) })
    }

    /// Authenticates once with the configured credentials, whatever token is cached; `per_user` has none to prove.
    pub(super) async fn prove_credentials(&self) -> Result<()> {
        match &self.access {
            Access::SingleUser(user) => user.prove(&self.http).await.map_err(|failure| failure.error),
            Access::PerUser(_) => Ok(()),
        }
    }

    /// Asks the server at `url` for its capabilities, which needs no token.
    pub(super) async fn info(&self, url: &Url) -> Result<()> {
        let response = self.http.request(&Request::new(SWIFT, Method::GET, url.with_path("/info"))).await?;
        if response.is_success() { Ok(()) } else { Err(refused(SWIFT, "info", &response).error) }
    }
}

fn request(call: &Call, session: &Session) -> Result<Request> {
    call.request(SWIFT, &session.storage)?.header("X-Auth-Token", session.token.expose())
}
