//! Records of backups that come from elsewhere: whether one can be believed, and whether the store bears it out.
//!
//! A prefix decides which objects a later delete removes, so one that is not the backup's own is refused.

use clinker_env::Work;

use super::ChunkedDriver;
use super::format::{self, Origin};
use super::plan;
use crate::error::shown;
use crate::{Backup, Error, Kind, RequestContext, Result};

/// What the record alone tells, without asking the store.
pub(super) fn check(driver: &ChunkedDriver, backup: &Backup) -> Result<()> {
    let (_, prefix) = super::location(backup)?;
    let (id, shown) = (&backup.id, prefix.escape_debug());
    if !prefix.ends_with(&format!("backup_{id}")) {
        return Err(invalid(format!("service_metadata \"{shown}\" is not that of backup {id}")));
    }
    // Refuses names that leave the store.
    driver.store.container_for(backup).map(|_| ())
}

/// Reads the metadata object and the listing; data are not read.
pub(super) async fn verify(
    driver: &ChunkedDriver,
    context: &RequestContext,
    backup: &Backup,
    object_count: u64,
) -> Result<()> {
    check(driver, backup)?;
    let (container, prefix) = super::location(backup)?;
    let name = format::metadata_name(prefix);
    let body = driver.document(context, backup, container, &name).await?;
    let (bytes, document, copy) = (body.len() as u64, name.clone(), body.clone());
    let origin = driver.env.compute(Work::Other, bytes, move || format::decode_origin(&document, &copy)).await?;
    is_of(&origin, backup, &name)?;
    let mut objects = Vec::new();
    plan::read_member(driver, context, backup, &mut objects).await?;
    let stored = objects.len() as u64;
    if stored != object_count {
        return Err(invalid(format!("object_count is {object_count}, the store holds {stored} objects")));
    }
    Ok(())
}

/// The metadata were written for this backup, and upon the same parent.
fn is_of(origin: &Origin, backup: &Backup, name: &str) -> Result<()> {
    let facts = [
        ("backup_id", Some(&origin.backup_id), Some(&backup.id)),
        ("volume_id", Some(&origin.volume_id), Some(&backup.volume_id)),
        ("parent_id", origin.parent_id.as_ref(), backup.parent_id.as_ref()),
    ];
    let text = |value: Option<&String>| value.map_or("null".to_owned(), |value| shown(value));
    match facts.into_iter().find(|(_, stored, recorded)| stored != recorded) {
        None => Ok(()),
        Some((field, stored, recorded)) => {
            let (stored, recorded) = (text(stored), text(recorded));
            Err(invalid(format!("object {name}: {field} is {stored}, in the record {recorded}")))
        }
    }
}

fn invalid(what: String) -> Error {
    Error::new(Kind::InvalidBackup, what)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn metadata_of_another_backup_or_parent_are_refused() {
        let backup = |id: &str, parent: Option<&str>| Backup {
            id: id.to_owned(),
            volume_id: "v".to_owned(),
            parent_id: parent.map(str::to_owned),
            ..Backup::default()
        };
        let check = |stored: Backup, expected: Option<&str>| {
            let Backup { id: backup_id, volume_id, parent_id, .. } = stored;
            let found = is_of(&Origin { backup_id, volume_id, parent_id }, &backup("b", Some("p")), "m");
            assert_eq!(found.err().map(|error| error.what).as_deref(), expected);
        };
        check(backup("b", Some("p")), None);
        check(backup("c", Some("p")), Some("object m: backup_id is c, in the record b"));
        check(backup("b", None), Some("object m: parent_id is null, in the record p"));
        check(
            Backup { volume_id: "w".into(), ..backup("b", Some("p")) },
            Some("object m: volume_id is w, in the record v"),
        );
    }
}
