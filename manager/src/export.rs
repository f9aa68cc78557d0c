//! `export_record`: a record with which another service can use the backup. Needs no working driver (D4).
//!
//! The answer goes through the database, where the API fetches it: the bus carries casts only.

use std::sync::Arc;
use std::time::Duration;

use clinker_drivers::RequestContext;
use tokio::time::{Instant, sleep};

use crate::api::Api;
use crate::bus::Method;
use crate::db::record::{RecordCall, export_answer};
use crate::db::{Answer, Call};
use crate::model::BackupRow;
use crate::operation::Manager;
use crate::record::{self, Record};
use crate::service::DriverFactory;
use crate::{Error, Kind, Result, db};

/// How long the API waits for a manager.
const TIMEOUT: Duration = Duration::from_secs(60);
/// How often it looks.
const LOOK: Duration = Duration::from_millis(500);

impl Api {
    /// `GET /backups/{id}/export_record`.
    pub async fn export_record(&self, context: &RequestContext, backup_id: &str) -> Result<Record> {
        let request_id = self.env.rng.uuid();
        let call = RecordCall::ApiExport {
            request_id: request_id.clone(),
            backup_id: backup_id.to_owned(),
            choice: self.choice(),
        };
        let asked = self.request(Call::Record(call), context, Method::ExportRecord).await?;
        let until = Instant::now() + TIMEOUT;
        while Instant::now() < until {
            let take = RecordCall::ExportTake { request_id: request_id.clone() };
            if let Some(answer) = self.ask::<Option<Answer>>(Call::Record(take)).await? {
                return match answer {
                    Answer::Ok(record) => db::typed("export_take", record),
                    Answer::Err(error) => Err(error.into()),
                };
            }
            sleep(LOOK).await;
        }
        let host = asked.host.unwrap_or_default();
        let what = format!("{host} did not answer within {}s", TIMEOUT.as_secs());
        Err(Error::transient(Kind::Timeout, what).during("export_record"))
    }
}

pub(crate) async fn export_record(manager: &Arc<Manager>, drivers: &DriverFactory, backup_id: &str) {
    let record = export(manager, drivers, backup_id).await.map_err(|error| error.during("export_record"));
    if let Err(error) = &record {
        tracing::error!("export_record of backup {backup_id} failed: {error}");
    }
    manager.insist(&Call::Record(export_answer(backup_id, record))).await;
}

async fn export(manager: &Manager, drivers: &DriverFactory, backup_id: &str) -> Result<Record> {
    let begin = RecordCall::ExportBegin { backup_id: backup_id.to_owned(), driver: manager.class_path.to_owned() };
    let backup: BackupRow = manager.persist(&Call::Record(begin)).await?;
    let driver = manager.driver().map_or_else(|| drivers(), Ok)?;
    let driver_info = driver.export_record(&backup.for_driver(&manager.options.storage_availability_zone))?;
    let backup_url = record::encode(&record::fields(&backup, driver_info));
    Ok(Record { backup_service: manager.class_path.to_owned(), backup_url })
}
