//! What many bodies check in the same words.

use clinker_drivers::{Backup, BackupDriver};

use super::device::Volume;
use super::format::first_difference;
use super::{Bench, Watched};
use crate::conformance::outcome::{Outcome, ensure, equal};

/// What fills a volume that a restore has to overwrite.
const OTHER: u8 = 0xee;

impl Bench {
    /// Fails unless the last of a chain restores to exactly these bytes, onto a new volume and over other bytes.
    pub async fn restores(&self, driver: &dyn BackupDriver, chain: &[&Backup], bytes: &[u8]) -> Outcome<Watched> {
        self.restores_to(driver, chain, &Volume::zeros(bytes.len() as u64), true, bytes).await?;
        self.restores_to(driver, chain, &Volume::holding(vec![OTHER; bytes.len()]), false, bytes).await
    }

    /// Fails unless the last of a chain restores to exactly these bytes on this volume.
    pub async fn restores_to(
        &self,
        driver: &dyn BackupDriver,
        chain: &[&Backup],
        target: &Volume,
        new: bool,
        bytes: &[u8],
    ) -> Outcome<Watched> {
        let seen = self.restore(driver, chain, target, new).await?;
        let restored = target.bytes();
        ensure(restored == bytes, "the restored bytes are not the volume's", "the volume's bytes", || {
            first_difference(&restored, bytes)
        })?;
        Ok(seen)
    }

    /// Fails with `what` if an object of this backup is stored.
    pub fn holds_nothing_of(&self, backup_id: &str, what: &str) -> Outcome {
        equal(what, &Vec::<String>::new(), &self.objects_of(backup_id))
    }

    /// How many requests the servers have seen so far.
    pub fn request_count(&self) -> usize {
        self.requests().len()
    }
}

/// Fails with `what` if a byte of the volume was written.
pub fn untouched(what: &str, target: &Volume) -> Outcome {
    equal(what, &Vec::<(u64, u64)>::new(), &target.writes())
}
