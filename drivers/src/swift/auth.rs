//! Whose token is sent to which storage URL: the configured user's (v1 or Keystone v3), or the caller's own.

use std::sync::Arc;

use serde_json::json;
use tokio::sync::Mutex;
use tokio::time::Instant;

use super::catalog::{TokenAnswer, Wanted};
use super::client::SWIFT;
use crate::context::RequestContext;
use crate::http::call::{encoded, refused};
use crate::http::{Failure, HttpClient, Method, Request, Response, Url};
use crate::{Error, Kind, Options, Result, Secret};

const KEYSTONE: &str = "keystone";
const AUTHENTICATION: &str = "authentication";

/// A token and the account it is good for.
pub(crate) struct Session {
    pub token: Secret,
    pub storage: Url,
}

/// The two modes of `backup_swift_auth`.
pub(super) enum Access {
    SingleUser(SingleUser),
    PerUser(PerUser),
}

/// `single_user`: the configured credentials, with the token they gave last.
pub(super) struct SingleUser {
    protocol: Protocol,
    /// Held while authenticating, so that many requests with an expired token authenticate once.
    session: Mutex<Cached>,
}

#[derive(Default)]
struct Cached {
    session: Option<Arc<Session>>,
    /// The last attempt that failed, and when that was known: whoever waited for it has its answer too.
    failed: Option<(Instant, Kind, bool, String)>,
}

/// `per_user`: the caller's token, which cannot be renewed.
pub(super) struct PerUser {
    /// `backup_swift_url`; the catalog is used when unset.
    pub url: Option<Url>,
    wanted: Wanted,
}

/// How a configured user authenticates. Knows its credentials, so it is never shown.
enum Protocol {
    V1 { url: Url, user: String, key: Secret },
    V3 { url: Url, body: Secret, wanted: Wanted },
}

impl Access {
    /// Fails with `invalid_config` naming the option that is missing or wrong, or `unsupported`.
    pub(super) fn from_options(options: &Options) -> Result<Access> {
        let region = options.backup_swift_region_name.as_deref();
        let wanted = Wanted::parse(&options.swift_catalog_info, region)?;
        if options.backup_swift_service_auth {
            return Err(Error::new(Kind::Unsupported, "option backup_swift_service_auth: must be off"));
        }
        if options.backup_swift_auth == "single_user" {
            let protocol = Protocol::from_options(options, wanted)?;
            return Ok(Access::SingleUser(SingleUser { protocol, session: Mutex::default() }));
        }
        let url =
            options.backup_swift_url.as_deref().map(|url| Url::parse("option backup_swift_url", url)).transpose()?;
        Ok(Access::PerUser(PerUser { url, wanted }))
    }

    /// What to send a request with: the cached token (got first if there is none), or the caller's.
    pub(super) async fn session(&self, http: &HttpClient, context: &RequestContext) -> Result<Arc<Session>, Failure> {
        match self {
            Access::SingleUser(user) => user.session(http, None).await,
            Access::PerUser(user) => Ok(Arc::new(user.session(context)?)),
        }
    }

    /// A session that replaces `refused`, unless the token is not ours to renew.
    pub(super) async fn renewed(
        &self,
        http: &HttpClient,
        refused: &Arc<Session>,
    ) -> Result<Option<Arc<Session>>, Failure> {
        match self {
            Access::SingleUser(user) => user.session(http, Some(refused)).await.map(Some),
            Access::PerUser(_) => Ok(None),
        }
    }
}

impl SingleUser {
    /// The cached session; a new one if there is none, or if it is the `refused` one.
    async fn session(&self, http: &HttpClient, refused: Option<&Arc<Session>>) -> Result<Arc<Session>, Failure> {
        let asked = Instant::now();
        let mut cached = self.session.lock().await;
        if let Some(session) = &cached.session
            && !refused.is_some_and(|refused| Arc::ptr_eq(refused, session))
        {
            return Ok(session.clone());
        }
        if let Some((failed, kind, retry, what)) = &cached.failed
            && asked < *failed
        {
            let error = if *retry { Error::transient(*kind, what) } else { Error::new(*kind, what) };
            return Err(error.into());
        }
        cached.session = None;
        match self.protocol.authenticate(http).await {
            Ok(session) => Ok(cached.session.insert(Arc::new(session)).clone()),
            Err(failure) => {
                let Error { kind, retry, what, .. } = &failure.error;
                cached.failed = Some((Instant::now(), *kind, *retry, what.clone()));
                Err(failure)
            }
        }
    }

    /// Proves the credentials: authenticates although a token may be cached, and caches the new one.
    pub(super) async fn prove(&self, http: &HttpClient) -> Result<(), Failure> {
        let mut cached = self.session.lock().await;
        cached.session = Some(Arc::new(self.protocol.authenticate(http).await?));
        Ok(())
    }
}

impl PerUser {
    fn session(&self, context: &RequestContext) -> Result<Session> {
        let no_token = || Error::new(Kind::Auth, "the request has no token, and option backup_swift_auth is per_user");
        let token = context.token.clone().ok_or_else(no_token)?;
        let storage = match &self.url {
            // Cinder joins the two without a separator: the option ends in `/AUTH_`.
            Some(url) => url.with_path(&format!("{}{}", url.path(), encoded(&context.project_id))),
            None => storage_url(self.wanted.find(&context.catalog)?)?,
        };
        Ok(Session { token, storage })
    }
}

impl Protocol {
    fn from_options(options: &Options, wanted: Wanted) -> Result<Protocol> {
        let user = options.backup_swift_user.clone().ok_or_else(|| missing("backup_swift_user"))?;
        let key = options.backup_swift_key.clone().ok_or_else(|| missing("backup_swift_key"))?;
        let url = options.backup_swift_auth_url.as_deref().ok_or_else(|| missing("backup_swift_auth_url"))?;
        let url = Url::parse("option backup_swift_auth_url", url)?;
        match options.backup_swift_auth_version.as_str() {
            "1" => Ok(Protocol::V1 { url, user, key }),
            "3" => Ok(Protocol::V3 { url: tokens_url(&url), body: v3_body(options, &user, &key)?, wanted }),
            other => {
                let what = format!("option backup_swift_auth_version: version {other} is not supported, use 1 or 3");
                Err(Error::new(Kind::Unsupported, what))
            }
        }
    }

    async fn authenticate(&self, http: &HttpClient) -> Result<Session, Failure> {
        match self {
            Protocol::V1 { url, user, key } => {
                let request = Request::new(SWIFT, Method::GET, url.clone())
                    .header("X-Auth-User", user)?
                    .header("X-Auth-Key", key.expose())?;
                Ok(v1_session(&answer(http, &request).await?)?)
            }
            Protocol::V3 { url, body, wanted } => {
                let request = Request::new(KEYSTONE, Method::POST, url.clone())
                    .header("Content-Type", "application/json")?
                    .body(body.expose().to_owned().into());
                Ok(v3_session(&answer(http, &request).await?, wanted)?)
            }
        }
    }
}

async fn answer(http: &HttpClient, request: &Request) -> Result<Response, Failure> {
    let response = http.request(request).await?;
    match response.status {
        200..300 => Ok(response),
        // Not `not_found`: that would read as the object's absence.
        404 => {
            let target = request.target;
            let what =
                format!("{AUTHENTICATION}: {target} answered 404: option backup_swift_auth_url names no such path");
            Err(Error::new(Kind::InvalidConfig, what).into())
        }
        _ => Err(refused(request.target, AUTHENTICATION, &response)),
    }
}

pub(crate) fn v1_session(response: &Response) -> Result<Session> {
    let token = response.header("x-storage-token").or(response.header("x-auth-token"));
    let token = token.ok_or_else(|| lacks(SWIFT, "X-Auth-Token"))?;
    let storage = response.header("x-storage-url").ok_or_else(|| lacks(SWIFT, "X-Storage-Url"))?;
    Ok(Session { token: Secret::new(token), storage: storage_url(storage)? })
}

fn v3_session(response: &Response, wanted: &Wanted) -> Result<Session> {
    let token = response.header("x-subject-token").ok_or_else(|| lacks(KEYSTONE, "X-Subject-Token"))?;
    // serde_json's error is not kept: it may quote the answer.
    let answer: TokenAnswer = serde_json::from_slice(&response.body)
        .map_err(|_| Error::new(Kind::Internal, format!("{AUTHENTICATION}: {KEYSTONE}'s answer is not a token")))?;
    let storage = storage_url(wanted.find(&answer.into_catalog())?)?;
    Ok(Session { token: Secret::new(token), storage })
}

/// Where an answer to a v3 authentication leads to.
pub(crate) fn v3_account(options: &Options, response: &Response) -> Result<Url> {
    let wanted = Wanted::parse(&options.swift_catalog_info, options.backup_swift_region_name.as_deref())?;
    v3_session(response, &wanted).map(|session| session.storage)
}

fn storage_url(text: &str) -> Result<Url> {
    Url::parse("the object store's URL in the catalog or answer", text)
}

fn lacks(target: &str, header: &str) -> Error {
    Error::new(Kind::Internal, format!("{AUTHENTICATION}: {target}'s answer has no {header}"))
}

fn missing(option: &str) -> Error {
    let what = format!("option {option}: unset, but option backup_swift_auth is single_user");
    Error::new(Kind::InvalidConfig, what)
}

/// `/v3` is added unless the URL ends in a version.
fn tokens_url(url: &Url) -> Url {
    let is_version =
        url.last_segment().strip_prefix('v').is_some_and(|rest| rest.starts_with(|c: char| c.is_ascii_digit()));
    if is_version { url.join("/auth/tokens") } else { url.join("/v3/auth/tokens") }
}

/// The authentication request. A user written `project:user` names the project, too.
fn v3_body(options: &Options, user: &str, key: &Secret) -> Result<Secret> {
    let (prefix, name) = match user.split_once(':') {
        Some((project, name)) => (Some(project), name),
        None => (None, user),
    };
    let named = options.backup_swift_project.as_deref().or(options.backup_swift_tenant.as_deref()).or(prefix);
    let project = named.ok_or_else(|| missing("backup_swift_project"))?;
    let domain = |name: &Option<String>| match name {
        Some(name) => json!({ "name": name }),
        None => json!({ "id": "default" }),
    };
    let user = json!({
        "name": name,
        "domain": domain(&options.backup_swift_user_domain),
        "password": key.expose(),
    });
    let project = json!({ "name": project, "domain": domain(&options.backup_swift_project_domain) });
    let identity = json!({ "methods": ["password"], "password": { "user": user } });
    let body = json!({ "auth": { "identity": identity, "scope": { "project": project } } });
    Ok(Secret::new(body.to_string()))
}
