//! The volume's device as a driver sees it: a range of bytes to read from or write to.

use async_trait::async_trait;
use bytes::Bytes;

use crate::Result;

/// An attached volume. Offsets and lengths are bytes.
#[async_trait]
pub trait Device: Send + Sync {
    /// The device's size; fixed while attached.
    fn len(&self) -> u64;
    fn is_empty(&self) -> bool {
        self.len() == 0
    }
    /// Reads up to `len` bytes at `offset`; fewer only at the end of the device.
    async fn read_at(&self, offset: u64, len: usize) -> Result<Bytes>;
    /// Writes all of `data`; beyond the end of the device is an `invalid_volume` error.
    async fn write_at(&self, offset: u64, data: Bytes) -> Result<()>;
    /// Makes the writes durable.
    async fn flush(&self) -> Result<()>;
}
