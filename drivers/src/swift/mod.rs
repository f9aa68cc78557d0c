//! OpenStack Swift as a store of chunks.
//!
//! [`SwiftStore`] says which requests make up each operation; `client` sends them, `auth` brings the token, `catalog`
//! finds the account's URL.

mod auth;
mod catalog;
mod client;
mod list;

use async_trait::async_trait;
use bytes::Bytes;
use clinker_env::{Env, Work};
use jiff::Timestamp;
use md5::{Digest, Md5};

use crate::chunked::store::{ChunkStore, Geometry};
use crate::http::{Method, Response};
use crate::{Backup, Error, Kind, Options, RequestContext, Result};
use auth::Access;
use client::{Call, Client, Effort, container_path, object_path};

const PROBE: &[u8] = b"written and removed by the set-up check\n";

/// A Swift account, `single_user` or `per_user`.
pub struct SwiftStore {
    options: Options,
    env: Env,
    /// None while an option is missing or wrong, so that `check_options` can say so in each attempt.
    client: Option<Client>,
}

impl SwiftStore {
    /// Does not judge the options: a service reports those as a failed set-up, see [`ChunkStore::check_options`].
    pub fn new(options: &Options, env: &Env) -> Result<SwiftStore> {
        let client = Client::new(options, env).ok();
        Ok(SwiftStore { options: options.clone(), env: env.clone(), client })
    }

    fn client(&self) -> Result<&Client> {
        match &self.client {
            Some(client) => Ok(client),
            None => Err(Client::new(&self.options, &self.env).err().expect("it failed the same way before")),
        }
    }

    async fn ensure_container(&self, context: &RequestContext, effort: Effort, container: &str) -> Result<()> {
        let client = self.client()?;
        let path = container_path(container);
        let head = Call::new(Method::HEAD, format!("head of container {container}"), path.clone()).or_status(404);
        if client.send(context, effort, head).await?.is_success() {
            return Ok(());
        }
        if !self.options.backup_create_containers {
            let what = format!("container {container}: not there, and option backup_create_containers is off");
            return Err(Error::new(Kind::NotFound, what));
        }
        let mut put = Call::new(Method::PUT, format!("put of container {container}"), path);
        if let Some(policy) = &self.options.backup_swift_create_storage_policy {
            put = put.header("X-Storage-Policy", policy).or_status(400);
        }
        if client.send(context, effort, put).await?.status == 400 {
            let what = format!("option backup_swift_create_storage_policy: swift refused it for container {container}");
            return Err(Error::new(Kind::InvalidConfig, what));
        }
        Ok(())
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
        // With our digest in the request the server itself refuses damaged bytes, before it stores them.
        let call = Call::new(Method::PUT, format!("put of {name}"), object_path(container, name))
            .header("ETag", sent.clone())
            .header("Content-Type", "application/octet-stream")
            .body(body);
        let response = self.client()?.send(context, effort, call).await?;
        match etag(&response) {
            Some(stored) if stored == sent => Ok(()),
            stored => {
                let stored = stored.as_deref().unwrap_or("no md5");
                let what = format!("put of {name}: swift stored {stored}, sent was md5 {sent}");
                Err(Error::new(Kind::Integrity, what))
            }
        }
    }

    /// The object's bytes, which are what the answer's ETag says, or a transient `integrity` error.
    async fn get_object(
        &self,
        context: &RequestContext,
        effort: Effort,
        (container, name): (&str, &str),
    ) -> Result<Bytes> {
        let call = Call::new(Method::GET, format!("get of {name}"), object_path(container, name));
        let response = self.client()?.send(context, effort, call).await?;
        // Objects uploaded by other means may have an ETag that is no digest; the engine knows those by their md5.
        let Some(expected) = etag(&response).filter(|etag| is_md5(etag)) else {
            return Ok(response.body);
        };
        let body = response.body.clone();
        let md5 = self.env.compute(Work::Hash, body.len() as u64, move || Md5::digest(&body)).await;
        let got = hex::encode(md5);
        if got == expected {
            return Ok(response.body);
        }
        let what = format!("get of {name}: received md5 {got}, swift announced {expected}");
        Err(Error::transient(Kind::Integrity, what))
    }

    async fn delete_object(
        &self,
        context: &RequestContext,
        effort: Effort,
        (container, name): (&str, &str),
    ) -> Result<()> {
        let call = Call::new(Method::DELETE, format!("delete of {name}"), object_path(container, name)).or_status(404);
        self.client()?.send(context, effort, call).await.map(drop)
    }

    /// Writes, reads and removes one fixed object with the configured credentials.
    async fn probe(&self) -> Result<()> {
        let context = RequestContext::admin();
        let container = self.options.backup_swift_container.as_str();
        let name = format!(".clinker-probe-{}", self.options.host);
        let object = (container, name.as_str());
        self.client()?.prove_credentials().await?;
        self.ensure_container(&context, Effort::ONCE, container).await?;
        let body = Bytes::from_static(PROBE);
        self.put_object(&context, Effort::ONCE, object, body.clone(), Md5::digest(PROBE).into()).await?;
        if self.get_object(&context, Effort::ONCE, object).await? != body {
            return Err(Error::new(Kind::Integrity, format!("get of {name}: not the bytes that were put")));
        }
        self.delete_object(&context, Effort::ONCE, object).await
    }
}

/// The answer's ETag without quotes, in lower case.
fn etag(response: &Response) -> Option<String> {
    Some(response.header("etag")?.trim_matches('"').to_ascii_lowercase())
}

fn is_md5(etag: &str) -> bool {
    etag.len() == 32 && etag.bytes().all(|b| b.is_ascii_hexdigit())
}

#[async_trait]
impl ChunkStore for SwiftStore {
    fn geometry(&self) -> Geometry {
        Geometry {
            chunk: self.options.backup_swift_object_size,
            block: self.options.backup_swift_block_size,
            progress_timer: self.options.backup_swift_enable_progress_timer,
        }
    }

    fn check_options(&self) -> Result<()> {
        check_container(&self.options.backup_swift_container)
            .map_err(|why| Error::new(Kind::InvalidConfig, format!("option backup_swift_container: {why}")))?;
        self.client().map(drop)
    }

    async fn check_for_setup_error(&self) -> Result<()> {
        let client = self.client()?;
        match client.access() {
            Access::SingleUser(_) => self.probe().await,
            Access::PerUser(user) => match &user.url {
                Some(url) => client.info(url).await,
                None => {
                    tracing::warn!(
                        "backup_swift_url is unset: nothing can be checked before a user's catalog is known"
                    );
                    Ok(())
                }
            },
        }
    }

    fn container_for(&self, backup: &Backup) -> Result<String> {
        let asked = backup.container.as_deref().filter(|name| !name.is_empty());
        let container = asked.unwrap_or(&self.options.backup_swift_container);
        check_container(container)
            .map_err(|why| Error::new(Kind::InvalidBackup, format!("container {container}: {why}")))?;
        Ok(container.to_owned())
    }

    fn object_prefix(&self, backup: &Backup, now: Timestamp) -> String {
        let Backup { volume_id, availability_zone, id, .. } = backup;
        format!("volume_{volume_id}/{}/az_{availability_zone}_backup_{id}", now.strftime("%Y%m%d%H%M%S"))
    }

    async fn put_container(&self, context: &RequestContext, container: &str) -> Result<()> {
        self.ensure_container(context, self.client()?.data_effort(), container).await
    }

    async fn list(&self, context: &RequestContext, container: &str, prefix: &str) -> Result<Vec<String>> {
        list::list(self.client()?, context, container, prefix).await
    }

    async fn put(
        &self,
        context: &RequestContext,
        container: &str,
        name: &str,
        body: Bytes,
        md5: [u8; 16],
    ) -> Result<()> {
        self.put_object(context, self.client()?.data_effort(), (container, name), body, md5).await
    }

    async fn get(&self, context: &RequestContext, container: &str, name: &str) -> Result<Bytes> {
        let effort = self.client()?.data_effort();
        match self.get_object(context, effort, (container, name)).await {
            Err(error) if error.kind == Kind::Integrity => {
                tracing::warn!(reason = %error, "reading an object again");
                self.get_object(context, effort, (container, name)).await.map_err(settled)
            }
            outcome => outcome,
        }
    }

    async fn delete(&self, context: &RequestContext, container: &str, name: &str) -> Result<()> {
        self.delete_object(context, self.client()?.data_effort(), (container, name)).await
    }
}

/// Twice damaged is damaged in the store: a third reading would not help.
fn settled(mut error: Error) -> Error {
    error.retry &= error.kind != Kind::Integrity;
    error
}

/// Why a name cannot be a container's. A slash would make it a container and an object.
fn check_container(name: &str) -> Result<(), &'static str> {
    match name {
        "." | ".." => Err("a name that leaves the account"),
        _ if name.contains('/') => Err("a container's name has no slash"),
        _ => Ok(()),
    }
}
