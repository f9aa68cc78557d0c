//! The device file of a request as a driver's device.

use std::fs::{File, OpenOptions};
use std::os::unix::fs::FileExt as _;

use async_trait::async_trait;
use bytes::Bytes;
use clinker_drivers::{Device, Error, Kind, Result};

/// A file of fixed length.
pub(super) struct FileDevice {
    file: File,
    len: u64,
}

impl FileDevice {
    pub fn open(path: &str, len: u64) -> Result<FileDevice> {
        let file = OpenOptions::new().read(true).write(true).open(path);
        let file =
            file.map_err(|error| Error::new(Kind::InvalidVolume, "cannot open the device").with_source(error))?;
        Ok(FileDevice { file, len })
    }
}

fn broken(what: &'static str) -> impl Fn(std::io::Error) -> Error {
    move |error| Error::new(Kind::Internal, format!("cannot {what} the device")).with_source(error)
}

#[async_trait]
impl Device for FileDevice {
    fn len(&self) -> u64 {
        self.len
    }

    async fn read_at(&self, offset: u64, len: usize) -> Result<Bytes> {
        let len = usize::try_from(self.len.saturating_sub(offset)).map_or(len, |left| left.min(len));
        let mut data = vec![0; len];
        self.file.read_exact_at(&mut data, offset).map_err(broken("read"))?;
        Ok(data.into())
    }

    async fn write_at(&self, offset: u64, data: Bytes) -> Result<()> {
        if offset.saturating_add(data.len() as u64) > self.len {
            return Err(Error::new(Kind::InvalidVolume, "write beyond the end of the device"));
        }
        self.file.write_all_at(&data, offset).map_err(broken("write"))
    }

    async fn flush(&self) -> Result<()> {
        self.file.sync_all().map_err(broken("flush"))
    }
}
