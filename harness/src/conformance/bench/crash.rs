//! A process that ends in the middle of a backup: the operation is let go of while a write is under way.

use std::time::Duration;

use clinker_drivers::{Backup, BackupDriver};

use super::device::Volume;
use super::watch::Watch;
use super::{Bench, Call, Order, Which};
use crate::adapter::AdapterFailure;
use crate::conformance::outcome::{Outcome, Stop};

/// How long a write that lands is given to do so: less than any time-out of a driver.
const LANDING: Duration = Duration::from_millis(100);
/// How long the back end keeps the driver waiting: longer than it waits.
const STALL: Duration = Duration::from_secs(24 * 3600);

/// Where a process ends.
#[derive(Clone, Copy, Debug)]
pub struct End<'a> {
    /// How the name of the object ends that is being stored: `-00005`, `_metadata`.
    pub object: &'a str,
    /// Which of the calls that store it, counted from 1: a server sees one, a disk several.
    pub nth: u64,
    /// The write reaches a server, only its answer finds nobody; otherwise it may be cut short.
    pub lands: bool,
}

impl Bench {
    /// Begins a backup whose process ends as told; gives its row as the service knows it by then. What goes on is for a
    /// driver that is made afterwards.
    ///
    /// # Errors
    /// A failure if the driver never stores such an object.
    pub async fn backup_cut(
        &self,
        driver: &dyn BackupDriver,
        volume: &Volume,
        order: Order<'_>,
        end: End<'_>,
    ) -> Outcome<Backup> {
        let watch = Watch::new(std::sync::Arc::clone(&self.shared.journal), None);
        let mut row = self.row(volume, &order);
        let about = format!("{}{}", row.id, end.object);
        let stalled = self.slow(Which { call: Call::Put, about: &about, nth: end.nth, times: 0 }, STALL, 0).await?;
        let context = self.context();
        let ended = {
            let operation = driver.backup(&context, &row, order.parent, volume, watch.clone());
            tokio::select! {
                biased;
                result = operation => Some(result),
                () = self.under_way(&stalled, end.lands) => None,
            }
        };
        if ended.is_none()
            && let Some(seat) = &self.shared.adapter
        {
            // It is another process, which would go on with what nobody waits for.
            let failed = |failure: AdapterFailure| {
                Stop::failed(failure.how.as_str(), "an adapter that starts again", failure.to_string())
            };
            seat.crash().await.map_err(failed)?;
        }
        self.heal(&stalled).await;
        if let Some(result) = ended {
            let observed = result.map_or_else(|error| error.to_string(), |_| "success".to_owned());
            let what = format!("no object {} was stored", end.object);
            return Err(Stop::failed(what, format!("an object whose name ends with {}", end.object), observed));
        }
        if let Some((container, prefix)) = watch.seen().locations.last() {
            row.container = Some(container.clone());
            row.service_metadata = Some(prefix.clone());
        }
        Ok(row)
    }

    async fn under_way(&self, stalled: &super::Fault, lands: bool) {
        self.until(|bench| bench.bites(stalled) > 0).await;
        if lands {
            self.wait(LANDING).await;
        }
    }
}
