//! Steps about records and snapshots: an administrator exports, imports, and loses a row; a user takes a snapshot.

use clinker_drivers::{Error, Kind};
use clinker_manager::db::Call;
use clinker_manager::db::source::SourceCall;
use clinker_manager::model::{SnapshotRow, SnapshotStatus, Stamp};
use clinker_manager::record::{Record, decode, encode};
use clinker_model::record::{Export, Import};
use clinker_model::scenario::Snapshot;
use serde_json::{Value, json};

use super::workload::{Workload, unknown};
use crate::fixtures::Link;

impl Workload {
    pub(super) async fn export(&self, export: &Export) -> Result<Value, Error> {
        let backup_id = self.names.backup(&export.backup).map_err(unknown)?;
        let record = self.api.export_record(&self.context(), &backup_id).await?;
        let fields = decode(&record.backup_url)?;
        let value = json!({ "backup_id": backup_id, "backup_service": record.backup_service, "record": fields });
        self.names.add_record(&export.name, record);
        Ok(value)
    }

    pub(super) async fn import(&self, import: &Import) -> Result<Value, Error> {
        let record = self.record_of(import)?;
        let fields = decode(&record.backup_url).ok();
        let row = self.api.import_record(&self.context(), record.clone()).await?;
        self.names.add_backup(&import.name, &row.id);
        Ok(json!({
            "backup_id": row.id, "backup_service": record.backup_service, "record": fields, "host": row.host,
        }))
    }

    pub(super) async fn forget(&self, name: &str) -> Result<Value, Error> {
        let backup_id = self.names.backup(name).map_err(unknown)?;
        self.db.call(Call::BackupForget { backup_id: backup_id.clone() }).await?;
        Ok(json!({ "backup_id": backup_id }))
    }

    /// A snapshot with its device, which keeps the bytes of this moment.
    pub(super) async fn snapshot(&self, snapshot: &Snapshot) -> Result<Value, Error> {
        let volume_id = self.names.volume(&snapshot.volume).map_err(unknown)?;
        let volume = self.api.show_volume(&volume_id).await?;
        let id = self.env.rng.uuid();
        self.devices.copy(&volume_id, &id).map_err(unknown)?;
        self.names.add_snapshot(&snapshot.name, &id);
        let row = SnapshotRow {
            id: id.clone(),
            volume_id,
            display_name: Some(snapshot.name.clone()),
            size: volume.size,
            status: SnapshotStatus::Available,
            created_at: Stamp::default(),
        };
        self.db.call(Call::Source(SourceCall::SnapshotCreate { snapshot: row })).await?;
        Ok(json!({ "snapshot_id": id }))
    }

    /// The record as the step changes it.
    fn record_of(&self, import: &Import) -> Result<Record, Error> {
        let mut record = match (&import.record, &import.fixture, &import.url) {
            (Some(name), ..) => self.names.record(name).map_err(unknown)?,
            (_, Some(name), _) => {
                Link::named(name).ok_or_else(|| unknown(format!("no fixture is called \"{name}\"")))?.record()
            }
            (_, _, url) => {
                let backup_url = url.clone().unwrap_or_default();
                Record { backup_service: self.plan.options["backup_driver"].clone(), backup_url }
            }
        };
        if let Some(service) = &import.service {
            record.backup_service = service.clone();
        }
        if import.without.is_some() || !import.with.is_empty() {
            let mut fields = decode(&record.backup_url)?;
            fields.retain(|name, _| Some(name) != import.without.as_ref());
            for (name, value) in &import.with {
                let value = serde_json::to_value(value)
                    .map_err(|error| Error::new(Kind::Internal, "a value that is not JSON").with_source(error))?;
                fields.insert(name.clone(), value);
            }
            record.backup_url = encode(&fields);
        }
        Ok(record)
    }
}
