//! The operator's hand on a Swift: tokens, quotas and listings, in plain requests of its own.

use anyhow::{Context as _, Result, ensure};
use clinker_drivers::http::{HttpClient, Method, Request, Response, Url};
use clinker_env::Env;
use tokio::time::Duration;

use super::{ACCOUNT, KEY, RESELLER, RESELLER_KEY, USER};

/// What a quota is of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Quota {
    Container,
    Account,
}

/// One Swift with v1 auth.
pub(super) struct Admin {
    http: HttpClient,
    url: Url,
}

const SERVER: &str = "swift";

impl Admin {
    pub(super) fn new(env: &Env, port: u16) -> Result<Admin> {
        let url = Url::parse("the server's address", &format!("http://127.0.0.1:{port}"))?;
        Ok(Admin { http: HttpClient::new(env, Duration::from_secs(20)), url })
    }

    /// The version that `/info` tells.
    pub(super) async fn version(&self) -> Result<String> {
        let request = Request::new(SERVER, Method::GET, self.url.with_path("/info"));
        let info: serde_json::Value = serde_json::from_slice(&self.http.request(&request).await?.body)?;
        Ok(info["swift"]["version"].as_str().context("/info names no version of swift")?.to_owned())
    }

    /// Creates the container if need be.
    pub(super) async fn set_quota(&self, quota: Quota, container: &str, bytes: Option<u64>) -> Result<()> {
        let bytes = bytes.map(|bytes| bytes.to_string()).unwrap_or_default();
        let (path, request, who) = match quota {
            Quota::Container => (format!("/{container}"), Method::PUT, (USER, KEY)),
            Quota::Account => (String::new(), Method::POST, (RESELLER, RESELLER_KEY)),
        };
        let header = match quota {
            Quota::Container => "x-container-meta-quota-bytes",
            Quota::Account => "x-account-meta-quota-bytes",
        };
        let response = self.send(request, &path, who, Some((header, &bytes))).await?;
        ensure!(response.is_success(), "setting {header} of {ACCOUNT}{path}: swift answered {}", response.status);
        Ok(())
    }

    pub(super) async fn stored(&self, container: &str) -> Result<Vec<String>> {
        let response = self.send(Method::GET, &format!("/{container}"), (USER, KEY), None).await?;
        ensure!(
            response.is_success() || response.status == 404,
            "listing container {container}: swift answered {}",
            response.status
        );
        let body = if response.status == 404 { "" } else { std::str::from_utf8(&response.body)? };
        Ok(body.lines().map(str::to_owned).collect())
    }

    async fn send(
        &self,
        method: Method,
        path: &str,
        (user, key): (&str, &str),
        header: Option<(&'static str, &str)>,
    ) -> Result<Response> {
        let auth = Request::new(SERVER, Method::GET, self.url.with_path("/auth/v1.0"))
            .header("x-auth-user", user)?
            .header("x-auth-key", key)?;
        let admitted = self.http.request(&auth).await?;
        let token = admitted.header("x-auth-token").with_context(|| format!("{user} got no token"))?;
        let url = self.url.with_path(&format!("/v1/{ACCOUNT}{path}"));
        let mut request = Request::new(SERVER, method, url).header("x-auth-token", token)?;
        if let Some((name, value)) = header {
            request = request.header(name, value)?;
        }
        Ok(self.http.request(&request).await?)
    }
}
