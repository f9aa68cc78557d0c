//! OpenStack Swift as a store of chunks.
//!
//! [`SwiftStore`] says what is Swift's own in each operation ([`crate::http::objects`] has the rest); `client` sends the
//! requests, `auth` brings the token, `catalog` finds the account's URL.

pub(crate) mod auth;
mod catalog;
mod client;
pub(crate) mod list;

use async_trait::async_trait;
use bytes::Bytes;
use clinker_env::Env;
use jiff::Timestamp;

use crate::chunked::store::{ChunkStore, Geometry};
use crate::http::call::{Call, Effort, container_path};
use crate::http::objects::{self, Objects};
use crate::http::{Method, Response};
use crate::{Backup, Error, Kind, Options, RequestContext, Result};
use auth::Access;
use client::{Client, SWIFT};

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
}

#[async_trait]
impl Objects for SwiftStore {
    const TARGET: &'static str = SWIFT;

    fn env(&self) -> &Env {
        &self.env
    }

    fn options(&self) -> &Options {
        &self.options
    }

    async fn send(&self, context: &RequestContext, effort: Effort, call: Call) -> Result<Response> {
        self.client()?.send(context, effort, call).await
    }

    async fn create_container(&self, context: &RequestContext, effort: Effort, container: &str) -> Result<()> {
        let mut put = Call::new(Method::PUT, format!("put of container {container}"), container_path(container));
        if let Some(policy) = &self.options.backup_swift_create_storage_policy {
            put = put.header("X-Storage-Policy", policy).or_status(400);
        }
        if self.send(context, effort, put).await?.status == 400 {
            let what = format!("option backup_swift_create_storage_policy: swift refused it for container {container}");
            return Err(Error::new(Kind::InvalidConfig, what));
        }
        Ok(())
    }

    fn with_digest(&self, call: Call, md5: [u8; 16]) -> Call {
        call.header("ETag", hex::encode(md5))
    }
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

    fn host_bound(&self) -> bool {
        false
    }

    fn check_options(&self) -> Result<()> {
        objects::check_container(&self.options.backup_swift_container)
            .map_err(|why| Error::new(Kind::InvalidConfig, format!("option backup_swift_container: {why}")))?;
        self.client().map(drop)
    }

    async fn check_for_setup_error(&self) -> Result<()> {
        let client = self.client()?;
        match client.access() {
            Access::SingleUser(_) => {
                client.prove_credentials().await?;
                self.probe(&self.options.backup_swift_container).await
            }
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
        objects::container_for(backup, &self.options.backup_swift_container)
    }

    fn object_prefix(&self, backup: &Backup, now: Timestamp) -> String {
        objects::object_prefix(backup, now)
    }

    async fn put_container(&self, context: &RequestContext, container: &str) -> Result<()> {
        self.ensure_container(context, Effort::Full, container).await
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
        self.put_object(context, Effort::Full, (container, name), body, md5).await
    }

    async fn get(&self, context: &RequestContext, container: &str, name: &str) -> Result<Bytes> {
        self.get_at_most(context, container, name, u64::MAX).await
    }

    async fn get_at_most(&self, context: &RequestContext, container: &str, name: &str, max: u64) -> Result<Bytes> {
        self.get_again(context, (container, name), max).await
    }

    async fn delete(&self, context: &RequestContext, container: &str, name: &str) -> Result<()> {
        self.delete_object(context, Effort::Full, (container, name)).await
    }
}
