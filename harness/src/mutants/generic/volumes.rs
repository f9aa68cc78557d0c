//! Calls of the volume service's port.

use std::sync::Arc;

use async_trait::async_trait;
use clinker_drivers::{Device, Error, Kind, Result};
use clinker_manager::volumes::{Attachment, Temporary, Volumes};

use super::{Hit, How, Twist};
use crate::run::Parts;

pub(super) fn plant(twist: Twist, parts: &mut Parts) {
    let (hit, before) = (Arc::new(Hit::new(twist)), Arc::clone(&parts.volumes));
    parts.volumes = Arc::new(move |inner| Arc::new(Twisted { inner: before(inner), hit: Arc::clone(&hit) }));
}

struct Twisted {
    inner: Arc<dyn Volumes>,
    hit: Arc<Hit>,
}

#[async_trait]
impl Volumes for Twisted {
    async fn attach(&self, attachment: &Attachment) -> Result<Arc<dyn Device>> {
        if self.hit.strikes_late("volumes.attach").await == Some(How::Refuse) {
            return Err(Error::new(Kind::Internal, super::PLANTED));
        }
        self.inner.attach(attachment).await
    }
    async fn detach(&self, attachment: &Attachment) -> Result<()> {
        match self.hit.strikes("volumes.detach") {
            Some(How::Drop) => Ok(()),
            Some(_) => Err(Error::new(Kind::Internal, super::PLANTED)),
            None => self.inner.detach(attachment).await,
        }
    }
    async fn attachments(&self, host: &str) -> Result<Vec<Attachment>> {
        match self.hit.strikes("volumes.attachments") {
            Some(_) => Ok(Vec::new()),
            None => self.inner.attachments(host).await,
        }
    }
    async fn create_temporary(&self, copy: &Temporary) -> Result<()> {
        match self.hit.strikes("volumes.create_temporary") {
            Some(_) => Ok(()),
            None => self.inner.create_temporary(copy).await,
        }
    }
    async fn delete_temporary(&self, copy: &Temporary) -> Result<()> {
        match self.hit.strikes("volumes.delete_temporary") {
            Some(_) => Ok(()),
            None => self.inner.delete_temporary(copy).await,
        }
    }
}
