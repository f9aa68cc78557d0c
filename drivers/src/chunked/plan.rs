//! What a restore will do, read and checked completely before the first byte is written.

use std::collections::BTreeSet;
use std::sync::Arc;

use clinker_env::Work;

use super::ChunkedDriver;
use super::compress::Algorithm;
use super::format::{self, DataObject, HashList};
use super::verify;
use crate::error::shown;
use crate::{Backup, Error, Kind, RequestContext, Result};

/// The objects of a whole chain in the order of writing, and the hashes of what must come out.
pub(super) struct Plan {
    pub objects: Vec<Planned>,
    /// The requested backup's; none if its sha256file is missing.
    pub hashes: Option<Arc<HashList>>,
    pub hash_list_name: String,
    /// What the requested backup keeps of its volume.
    pub volume_meta: Option<String>,
}

pub(super) struct Planned {
    pub container: String,
    pub object: DataObject,
    pub algorithm: Algorithm,
}

impl Planned {
    /// Bytes of memory that it takes at most: packed and unpacked it is there at the same time, though packed it is shorter.
    pub fn memory(&self) -> u64 {
        let length = self.object.length;
        if self.algorithm == Algorithm::None { length } else { length.saturating_add(length / 2) }
    }
}

pub(super) async fn read(
    driver: &ChunkedDriver,
    context: &RequestContext,
    chain: &[Backup],
    device_len: u64,
) -> Result<Plan> {
    let Some(requested) = chain.last() else {
        return Err(Error::new(Kind::InvalidBackup, "the chain of backups is empty"));
    };
    let (container, prefix) = super::location(requested)?;
    let hash_list_name = format::sha256file_name(prefix);
    let mut objects = Vec::new();
    let (mut has_hash_list, mut volume_meta) = (false, None);
    for backup in chain {
        let member = read_member(driver, context, backup, &mut objects).await?;
        has_hash_list = member.listed.contains(&hash_list_name);
        volume_meta = member.volume_meta;
    }
    let hashes = if has_hash_list {
        let body = driver.document(context, requested, container, &hash_list_name).await?;
        Some(Arc::new(driver.hash_list(hash_list_name.clone(), body).await?))
    } else {
        None
    };
    let plan = Plan { objects, hashes, hash_list_name, volume_meta };
    plan.check_fits(device_len)?;
    Ok(plan)
}

/// What else there is of one backup of a chain.
pub(super) struct Member {
    /// The names that are stored under its prefix.
    pub listed: BTreeSet<String>,
    pub volume_meta: Option<String>,
}

/// Appends the objects of one backup of the chain.
pub(super) async fn read_member(
    driver: &ChunkedDriver,
    context: &RequestContext,
    backup: &Backup,
    planned: &mut Vec<Planned>,
) -> Result<Member> {
    let (container, prefix) = super::location(backup)?;
    let name = format::metadata_name(prefix);
    let body = driver.document(context, backup, container, &name).await.map_err(|error| {
        if error.kind != Kind::NotFound {
            return error;
        }
        let what = format!("object {name} is missing: backup {} is incomplete", backup.id);
        Error::new(Kind::InvalidBackup, what).with_source(error)
    })?;
    let bytes = body.len() as u64;
    let document = name.clone();
    let job = move || -> Result<_> {
        Ok((format::decode_metadata(&document, &body)?, format::decode_volume_meta(&document, &body)?))
    };
    let (objects, volume_meta) = driver.env.compute(Work::Other, bytes, job).await?;
    let listed: BTreeSet<String> = driver.store.list(context, container, prefix).await?.into_iter().collect();
    check_listing(&listed, &objects, &name, &format::sha256file_name(prefix))?;
    for object in objects {
        let algorithm = object.algorithm()?;
        planned.push(Planned { container: container.to_owned(), object, algorithm });
    }
    Ok(Member { listed, volume_meta })
}

/// The stored names, without the two special ones, must be those of the metadata, each once.
fn check_listing(
    listed: &BTreeSet<String>,
    objects: &[DataObject],
    metadata_name: &str,
    hash_list_name: &str,
) -> Result<()> {
    let invalid =
        |name: &str, what: &str| Err(Error::new(Kind::InvalidBackup, format!("object {}: {what}", shown(name))));
    let special = [metadata_name, hash_list_name];
    let mut named = BTreeSet::new();
    for object in objects {
        if special.contains(&object.name.as_str()) || !named.insert(object.name.as_str()) {
            return invalid(&object.name, "named twice in the metadata");
        }
        if !listed.contains(&object.name) {
            return invalid(&object.name, "named in the metadata but missing in the store");
        }
    }
    match listed.iter().find(|name| !special.contains(&name.as_str()) && !named.contains(name.as_str())) {
        Some(name) => invalid(name, "in the store but not named in the metadata"),
        None => Ok(()),
    }
}

impl Plan {
    fn check_fits(&self, device_len: u64) -> Result<()> {
        let too_small = |what: String| {
            Err(Error::new(Kind::InvalidVolume, format!("volume of {device_len} bytes is too small for {what}")))
        };
        // A parent may be of a time when the volume was larger: the hash list tells where it ends now.
        let volume_len = match &self.hashes {
            Some(hashes) if !hashes.sha256s.is_empty() => verify::volume_len(self, hashes, u64::MAX),
            _ => u64::MAX,
        };
        if let Some(last) = self.objects.iter().map(|planned| &planned.object).max_by_key(|object| object.end())
            && last.end().min(volume_len) > device_len
        {
            return too_small(format!("object {}, which ends at byte {}", last.name, last.end()));
        }
        if let Some(hashes) = &self.hashes {
            self.check_block(hashes, volume_len.min(device_len))?;
            let blocks = hashes.sha256s.len() as u64;
            if blocks > device_len.div_ceil(hashes.block) {
                let (name, block) = (&self.hash_list_name, hashes.block);
                return too_small(format!("object {name}, which lists {blocks} blocks of {block} bytes"));
            }
        }
        Ok(())
    }

    /// Some object of a chain holds a whole block, or the volume if it is shorter. What is read back of the volume at a
    /// time is a block, so a longer one would only fill the memory.
    fn check_block(&self, hashes: &HashList, volume_len: u64) -> Result<()> {
        let longest = self.objects.iter().map(|planned| planned.object.length).max().unwrap_or(0);
        if hashes.block.min(volume_len) <= longest.max(verify::READ_BACK) {
            return Ok(());
        }
        let (name, block) = (&self.hash_list_name, hashes.block);
        let what = format!("object {name}: chunk_size is {block}, but no object of the chain holds as much");
        Err(Error::new(Kind::InvalidBackup, what))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_listing_must_be_exactly_what_the_metadata_name() {
        let check = |listed: &[&str], named: &[&str], expected: Option<&str>| {
            let listed = listed.iter().map(|name| (*name).to_owned()).collect();
            let object = |name: &&str| DataObject {
                name: (*name).to_owned(),
                offset: 0,
                length: 1,
                compression: "none".into(),
                md5: [0; 16],
            };
            let objects: Vec<DataObject> = named.iter().map(object).collect();
            let found = check_listing(&listed, &objects, "p_metadata", "p_sha256file").map_err(|error| error.what);
            assert_eq!(found.err().as_deref(), expected);
        };
        check(&["p-00001", "p_metadata", "p_sha256file"], &["p-00001"], None);
        check(&["p-00001", "p-00002", "p_metadata"], &["p-00002", "p-00001"], None);
        check(&["p_metadata"], &[], None);
        check(&["p_metadata"], &["p-00001"], Some("object p-00001: named in the metadata but missing in the store"));
        check(&["p-00001"], &[], Some("object p-00001: in the store but not named in the metadata"));
        check(&["p-00001"], &["p-00001", "p-00001"], Some("object p-00001: named twice in the metadata"));
        check(&["p_metadata"], &["p_metadata"], Some("object p_metadata: named twice in the metadata"));
    }
}
