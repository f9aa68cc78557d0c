//! Mutants that wrap the port to the volume service.

use std::sync::Arc;

use async_trait::async_trait;
use clinker_drivers::{Device, Result};
use clinker_manager::volumes::{Attachment, Temporary, Volumes};

use crate::run::{Parts, wrap};

/// The original, when its volume service is slow: the copy is forgotten.
pub(super) fn temporary_copy_leaks(parts: &mut Parts) {
    parts.volumes = wrap(|inner| Arc::new(Bent { inner, keeps_copies: true, reads_the_volume: false, forgets: false }));
}

/// A volume in use is read as its user writes to it.
pub(super) fn volume_in_use_read_live(parts: &mut Parts) {
    parts.volumes = wrap(|inner| Arc::new(Bent { inner, keeps_copies: false, reads_the_volume: true, forgets: false }));
}

/// The original: what a dead process attached stays so, unless its own row still tells of it.
pub(super) fn attachments_forgotten(parts: &mut Parts) {
    parts.volumes = wrap(|inner| Arc::new(Bent { inner, keeps_copies: false, reads_the_volume: false, forgets: true }));
}

struct Bent {
    inner: Arc<dyn Volumes>,
    keeps_copies: bool,
    reads_the_volume: bool,
    forgets: bool,
}

#[async_trait]
impl Volumes for Bent {
    async fn attach(&self, attachment: &Attachment) -> Result<Arc<dyn Device>> {
        let copy_id = attachment.copy_id.clone().filter(|_| !self.reads_the_volume);
        self.inner.attach(&Attachment { copy_id, ..attachment.clone() }).await
    }

    async fn detach(&self, attachment: &Attachment) -> Result<()> {
        self.inner.detach(attachment).await
    }

    async fn attachments(&self, host: &str) -> Result<Vec<Attachment>> {
        if self.forgets { Ok(Vec::new()) } else { self.inner.attachments(host).await }
    }

    async fn create_temporary(&self, copy: &Temporary) -> Result<()> {
        self.inner.create_temporary(copy).await
    }

    async fn delete_temporary(&self, copy: &Temporary) -> Result<()> {
        if self.keeps_copies { Ok(()) } else { self.inner.delete_temporary(copy).await }
    }
}
