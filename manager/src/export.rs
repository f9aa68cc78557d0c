//! `export_record`: a record with which another service can use the backup. Needs no working driver (D4), changes nothing.

use clinker_drivers::RequestContext;
use serde_json::{Value, json};

use crate::api::Api;
use crate::bus::{Cast, Method};
use crate::db::Call;
use crate::db::record::RecordCall;
use crate::model::BackupRow;
use crate::operation::Manager;
use crate::record::{self, Record};
use crate::service::DriverFactory;
use crate::{Result, db};

impl Api {
    /// `GET /backups/{id}/export_record`: a call, whose answer is waited for.
    ///
    /// # Errors
    /// What the manager says, or `timeout` when it says nothing within `rpc_response_timeout`.
    pub async fn export_record(&self, context: &RequestContext, backup_id: &str) -> Result<Record> {
        let export = RecordCall::ApiExport { backup_id: backup_id.to_owned(), choice: self.choice() };
        let host: String = self.ask(Call::Record(export)).await?;
        let call = Cast {
            id: self.env.rng.uuid(),
            backup_id: backup_id.to_owned(),
            context: context.into(),
            method: Method::ExportRecord,
            reply_to: None,
        };
        db::typed("export_record", self.call(&host, &call).await.map_err(|error| error.during("export_record"))?)
    }
}

/// The manager's part.
pub(crate) async fn export_record(manager: &Manager, drivers: &DriverFactory, backup_id: &str) -> Result<Value> {
    let begin = RecordCall::ExportBegin { backup_id: backup_id.to_owned(), driver: manager.class_path.to_owned() };
    let backup: BackupRow = manager.persist(&Call::Record(begin)).await?;
    let driver = manager.driver().map_or_else(|| drivers(), Ok)?;
    let driver_info = driver.export_record(&backup.for_driver(&manager.options.storage_availability_zone))?;
    let backup_url = record::encode(&record::fields(&backup, driver_info));
    Ok(json!(Record { backup_service: manager.class_path.to_owned(), backup_url }))
}
