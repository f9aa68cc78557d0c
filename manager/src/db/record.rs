//! Calls about records (`reference/02` §2.8, `reference/05` §5.9): what an export needs of a row, how imports begin and
//! end. Neither emits an event.

use clinker_drivers::registry;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::HostChoice;
use super::sqlite::{Tx, sql, to_json};
use crate::model::{BackupRow, BackupStatus, Operation};
use crate::quota::Limits;
use crate::record::{Imported, NO_VOLUME, Record};
use crate::state::ServiceState;
use crate::{Error, Kind, Result};

/// Cinder cuts `fail_reason` to this many characters on save.
const FAIL_REASON_MAX: usize = 255;

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "step", rename_all = "snake_case")]
pub enum RecordCall {
    /// → the host to be asked
    ApiExport { backup_id: String, choice: HostChoice },
    /// A manager with this driver is to export it. → `BackupRow`
    ExportBegin { backup_id: String, driver: String },
    /// → `BackupRow`
    ApiImport { request: ImportRequest, choice: HostChoice },
    /// → `Option<ImportBegun>`; none when the backup is not to be imported any more.
    ImportBegin { backup_id: String, host: String, driver: String },
    /// → whether the backup was still to be imported
    ImportFinish { backup_id: String, host: String, result: ImportResult },
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct ImportRequest {
    pub backup_id: String,
    /// GiB.
    pub size: u64,
    pub user_id: String,
    pub project_id: String,
    pub record: Record,
    #[serde(default, skip_serializing_if = "Limits::is_default")]
    pub limits: Limits,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct ImportBegun {
    pub backup: BackupRow,
    pub record: Record,
    /// Who is to take it, because this host has another driver.
    pub hand_on: Option<String>,
}

/// How an import ends.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ImportResult {
    Imported { fields: Box<Imported>, service: String, availability_zone: String },
    Failed { reason: String },
}

/// A record that waits for its import.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
struct RecordRow {
    /// The backup's.
    id: String,
    backup_service: String,
    backup_url: String,
    /// Who may be asked, in order; the first one has it, or will get it.
    hosts: Vec<String>,
}

impl RecordCall {
    pub(super) fn name(&self) -> &'static str {
        match self {
            RecordCall::ApiExport { .. } => "api_export",
            RecordCall::ExportBegin { .. } => "export_begin",
            RecordCall::ApiImport { .. } => "api_import",
            RecordCall::ImportBegin { .. } => "import_begin",
            RecordCall::ImportFinish { .. } => "import_finish",
        }
    }
}

impl Tx<'_> {
    pub(super) fn records(&mut self, call: RecordCall) -> Result<Value> {
        match call {
            RecordCall::ApiExport { backup_id, choice } => to_json(self.api_export(&backup_id, &choice)?),
            RecordCall::ExportBegin { backup_id, driver } => to_json(self.export_begin(&backup_id, &driver)?),
            RecordCall::ApiImport { request, choice } => to_json(self.api_import(request, &choice)?),
            RecordCall::ImportBegin { backup_id, host, driver } => {
                to_json(self.import_begin(&backup_id, &host, &driver)?)
            }
            RecordCall::ImportFinish { backup_id, host, result } => {
                to_json(self.import_finish(&backup_id, &host, result)?)
            }
        }
    }

    /// The host to be asked, its own if that is up. Needs no working driver: without a service that is up its own host is
    /// asked all the same.
    fn api_export(&mut self, backup_id: &str, choice: &HostChoice) -> Result<String> {
        let backup = self.exportable(backup_id)?;
        let own = backup.host.clone();
        if let Some(own) = own.clone().filter(|_| self.own_host_is_up(&backup, choice)) {
            return Ok(own);
        }
        self.choose(self.need_of(&backup, choice)?, choice).or_else(|error| own.ok_or(error))
    }

    fn exportable(&self, backup_id: &str) -> Result<BackupRow> {
        let backup = self.live_backup(backup_id)?;
        if backup.status != BackupStatus::Available {
            return Err(Error::new(Kind::InvalidBackup, format!("backup is {}, expected available", backup.status)));
        }
        Ok(backup)
    }

    fn export_begin(&self, backup_id: &str, driver: &str) -> Result<BackupRow> {
        let backup = self.exportable(backup_id)?;
        if !backup.service.as_deref().is_some_and(|service| registry::accepts(service, driver)) {
            return Err(Error::new(Kind::InvalidBackup, "the backup was made by another driver"));
        }
        Ok(backup)
    }

    fn drop_record(&mut self, row: Value) -> Result<()> {
        let id = row["id"].as_str().unwrap_or_default().to_owned();
        let mut statement = self.sql.prepare_cached("DELETE FROM records WHERE id = ?1").map_err(sql)?;
        statement.execute([&id]).map_err(sql)?;
        drop(statement);
        self.forget_row("records", &id);
        self.changed("records", &id, row, Value::Null);
        Ok(())
    }

    /// A new row, or that of a deleted backup anew.
    fn api_import(&mut self, request: ImportRequest, choice: &HostChoice) -> Result<BackupRow> {
        let known: Option<BackupRow> = self.load("backups", &request.backup_id)?;
        if let Some(known) = known {
            let id = &request.backup_id;
            if !known.deleted {
                return Err(Error::new(Kind::InvalidBackup, format!("backup {id} exists already")));
            }
            if let Some(open) = known.open_events.first() {
                return Err(Error::new(
                    Kind::InvalidBackup,
                    format!("the {open} of a former backup {id} has not ended"),
                ));
            }
        }
        self.require_quota(&request.project_id, request.limits, request.size)?;
        let hosts = self.import_hosts(choice)?;
        let id = request.backup_id.clone();
        let Record { backup_service, backup_url } = request.record.clone();
        let waiting = RecordRow { id: id.clone(), backup_service, backup_url, hosts: hosts.clone() };
        self.save("records", &id, &waiting)?;
        let mut row = imported_row(request, hosts.into_iter().next(), self.wall);
        self.save_backup(&mut row)?;
        Ok(row)
    }

    /// Every host that is up, a random one first; when none is, every host that there is: a driver need not work.
    fn import_hosts(&self, choice: &HostChoice) -> Result<Vec<String>> {
        let services = self.services(choice.service_down_time)?;
        let of = |only_up: bool| {
            let eligible = services.iter().filter(|view| !only_up || view.state == ServiceState::Up);
            let mut hosts: Vec<String> = eligible.map(|view| view.row.host.clone()).collect();
            hosts.dedup();
            hosts
        };
        let mut hosts = Some(of(true)).filter(|up| !up.is_empty()).unwrap_or_else(|| of(false));
        if hosts.is_empty() {
            return Err(Error::new(Kind::ServiceDown, "there is no backup service"));
        }
        let first = usize::try_from(choice.pick % hosts.len() as u64).expect("below the number of hosts");
        hosts.rotate_left(first);
        Ok(hosts)
    }

    fn import_begin(&mut self, id: &str, host: &str, driver: &str) -> Result<Option<ImportBegun>> {
        let Some(mut waiting) = self.load::<RecordRow>("records", id)? else { return Ok(None) };
        let mut backup = self.backup(id)?;
        if backup.status != BackupStatus::Creating {
            return Ok(None);
        }
        let Some(place) = waiting.hosts.iter().position(|asked| asked == host) else {
            // It has handed the record on, and is asked a second time.
            return Ok(None);
        };
        // From here on it is this host's, also when it restarts; what it hands on is the next one's as well.
        backup.host = Some(host.to_owned());
        self.save_backup(&mut backup)?;
        let others = !registry::accepts(&waiting.backup_service, driver);
        let hand_on = waiting.hosts.get(place + 1).cloned().filter(|_| others);
        waiting.hosts.drain(..if hand_on.is_some() { place + 1 } else { place });
        self.save("records", id, &waiting)?;
        let record = Record { backup_service: waiting.backup_service, backup_url: waiting.backup_url };
        Ok(Some(ImportBegun { backup, record, hand_on }))
    }

    /// A crash ends the import that waits for a record; nobody is told, as of any import.
    pub(super) fn end_import(&mut self, backup: &mut BackupRow, reason: &str) -> Result<bool> {
        let Some(waiting) = self.row("records", &backup.id)? else { return Ok(false) };
        self.drop_record(waiting)?;
        self.work_ended(&backup.id, Operation::Create)?;
        if backup.status != BackupStatus::Creating {
            return Ok(false);
        }
        backup.status = BackupStatus::Error;
        backup.fail_reason = Some(reason.to_owned());
        self.save_backup(backup)?;
        Ok(true)
    }

    fn import_finish(&mut self, id: &str, host: &str, result: ImportResult) -> Result<bool> {
        let Some(waiting) = self.row("records", id)? else { return Ok(false) };
        let mut backup = self.backup(id)?;
        let wanted = backup.status == BackupStatus::Creating;
        if wanted && backup.host.as_deref() != Some(host) {
            // Another host has it by now.
            return Ok(false);
        }
        self.drop_record(waiting)?;
        self.work_ended(id, Operation::Create)?;
        if !wanted {
            return Ok(false);
        }
        match self.with_its_own_key(result)? {
            ImportResult::Failed { reason } => {
                // Where the objects are stays unknown: whoever deletes this row must not take them along.
                backup.status = BackupStatus::Error;
                backup.fail_reason = Some(reason.chars().take(FAIL_REASON_MAX).collect());
                self.save_backup(&mut backup)?;
            }
            ImportResult::Imported { fields, service, availability_zone } => {
                fields.apply(&mut backup);
                backup.service = Some(service);
                backup.availability_zone = Some(availability_zone);
                backup.status = BackupStatus::Available;
                self.save_backup(&mut backup)?;
                self.count_dependents(&backup.id)?;
                self.count_dependents_of_parent(&backup)?;
            }
        }
        Ok(true)
    }
}

impl Tx<'_> {
    /// A record that names somebody else's key would take it along when its backup is deleted.
    fn with_its_own_key(&self, result: ImportResult) -> Result<ImportResult> {
        let ImportResult::Imported { fields, .. } = &result else { return Ok(result) };
        let Some(key_id) = &fields.encryption_key_id else { return Ok(result) };
        let Some(owner) = self.key_owner(key_id)? else { return Ok(result) };
        let what = format!("encryption_key_id {key_id} of the record is the key of {owner}");
        Ok(ImportResult::Failed { reason: Error::new(Kind::InvalidBackup, what).during("import_record").to_string() })
    }
}

fn imported_row(request: ImportRequest, host: Option<String>, now: crate::model::Stamp) -> BackupRow {
    BackupRow {
        id: request.backup_id,
        user_id: request.user_id,
        project_id: request.project_id,
        volume_id: NO_VOLUME.to_owned(),
        host,
        availability_zone: None,
        display_name: None,
        display_description: None,
        container: None,
        parent_id: None,
        status: BackupStatus::Creating,
        fail_reason: None,
        service_metadata: None,
        service: None,
        size: request.size,
        object_count: 0,
        num_dependent_backups: 0,
        snapshot_id: None,
        temp_volume_id: None,
        temp_snapshot_id: None,
        data_timestamp: now,
        restore_volume_id: None,
        encryption_key_id: None,
        created_at: now,
        updated_at: None,
        deleted_at: None,
        deleted: false,
        open_events: Vec::new(),
    }
}
