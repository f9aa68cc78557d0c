//! `/v3/auth/tokens`: password authentication, validation, revocation.

use clinker_env::Env;
use serde_json::{Value, json};

use super::catalog::{self, fixed_id};
use super::{KeystoneFake, Project, User, document, errors};
use crate::answer::Answer;
use crate::server::Request;
use crate::stamp::keystone_date;
use crate::tokens::{Grant, Identity, TokenForm};

/// Roles that may look at other users' tokens.
const VALIDATORS: [&str; 2] = ["admin", "service"];

impl KeystoneFake {
    pub(super) fn issue(&self, env: &Env, request: &Request) -> Result<Answer, Answer> {
        let json = request.header("content-type").is_some_and(|kind| kind.starts_with("application/json"));
        if !json {
            return Err(errors::expected("application/json", "Content-Type header"));
        }
        let body: Value =
            serde_json::from_slice(&request.body).map_err(|_| errors::expected("valid JSON", "request body"))?;
        let auth = member(&body, "auth", "request body")?;
        let identity = member(auth, "identity", "auth")?;
        let methods = member(identity, "methods", "identity")?;
        if methods.as_array().is_none_or(|methods| methods.iter().any(|method| method != "password")) {
            return Err(self.unauthorized());
        }
        let user = member(member(identity, "password", "identity")?, "user", "password")?;
        let password = member(user, "password", "user")?.as_str().unwrap_or_default();
        if let Some(id) = self.core.faults.wrong_credentials() {
            self.core.bite(id, "password not accepted");
            return Err(self.unauthorized());
        }
        let named = |user: &&User| names(&body["auth"]["identity"]["password"]["user"], &user.id, &user.name);
        let user = self.config.users.iter().find(named).filter(|user| user.password == password);
        let user = user.ok_or_else(|| self.unauthorized())?;
        let project = self.project(user, auth).ok_or_else(|| self.unauthorized())?;
        let held = user.roles.iter().filter(|(id, _)| *id == project.id);
        let roles: Vec<String> = held.map(|(_, role)| role.clone()).collect();
        if roles.is_empty() {
            return Err(self.unauthorized());
        }
        let identity = Identity {
            user_id: user.id.clone(),
            user_name: user.name.clone(),
            project_id: project.id.clone(),
            project_name: project.name.clone(),
            roles,
            account: format!("AUTH_{}", project.id),
        };
        let life = self.config.token_life;
        let grant = self.registry.issue_as(env, &self.core.host, TokenForm::Fernet, identity, life);
        Ok(self.describe(request, 201, &grant).reason("CREATED"))
    }

    /// The project of the scope, or the user's default one without scope. Other scopes are not served.
    fn project(&self, user: &User, auth: &Value) -> Option<&Project> {
        let mut projects = self.config.projects.iter();
        match auth.get("scope") {
            None => projects.find(|project| Some(&project.id) == user.default_project.as_ref()),
            Some(scope) => {
                let asked = scope.get("project")?;
                projects.find(|project| names(asked, &project.id, &project.name))
            }
        }
    }

    /// Validates the subject's token.
    pub(super) fn show(&self, env: &Env, request: &Request) -> Result<Answer, Answer> {
        let (caller, subject) = self.caller_and_subject(env, request)?;
        let validator = caller.identity.roles.iter().any(|role| VALIDATORS.contains(&role.as_str()));
        if caller.token != subject.token && !validator {
            return Err(errors::forbidden("identity:validate_token"));
        }
        Ok(self.describe(request, 200, &subject))
    }

    /// Revokes the subject's token.
    pub(super) fn revoke(&self, env: &Env, request: &Request) -> Result<Answer, Answer> {
        let (caller, subject) = self.caller_and_subject(env, request)?;
        if caller.identity.user_id != subject.identity.user_id {
            return Err(errors::forbidden("identity:revoke_token"));
        }
        self.registry.revoke(&subject.token, env.clock.now());
        Ok(Answer::bare(204).reason("NO CONTENT"))
    }

    fn caller_and_subject(&self, env: &Env, request: &Request) -> Result<(Grant, Grant), Answer> {
        let caller = self.live(env, request, "x-auth-token").ok_or_else(|| self.unauthorized())?;
        if request.header("x-subject-token").is_none() {
            return Err(errors::expected("X-Subject-Token", "request headers"));
        }
        let subject = self.live(env, request, "x-subject-token").ok_or_else(errors::no_such_token)?;
        Ok((caller, subject))
    }

    fn live(&self, env: &Env, request: &Request, header: &str) -> Option<Grant> {
        let now = env.clock.now();
        let grant = self.registry.find(request.header(header)?)?;
        if let Some(id) = grant.broken_by(now) {
            self.core
                .bite(id, &format!("{} {} with a token that is no longer valid", request.method, request.target()));
        }
        grant.live(now).then_some(grant)
    }

    /// The token document.
    fn describe(&self, request: &Request, status: u16, grant: &Grant) -> Answer {
        let identity = &grant.identity;
        let domain = json!({"id": "default", "name": "Default"});
        let roles = identity.roles.iter().map(|role| json!({"id": fixed_id(&format!("role {role}")), "name": role}));
        let mut token = json!({
            "methods": ["password"],
            "user": {"domain": domain, "id": identity.user_id, "name": identity.user_name,
                     "password_expires_at": null},
            "audit_ids": [grant.audit_id],
            "expires_at": keystone_date(grant.expires_at),
            "issued_at": keystone_date(grant.issued_at),
            "project": {"domain": domain, "id": identity.project_id, "name": identity.project_name},
            "is_domain": false,
            "roles": roles.collect::<Vec<_>>(),
        });
        let nocatalog = request.query.iter().flat_map(|query| query.split('&')).any(|key| key.starts_with("nocatalog"));
        if !nocatalog {
            token["catalog"] = catalog::v3(&self.config, &identity.project_id);
        }
        document(status, &json!({"token": token})).header("X-Subject-Token", &grant.token)
    }
}

fn member<'a>(value: &'a Value, key: &str, place: &str) -> Result<&'a Value, Answer> {
    value.get(key).ok_or_else(|| errors::expected(key, place))
}

/// Whether a reference by id, or by name and the one domain there is, means this user or project.
fn names(reference: &Value, id: &str, name: &str) -> bool {
    match reference.get("id") {
        Some(asked) => asked == id,
        None => {
            let domain = &reference["domain"];
            reference["name"] == name && (domain["id"] == "default" || domain["name"] == "Default")
        }
    }
}
