//! What holds of a backup's record and of its volume's document for any bytes. The fuzz target `record` asserts the same.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use clinker_manager::model::{BackupRow, BackupStatus, Stamp, VolumeRow};
use clinker_manager::record::{self, Fields, Imported};
use clinker_manager::{Error, Kind, metadata};

/// A text for people: one line, not endless.
#[track_caller]
fn check(error: &Error) {
    assert_eq!(error.kind, Kind::InvalidBackup, "{error}");
    assert!(!error.what.is_empty() && error.what.len() < 4096, "{} bytes", error.what.len());
    assert!(!error.what.contains(char::is_control), "{:?}", error.what);
}

/// `bytes` are a `backup_url`, what is in one, and what a metadata object keeps of a volume.
pub fn record(bytes: &[u8]) {
    if let Ok(text) = std::str::from_utf8(bytes) {
        url(text);
        volume_meta(text);
    }
    url(&STANDARD.encode(bytes));
}

fn url(text: &str) {
    match record::decode(text).and_then(|fields| Ok((record::identity(&fields)?, fields))) {
        Ok(((id, size), fields)) => imported(&id, size, &fields),
        Err(error) => check(&error),
    }
}

fn imported(id: &str, size: u64, fields: &Fields) {
    let found = match Imported::of(fields, id) {
        Ok(found) => found,
        Err(error) => return check(&error),
    };
    assert_eq!((found.id.as_str(), found.size), (id, size));
    let mut row = empty_row(id);
    found.apply(&mut row);
    // Into the database and out again.
    let stored = serde_json::to_string(&row).expect("a row is JSON");
    let mut row: BackupRow = serde_json::from_str(&stored).expect("what is stored reads back");
    // Out to another service: moments lose their fractions, and nothing else is lost.
    let exported = record::fields(&row, found.driver_info.clone());
    let again = record::decode(&record::encode(&exported)).and_then(|fields| Imported::of(&fields, id));
    let again = again.expect("our own record is read");
    again.apply(&mut row);
    assert_eq!(record::fields(&row, again.driver_info), exported);
}

fn empty_row(id: &str) -> BackupRow {
    BackupRow {
        id: id.to_owned(),
        user_id: String::new(),
        project_id: String::new(),
        volume_id: record::NO_VOLUME.to_owned(),
        host: None,
        availability_zone: None,
        display_name: None,
        display_description: None,
        container: None,
        parent_id: None,
        status: BackupStatus::Creating,
        fail_reason: None,
        service_metadata: None,
        service: None,
        size: 0,
        object_count: 0,
        num_dependent_backups: 0,
        snapshot_id: None,
        temp_volume_id: None,
        temp_snapshot_id: None,
        data_timestamp: Stamp::default(),
        restore_volume_id: None,
        encryption_key_id: None,
        created_at: Stamp::default(),
        updated_at: None,
        deleted_at: None,
        deleted: false,
        open_events: Vec::new(),
    }
}

fn volume_meta(text: &str) {
    match metadata::read(text) {
        Ok(restored) => {
            let mut volume = VolumeRow::default();
            if let Err(error) = restored.check(&volume) {
                assert_eq!(error.kind, Kind::InvalidVolume);
            }
            restored.apply(&mut volume);
            let again = metadata::read(&metadata::write(&volume, metadata::NEWEST)).expect("our own document is read");
            let mut written = VolumeRow::default();
            again.apply(&mut written);
            assert_eq!(written.display_name, volume.display_name);
            assert_eq!(written.metadata, volume.metadata);
            assert_eq!(written.volume_glance_metadata, volume.volume_glance_metadata);
        }
        Err(error) => check(&error),
    }
}
