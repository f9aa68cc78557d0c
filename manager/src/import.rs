//! `import_record`: a record becomes a backup of this service, verified where the driver works.
//!
//! A manager with another driver hands the record to the next host; the last one says that there is none. Nothing of the
//! record enters the row before all of it has been found right.

use std::sync::Arc;
use std::time::Duration;

use clinker_drivers::{RequestContext, registry};
use tokio::time::sleep;

use crate::api::Api;
use crate::bus::{Cast, Method};
use crate::db::Call;
use crate::db::record::{ImportBegun, ImportRequest, ImportResult, RecordCall};
use crate::model::{BackupRow, Operation};
use crate::operation::Manager;
use crate::record::{self, Imported, Record};
use crate::service::DriverFactory;
use crate::{Error, Kind, Result};

/// Pause before a record is handed on again.
const PAUSE: Duration = Duration::from_secs(1);

impl Api {
    /// `POST /backups/import_record`. The backup is the caller's, whoever's it was.
    pub async fn import_record(&self, context: &RequestContext, record: Record) -> Result<BackupRow> {
        let fields = record::decode(&record.backup_url).map_err(|error| error.during("import_record"))?;
        let (backup_id, size) = record::identity(&fields).map_err(|error| error.during("import_record"))?;
        let named = 1..=255;
        if !named.contains(&record.backup_service.chars().count()) {
            let error = Error::new(Kind::InvalidBackup, "backup_service is not a class path of 1 to 255 characters");
            return Err(error.during("import_record"));
        }
        let (user_id, project_id) = (context.user_id.clone(), context.project_id.clone());
        let request = ImportRequest { backup_id, size, user_id, project_id, record, limits: self.limits };
        let call = Call::Record(RecordCall::ApiImport { request, choice: self.choice() });
        self.request(call, context, Method::ImportRecord).await
    }
}

pub(crate) async fn import_record(manager: &Arc<Manager>, drivers: &DriverFactory, cast: &Cast) {
    let backup_id = &cast.backup_id;
    // A delete waits for it, as for a create.
    let Some(working_on_it) = manager.work_on(Operation::Create, backup_id) else { return };
    let (host, driver) = (manager.options.host.clone(), manager.class_path.to_owned());
    let begin = RecordCall::ImportBegin { backup_id: backup_id.clone(), host, driver };
    let begun = match manager.persist::<Option<ImportBegun>>(&Call::Record(begin)).await {
        Ok(Some(begun)) => begun,
        Ok(None) => return tracing::warn!("backup {backup_id} is not to be imported any more"),
        Err(error) => return tracing::error!("import_record of backup {backup_id} cannot begin: {error}"),
    };
    if let Some(next) = &begun.hand_on {
        return hand_on(manager, next, cast).await;
    }
    let context = cast.context.clone().into();
    let result = match import(manager, drivers, &context, &begun).await {
        Ok(fields) => ImportResult::Imported {
            fields: Box::new(fields),
            service: manager.class_path.to_owned(),
            availability_zone: manager.options.storage_availability_zone.clone(),
        },
        Err(error) => {
            let error = error.during("import_record");
            tracing::error!("import_record of backup {backup_id} failed: {error}");
            ImportResult::Failed { reason: error.to_string() }
        }
    };
    let (backup_id, host) = (backup_id.clone(), manager.options.host.clone());
    manager.insist(&Call::Record(RecordCall::ImportFinish { backup_id, host, result })).await;
    drop(working_on_it);
}

/// Until the bus has taken it. If this process ends first, its clean-up ends the import; if the next one ends before it
/// begins, that one's does.
async fn hand_on(manager: &Manager, next: &str, cast: &Cast) {
    tracing::info!("the record of backup {} is of another driver: {next} may have it", cast.backup_id);
    while let Err(error) = manager.bus.cast(next, cast).await {
        tracing::warn!("the record of backup {} cannot be handed on: {error}", cast.backup_id);
        sleep(PAUSE).await;
    }
}

async fn import(
    manager: &Manager,
    drivers: &DriverFactory,
    context: &RequestContext,
    begun: &ImportBegun,
) -> Result<Imported> {
    if !registry::accepts(&begun.record.backup_service, manager.class_path) {
        let service = begun.record.backup_service.escape_debug();
        return Err(Error::new(Kind::ServiceDown, format!("no backup service has the driver {service}")));
    }
    let fields = Imported::of(&record::decode(&begun.record.backup_url)?, &begun.backup.id)?;
    let mut row = begun.backup.clone();
    fields.apply(&mut row);
    let backup = row.for_driver(&manager.options.storage_availability_zone);
    let driver = manager.driver().map_or_else(|| drivers(), Ok)?;
    driver.import_record(&backup, &fields.driver_info)?;
    if !manager.is_working() {
        tracing::warn!("backup {} is imported unverified: the driver does not work", backup.id);
        return Ok(fields);
    }
    driver.verify(context, &backup, fields.object_count).await?;
    Ok(fields)
}
