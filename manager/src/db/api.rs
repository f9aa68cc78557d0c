//! Calls of the API: check, host choice and status change in one transaction (`reference/02` §2.8, D4, D8).

use serde_json::{Value, json};

use super::sqlite::{Tx, to_json};
use super::{Call, CreateRequest, Deleted, HostChoice, RestoreTarget};
use crate::model::{BackupRow, BackupStatus, Operation, Stamp, VolumeRow, VolumeStatus};
use crate::notify::{Event, Terminal};
use crate::placement::{Need, eligible, is_host_bound};
use crate::state::ServiceState;
use crate::transitions::Case;
use crate::{Error, Kind, Result};

impl Tx<'_> {
    pub(super) fn api(&mut self, call: Call) -> Result<Value> {
        match call {
            Call::ApiCreate { request, choice } => to_json(self.api_create(request, &choice)?),
            Call::ApiRestore { backup_id, target, choice } => to_json(self.api_restore(&backup_id, target, &choice)?),
            Call::ApiDelete { backup_id, force, api_host, choice } => {
                to_json(self.api_delete(&backup_id, force, &api_host, &choice)?)
            }
            Call::ApiResetStatus { backup_id, status, api_host, choice } => {
                to_json(self.api_reset_status(&backup_id, status, &api_host, &choice)?)
            }
            _ => unreachable!("only API calls come here"),
        }
    }

    fn api_create(&mut self, request: CreateRequest, choice: &HostChoice) -> Result<BackupRow> {
        let mut volume = self.volume(&request.volume_id)?;
        let snapshot = self.source_snapshot(&request)?;
        match volume.status {
            _ if snapshot.is_some() => {}
            VolumeStatus::Available => {}
            VolumeStatus::InUse if request.force => {}
            VolumeStatus::InUse => {
                return Err(Error::new(Kind::InvalidVolume, "volume is in-use: force is needed to back it up"));
            }
            status => {
                return Err(Error::new(Kind::InvalidVolume, format!("volume is {status}, expected available")));
            }
        }
        let size = snapshot.as_ref().map_or(volume.size, |snapshot| snapshot.size);
        self.require_quota(&request.project_id, request.limits, size)?;
        let taken_at = snapshot.as_ref().map(|snapshot| snapshot.created_at);
        let parent = if request.incremental { Some(self.parent_for(&request, taken_at)?) } else { None };
        let host = self.choose(self.need_of_create(&request, &volume, parent.as_ref(), choice)?, choice)?;
        let parent = parent.map(|parent| parent.id);
        match snapshot {
            Some(snapshot) => self.seize_snapshot(snapshot)?,
            None => {
                volume.previous_status = Some(volume.status);
                volume.status = VolumeStatus::BackingUp;
                self.save_volume(&volume)?;
            }
        }
        let mut row = new_backup(request, size, host, parent, self.wall);
        row.data_timestamp = taken_at.unwrap_or(row.data_timestamp);
        self.save_backup(&mut row)?;
        Ok(row)
    }

    /// The newest available backup of the same volume and project, for a snapshot one of older data (`reference/02`
    /// §2.8, 3).
    fn parent_for(&self, request: &CreateRequest, taken_at: Option<Stamp>) -> Result<BackupRow> {
        let query = "SELECT id FROM backups WHERE volume_id = ?1 AND project_id = ?2 AND status = 'available'
                     AND deleted = 0 AND data_timestamp < ?3 ORDER BY data_timestamp DESC, id LIMIT 1";
        // Stamps sort as texts; no year is beyond this one.
        let before = taken_at.map_or("9999".to_owned(), Stamp::text);
        let found = self.select(query, (&request.volume_id, &request.project_id, &before))?;
        let id = found.first().and_then(|row| row["id"].as_str()).ok_or_else(|| {
            Error::new(Kind::InvalidBackup, "no available backup of the volume to build upon: make a full one first")
        })?;
        self.backup(id)
    }

    fn api_restore(&mut self, id: &str, target: RestoreTarget, choice: &HostChoice) -> Result<BackupRow> {
        let mut backup = self.live_backup(id)?;
        if backup.status != BackupStatus::Available {
            return Err(Error::new(Kind::InvalidBackup, format!("backup is {}, expected available", backup.status)));
        }
        // A reset made it available; the row can only tell of one restore, and a create takes its objects with it.
        if let Some(operation) = backup.open_events.iter().find(|open| **open != Operation::ResetStatus) {
            return Err(Error::new(Kind::InvalidBackup, format!("the {operation} of the backup has not ended yet")));
        }
        let volume = match target {
            RestoreTarget::New { volume } => VolumeRow { status: VolumeStatus::Creating, ..*volume },
            RestoreTarget::Existing { volume_id } => {
                let volume = self.volume(&volume_id)?;
                if volume.status != VolumeStatus::Available {
                    let status = volume.status;
                    return Err(Error::new(Kind::InvalidVolume, format!("volume is {status}, expected available")));
                }
                VolumeRow { status: VolumeStatus::RestoringBackup, ..volume }
            }
        };
        if volume.size < backup.size {
            let what = format!("volume has {} GiB, the backup needs {}", volume.size, backup.size);
            return Err(Error::new(Kind::InvalidVolume, what));
        }
        backup.host = Some(self.choose(self.need_of(&backup, choice)?, choice)?);
        backup.status = BackupStatus::Restoring;
        backup.restore_volume_id = Some(volume.id.clone());
        self.save_volume(&volume)?;
        self.save_backup(&mut backup)?;
        Ok(backup)
    }

    fn api_delete(&mut self, id: &str, force: bool, api_host: &str, choice: &HostChoice) -> Result<Deleted> {
        let mut backup = self.live_backup(id)?;
        use BackupStatus as B;
        if !force && !matches!(backup.status, B::Available | B::Error | B::ErrorDeleting) {
            let what = format!("backup is {}, expected available, error or error_deleting", backup.status);
            return Err(Error::new(Kind::InvalidBackup, what));
        }
        let children = self.select("SELECT id FROM backups WHERE parent_id = ?1 AND deleted = 0", [id])?;
        if !children.is_empty() {
            let what = format!("{} incremental backups depend on it: delete them first", children.len());
            return Err(Error::new(Kind::InvalidBackup, what));
        }
        if backup.status == B::Error && backup.service.is_none() {
            self.delete_here(&mut backup, api_host)?;
            return Ok(Deleted { backup, done: true });
        }
        // What is running is waited for where it runs, as long as that host is there to hear of it.
        let stays = force || !backup.open_events.is_empty();
        if !(stays && self.own_host_is_up(&backup, choice)) {
            backup.host = Some(self.choose(self.need_of(&backup, choice)?, choice)?);
        }
        self.release_unbegun(&mut backup, Case::CreateForceDeleted)?;
        backup.status = B::Deleting;
        self.save_backup(&mut backup)?;
        Ok(Deleted { backup, done: false })
    }

    /// Removes a backup that was never stored, without any service (D4).
    fn delete_here(&mut self, backup: &mut BackupRow, api_host: &str) -> Result<()> {
        backup.status = BackupStatus::Deleting;
        self.emit(api_host, Event::start(Operation::Delete, backup))?;
        self.remove(backup)?;
        self.emit(api_host, Event::terminal(Operation::Delete, Terminal::End, backup, None))
    }

    fn api_reset_status(
        &mut self,
        id: &str,
        status: BackupStatus,
        api_host: &str,
        choice: &HostChoice,
    ) -> Result<BackupRow> {
        if !matches!(status, BackupStatus::Available | BackupStatus::Error) {
            return Err(Error::new(
                Kind::InvalidBackup,
                format!("status {status}: only available or error can be set"),
            ));
        }
        let mut backup = self.live_backup(id)?;
        if backup.open_events.contains(&Operation::ResetStatus) {
            return Err(Error::new(Kind::Conflict, "a reset of the backup has not ended yet"));
        }
        use BackupStatus as B;
        let in_passing = matches!(backup.status, B::Creating | B::Restoring | B::Deleting);
        let stays = !backup.open_events.is_empty() || in_passing && self.own_host_is_up(&backup, choice);
        // Needs no working driver: without a service that is up the cast waits for the backup's own host.
        match self.choose(self.need_of(&backup, choice)?, choice) {
            // A running operation, or one whose cast is still queued, is told where it runs.
            Ok(_) if stays => {}
            Ok(host) => backup.host = Some(host),
            Err(error) if backup.host.is_none() => return Err(error),
            Err(_) => {}
        }
        self.emit(api_host, Event::start(Operation::ResetStatus, &backup))?;
        backup.open_events.push(Operation::ResetStatus);
        self.save_backup(&mut backup)?;
        Ok(backup)
    }

    pub(super) fn live_backup(&self, id: &str) -> Result<BackupRow> {
        let backup = self.backup(id)?;
        if backup.deleted {
            return Err(Error::new(Kind::NotFound, format!("backup {id}")));
        }
        Ok(backup)
    }

    /// A new backup goes to the zone asked for, else the volume's; with `backup_use_same_host` to the volume's host; and
    /// an incremental one where its parent can be read.
    fn need_of_create(
        &self,
        request: &CreateRequest,
        volume: &VolumeRow,
        parent: Option<&BackupRow>,
        choice: &HostChoice,
    ) -> Result<Need> {
        let zone = Some(request.availability_zone.clone().unwrap_or_else(|| volume.availability_zone.clone()));
        let own = volume.host.clone().filter(|_| choice.same_host);
        let bound = match parent.and_then(|parent| parent.host.clone()) {
            Some(host) if is_host_bound(&self.services(choice.service_down_time)?, &host) => Some(host),
            _ => None,
        };
        Ok(Need { zone, host: bound.or(own) })
    }

    /// An existing backup is worked on in its zone, and on its own host where only that one reaches it or
    /// `backup_use_same_host` asks for it.
    pub(super) fn need_of(&self, backup: &BackupRow, choice: &HostChoice) -> Result<Need> {
        let services = self.services(choice.service_down_time)?;
        let own = backup.host.clone().filter(|host| choice.same_host || is_host_bound(&services, host));
        Ok(Need { zone: backup.availability_zone.clone(), host: own })
    }

    /// One of the hosts that may take the request (D1).
    pub(super) fn choose(&self, need: Need, choice: &HostChoice) -> Result<String> {
        let mut hosts = eligible(self.placement, &self.services(choice.service_down_time)?, &need);
        if hosts.is_empty() {
            let on = need.host.map_or(String::new(), |host| format!(" on {host}"));
            let zone = need.zone.filter(|zone| !zone.is_empty());
            let place = zone.map_or(String::new(), |zone| format!(" in zone {zone}"));
            return Err(Error::new(Kind::ServiceDown, format!("no backup service is up{on}{place}")));
        }
        let index = usize::try_from(choice.pick % hosts.len() as u64).expect("below the number of hosts");
        Ok(hosts.swap_remove(index))
    }

    pub(super) fn own_host_is_up(&self, backup: &BackupRow, choice: &HostChoice) -> bool {
        let Some(host) = backup.host.as_deref() else { return false };
        let views = self.services(choice.service_down_time).unwrap_or_default();
        views.iter().any(|view| view.row.host == host && view.state == ServiceState::Up)
    }
}

fn new_backup(request: CreateRequest, size: u64, host: String, parent_id: Option<String>, now: Stamp) -> BackupRow {
    BackupRow {
        id: request.backup_id,
        user_id: request.user_id,
        project_id: request.project_id,
        volume_id: request.volume_id,
        host: Some(host),
        availability_zone: request.availability_zone,
        display_name: request.display_name,
        display_description: request.display_description,
        container: request.container,
        parent_id,
        status: BackupStatus::Creating,
        fail_reason: None,
        service_metadata: None,
        service: None,
        size,
        object_count: 0,
        num_dependent_backups: 0,
        snapshot_id: request.snapshot_id,
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

impl Tx<'_> {
    /// Soft-deletes the row and uncounts it at its parent.
    pub(super) fn remove(&mut self, backup: &mut BackupRow) -> Result<()> {
        backup.status = BackupStatus::Deleted;
        backup.deleted = true;
        backup.deleted_at = Some(self.wall);
        self.save_backup(backup)?;
        self.count_dependents_of_parent(backup)
    }

    /// Counts the parent's `num_dependent_backups` anew: the children that exist and were made. A failed one was never
    /// counted, so its delete must not lower the count either.
    pub(super) fn count_dependents_of_parent(&mut self, child: &BackupRow) -> Result<()> {
        child.parent_id.as_deref().map_or(Ok(()), |parent_id| self.count_dependents(parent_id))
    }

    pub(super) fn count_dependents(&mut self, parent_id: &str) -> Result<()> {
        let Some(mut parent) = self.load::<BackupRow>("backups", parent_id)? else { return Ok(()) };
        let query = "SELECT count(*) AS n FROM backups WHERE parent_id = ?1 AND deleted = 0
                     AND status NOT IN ('creating', 'error')";
        let counted = self.select(query, [parent_id])?;
        parent.num_dependent_backups = counted.first().and_then(|row| row["n"].as_u64()).unwrap_or(0);
        self.save_backup(&mut parent)
    }

    pub(super) fn dump(&self) -> Result<super::Dump> {
        let count = self.select("SELECT count(*) AS n FROM outbox WHERE delivered = 0", [])?;
        Ok(super::Dump {
            services: self.select("SELECT * FROM services ORDER BY id", [])?,
            backups: self.select("SELECT * FROM backups ORDER BY created_at, id", [])?,
            volumes: self.select("SELECT * FROM volumes ORDER BY id", [])?,
            snapshots: self.select("SELECT * FROM snapshots ORDER BY id", [])?,
            messages: self.select("SELECT * FROM messages ORDER BY at, id", [])?,
            outbox: count.first().map_or(json!(0), |row| row["n"].clone()).as_u64().unwrap_or(0),
        })
    }
}
