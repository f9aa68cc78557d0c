//! Who may: v1 authentication, tokens, and the rights they carry.

use clinker_env::Env;

use super::route::Route;
use super::{Access, SwiftFake, V1User, pages};
use crate::answer::Answer;
use crate::server::Request;
use crate::tokens::{Grant, Identity, TokenForm};

/// Keystone roles that own the project's account. Any other role has no rights in it.
const OPERATORS: [&str; 2] = ["member", "admin"];
const RESELLER: &str = ".reseller_admin";

/// The realm of a challenge: the account in the path.
pub(super) fn realm(path: &str) -> String {
    match Route::of(path) {
        Route::Account(account) | Route::Container(account, _) | Route::Object(account, _, _) => account,
        _ => "unknown".to_owned(),
    }
}

impl SwiftFake {
    /// `GET /auth/v1.0`.
    pub(super) fn authenticate(&self, env: &Env, request: &Request, version: &str) -> Answer {
        if request.method != "GET" || version != "v1.0" {
            return pages::page(400);
        }
        let user = request.header("x-auth-user").or_else(|| request.header("x-storage-user"));
        let key = request.header("x-auth-key").or_else(|| request.header("x-storage-pass"));
        let realm = user.and_then(|user| user.split_once(':')).map_or("unknown", |(account, _)| account);
        let (Some(user), Some(key)) = (user, key) else {
            return self.challenged(pages::page(401), realm);
        };
        if let Some(id) = self.core.faults.wrong_credentials() {
            self.core.bite(id, &format!("credentials of {user} not accepted"));
            return self.challenged(pages::page(401), realm);
        }
        match self.config.users.iter().find(|known| known.user == user && known.key == key) {
            Some(known) => self.admit(env, request, known),
            None => self.challenged(pages::page(401), realm),
        }
    }

    fn admit(&self, env: &Env, request: &Request, user: &V1User) -> Answer {
        let now = env.clock.now();
        let known = self.tokens.reusable(&user.account, &user.user, now);
        let grant = known.unwrap_or_else(|| {
            let roles = match user.access {
                Access::Owner => vec!["admin".to_owned()],
                Access::Nothing => Vec::new(),
                Access::Reseller => vec![RESELLER.to_owned()],
            };
            let identity = Identity {
                user_id: user.user.clone(),
                user_name: user.user.clone(),
                project_id: user.account.clone(),
                project_name: user.account.clone(),
                roles,
                account: user.account.clone(),
            };
            self.tokens.issue_as(env, &self.core.host, TokenForm::V1, identity, self.config.token_life)
        });
        let left = grant.expires_at.duration_since(now).as_secs();
        pages::empty(200)
            .header("X-Auth-Token", &grant.token)
            .header("X-Storage-Token", &grant.token)
            .header("X-Auth-Token-Expires", left)
            .header("X-Storage-Url", format!("{}/v1/{}", self.storage_url(request), user.account))
    }

    /// Lets a request into an account, or says why not.
    pub(super) fn authorize(&self, env: &Env, request: &Request, account: &str, route: &Route) -> Result<(), Answer> {
        let token = request.header("x-auth-token").or_else(|| request.header("x-storage-token"));
        let grant = match token {
            Some(token) => Some(self.valid(env, request, token, account)?),
            None => None,
        };
        if !matches!(request.method.as_str(), "GET" | "HEAD" | "PUT" | "POST" | "DELETE") {
            return Err(pages::method_not_allowed());
        }
        let Some(grant) = grant else {
            return Err(self.challenged(pages::page(401), account));
        };
        let roles = &grant.identity.roles;
        let reseller = roles.iter().any(|role| role == RESELLER);
        let owner = grant.identity.account == account && roles.iter().any(|role| OPERATORS.contains(&role.as_str()));
        // Accounts themselves come and go, and get quotas, by the reseller alone.
        let reserved = matches!(route, Route::Account(_))
            && (matches!(request.method.as_str(), "PUT" | "DELETE")
                || request.headers.contains_key("x-account-meta-quota-bytes"));
        if reseller || (owner && !reserved) { Ok(()) } else { Err(pages::page(403)) }
    }

    fn valid(&self, env: &Env, request: &Request, token: &str, account: &str) -> Result<Grant, Answer> {
        let now = env.clock.now();
        let refusal = || self.challenged(pages::page(401), account);
        let grant = self.tokens.find(token).ok_or_else(refusal)?;
        if let Some(id) = grant.broken_by(now) {
            self.core
                .bite(id, &format!("{} {} with a token that is no longer valid", request.method, request.target()));
            return Err(refusal());
        }
        if grant.expired(now) {
            return Err(refusal());
        }
        let mut disk = self.disk();
        match grant.revoked_at {
            None => {
                disk.seen.insert(grant.token.clone(), now);
                Ok(grant)
            }
            // The proxy asks Keystone again only when its cached answer is too old.
            Some(_) => match disk.seen.get(token) {
                Some(seen) if now.duration_since(*seen).unsigned_abs() < self.config.token_cache => Ok(grant),
                _ => Err(refusal()),
            },
        }
    }

    /// Adds what a 401 asks for.
    pub(super) fn challenged(&self, answer: Answer, realm: &str) -> Answer {
        let answer = answer.header("Www-Authenticate", format!("Swift realm=\"{realm}\""));
        match &self.config.keystone_uri {
            Some(uri) => answer.header("WWW-Authenticate", format!("Keystone uri=\"{uri}\"")),
            None => answer,
        }
    }
}
