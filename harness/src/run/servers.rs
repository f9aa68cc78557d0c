//! The servers of a preset: which fakes its world has, at which address, and what they accept.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use clinker_drivers::Options;
use clinker_fakes::keystone::{Project, Region, User};
use clinker_fakes::swift::V1User;
use clinker_fakes::{KeystoneConfig, KeystoneFake, S3Config, S3Fake, SwiftConfig, SwiftFake, TokenRegistry, s3};
use clinker_model::FaultTarget;
use clinker_world::{BoxError, SimJournal, World};

use super::scene::{PROJECT, add};
use super::{RunError, ServerMaker};
use crate::loader::presets;

/// What a world has of them.
#[derive(Default)]
pub(crate) struct Servers {
    /// By host.
    pub targets: BTreeMap<String, Arc<dyn FaultTarget>>,
    /// Where clients get tokens, if the driver works on their behalf.
    pub client_tokens: Option<Arc<TokenRegistry>>,
}

/// What is particular about the servers of a world.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Particulars {
    /// Names that a listing gives at most, if not as many as real servers give.
    pub page: Option<usize>,
    /// Whether clients come from outside of the world, to whom its names mean nothing.
    pub called_by_strangers: bool,
}

/// Adds the hosts of that preset's servers; one whose store is a disk has none.
pub(crate) fn add_all(
    world: &mut dyn World,
    driver: &str,
    journal: &Arc<SimJournal>,
    particulars: Particulars,
) -> Result<Servers, RunError> {
    match presets::preset(driver).map(|preset| preset.store) {
        Some("swift") => add_swift(world, driver, journal, particulars),
        Some("s3") => add_s3(world, journal, particulars),
        _ => Ok(Servers::default()),
    }
}

/// Adds a server of somebody else's in place of a preset's.
pub(crate) fn add_own(
    world: &mut dyn World,
    host: &str,
    make: &ServerMaker,
    journal: &Arc<SimJournal>,
) -> Result<Servers, RunError> {
    let server = make(journal.clone());
    let target = Arc::clone(&server) as Arc<dyn FaultTarget>;
    add(world, host, move |env| {
        let server = Arc::clone(&server);
        async move { server.serve(env).await.map_err(BoxError::from) }
    })?;
    Ok(Servers { targets: BTreeMap::from([(host.to_owned(), target)]), client_tokens: None })
}

/// Every secret that a server accepts, whatever the scenario's options say.
pub(crate) fn secrets() -> Vec<String> {
    let mut secrets = Vec::new();
    for preset in presets::PRESETS {
        let mut options = Options::default();
        for (name, value) in preset.options {
            options.set(name, value).expect("presets are valid");
        }
        secrets.extend(options.secrets());
    }
    secrets
}

/// Swift, with Keystone unless the preset uses v1 auth.
fn add_swift(
    world: &mut dyn World,
    driver: &str,
    journal: &Arc<SimJournal>,
    particulars: Particulars,
) -> Result<Servers, RunError> {
    let with_keystone = driver != "swift";
    let tokens = TokenRegistry::new(journal.clone());
    let mut config = SwiftConfig {
        users: vec![V1User::owner(
            configured("swift", "backup_swift_user"),
            configured("swift", "backup_swift_key"),
            "AUTH_test",
        )],
        keystone_uri: with_keystone.then(|| "http://keystone:5000/v3".to_owned()),
        ..SwiftConfig::default()
    };
    config.list_page = particulars.page.unwrap_or(config.list_page);
    if particulars.called_by_strangers {
        config.storage_url.clear();
    }
    let mut servers = Servers::default();
    let swift = SwiftFake::new(config, Arc::clone(&tokens), journal.clone());
    swift.set_points(Arc::new(world.gate("swift")));
    servers.targets.insert("swift".to_owned(), swift.clone());
    add(world, "swift", move |env| {
        let swift = Arc::clone(&swift);
        async move { swift.serve(env, presets::port("swift")).await.map_err(BoxError::from) }
    })?;
    if !with_keystone {
        return Ok(servers);
    }
    let keystone = KeystoneFake::new(keystone_config(), Arc::clone(&tokens), journal.clone());
    servers.targets.insert("keystone".to_owned(), keystone.clone());
    add(world, "keystone", move |env| {
        let keystone = Arc::clone(&keystone);
        async move { keystone.serve(env, presets::port("keystone")).await.map_err(BoxError::from) }
    })?;
    servers.client_tokens = (driver == "swift-per-user").then_some(tokens);
    Ok(servers)
}

fn keystone_config() -> KeystoneConfig {
    KeystoneConfig {
        users: vec![User::member(
            "backup-user-id",
            configured("swift-v3", "backup_swift_user"),
            configured("swift-v3", "backup_swift_key"),
            PROJECT,
        )],
        projects: vec![Project {
            id: PROJECT.to_owned(),
            name: configured("swift-v3", "backup_swift_project").to_owned(),
        }],
        regions: vec![Region { name: "RegionOne".to_owned(), object_store: "http://swift:8080".to_owned() }],
        token_life: Duration::from_secs(3600),
        ..KeystoneConfig::default()
    }
}

fn add_s3(world: &mut dyn World, journal: &Arc<SimJournal>, particulars: Particulars) -> Result<Servers, RunError> {
    let access = configured("s3", "backup_s3_store_access_key");
    let secret = configured("s3", "backup_s3_store_secret_key");
    let mut config = S3Config { keys: vec![s3::Key::new(access, secret, "backup")], ..S3Config::default() };
    config.list_page = particulars.page.unwrap_or(config.list_page);
    let mut servers = Servers::default();
    let server = S3Fake::new(config, journal.clone());
    server.set_points(Arc::new(world.gate("s3")));
    servers.targets.insert("s3".to_owned(), server.clone());
    add(world, "s3", move |env| {
        let server = Arc::clone(&server);
        async move { server.serve(env, presets::port("s3")).await.map_err(BoxError::from) }
    })?;
    Ok(servers)
}

/// What a preset configures, which is what its servers accept: a scenario that overrides it is refused by them.
fn configured(preset: &str, option: &str) -> &'static str {
    let preset = presets::preset(preset).expect("the presets named here exist");
    preset.options.iter().find(|(known, _)| *known == option).map_or("", |(_, value)| value)
}
