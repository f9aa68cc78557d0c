//! What the documents of a large volume's backup say.

use clinker_benches::data;
use clinker_drivers::Backup;
use clinker_drivers::chunked::format::{self, DataObject, HashList};

/// Bytes per object.
pub const CHUNK: u64 = 50 << 20;
/// Bytes per hash.
pub const BLOCK: u64 = 32 << 10;
/// As Cinder names a volume's objects in Swift.
pub const PREFIX: &str =
    "volume_6f1d2c3b-4a59-4e68-8c7d-9e0fa1b2c3d4/20260101000000/az_nova_backup_0a1b2c3d-4e5f-4a6b-8c7d-8e9fa0b1c2d3";

pub fn backup() -> Backup {
    Backup {
        id: "0a1b2c3d-4e5f-4a6b-8c7d-8e9fa0b1c2d3".to_owned(),
        volume_id: "6f1d2c3b-4a59-4e68-8c7d-9e0fa1b2c3d4".to_owned(),
        display_name: Some("nightly".to_owned()),
        ..Backup::default()
    }
}

/// The chunks of a volume of so many bytes.
pub fn objects(volume: u64) -> Vec<DataObject> {
    let count = volume.div_ceil(CHUNK);
    let md5s = data::random(7, count as usize * 16);
    let object = |(index, md5): (u64, &[u8; 16])| DataObject {
        name: format::object_name(PREFIX, index + 1),
        offset: index * CHUNK,
        length: CHUNK.min(volume - index * CHUNK),
        compression: "zlib".to_owned(),
        md5: *md5,
    };
    (0..count).zip(md5s.as_chunks().0).map(object).collect()
}

/// The hashes of a volume of so many bytes.
pub fn hashes(volume: u64) -> HashList {
    let sha256s = data::random(9, (volume / BLOCK) as usize * 32);
    HashList { block: BLOCK, sha256s: sha256s.as_chunks().0.to_vec() }
}
