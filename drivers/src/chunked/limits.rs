//! How long an object of a sound backup can be at most: what is longer is not read into memory.

use crate::Backup;

/// Documents up to this length are read whatever they are of.
const DOCUMENT_MIN: u64 = 64 << 20;
/// Documents are no longer than this share of their volume: a sha256file has 72 bytes for each block, metadata have some
/// 250 for each object, which holds a block or more. So blocks may be as short as 576 bytes; usual are 32 KiB.
const DOCUMENT_SHARE: u64 = 8;
/// What packing may add to data that do not shrink, on top of a 64th of them. We store such data raw.
const PACKING: u64 = 64 << 10;

/// Bytes of a metadata object or sha256file of this backup.
pub(super) fn document(backup: &Backup) -> u64 {
    DOCUMENT_MIN.saturating_add(backup.size.saturating_mul((1 << 30) / DOCUMENT_SHARE))
}

/// Bytes, as stored, of an object that holds `length` bytes of the volume.
pub(super) fn stored(length: u64) -> u64 {
    length.saturating_add(length / 64).saturating_add(PACKING)
}
