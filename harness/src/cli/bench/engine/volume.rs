//! A file or block device as a volume, and the progress bar, which follows what is read and written of it.

use std::fs::{File, OpenOptions};
use std::io::{BufReader, Read as _, Seek as _, SeekFrom};
use std::os::unix::fs::{FileExt as _, FileTypeExt as _};
use std::path::Path;
use std::sync::Arc;

use anyhow::{Context as _, Result, bail};
use async_trait::async_trait;
use bytes::Bytes;
use clinker_drivers::{Device, Error, Kind};
use clinker_env::real::Buffers;
use indicatif::{ProgressBar, ProgressStyle};

pub(super) struct Volume {
    file: Arc<File>,
    buffers: Arc<Buffers>,
    pub len: u64,
    bar: ProgressBar,
}

impl Volume {
    /// To be backed up; `option` names it in errors.
    pub fn open(option: &str, path: &Path) -> Result<Volume> {
        let shown = path.display();
        let mut file = File::open(path).with_context(|| format!("{option}: open {shown}"))?;
        let kind = file.metadata().with_context(|| format!("{option}: open {shown}"))?.file_type();
        if !kind.is_file() && !kind.is_block_device() {
            bail!("{option}: {shown} is neither a file nor a block device");
        }
        // The metadata of a block device know no length.
        let len = file.seek(SeekFrom::End(0)).with_context(|| format!("{option}: find the end of {shown}"))?;
        if len == 0 {
            bail!("{option}: {shown} is empty");
        }
        Ok(Volume { file: Arc::new(file), buffers: Arc::default(), len, bar: ProgressBar::hidden() })
    }

    /// A new one, all zeros.
    pub fn create(path: &Path, len: u64) -> Result<Volume> {
        let made = || -> std::io::Result<File> {
            let file = OpenOptions::new().read(true).write(true).create_new(true).open(path)?;
            file.set_len(len).map(|()| file)
        };
        let file = made().with_context(|| format!("--directory: make {}", path.display()))?;
        Ok(Volume { file: Arc::new(file), buffers: Arc::default(), len, bar: ProgressBar::hidden() })
    }

    /// With a bar on standard error, if that is a terminal, until the volume is let go of.
    pub fn shown_as(&self, operation: &'static str) -> Volume {
        let bar = ProgressBar::new(self.len);
        let style = ProgressStyle::with_template("{prefix:>17} {bar:40} {bytes}/{total_bytes} {elapsed}");
        bar.set_style(style.expect("the template is well formed"));
        bar.set_prefix(operation);
        Volume { file: Arc::clone(&self.file), buffers: Arc::default(), len: self.len, bar }
    }

    fn has_reached(&self, end: u64) {
        self.bar.set_position(self.bar.position().max(end));
    }

    #[expect(clippy::disallowed_methods, reason = "this bench is of the real machine: its threads read and write")]
    async fn blocking<T: Send + 'static>(
        &self,
        call: impl FnOnce(&File) -> std::io::Result<T> + Send + 'static,
    ) -> clinker_drivers::Result<T> {
        let file = Arc::clone(&self.file);
        let done = tokio::task::spawn_blocking(move || call(&file)).await.map_err(std::io::Error::other);
        done.flatten().map_err(|error| Error::new(Kind::Internal, "cannot use the volume").with_source(error))
    }
}

impl Drop for Volume {
    fn drop(&mut self) {
        self.bar.finish_and_clear();
    }
}

#[async_trait]
impl Device for Volume {
    fn len(&self) -> u64 {
        self.len
    }

    async fn read_at(&self, offset: u64, len: usize) -> clinker_drivers::Result<Bytes> {
        let len = usize::try_from(self.len.saturating_sub(offset)).map_or(len, |left| left.min(len));
        let buffers = Arc::clone(&self.buffers);
        let read = move |file: &File| buffers.read(len, |data| file.read_exact_at(data, offset).map(|()| len));
        let data = self.blocking(read).await?;
        self.has_reached(offset + len as u64);
        Ok(data)
    }

    async fn write_at(&self, offset: u64, data: Bytes) -> clinker_drivers::Result<()> {
        let end = offset.saturating_add(data.len() as u64);
        if end > self.len {
            return Err(Error::new(Kind::InvalidVolume, "write beyond the end of the volume"));
        }
        self.blocking(move |file| file.write_all_at(&data, offset)).await?;
        self.has_reached(end);
        Ok(())
    }

    async fn flush(&self) -> clinker_drivers::Result<()> {
        self.blocking(File::sync_all).await
    }
}

/// Fails unless both are the same, byte by byte.
pub(super) fn same(one: &Path, other: &Path) -> Result<()> {
    let open = |path: &Path| {
        let file = File::open(path).with_context(|| format!("open {}", path.display()))?;
        Ok::<_, anyhow::Error>(BufReader::with_capacity(1 << 20, file))
    };
    let (mut one, mut other) = (open(one)?, open(other)?);
    let (mut left, mut right) = (vec![0; 1 << 20], vec![0; 1 << 20]);
    let mut offset = 0;
    loop {
        let read = one.read(&mut left).context("compare the restored volume with the volume")?;
        if read == 0 {
            return Ok(());
        }
        other.read_exact(&mut right[..read]).context("compare the restored volume with the volume")?;
        if left[..read] != right[..read] {
            bail!("the restored volume is not what was backed up: they differ in the MiB at byte {offset}");
        }
        offset += read as u64;
    }
}
