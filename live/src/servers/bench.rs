//! What a case does: a driver as the service builds it, at one server.

use std::sync::Arc;

use clinker_drivers::{Backup, BackupDriver, Error, Options, RequestContext, Secret, registry};
use clinker_env::Env;
use tokio::time::{Duration, sleep};

use super::cases::{Ask, Case, Effort, Setting};
use super::table::Outcome;
use super::volume::{Blow, Service, Strike, Volume};
use super::{Action, KEY, Quota, Server, USER};

const CHUNK: u64 = 256 << 10;
const BLOCK: u64 = 32 << 10;
/// Eight chunks, the last one short.
const VOLUME: usize = 2_000_000;
/// Where a volume strikes: when two chunks of eight are stored, or restored.
const THIRD: u64 = 2 * CHUNK;
const SECOND: u64 = CHUNK;
const CREATED_AT: &str = "2027-03-04T05:06:05Z";

/// What ends a case: the driver's error is an outcome, a server that cannot be handled is not.
pub(super) enum Trouble {
    Driver(Error),
    Server(anyhow::Error),
}

impl From<Error> for Trouble {
    fn from(error: Error) -> Trouble {
        Trouble::Driver(error)
    }
}

impl From<anyhow::Error> for Trouble {
    fn from(error: anyhow::Error) -> Trouble {
        Trouble::Server(error)
    }
}

type Result<T, E = Trouble> = std::result::Result<T, E>;

fn done(what: impl Into<String>) -> Result<Outcome> {
    Ok(Outcome::Done(what.into()))
}

/// A backup to make: by default a full one of the chain's first image, in the configured container.
struct Order {
    container: Option<String>,
    parent: Option<Backup>,
    data: Vec<u8>,
    strike: Option<Strike>,
}

impl Default for Order {
    fn default() -> Order {
        Order { container: None, parent: None, data: image(0), strike: None }
    }
}

/// One driver at one server, and what it has stored so far.
pub(super) struct Bench {
    driver: &'static str,
    env: Env,
    server: Arc<dyn Server>,
    /// The stored chain; link n holds what `image(n)` gives.
    chain: Vec<Backup>,
    /// The backup that failed last, of which objects may be left.
    left: Option<Backup>,
    /// Backups made so far, for their ids.
    made: usize,
}

impl Bench {
    pub(super) fn new(driver: &'static str, env: &Env, server: Arc<dyn Server>) -> Bench {
        Bench { driver, env: env.clone(), server, chain: Vec::new(), left: None, made: 0 }
    }

    pub(super) async fn run(&mut self, case: Case) -> Result<Outcome> {
        match case {
            Case::SetUp(setting) => self.set_up(&self.with(setting)).await,
            Case::Backup(setting) => {
                let (backup, outcome) = self.back_up(&self.with(setting), Order::default()).await;
                self.settled(&backup, outcome).await
            }
            Case::Link(link) => self.link(link).await,
            Case::RestoreLink(link) => self.restore(&self.options(), link, None).await,
            Case::DeleteChain => self.delete_chain().await,
            Case::RestoreMissing => {
                self.restore_chain(&self.options(), std::slice::from_ref(&self.elsewhere()), 0, None).await
            }
            Case::DeleteMissing => self.delete(&self.options(), &self.elsewhere()).await,
            Case::Quota(quota) => self.over_quota(quota).await,
            Case::Struck(blow, effort) => self.struck(blow, effort).await,
            Case::RestoreStruck(blow, effort) => {
                let strike = self.strike(blow, SECOND);
                self.restore(&self.patience(effort), 0, Some(strike)).await
            }
            Case::While(action, ask) => self.asked_while(action, ask).await,
            Case::Well(action) => self.well(action).await,
        }
    }

    /// What works.
    fn options(&self) -> Options {
        let url = format!("http://127.0.0.1:{}", self.server.port());
        Options {
            backup_driver: self.driver.into(),
            backup_swift_auth: "single_user".into(),
            backup_swift_auth_url: Some(format!("{url}/auth/v1.0")),
            backup_swift_user: Some(USER.into()),
            backup_swift_key: Some(Secret::new(KEY)),
            backup_swift_container: self.container("data"),
            backup_swift_object_size: CHUNK,
            backup_swift_block_size: BLOCK,
            backup_swift_retry_attempts: 1,
            backup_swift_retry_backoff: 1,
            backup_swift_timeout: 15,
            backup_s3_endpoint_url: Some(url),
            backup_s3_store_access_key: Some(USER.into()),
            backup_s3_store_secret_key: Some(Secret::new(KEY)),
            backup_s3_store_bucket: self.container("data"),
            backup_s3_object_size: CHUNK,
            backup_s3_block_size: BLOCK,
            backup_s3_retry_max_attempts: 1,
            backup_s3_timeout: 15.0,
            ..Options::default()
        }
    }

    fn container(&self, of: &str) -> String {
        format!("clinker-{}-{of}", self.driver)
    }

    fn with(&self, setting: Setting) -> Options {
        let mut options = self.options();
        match setting {
            Setting::Right => {}
            Setting::WrongKey => {
                options.backup_swift_key = Some(Secret::new("wrong"));
                options.backup_s3_store_secret_key = Some(Secret::new("wrong"));
            }
            Setting::UnknownUser => {
                options.backup_swift_user = Some("test:nobody".into());
                options.backup_s3_store_access_key = Some("test:nobody".into());
            }
            Setting::NoContainer => {
                options.backup_create_containers = false;
                options.backup_swift_container = self.container("missing");
                options.backup_s3_store_bucket = self.container("missing");
            }
        }
        options
    }

    fn patience(&self, effort: Effort) -> Options {
        match effort {
            Effort::Patient => self.options(),
            Effort::Hasty => Options { backup_swift_timeout: 2, backup_s3_timeout: 2.0, ..self.options() },
        }
    }

    fn build(&self, options: &Options) -> Result<Arc<dyn BackupDriver>> {
        Ok(registry::build(options, &self.env)?)
    }

    fn strike(&self, blow: Blow, at: u64) -> Strike {
        Strike { at, blow, server: Arc::clone(&self.server), env: self.env.clone() }
    }

    /// A backup whose container is not there.
    fn elsewhere(&self) -> Backup {
        let prefix = "volume_vol-1/20270304050605/az_nova_backup_elsewhere";
        Backup {
            container: Some(self.container("missing")),
            service_metadata: Some(prefix.into()),
            ..row("elsewhere".into())
        }
    }

    async fn set_up(&self, options: &Options) -> Result<Outcome> {
        let driver = self.build(options)?;
        driver.do_setup().await?;
        driver.check_for_setup_error().await?;
        done("up")
    }

    /// Makes a backup; its row as the service has it afterwards, and how many objects were written.
    async fn back_up(&mut self, options: &Options, order: Order) -> (Backup, Result<u64>) {
        let Order { container, parent, data, strike } = order;
        self.made += 1;
        let parent_id = parent.as_ref().map(|parent| parent.id.clone());
        let mut backup = Backup { container, parent_id, ..row(format!("backup-{}", self.made)) };
        let service = Arc::new(Service::default());
        let volume = Volume::new(data, strike);
        let outcome = match self.build(options) {
            Ok(driver) => {
                let context = RequestContext::admin();
                driver.backup(&context, &backup, parent.as_ref(), &volume, service.clone()).await.map_err(Trouble::from)
            }
            Err(trouble) => Err(trouble),
        };
        if let Some((container, prefix)) = service.location() {
            backup.container = Some(container);
            backup.service_metadata = Some(prefix);
        }
        (backup, outcome.map(|update| update.object_count))
    }

    /// The outcome of a backup against a server that answers: what failed has left nothing.
    async fn settled(&self, backup: &Backup, outcome: Result<u64>) -> Result<Outcome> {
        match outcome {
            Ok(objects) => done(format!("{objects} objects")),
            Err(trouble) => match self.left_of(backup).await? {
                0 => Err(trouble),
                left => Ok(Outcome::Wrong(format!("{left} objects left by a failed backup"))),
            },
        }
    }

    async fn left_of(&self, backup: &Backup) -> Result<usize> {
        let (Some(container), Some(prefix)) = (&backup.container, &backup.service_metadata) else { return Ok(0) };
        let stored = self.server.stored(container).await?;
        Ok(stored.iter().filter(|name| name.starts_with(prefix)).count())
    }

    async fn link(&mut self, link: usize) -> Result<Outcome> {
        let order = Order { parent: self.chain.last().cloned(), data: image(link), ..Order::default() };
        let (backup, outcome) = self.back_up(&self.options(), order).await;
        let outcome = self.settled(&backup, outcome).await?;
        self.chain.push(backup);
        Ok(outcome)
    }

    /// Restores a link to a new volume and over other data.
    async fn restore(&self, options: &Options, link: usize, strike: Option<Strike>) -> Result<Outcome> {
        let Some(chain) = self.chain.get(..=link) else {
            return Ok(Outcome::Wrong(format!("the chain has {} links", self.chain.len())));
        };
        self.restore_chain(options, chain, link, strike).await
    }

    async fn restore_chain(
        &self,
        options: &Options,
        chain: &[Backup],
        link: usize,
        mut strike: Option<Strike>,
    ) -> Result<Outcome> {
        let driver = self.build(options)?;
        for (volume_is_new, before) in [(true, 0), (false, 0xee)] {
            let volume = Volume::new(vec![before; VOLUME], strike.take());
            let service = Arc::new(Service::default());
            driver.restore(&RequestContext::admin(), chain, &volume, volume_is_new, service).await?;
            if volume.into_data() != image(link) {
                return Ok(Outcome::Wrong("restored bytes differ from what was backed up".into()));
            }
        }
        done(format!("{VOLUME} bytes, all equal"))
    }

    async fn delete(&self, options: &Options, backup: &Backup) -> Result<Outcome> {
        self.build(options)?.delete_backup(&RequestContext::admin(), backup).await?;
        match self.left_of(backup).await? {
            0 => done("nothing left"),
            left => Ok(Outcome::Wrong(format!("{left} objects left by a delete"))),
        }
    }

    /// Newest first, as the service demands; then the container is empty, of the set-up check's probe too.
    async fn delete_chain(&mut self) -> Result<Outcome> {
        while let Some(backup) = self.chain.pop() {
            self.delete(&self.options(), &backup).await?;
        }
        match self.server.stored(&self.container("data")).await?.as_slice() {
            [] => done("nothing left"),
            [name, ..] => Ok(Outcome::Wrong(format!("{name} is left"))),
        }
    }

    async fn over_quota(&mut self, quota: Quota) -> Result<Outcome> {
        let container = self.container("quota");
        // Two chunks fit, and before the third Swift forgets how full the container was. Of an account it learns late.
        let (bytes, pause) = match quota {
            Quota::Container => (500_000, Duration::from_secs(2)),
            Quota::Account => (100_000, Duration::ZERO),
        };
        self.server.set_quota(quota, &container, Some(bytes)).await?;
        let strike = Some(self.strike(Blow::Pause(pause), THIRD));
        let order = Order { container: Some(container.clone()), strike, ..Order::default() };
        let (backup, outcome) = self.back_up(&self.options(), order).await;
        self.server.set_quota(quota, &container, None).await?;
        self.settled(&backup, outcome).await
    }

    async fn struck(&mut self, blow: Blow, effort: Effort) -> Result<Outcome> {
        let order = Order { strike: Some(self.strike(blow, THIRD)), ..Order::default() };
        let (backup, outcome) = self.back_up(&self.patience(effort), order).await;
        if let Ok(objects) = &outcome {
            let deleted = self.delete(&self.options(), &backup).await?;
            return if matches!(deleted, Outcome::Done(_)) { done(format!("{objects} objects")) } else { Ok(deleted) };
        }
        self.left = Some(backup);
        Err(outcome.expect_err("a success was returned"))
    }

    async fn asked_while(&self, action: Action, ask: Ask) -> Result<Outcome> {
        self.server.apply(action).await?;
        let options = self.patience(Effort::Hasty);
        match (ask, self.left.as_ref().or(self.chain.last())) {
            (Ask::SetUp, _) => self.set_up(&options).await,
            (Ask::Delete, Some(backup)) => self.delete(&options, backup).await,
            (Ask::Restore, _) => self.restore(&options, 0, None).await,
            (Ask::Delete, None) => Ok(Outcome::Wrong("there is no backup to delete".into())),
        }
    }

    async fn well(&mut self, action: Action) -> Result<Outcome> {
        self.server.apply(action).await?;
        // A server that goes on does first what it was asked before; nobody waits for it any more.
        sleep(Duration::from_secs(1)).await;
        if let Some(backup) = self.left.take() {
            let outcome = self.delete(&self.options(), &backup).await?;
            if !matches!(outcome, Outcome::Done(_)) {
                return Ok(outcome);
            }
        }
        self.set_up(&self.options()).await?;
        let (backup, outcome) = self.back_up(&self.options(), Order::default()).await;
        let objects = outcome?;
        let restored = self.restore_chain(&self.options(), std::slice::from_ref(&backup), 0, None).await?;
        if !matches!(restored, Outcome::Done(_)) {
            return Ok(restored);
        }
        self.delete(&self.options(), &backup).await?;
        done(format!("{objects} objects, all equal"))
    }
}

/// A row as the service makes it before the driver runs.
fn row(id: String) -> Backup {
    Backup {
        id,
        volume_id: "vol-1".into(),
        size: 1,
        created_at: CREATED_AT.parse().expect("a date"),
        availability_zone: "nova".into(),
        ..Backup::default()
    }
}

/// The volume as it was backed up by link n: noise and text, and in each link two blocks more that differ.
fn image(link: usize) -> Vec<u8> {
    let mut state: u64 = 0x9e37_79b9_7f4a_7c15;
    let mut next = || {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        (state >> 32) as u8
    };
    let mut data: Vec<u8> = (0..VOLUME).map(|at| if at % 300_000 < 200_000 { next() } else { b'a' }).collect();
    for change in 0..link {
        data[change * 100_000 + 5] ^= 0xff;
        data[1_000_000 + change * 300_000] ^= 0xff;
    }
    data
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_link_changes_blocks_of_its_own() {
        let differ = |one: &[u8], other: &[u8]| one.iter().zip(other).filter(|(a, b)| a != b).count();
        let (full, first, second) = (image(0), image(1), image(2));
        assert_eq!([full.len(), first.len(), second.len()], [VOLUME; 3]);
        assert_eq!([differ(&full, &first), differ(&first, &second), differ(&full, &second)], [2, 2, 4]);
    }
}
