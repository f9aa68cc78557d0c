//! Calls of the object store's port.

use std::sync::Arc;

use async_trait::async_trait;
use bytes::Bytes;
use clinker_drivers::chunked::store::{ChunkStore, Geometry};
use clinker_drivers::{Backup, Error, Kind, RequestContext, Result};
use jiff::Timestamp;
use md5::{Digest as _, Md5};

use super::{Hit, How, Twist};
use crate::run::Parts;

pub(super) fn plant(twist: Twist, parts: &mut Parts) {
    let (hit, before) = (Arc::new(Hit::new(twist)), Arc::clone(&parts.store));
    parts.store = Arc::new(move |inner| Arc::new(Twisted { inner: before(inner), hit: Arc::clone(&hit) }));
}

struct Twisted {
    inner: Arc<dyn ChunkStore>,
    hit: Arc<Hit>,
}

/// What a backup's documents are called, and what storing one is called here.
const DOCUMENTS: [(&str, &str); 2] = [("_metadata", "store.put_metadata"), ("_sha256file", "store.put_hashes")];

fn refused() -> Error {
    Error::new(Kind::Internal, super::PLANTED)
}

/// One bit flipped in the middle.
fn flipped(body: &Bytes) -> Bytes {
    let mut bytes = body.to_vec();
    let middle = bytes.len() / 2;
    if let Some(byte) = bytes.get_mut(middle) {
        *byte ^= 1;
    }
    Bytes::from(bytes)
}

/// What a failure is told as by one who swallows it.
fn swallowed<T: Default>(how: Option<How>, result: Result<T>) -> Result<T> {
    if how == Some(How::Swallow) { Ok(result.unwrap_or_default()) } else { result }
}

#[async_trait]
impl ChunkStore for Twisted {
    fn geometry(&self) -> Geometry {
        let geometry = self.inner.geometry();
        match self.hit.strikes("store.geometry") {
            Some(_) => Geometry { block: geometry.block + 1, ..geometry },
            None => geometry,
        }
    }
    fn host_bound(&self) -> bool {
        self.inner.host_bound()
    }
    fn check_options(&self) -> Result<()> {
        match self.hit.strikes("store.check_options") {
            Some(_) => Ok(()),
            None => self.inner.check_options(),
        }
    }
    async fn check_for_setup_error(&self) -> Result<()> {
        match self.hit.strikes_late("store.check_for_setup_error").await {
            Some(How::Drop) => return Ok(()),
            Some(How::Refuse) => return Err(refused()),
            Some(How::Repeat) => self.inner.check_for_setup_error().await?,
            _ => {}
        }
        self.inner.check_for_setup_error().await
    }
    fn container_for(&self, backup: &Backup) -> Result<String> {
        match self.hit.strikes("store.container_for") {
            Some(_) => Ok("another-container".to_owned()),
            None => self.inner.container_for(backup),
        }
    }
    fn object_prefix(&self, backup: &Backup, now: Timestamp) -> String {
        match self.hit.strikes("store.object_prefix") {
            Some(_) => "volume_the_same_for_all".to_owned(),
            None => self.inner.object_prefix(backup, now),
        }
    }
    async fn put_container(&self, context: &RequestContext, container: &str) -> Result<()> {
        let how = self.hit.strikes_late("store.put_container").await;
        match how {
            Some(How::Drop) => return Ok(()),
            Some(How::Refuse) => return Err(refused()),
            Some(How::Repeat) => self.inner.put_container(context, container).await?,
            _ => {}
        }
        swallowed(how, self.inner.put_container(context, container).await)
    }
    async fn list(&self, context: &RequestContext, container: &str, prefix: &str) -> Result<Vec<String>> {
        let how = self.hit.strikes_late("store.list").await;
        match how {
            Some(How::Drop) => return Ok(Vec::new()),
            Some(How::Refuse) => return Err(refused()),
            _ => {}
        }
        let mut names = swallowed(how, self.inner.list(context, container, prefix).await)?;
        if how == Some(How::Alter) {
            names.pop();
        }
        if names.is_empty() && self.hit.strikes("store.list_empty").is_some() {
            return Err(refused());
        }
        Ok(names)
    }
    async fn put(
        &self,
        context: &RequestContext,
        container: &str,
        name: &str,
        body: Bytes,
        md5: [u8; 16],
    ) -> Result<()> {
        let document = DOCUMENTS.iter().find(|(ending, _)| name.ends_with(ending));
        let how = document.and_then(|(_, call)| self.hit.strikes(call));
        let how = match how {
            Some(how) => Some(how),
            None => self.hit.strikes_late("store.put").await,
        };
        match how {
            Some(How::Drop) => return Ok(()),
            Some(How::Refuse) => return Err(refused()),
            Some(How::Repeat) => {
                let again = format!("{name}-again");
                self.inner.put(context, container, &again, body.clone(), md5).await?;
            }
            Some(How::Alter) => {
                let body = flipped(&body);
                let md5 = Md5::digest(&body).into();
                return self.inner.put(context, container, name, body, md5).await;
            }
            _ => {}
        }
        swallowed(how, self.inner.put(context, container, name, body, md5).await)
    }
    async fn get(&self, context: &RequestContext, container: &str, name: &str) -> Result<Bytes> {
        let how = self.hit.strikes_late("store.get").await;
        if how == Some(How::Refuse) {
            return Err(refused());
        }
        let body = swallowed(how, self.inner.get(context, container, name).await)?;
        Ok(if how == Some(How::Alter) { flipped(&body) } else { body })
    }
    async fn delete(&self, context: &RequestContext, container: &str, name: &str) -> Result<()> {
        let how = self.hit.strikes_late("store.delete").await;
        match how {
            Some(How::Drop) => return Ok(()),
            Some(How::Refuse) => return Err(refused()),
            _ => {}
        }
        swallowed(how, self.inner.delete(context, container, name).await)
    }
    async fn discard_partial(&self, context: &RequestContext, container: &str, prefix: &str) -> Result<()> {
        self.inner.discard_partial(context, container, prefix).await
    }
}
