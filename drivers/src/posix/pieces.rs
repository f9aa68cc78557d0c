//! Files in pieces.

use async_trait::async_trait;
use bytes::Bytes;

use super::client::{Opened, Unfinished};
use super::{PosixStore, check_container, check_name};
use crate::Result;
use crate::chunked::pieces::{Download, Pieces, Upload};

#[async_trait]
impl Pieces for PosixStore {
    async fn begin(&self, container: &str, name: &str) -> Result<Box<dyn Upload>> {
        check_container(container)?;
        check_name(name)?;
        Ok(Box::new(self.client.begin(container, name).await?))
    }

    async fn open(&self, container: &str, name: &str, max: u64) -> Result<Box<dyn Download>> {
        check_container(container)?;
        check_name(name)?;
        Ok(Box::new(self.client.open(container, name, max).await?))
    }
}

#[async_trait]
impl Upload for Unfinished {
    async fn write(&mut self, piece: Bytes) -> Result<()> {
        Unfinished::write(self, piece).await
    }

    async fn write_over_start(&mut self, start: Bytes) -> Result<()> {
        Unfinished::write_over_start(self, start).await
    }

    async fn finish(self: Box<Self>) -> Result<()> {
        Unfinished::finish(*self).await
    }

    async fn abandon(self: Box<Self>) {
        Unfinished::abandon(*self).await;
    }
}

#[async_trait]
impl Download for Opened {
    async fn read(&mut self, len: u64) -> Result<Bytes> {
        Opened::read(self, len).await
    }
}
