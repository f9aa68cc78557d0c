//! S3 as a store of chunks: AWS, Ceph's RGW, Swift's s3api and whoever else speaks it.
//!
//! [`S3Store`] says what is S3's own in each operation ([`crate::http::objects`] has the rest); `client` sends the
//! requests, `sign` signs them, `answers` reads the error documents.

pub(crate) mod answers;
mod client;
pub(crate) mod list;
mod sign;

use async_trait::async_trait;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use clinker_env::Env;
use jiff::Timestamp;

use crate::chunked::store::{ChunkStore, Geometry};
use crate::http::call::{Call, Effort, container_path};
use crate::http::objects::{self, Objects};
use crate::http::{Method, Response};
use crate::{Backup, Error, Kind, Options, RequestContext, Result};
use answers::code;
use client::{Client, S3};

/// The region of buckets that are created without saying where.
const DEFAULT_REGION: &str = "us-east-1";

/// The buckets of one key.
pub struct S3Store {
    options: Options,
    env: Env,
    /// None while an option is missing or wrong, so that `check_options` can say so in each attempt.
    client: Option<Client>,
}

impl S3Store {
    /// Does not judge the options: a service reports those as a failed set-up, see [`ChunkStore::check_options`].
    pub fn new(options: &Options, env: &Env) -> Result<S3Store> {
        let client = Client::new(options, env).ok();
        Ok(S3Store { options: options.clone(), env: env.clone(), client })
    }

    fn client(&self) -> Result<&Client> {
        match &self.client {
            Some(client) => Ok(client),
            None => Err(Client::new(&self.options, &self.env).err().expect("it failed the same way before")),
        }
    }
}

#[async_trait]
impl Objects for S3Store {
    const TARGET: &'static str = S3;

    fn env(&self) -> &Env {
        &self.env
    }

    fn options(&self) -> &Options {
        &self.options
    }

    async fn send(&self, _: &RequestContext, effort: Effort, call: Call) -> Result<Response> {
        self.client()?.send(effort, call).await
    }

    /// One that was created meanwhile, by the same owner, is fine.
    async fn create_container(&self, context: &RequestContext, effort: Effort, container: &str) -> Result<()> {
        let what = format!("put of container {container}");
        let region = &self.options.backup_s3_region_name;
        let mut put = Call::new(Method::PUT, what.as_str(), container_path(container)).or_status(409);
        if region != DEFAULT_REGION {
            put = put.header("Content-Type", "application/xml").body(location(region)?);
        }
        let response = self.send(context, effort, put).await?;
        if response.is_success() || code(&response).as_deref() == Some("BucketAlreadyOwnedByYou") {
            return Ok(());
        }
        Err(Error::new(Kind::Conflict, format!("{what}: {S3} answered {}", response.status)))
    }

    fn with_digest(&self, call: Call, md5: [u8; 16]) -> Call {
        if self.options.backup_s3_md5_validation { call.header("Content-MD5", STANDARD.encode(md5)) } else { call }
    }

    fn with_key(&self, call: Call) -> Call {
        match self.client.as_ref().and_then(Client::customer_key) {
            Some(key) => key.add(call),
            None => call,
        }
    }

    /// Of an object that was encrypted with a key of the customer's or of the key service, it is something else.
    fn etag_is_digest(&self, response: &Response) -> bool {
        let by_service = response.header("x-amz-server-side-encryption").is_some_and(|how| how.starts_with("aws:kms"));
        !by_service && response.header("x-amz-server-side-encryption-customer-algorithm").is_none()
    }
}

/// Where a bucket is to be created.
fn location(region: &str) -> Result<Bytes> {
    #[derive(serde::Serialize)]
    #[serde(rename = "CreateBucketConfiguration", rename_all = "PascalCase")]
    struct Configuration<'a> {
        #[serde(rename = "@xmlns")]
        xmlns: &'static str,
        location_constraint: &'a str,
    }
    let xmlns = "http://s3.amazonaws.com/doc/2006-03-01/";
    let document = quick_xml::se::to_string(&Configuration { xmlns, location_constraint: region });
    document.map(Bytes::from).map_err(|error| {
        Error::new(Kind::InvalidConfig, "option backup_s3_region_name: XML cannot carry it").with_source(error)
    })
}

#[async_trait]
impl ChunkStore for S3Store {
    fn geometry(&self) -> Geometry {
        Geometry {
            chunk: self.options.backup_s3_object_size,
            block: self.options.backup_s3_block_size,
            progress_timer: self.options.backup_s3_enable_progress_timer,
        }
    }

    fn host_bound(&self) -> bool {
        false
    }

    fn check_options(&self) -> Result<()> {
        objects::check_container(&self.options.backup_s3_store_bucket)
            .map_err(|why| Error::new(Kind::InvalidConfig, format!("option backup_s3_store_bucket: {why}")))?;
        self.client().map(drop)
    }

    async fn check_for_setup_error(&self) -> Result<()> {
        self.client()?;
        self.probe(&self.options.backup_s3_store_bucket).await
    }

    fn container_for(&self, backup: &Backup) -> Result<String> {
        objects::container_for(backup, &self.options.backup_s3_store_bucket)
    }

    fn object_prefix(&self, backup: &Backup, now: Timestamp) -> String {
        objects::object_prefix(backup, now)
    }

    async fn put_container(&self, context: &RequestContext, container: &str) -> Result<()> {
        self.ensure_container(context, Effort::Full, container).await
    }

    async fn list(&self, _: &RequestContext, container: &str, prefix: &str) -> Result<Vec<String>> {
        list::list(self.client()?, container, prefix).await
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
