//! Issued tokens: what each one grants, how long, and which fault broke it. Shared by the Swift and Keystone fakes.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE;
use clinker_env::Env;
use clinker_model::{Entry, FaultId, Journal};
use jiff::Timestamp;

/// Whom a token speaks for.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Identity {
    pub user_id: String,
    pub user_name: String,
    pub project_id: String,
    pub project_name: String,
    /// Role names in the project: `member`, `reader` …
    pub roles: Vec<String>,
    /// The storage account they apply to, e.g. `AUTH_test`.
    pub account: String,
}

/// How a token looks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TokenForm {
    /// v1 auth: `AUTH_tk` and 32 hex digits.
    V1,
    /// Keystone (Fernet): `gAAAAA` and 177 characters of base64url.
    Fernet,
}

/// An issued token.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Grant {
    pub token: String,
    pub identity: Identity,
    pub issued_at: Timestamp,
    pub expires_at: Timestamp,
    /// When its owner revoked it.
    pub revoked_at: Option<Timestamp>,
    /// `audit_ids` of Keystone's answer.
    pub audit_id: String,
    /// The fault that made its life shorter.
    pub shortened_by: Option<FaultId>,
    /// The fault that revoked it.
    pub revoked_by: Option<FaultId>,
}

impl Grant {
    pub fn expired(&self, now: Timestamp) -> bool {
        now >= self.expires_at
    }

    pub fn live(&self, now: Timestamp) -> bool {
        !self.expired(now) && self.revoked_at.is_none() && self.revoked_by.is_none()
    }

    /// The fault because of which the token is no longer valid.
    pub fn broken_by(&self, now: Timestamp) -> Option<FaultId> {
        self.revoked_by.or(self.shortened_by.filter(|_| self.expired(now)))
    }
}

/// All tokens issued in a world. It outlives the hosts of both fakes, as a database would.
pub struct TokenRegistry {
    journal: Arc<dyn Journal>,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    tokens: BTreeMap<String, Grant>,
    /// Life of the tokens issued while each of these faults is on.
    lives: BTreeMap<FaultId, Duration>,
}

/// Life of a Keystone token, as upstream's default.
pub(crate) const FERNET_LIFE: Duration = Duration::from_secs(3600);

impl TokenRegistry {
    pub fn new(journal: Arc<dyn Journal>) -> Arc<TokenRegistry> {
        Arc::new(TokenRegistry { journal, state: Mutex::default() })
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().expect("no panic while the lock is held")
    }

    /// A user's own token, as a client brings it along in its request context: role `member` in `project_id`, one hour.
    pub fn issue(&self, env: &Env, project_id: &str, user_id: &str) -> String {
        let identity = Identity {
            user_id: user_id.to_owned(),
            user_name: user_id.to_owned(),
            project_id: project_id.to_owned(),
            project_name: project_id.to_owned(),
            roles: vec!["member".to_owned()],
            account: format!("AUTH_{project_id}"),
        };
        self.issue_as(env, "keystone", TokenForm::Fernet, identity, FERNET_LIFE).token
    }

    /// Issues a token at `host`; the journal learns it as a secret. An active fault may cut `life` short.
    pub fn issue_as(&self, env: &Env, host: &str, form: TokenForm, identity: Identity, life: Duration) -> Grant {
        let now = env.clock.now();
        // Keystone counts in whole seconds.
        let issued_at = match form {
            TokenForm::V1 => now,
            TokenForm::Fernet => Timestamp::from_second(now.as_second()).unwrap_or(now),
        };
        let mut state = self.lock();
        let fault = state.lives.iter().min_by_key(|&(&id, &life)| (life, id)).map(|(&id, &life)| (id, life));
        let (shortened_by, expires_at) = match fault.filter(|&(_, short)| short < life) {
            Some((id, short)) => (Some(id), later(now, short)),
            None => (None, later(issued_at, life)),
        };
        let grant = Grant {
            token: new_token(env, form),
            identity,
            issued_at,
            expires_at,
            revoked_at: None,
            audit_id: random_base64(env, 16),
            shortened_by,
            revoked_by: None,
        };
        state.tokens.insert(grant.token.clone(), grant.clone());
        drop(state);
        self.journal.record(host, Entry::Secret { value: grant.token.clone() });
        grant
    }

    /// Makes a token known that was issued elsewhere.
    pub fn insert(&self, grant: Grant) {
        self.lock().tokens.insert(grant.token.clone(), grant);
    }

    pub fn find(&self, token: &str) -> Option<Grant> {
        self.lock().tokens.get(token).cloned()
    }

    /// The live v1 token of a user, which v1 auth hands out again rather than issue another. While a fault shortens
    /// lives, only tokens issued under it count.
    pub(crate) fn reusable(&self, account: &str, user: &str, now: Timestamp) -> Option<Grant> {
        let state = self.lock();
        let under_fault = !state.lives.is_empty();
        let mut grants = state.tokens.values();
        let same = |grant: &&Grant| grant.identity.account == account && grant.identity.user_name == user;
        grants.find(|g| same(g) && g.live(now) && (!under_fault || g.shortened_by.is_some())).cloned()
    }

    /// Revokes one token, as its owner.
    pub(crate) fn revoke(&self, token: &str, now: Timestamp) {
        if let Some(grant) = self.lock().tokens.get_mut(token) {
            grant.revoked_at.get_or_insert(now);
        }
    }

    /// Revokes every token issued so far, as fault `id`.
    pub(crate) fn revoke_all(&self, id: FaultId) {
        for grant in self.lock().tokens.values_mut() {
            grant.revoked_by.get_or_insert(id);
        }
    }

    /// Tokens issued from now on live only this long, because of fault `id`.
    pub(crate) fn shorten(&self, id: FaultId, life: Duration) {
        self.lock().lives.insert(id, life);
    }

    pub(crate) fn unshorten(&self, id: FaultId) {
        self.lock().lives.remove(&id);
    }
}

fn later(moment: Timestamp, by: Duration) -> Timestamp {
    moment.checked_add(by).unwrap_or(Timestamp::MAX)
}

fn new_token(env: &Env, form: TokenForm) -> String {
    match form {
        TokenForm::V1 => format!("AUTH_tk{}", random_hex(env, 32)),
        // 183 characters in all; the first encode the format's version byte and the issue time's leading zeros.
        TokenForm::Fernet => {
            let mut token = format!("gAAAAAB{}", random_base64(env, 132));
            token.truncate(183);
            token
        }
    }
}

/// `digits` random hexadecimal digits.
pub(crate) fn random_hex(env: &Env, digits: usize) -> String {
    let mut bytes = vec![0; digits.div_ceil(2)];
    env.rng.fill("ids", &mut bytes);
    let mut text = hex::encode(bytes);
    text.truncate(digits);
    text
}

/// `bytes` random bytes in base64url, without padding.
fn random_base64(env: &Env, bytes: usize) -> String {
    let mut raw = vec![0; bytes];
    env.rng.fill("ids", &mut raw);
    URL_SAFE.encode(raw).trim_end_matches('=').to_owned()
}
