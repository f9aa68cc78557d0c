//! A sha256file in the making: its text grows with the hashes, which are in memory nowhere else.

use super::{HashListOut, VERSION, encode, timestamp_text};
use crate::Backup;

/// Bytes of text that one hash takes.
pub const HASH_TEXT: u64 = 72;

/// Where the hashes go. Within a string the line feed and the quotes would be escaped.
const EMPTY_LIST: &[u8] = b"\n  \"sha256s\": []";

pub struct HashListText {
    text: Vec<u8>,
    /// What follows the hashes.
    tail: Vec<u8>,
    is_empty: bool,
}

impl HashListText {
    /// Begins the sha256file of a backup with blocks of `block` bytes, and reserves memory for so many hashes.
    pub fn begin(backup: &Backup, block: u64, expected: u64) -> HashListText {
        let mut text = encode(&HashListOut {
            backup_description: backup.display_description.as_deref(),
            backup_id: &backup.id,
            backup_name: backup.display_name.as_deref(),
            chunk_size: block,
            created_at: timestamp_text(backup.created_at),
            sha256s: [],
            version: VERSION,
            volume_id: &backup.volume_id,
        });
        let found = text.windows(EMPTY_LIST.len()).position(|window| window == EMPTY_LIST);
        let tail = text.split_off(found.expect("the document has a list of hashes") + EMPTY_LIST.len() - 1);
        let expected = usize::try_from(expected.saturating_mul(HASH_TEXT)).unwrap_or(usize::MAX);
        // Without the memory it fails where it is needed, if it is.
        let _ = text.try_reserve_exact(expected.saturating_add(tail.len() + HASH_TEXT as usize));
        HashListText { text, tail, is_empty: true }
    }

    pub fn push(&mut self, sha256s: &[[u8; 32]]) {
        let mut digits = [0; 64];
        for sha256 in sha256s {
            hex::encode_to_slice(sha256, &mut digits).expect("64 digits hold 32 bytes");
            self.text.extend_from_slice(if self.is_empty { b"\n    \"" } else { b",\n    \"" });
            self.text.extend_from_slice(&digits);
            self.text.push(b'"');
            self.is_empty = false;
        }
    }

    /// Bytes of text that were not taken yet.
    pub fn untaken(&self) -> u64 {
        self.text.len() as u64
    }

    /// The text so far, as far as it was not taken before.
    pub fn take(&mut self) -> Vec<u8> {
        std::mem::take(&mut self.text)
    }

    /// The rest of the text. Nothing is to be pushed after that.
    pub fn finish(&mut self) -> Vec<u8> {
        if !self.is_empty {
            self.text.extend_from_slice(b"\n  ");
        }
        self.text.append(&mut self.tail);
        std::mem::take(&mut self.text)
    }
}
