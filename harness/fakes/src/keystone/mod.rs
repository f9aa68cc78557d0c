//! A Keystone v3, as far as password authentication goes: versions, tokens, catalog.
//!
//! [`tokens`] issues, shows and revokes; [`catalog`] has the endpoints; [`errors`] the bodies of refusals. Users and
//! projects come from the configuration and never change. There is one domain, `default`.

pub mod catalog;
mod errors;
mod tokens;

use std::io;
use std::sync::Arc;
use std::time::Duration;

use clinker_env::{Env, Listener};
use clinker_model::fault::Status;
use clinker_model::{Fault, FaultId, FaultTarget, Journal, StoredObject};
use serde_json::json;

use crate::answer::{Answer, python_json};
use crate::server::{self, Core, Protocol, Request};
use crate::stamp::http_date;
use crate::tokens::{FERNET_LIFE, TokenRegistry};
pub use catalog::Region;

/// A user with roles in projects.
#[derive(Clone, Debug)]
pub struct User {
    pub id: String,
    pub name: String,
    pub password: String,
    /// The project of a token without scope.
    pub default_project: Option<String>,
    /// Project id and role name.
    pub roles: Vec<(String, String)>,
}

impl User {
    /// A user with the roles `member` and `reader` in one project, which is also the default one.
    pub fn member(id: &str, name: &str, password: &str, project_id: &str) -> User {
        let role = |role: &str| (project_id.to_owned(), role.to_owned());
        User {
            id: id.into(),
            name: name.into(),
            password: password.into(),
            default_project: Some(project_id.into()),
            roles: vec![role("member"), role("reader")],
        }
    }
}

/// A project: id and name.
#[derive(Clone, Debug)]
pub struct Project {
    pub id: String,
    pub name: String,
}

/// How a Keystone is set up.
#[derive(Clone, Debug)]
pub struct KeystoneConfig {
    /// Name of its host in the history.
    pub host: String,
    /// Scheme, host and port of its own URLs, e.g. `http://keystone:5000`.
    pub public_url: String,
    pub users: Vec<User>,
    pub projects: Vec<Project>,
    /// Where the object store is, by region; the first region is Keystone's own too.
    pub regions: Vec<Region>,
    /// Life of a token (`[token] expiration`).
    pub token_life: Duration,
    /// For how long a client may keep silent in the middle of a body.
    pub client_timeout: Duration,
}

impl Default for KeystoneConfig {
    fn default() -> KeystoneConfig {
        KeystoneConfig {
            host: "keystone".into(),
            public_url: "http://keystone:5000".into(),
            users: Vec::new(),
            projects: Vec::new(),
            regions: Vec::new(),
            token_life: FERNET_LIFE,
            client_timeout: Duration::from_secs(60),
        }
    }
}

/// The fake. Its tokens are in the registry and outlive [`KeystoneFake::serve`].
pub struct KeystoneFake {
    core: Core,
    config: KeystoneConfig,
    registry: Arc<TokenRegistry>,
}

impl KeystoneFake {
    pub fn new(config: KeystoneConfig, tokens: Arc<TokenRegistry>, journal: Arc<dyn Journal>) -> Arc<KeystoneFake> {
        let core = Core::new(&config.host, journal);
        Arc::new(KeystoneFake { core, config, registry: tokens })
    }

    /// The server process: listens on `port` of `env`'s host. Dropping the future ends it and its connections.
    pub async fn serve(self: Arc<Self>, env: Env, port: u16) -> io::Result<()> {
        let listener = env.net.listen(port).await?;
        self.serve_on(env, listener).await
    }

    /// As [`KeystoneFake::serve`], on a listener that is open already.
    pub async fn serve_on(self: Arc<Self>, env: Env, listener: Box<dyn Listener>) -> io::Result<()> {
        server::serve(self, env, listener).await
    }

    fn version(&self) -> serde_json::Value {
        json!({
            "id": "v3.14", "status": "stable", "updated": "2020-04-07T00:00:00Z",
            "links": [{"rel": "self", "href": format!("{}/v3/", self.config.public_url)}],
            "media-types": [{"base": "application/json", "type": "application/vnd.openstack.identity-v3+json"}],
        })
    }

    fn dispatch(&self, env: &Env, request: &Request) -> Result<Answer, Answer> {
        let read = matches!(request.method.as_str(), "GET" | "HEAD");
        match request.path.as_str() {
            "/" if read => {
                let body = json!({"versions": {"values": [self.version()]}});
                let answer = document(300, &body).header("Location", format!("{}/v3/", self.config.public_url));
                Ok(answer.reason("MULTIPLE CHOICES"))
            }
            "/v3" | "/v3/" if read => Ok(document(200, &json!({"version": self.version()}))),
            "/v3/auth/tokens" => match request.method.as_str() {
                "POST" => self.issue(env, request),
                "GET" | "HEAD" => self.show(env, request),
                "DELETE" => self.revoke(env, request),
                _ => Err(errors::method_not_allowed()),
            },
            "/" | "/v3" | "/v3/" => Err(errors::method_not_allowed()),
            _ => Err(errors::no_such_url()),
        }
    }

    /// A 401 says where to authenticate.
    fn unauthorized(&self) -> Answer {
        errors::unauthorized().header("WWW-Authenticate", format!("Keystone uri=\"{}/v3\"", self.config.public_url))
    }
}

fn document(status: u16, body: &serde_json::Value) -> Answer {
    let body = python_json(body);
    let mut answer = Answer::new(status, "application/json");
    answer.head_length = body.len() as u64;
    answer.body(body)
}

impl Protocol for KeystoneFake {
    fn core(&self) -> &Core {
        &self.core
    }

    fn title_case(&self) -> bool {
        true
    }

    fn silence_max(&self) -> Duration {
        self.config.client_timeout
    }

    fn class(&self, request: &Request) -> &'static str {
        match request.method.as_str() {
            "GET" => "GET",
            "HEAD" => "HEAD",
            "POST" => "POST",
            "DELETE" => "DELETE",
            _ => "",
        }
    }

    fn refuse_unread(&self, _request: &Request) -> Option<Answer> {
        None
    }

    fn answer(&self, env: &Env, request: &Request) -> Answer {
        self.dispatch(env, request).unwrap_or_else(|refusal| refusal)
    }

    fn status_answer(&self, _request: &Request, status: &Status) -> Answer {
        if status.code == 401 { self.unauthorized() } else { errors::of_status(status.code) }
    }

    fn broken_off(&self) -> Answer {
        errors::of_status(400)
    }

    fn finish(&self, env: &Env, answer: Answer) -> Answer {
        answer
            .header("Server", "gunicorn")
            .header("Date", http_date(env.clock.now()))
            .header("Connection", "keep-alive")
            .header("Vary", "X-Auth-Token")
            .header("x-openstack-request-id", format!("req-{}", env.rng.uuid()))
    }
}

impl FaultTarget for KeystoneFake {
    fn begin(&self, id: FaultId, fault: &Fault) -> Result<(), String> {
        match fault {
            Fault::RevokeTokens(_) => {
                self.registry.revoke_all(id);
                Ok(())
            }
            Fault::ExpireTokens(expire) => {
                self.registry.shorten(id, expire.after.0);
                Ok(())
            }
            Fault::Silent(_) | Fault::Slow(_) | Fault::Status(_) | Fault::Cut(_) | Fault::WrongCredentials(_) => {
                self.core.faults.begin(id, fault)
            }
            other => Err(format!("apply fault `{}`: a Keystone has none of that name", other.name())),
        }
    }

    fn end(&self, id: FaultId) {
        self.core.faults.end(id);
        self.registry.unshorten(id);
    }

    /// A Keystone holds no objects.
    fn stored(&self) -> Vec<StoredObject> {
        Vec::new()
    }
}
