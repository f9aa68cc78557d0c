//! The sha256file of a backup under way. It grows with the volume, so its text is the only form in which the hashes are in
//! memory; of a long one also the text goes into the store as it comes, if the store takes objects in pieces.

use super::backup::Job;
use super::format::{self, HASH_TEXT, HashListText};
use super::pieces::Upload;
use crate::Result;

pub(super) struct Hashes {
    text: HashListText,
    /// Hashes so far.
    count: u64,
    /// Of a list that is longer than two pieces, and the size of those.
    upload: Option<Box<dyn Upload>>,
    piece: u64,
}

impl Hashes {
    /// Begins the list of a volume of so many bytes.
    pub async fn begin(job: &Job<'_>, volume_len: u64) -> Result<Hashes> {
        let piece = job.driver.settings.sizes.piece;
        let blocks = volume_len.div_ceil(job.cutter.block);
        let pieces = job.driver.store.pieces().filter(|_| blocks * HASH_TEXT > 2 * piece);
        let expected = if pieces.is_some() { 0 } else { blocks };
        let text = HashListText::begin(job.backup, job.cutter.block, expected);
        let upload = match pieces {
            Some(pieces) => Some(pieces.begin(&job.container, &format::sha256file_name(&job.prefix)).await?),
            None => None,
        };
        Ok(Hashes { text, count: 0, upload, piece })
    }

    /// The hashes of the next blocks.
    pub fn push(&mut self, sha256s: &[[u8; 32]]) {
        self.text.push(sha256s);
        self.count += sha256s.len() as u64;
    }

    /// Stores what came of a long list.
    pub async fn write_out(&mut self) -> Result<()> {
        match &mut self.upload {
            Some(upload) if self.text.untaken() >= self.piece => upload.write(self.text.take().into()).await,
            _ => Ok(()),
        }
    }

    /// Stores the list; its name is added to `names` first.
    pub async fn finish(&mut self, job: &Job<'_>, names: &mut Vec<String>) -> Result<()> {
        let name = format::sha256file_name(&job.prefix);
        let text = self.text.finish();
        let Some(mut upload) = self.upload.take() else {
            return job.put_document(names, name, self.count * HASH_TEXT, move || text).await;
        };
        names.push(name);
        match upload.write(text.into()).await {
            Ok(()) => upload.finish().await,
            Err(error) => {
                upload.abandon().await;
                Err(error)
            }
        }
    }

    /// Removes what was written of a list that is not to be finished.
    pub async fn abandon(self) {
        if let Some(upload) = self.upload {
            upload.abandon().await;
        }
    }
}
