//! What Swift and S3 have in common: which requests, in which order, make up an operation on containers and objects.
//!
//! A driver brings [`Objects`]: how a request is sent and authorised, its headers, and when an ETag is a digest.

use async_trait::async_trait;
use bytes::Bytes;
use clinker_env::{Env, Work};
use jiff::Timestamp;
use md5::{Digest, Md5};

use super::call::{Call, Effort, container_path, object_path};
use super::{Method, Response};
use crate::error::shown;
use crate::{Backup, Error, Kind, Options, RequestContext, Result};

const PROBE: &[u8] = b"written and removed by the set-up check\n";
/// Somebody else's object of that name is told apart by its bytes.
const PROBE_MAX: u64 = 64 << 10;

/// A store of named objects in containers, reached by HTTP.
#[async_trait]
pub(crate) trait Objects: Send + Sync {
    /// What error texts call the store.
    const TARGET: &'static str;

    fn env(&self) -> &Env;

    fn options(&self) -> &Options;

    /// Sends the request until it is answered with success, or the status that is fine as well.
    async fn send(&self, context: &RequestContext, effort: Effort, call: Call) -> Result<Response>;

    /// Creates a container that is not there.
    async fn create_container(&self, context: &RequestContext, effort: Effort, container: &str) -> Result<()>;

    /// Adds the digest of the body to a put.
    fn with_digest(&self, call: Call, md5: [u8; 16]) -> Call;

    /// Adds what a put or get of an object needs besides.
    fn with_key(&self, call: Call) -> Call {
        call
    }

    /// Whether the answer's ETag is the md5 of the object's bytes, as far as the other headers tell.
    fn etag_is_digest(&self, _response: &Response) -> bool {
        true
    }

    async fn ensure_container(&self, context: &RequestContext, effort: Effort, container: &str) -> Result<()> {
        let path = container_path(container);
        let head = Call::new(Method::HEAD, format!("head of container {container}"), path).or_status(404);
        if self.send(context, effort, head).await?.is_success() {
            return Ok(());
        }
        if !self.options().backup_create_containers {
            let what = format!("container {container}: not there, and option backup_create_containers is off");
            return Err(Error::new(Kind::NotFound, what));
        }
        self.create_container(context, effort, container).await
    }

    async fn put_object(
        &self,
        context: &RequestContext,
        effort: Effort,
        (container, name): (&str, &str),
        body: Bytes,
        md5: [u8; 16],
    ) -> Result<()> {
        let sent = hex::encode(md5);
        let call = Call::new(Method::PUT, format!("put of {name}"), object_path(container, name))
            .header("Content-Type", "application/octet-stream")
            .body(body);
        let call = if effort == Effort::Full { call.heed_throttling() } else { call };
        let call = call.until(&context.stop);
        // With our digest in the request the server itself refuses damaged bytes, before it stores them.
        let call = self.with_key(self.with_digest(call, md5));
        let response = self.send(context, effort, call).await?;
        match etag(&response) {
            Some(stored) if stored == sent => Ok(()),
            _ if !self.etag_is_digest(&response) => Ok(()),
            stored => {
                let stored = shown(stored.as_deref().unwrap_or("no md5"));
                let what = format!("put of {name}: {} stored {stored}, sent was md5 {sent}", Self::TARGET);
                Err(Error::new(Kind::Integrity, what))
            }
        }
    }

    /// The object's bytes, `max` at most, which are what the answer's ETag says, or a transient `integrity` error.
    async fn get_object(
        &self,
        context: &RequestContext,
        effort: Effort,
        (container, name): (&str, &str),
        max: u64,
    ) -> Result<Bytes> {
        let call = Call::new(Method::GET, format!("get of {name}"), object_path(container, name)).answer_at_most(max);
        let call = if effort == Effort::Full { call.heed_throttling() } else { call };
        let call = call.until(&context.stop);
        let response = self.send(context, effort, self.with_key(call)).await?;
        // Objects uploaded by other means may have an ETag that is no digest; the engine knows those by their md5.
        let digest = etag(&response).filter(|etag| is_md5(etag) && self.etag_is_digest(&response));
        let Some(expected) = digest else {
            return Ok(response.body);
        };
        let body = response.body.clone();
        let md5 = self.env().compute(Work::Hash, body.len() as u64, move || Md5::digest(&body)).await;
        let got = hex::encode(md5);
        if got == expected {
            return Ok(response.body);
        }
        let what = format!("get of {name}: received md5 {got}, {} announced {expected}", Self::TARGET);
        Err(Error::transient(Kind::Integrity, what))
    }

    /// As [`Objects::get_object`], once more if the bytes were damaged on their way.
    async fn get_again(&self, context: &RequestContext, object: (&str, &str), max: u64) -> Result<Bytes> {
        match self.get_object(context, Effort::Full, object, max).await {
            Err(error) if error.kind == Kind::Integrity && error.retry => {
                tracing::warn!(reason = %error, "reading an object again");
                self.get_object(context, Effort::Full, object, max).await.map_err(settled)
            }
            outcome => outcome,
        }
    }

    async fn delete_object(
        &self,
        context: &RequestContext,
        effort: Effort,
        (container, name): (&str, &str),
    ) -> Result<()> {
        let call = Call::new(Method::DELETE, format!("delete of {name}"), object_path(container, name)).or_status(404);
        self.send(context, effort, call).await.map(drop)
    }

    /// Writes, reads and removes one fixed object with the configured credentials (D11).
    async fn probe(&self, container: &str) -> Result<()> {
        let context = RequestContext::admin();
        let name = format!(".clinker-probe-{}", self.options().host);
        let object = (container, name.as_str());
        self.ensure_container(&context, Effort::Once, container).await?;
        let body = Bytes::from_static(PROBE);
        self.put_object(&context, Effort::Once, object, body.clone(), Md5::digest(PROBE).into()).await?;
        if self.get_object(&context, Effort::Once, object, PROBE_MAX).await? != body {
            return Err(Error::new(Kind::Integrity, format!("get of {name}: not the bytes that were put")));
        }
        self.delete_object(&context, Effort::Once, object).await
    }
}

/// The container that a backup asks for, or the configured one.
pub(crate) fn container_for(backup: &Backup, configured: &str) -> Result<String> {
    let asked = backup.container.as_deref().filter(|name| !name.is_empty());
    let container = asked.unwrap_or(configured);
    check_container(container)
        .map_err(|why| Error::new(Kind::InvalidBackup, format!("container {container}: {why}")))?;
    Ok(container.to_owned())
}

/// Why a name cannot be a container's. A slash would make it a container and an object.
pub(crate) fn check_container(name: &str) -> Result<(), &'static str> {
    match name {
        "." | ".." => Err("a name that leaves the account"),
        _ if name.contains('/') => Err("a container's name has no slash"),
        _ => Ok(()),
    }
}

pub(crate) fn object_prefix(backup: &Backup, now: Timestamp) -> String {
    let Backup { volume_id, availability_zone, id, .. } = backup;
    format!("volume_{volume_id}/{}/az_{availability_zone}_backup_{id}", now.strftime("%Y%m%d%H%M%S"))
}

/// Names of one backup: the increment of a 1 TiB volume of which every other block of 32 KiB was written.
const NAMES_MAX: usize = 1 << 24;

/// Adds a page of a listing to the names found so far.
pub(crate) fn add_page(
    target: &str,
    what: &str,
    prefix: &str,
    names: &mut Vec<String>,
    page: impl IntoIterator<Item = String>,
) -> Result<()> {
    for name in page {
        // A delete removes what is listed: a name of something else must never get in.
        if !name.starts_with(prefix) {
            return Err(senseless(target, what, "listed a name without the prefix"));
        }
        // Also what keeps a server that repeats a page from being asked for ever.
        if names.last().is_some_and(|last| *last >= name) {
            return Err(senseless(target, what, "listed names out of order"));
        }
        if names.len() == NAMES_MAX {
            return Err(senseless(target, what, "listed more names than a backup has objects"));
        }
        names.push(name);
    }
    Ok(())
}

/// An answer that makes no sense.
pub(crate) fn senseless(target: &str, what: &str, happened: &str) -> Error {
    Error::new(Kind::Internal, format!("{what}: {target} {happened}"))
}

/// The answer's ETag without quotes, in lower case.
fn etag(response: &Response) -> Option<String> {
    Some(response.header("etag")?.trim_matches('"').to_ascii_lowercase())
}

fn is_md5(etag: &str) -> bool {
    etag.len() == 32 && etag.bytes().all(|b| b.is_ascii_hexdigit())
}

/// Twice damaged is damaged in the store: a third reading would not help.
fn settled(mut error: Error) -> Error {
    error.retry &= error.kind != Kind::Integrity;
    error
}
