//! Operations of a driver as a service would ask for them, with what the service learns from them.

use std::sync::Arc;

use clinker_drivers::{Backup, BackupDriver, BackupUpdate, Error};

use super::device::Volume;
use super::watch::{Watch, Watched};
use super::{Bench, Seen};
use crate::conformance::outcome::Outcome;

/// A "GiB" of volume size is a MiB here, as in scenarios.
const GIB: u64 = 1 << 20;
const CREATED_AT: jiff::Timestamp = jiff::Timestamp::constant(1_767_225_600, 0);

/// What is particular about a backup that is to be made.
#[derive(Clone, Debug, Default)]
pub struct Order<'a> {
    pub parent: Option<&'a Backup>,
    pub container: Option<&'a str>,
    /// The backup is cancelled when it asks for the nth time, counted from 1.
    pub cancel_at: Option<u64>,
    /// What its metadata object is to keep of the volume.
    pub volume_meta: Option<&'a str>,
    /// The volume it is of; each backup has one of its own if absent.
    pub volume_id: Option<&'a str>,
}

/// A backup that was asked for, and what came of it.
#[derive(Debug)]
pub struct Made {
    /// Its row: where its objects are, if the driver has said so.
    pub backup: Backup,
    pub result: Result<BackupUpdate, Error>,
    /// What the service saw meanwhile.
    pub seen: Watched,
    watch: Arc<Watch>,
}

impl std::fmt::Debug for Watch {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{:?}", self.seen())
    }
}

impl Made {
    /// The backup, if it was made.
    pub fn stored(self) -> Outcome<Backup> {
        self.result?;
        Ok(self.backup)
    }

    pub fn container(&self) -> &str {
        self.backup.container.as_deref().unwrap_or_default()
    }

    pub fn prefix(&self) -> &str {
        self.backup.service_metadata.as_deref().unwrap_or_default()
    }

    /// What the service has seen up to now, after the end of the operation too.
    pub fn seen_by_now(&self) -> Watched {
        self.watch.seen()
    }
}

impl Bench {
    /// The row of a backup to be made.
    pub fn row(&self, volume: &Volume, order: &Order<'_>) -> Backup {
        let volume_id = order.parent.map(|parent| parent.volume_id.clone());
        let volume_id = volume_id.or_else(|| order.volume_id.map(str::to_owned)).unwrap_or_else(|| self.uuid());
        let id = self.uuid();
        self.shared.known.lock().expect("no panic while the lock is held").push(id.clone());
        Backup {
            id,
            volume_id,
            size: clinker_drivers::Device::len(volume).div_ceil(GIB),
            display_name: Some("a backup".to_owned()),
            display_description: Some("of a conformance case".to_owned()),
            created_at: CREATED_AT,
            availability_zone: "nova".to_owned(),
            container: order.container.map(str::to_owned),
            service_metadata: None,
            parent_id: order.parent.map(|parent| parent.id.clone()),
            volume_meta: order.volume_meta.map(str::to_owned),
        }
    }

    /// Backs a volume up.
    pub async fn backup(&self, driver: &dyn BackupDriver, volume: &Volume, order: Order<'_>) -> Made {
        let watch = Watch::new(Arc::clone(&self.shared.journal), order.cancel_at);
        let mut backup = self.row(volume, &order);
        let context = self.context();
        let result = driver.backup(&context, &backup, order.parent, volume, watch.clone()).await;
        let seen = watch.seen();
        if let Some((container, prefix)) = seen.locations.last() {
            backup.container = Some(container.clone());
            backup.service_metadata = Some(prefix.clone());
        }
        Made { backup, result, seen, watch }
    }

    /// A full backup that must be made.
    pub async fn full(&self, driver: &dyn BackupDriver, volume: &Volume) -> Outcome<Backup> {
        self.backup(driver, volume, Order::default()).await.stored()
    }

    /// An incremental backup that must be made.
    pub async fn increment(&self, driver: &dyn BackupDriver, volume: &Volume, parent: &Backup) -> Outcome<Backup> {
        self.backup(driver, volume, Order { parent: Some(parent), ..Order::default() }).await.stored()
    }

    /// Restores the last of a chain; `new` tells the driver that the volume holds nothing yet.
    pub async fn restore(
        &self,
        driver: &dyn BackupDriver,
        chain: &[&Backup],
        target: &Volume,
        new: bool,
    ) -> Result<Watched, Error> {
        self.restore_cancelled(driver, chain, target, new, None).await.0
    }

    /// As [`Bench::restore`], cancelled when it asks for the nth time; also tells what was seen of one that failed.
    pub async fn restore_cancelled(
        &self,
        driver: &dyn BackupDriver,
        chain: &[&Backup],
        target: &Volume,
        new: bool,
        cancel_at: Option<u64>,
    ) -> (Result<Watched, Error>, Watched) {
        let watch = Watch::new(Arc::clone(&self.shared.journal), cancel_at);
        let chain: Vec<Backup> = chain.iter().map(|backup| (*backup).clone()).collect();
        let result = driver.restore(&self.context(), &chain, target, new, watch.clone()).await;
        (result.map(|()| watch.seen()), watch.seen())
    }

    pub async fn delete(&self, driver: &dyn BackupDriver, backup: &Backup) -> Result<(), Error> {
        driver.delete_backup(&self.context(), backup).await
    }

    /// Requests for pages of listings, from `since` (a number of requests) on.
    pub fn listings(&self, since: usize) -> usize {
        self.requests_since(since, "GET", "prefix=").len()
    }

    /// Requests from `since` (a number of requests) on whose path contains a text.
    pub fn requests_since(&self, since: usize, method: &str, path: &str) -> Vec<Seen> {
        let seen = self.requests().into_iter().skip(since);
        seen.filter(|seen| seen.method == method && seen.path.contains(path)).collect()
    }
}
