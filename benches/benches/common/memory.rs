//! A volume in memory: it is copied from and to, on the threads that compute, as a file in the page cache would be.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};

use async_trait::async_trait;
use bytes::Bytes;
use clinker_drivers::{Device, Result};
use clinker_env::{Env, Work};

/// Bytes behind one lock.
const SEGMENT: usize = 1 << 20;

/// Bytes of all volumes that there are.
static HELD: AtomicUsize = AtomicUsize::new(0);

#[allow(dead_code, reason = "of interest where memory is measured")]
pub fn held() -> usize {
    HELD.load(Ordering::Relaxed)
}

pub struct Memory {
    env: Env,
    segments: Arc<[Mutex<Vec<u8>>]>,
    len: usize,
}

impl Memory {
    pub fn of(env: &Env, data: &[u8]) -> Memory {
        HELD.fetch_add(data.len(), Ordering::Relaxed);
        let segments = data.chunks(SEGMENT).map(|segment| Mutex::new(segment.to_vec())).collect();
        Memory { env: env.clone(), segments, len: data.len() }
    }

    /// All that is in it.
    #[allow(dead_code, reason = "of interest where bytes are compared")]
    pub fn bytes(&self) -> Vec<u8> {
        let mut all = Vec::with_capacity(self.len);
        touch(&self.segments, 0, self.len, |part| all.extend_from_slice(part));
        all
    }

    #[allow(dead_code, reason = "of interest where volumes are restored again and again")]
    pub fn clear(&self) {
        touch(&self.segments, 0, self.len, |part| part.fill(0));
    }

    async fn copy<T: Send + 'static>(
        &self,
        len: usize,
        job: impl FnOnce(&[Mutex<Vec<u8>>]) -> T + Send + 'static,
    ) -> T {
        let segments = Arc::clone(&self.segments);
        self.env.compute(Work::Other, len as u64, move || job(&segments)).await
    }
}

impl Drop for Memory {
    fn drop(&mut self) {
        HELD.fetch_sub(self.len, Ordering::Relaxed);
    }
}

/// Shows every part of a range, in its order.
fn touch(segments: &[Mutex<Vec<u8>>], mut at: usize, mut left: usize, mut see: impl FnMut(&mut [u8])) {
    while left > 0 {
        let mut segment = segments[at / SEGMENT].lock().expect("no panic while the lock is held");
        let part = &mut segment[at % SEGMENT..];
        let len = part.len().min(left);
        see(&mut part[..len]);
        (at, left) = (at + len, left - len);
    }
}

#[async_trait]
impl Device for Memory {
    fn len(&self) -> u64 {
        self.len as u64
    }

    async fn read_at(&self, offset: u64, len: usize) -> Result<Bytes> {
        let offset = offset as usize;
        let len = len.min(self.len - offset);
        let read = move |segments: &[Mutex<Vec<u8>>]| {
            let mut data = Vec::with_capacity(len);
            touch(segments, offset, len, |part| data.extend_from_slice(part));
            data.into()
        };
        Ok(self.copy(len, read).await)
    }

    async fn write_at(&self, offset: u64, data: Bytes) -> Result<()> {
        let write = move |segments: &[Mutex<Vec<u8>>]| {
            let mut rest = &data[..];
            touch(segments, offset as usize, data.len(), |part| {
                let (now, later) = rest.split_at(part.len());
                part.copy_from_slice(now);
                rest = later;
            });
        };
        self.copy(0, write).await;
        Ok(())
    }

    async fn flush(&self) -> Result<()> {
        Ok(())
    }
}
