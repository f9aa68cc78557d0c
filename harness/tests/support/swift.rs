//! A Swift, with Keystone for the v3 preset: the fakes and the options that fit them, at any address.

use std::sync::Arc;

use clinker::loader::presets::{BLOCK, CHUNK, preset};
use clinker_drivers::{BackupDriver, Options, registry};
use clinker_env::Env;
use clinker_fakes::keystone::{Project, Region, User};
use clinker_fakes::swift::V1User;
use clinker_fakes::{KeystoneConfig, KeystoneFake, SwiftConfig, SwiftFake, TokenRegistry};

use super::Requests;

const PROJECT: &str = "5d1e9f8c7b6a4d3e2f1a0b9c8d7e6f50";

/// `host:port` of both servers, and of nobody.
#[derive(Clone)]
pub struct Addresses {
    pub swift: String,
    pub keystone: String,
    pub nobody: String,
}

impl Addresses {
    /// Those of a simulated world.
    pub fn named() -> Addresses {
        Addresses { swift: "swift:8080".into(), keystone: "keystone:5000".into(), nobody: "swift:9".into() }
    }

    /// A text with these addresses replaced by the named ones.
    pub fn named_in(&self, text: &str) -> String {
        let named = Addresses::named();
        text.replace(&self.swift, &named.swift).replace(&self.keystone, &named.keystone)
    }
}

/// Both servers, with the requests that they answered.
#[derive(Clone)]
pub struct Fakes {
    pub swift: Arc<SwiftFake>,
    pub keystone: Arc<KeystoneFake>,
    pub requests: Arc<Requests>,
}

impl Fakes {
    pub fn new(preset_name: &str, at: &Addresses) -> Fakes {
        let requests = Requests::new();
        let tokens = TokenRegistry::new(requests.clone());
        let options = options(preset_name, at);
        let user = options.backup_swift_user.expect("presets name a user");
        let key = options.backup_swift_key.expect("presets have a key");
        let keystone = KeystoneConfig {
            public_url: format!("http://{}", at.keystone),
            users: vec![User::member("backup-user-id", &user, key.expose(), PROJECT)],
            projects: vec![Project { id: PROJECT.into(), name: options.backup_swift_project.unwrap_or_default() }],
            regions: vec![Region::new("RegionOne", &format!("http://{}", at.swift))],
            ..KeystoneConfig::default()
        };
        let swift = SwiftConfig {
            storage_url: format!("http://{}", at.swift),
            users: vec![V1User::owner(&user, key.expose(), "AUTH_test")],
            keystone_uri: (preset_name != "swift").then(|| format!("http://{}/v3", at.keystone)),
            ..SwiftConfig::default()
        };
        Fakes {
            swift: SwiftFake::new(swift, tokens.clone(), requests.clone()),
            keystone: KeystoneFake::new(keystone, tokens, requests.clone()),
            requests,
        }
    }
}

/// The preset's options for servers at these addresses; time-outs are short, so that real time is bounded.
fn options(preset_name: &str, at: &Addresses) -> Options {
    let mut options = Options::default();
    for (name, value) in preset(preset_name).expect("a known preset").options(CHUNK, BLOCK) {
        let value = value.replace("swift:8080", &at.swift).replace("keystone:5000", &at.keystone);
        options.set(&name, &value).unwrap();
    }
    let short =
        [("backup_swift_timeout", "1"), ("backup_swift_retry_attempts", "1"), ("backup_swift_retry_backoff", "0")];
    for (name, value) in short {
        options.set(name, value).unwrap();
    }
    options.host = "backup-host-1".into();
    options
}

/// The drivers that a run needs: a right one, one with a wrong key, one that is sent to where nobody listens.
pub fn drivers(preset_name: &str, at: &Addresses, env: &Env) -> [Arc<dyn BackupDriver>; 3] {
    let right = options(preset_name, at);
    let mut wrong_key = right.clone();
    wrong_key.set("backup_swift_key", "not-the-key").unwrap();
    let mut nobody = right.clone();
    nobody.set("backup_swift_auth_url", &format!("http://{}/auth/v1.0", at.nobody)).unwrap();
    [right, wrong_key, nobody].map(|options| registry::build(&options, env).unwrap())
}
