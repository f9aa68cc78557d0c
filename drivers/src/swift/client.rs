//! Requests to one Swift account: paths, retries, the token's renewal, and what each status means.

use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use bytes::Bytes;
use clinker_env::Env;
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};

use super::auth::{Access, Session};
use crate::context::RequestContext;
use crate::http::retry::DELAY_MAX;
use crate::http::{Failure, HttpClient, Method, Request, Response, RetryPolicy, Url};
use crate::{Error, Kind, Options, Result};

/// What error texts call the object store.
pub(super) const SWIFT: &str = "swift";

const UNRESERVED: AsciiSet = NON_ALPHANUMERIC.remove(b'-').remove(b'.').remove(b'_').remove(b'~');
/// Objects keep their slashes.
const OBJECT: AsciiSet = UNRESERVED.remove(b'/');

/// The percent-encoded form of a container's or project's name, or of a query's value.
pub(super) fn encoded(name: &str) -> String {
    utf8_percent_encode(name, &UNRESERVED).to_string()
}

pub(super) fn container_path(container: &str) -> String {
    format!("/{}", encoded(container))
}

pub(super) fn object_path(container: &str, name: &str) -> String {
    format!("/{}/{}", encoded(container), utf8_percent_encode(name, &OBJECT))
}

/// One request to the account, before a token is chosen.
pub(super) struct Call {
    method: Method,
    /// For error texts, e.g. `put of vol-1-00001`.
    what: String,
    /// Below the storage URL.
    path: String,
    headers: Vec<(&'static str, String)>,
    body: Bytes,
    /// A status that is an answer like a success, not an error.
    also_ok: Option<u16>,
}

impl Call {
    pub(super) fn new(method: Method, what: impl Into<String>, path: String) -> Call {
        Call { method, what: what.into(), path, headers: Vec::new(), body: Bytes::new(), also_ok: None }
    }

    pub(super) fn header(mut self, name: &'static str, value: impl Into<String>) -> Call {
        self.headers.push((name, value.into()));
        self
    }

    pub(super) fn body(mut self, body: Bytes) -> Call {
        self.body = body;
        self
    }

    /// `status` is an answer like a success, not an error.
    pub(super) fn or_status(mut self, status: u16) -> Call {
        self.also_ok = Some(status);
        self
    }

    fn request(&self, session: &Session) -> Result<Request> {
        let mut request = Request::new(SWIFT, self.method.clone(), session.storage.join(&self.path))
            .header("X-Auth-Token", session.token.expose())?;
        for (name, value) in &self.headers {
            request = request.header(name, value)?;
        }
        Ok(request.body(self.body.clone()))
    }
}

/// How hard to try.
#[derive(Clone, Copy)]
pub(super) struct Effort {
    policy: RetryPolicy,
    renew: bool,
}

impl Effort {
    /// Set-up checks: each request once, with the token just got.
    pub(super) const ONCE: Effort = Effort { policy: RetryPolicy::ONCE, renew: false };
}

pub(super) struct Client {
    http: HttpClient,
    access: Access,
    data: Effort,
}

impl Client {
    pub(super) fn new(options: &Options, env: &Env) -> Result<Client> {
        let policy = RetryPolicy {
            attempts: options.backup_swift_retry_attempts.saturating_add(1),
            first_delay: Duration::from_secs(options.backup_swift_retry_backoff),
            cap: DELAY_MAX,
        };
        Ok(Client {
            http: HttpClient::new(env.clone(), Duration::from_secs(options.backup_swift_timeout)),
            access: Access::from_options(options)?,
            data: Effort { policy, renew: true },
        })
    }

    pub(super) fn access(&self) -> &Access {
        &self.access
    }

    /// The configured retries, and one renewal of the token.
    pub(super) fn data_effort(&self) -> Effort {
        self.data
    }

    /// Sends the request until it is answered with success, or the status that is fine as well.
    pub(super) async fn send(&self, context: &RequestContext, effort: Effort, call: Call) -> Result<Response> {
        let may_renew = AtomicBool::new(effort.renew);
        let attempt = || async {
            let outcome = self.attempt(context, &call, &may_renew).await;
            outcome.map_err(|failure| named(&call.what, failure))
        };
        effort.policy.run(attempt).await
    }

    async fn attempt(
        &self,
        context: &RequestContext,
        call: &Call,
        may_renew: &AtomicBool,
    ) -> Result<Response, Failure> {
        let session = self.access.session(&self.http, context).await?;
        let mut response = self.http.request(&call.request(&session)?).await?;
        if response.status == 401
            && may_renew.swap(false, Ordering::Relaxed)
            && let Some(session) = self.access.renewed(&self.http, &session).await?
        {
            tracing::warn!(target: "clinker_drivers::swift", request = call.what, "the token was refused and renewed");
            response = self.http.request(&call.request(&session)?).await?;
        }
        let status = response.status;
        tracing::debug!(target: "clinker_drivers::swift", request = call.what, status, "answered");
        if response.is_success() || call.also_ok == Some(status) {
            return Ok(response);
        }
        Err(refused(SWIFT, "", &response))
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

/// Puts what was being done before the text.
fn named(what: &str, mut failure: Failure) -> Failure {
    failure.error.what = format!("{what}: {}", failure.error.what);
    failure
}

/// The failure that a status stands for. `what` may be empty.
pub(super) fn refused(target: &str, what: &str, response: &Response) -> Failure {
    let status = response.status;
    let text = format!("{target} answered {status}");
    let text = if what.is_empty() { text } else { format!("{what}: {text}") };
    let error = match status {
        401 | 403 => Error::new(Kind::Auth, text),
        404 => Error::new(Kind::NotFound, text),
        409 => Error::new(Kind::Conflict, text),
        413 | 507 => Error::new(Kind::Quota, text),
        422 => Error::new(Kind::Integrity, text),
        408 | 429 | 498 | 499 | 500.. => Error::transient(Kind::Unreachable, text),
        _ => Error::new(Kind::Internal, text),
    };
    Failure { error, retry_after: response.retry_after() }
}
