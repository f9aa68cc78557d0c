//! A store of backups as a folder per volume: an example of a driver that is developed outside of Clinker's repository.
//!
//! ```text
//! <backup_posix_path>/
//!   volume-<volume id>/                               a container
//!     20260101T000000Z_backup_<backup id>-00001       an object
//!   incoming/
//!     .tmp-20260101T000000Z_backup_<backup id>-00002  an object that is being written
//! ```
//!
//! The chunk engine decides what the objects are and what is in them; here is only how one is put, found, read and
//! removed. [`files`] does that with files; this file knows names and options.

mod files;

use async_trait::async_trait;
use bytes::Bytes;
use clinker_drivers::chunked::store::{ChunkStore, Geometry};
use clinker_drivers::{Backup, Error, Kind, Options, RequestContext, Result};
use clinker_env::Env;
use jiff::Timestamp;

use files::Files;

/// Where writes in progress are; no container may be called so.
const INCOMING: &str = "incoming";

/// The store. It is made anew for every set-up, from the service's options and its environment.
pub struct VolumeFolders {
    files: Files,
    geometry: Geometry,
    host: String,
    host_bound: bool,
    creates_containers: bool,
}

impl VolumeFolders {
    pub fn new(options: &Options, env: &Env) -> VolumeFolders {
        VolumeFolders {
            files: Files::new(env, &options.backup_posix_path),
            geometry: Geometry {
                chunk: options.backup_file_size,
                block: options.backup_sha_block_size_bytes,
                progress_timer: options.backup_enable_progress_timer,
            },
            host: options.host.clone(),
            host_bound: options.backup_posix_host_bound,
            creates_containers: options.backup_create_containers,
        }
    }
}

/// Refuses names of folders and files that lead out of the repository, or into `incoming`.
fn part_of_path(what: &str, name: &str) -> Result<()> {
    if !name.is_empty() && !name.starts_with('.') && !name.contains(['/', '\0']) && name != INCOMING {
        return Ok(());
    }
    let shown = name.escape_debug();
    Err(Error::new(Kind::InvalidBackup, format!("{what} \"{shown}\" is not the name of a folder or file here")))
}

/// A container may be a folder in a folder: whoever asks for one by name may want that.
fn path(container: &str) -> Result<()> {
    container.split('/').try_for_each(|part| part_of_path("container", part))
}

#[async_trait]
impl ChunkStore for VolumeFolders {
    fn geometry(&self) -> Geometry {
        self.geometry
    }

    fn host_bound(&self) -> bool {
        self.host_bound
    }

    fn check_options(&self) -> Result<()> {
        if self.files.root().starts_with('/') {
            return Ok(());
        }
        let found = self.files.root().escape_debug();
        let what = format!("option backup_posix_path: found \"{found}\", expected an absolute path");
        Err(Error::new(Kind::InvalidConfig, what))
    }

    /// Writes, reads and removes one small file, whose name the service explains as a probe.
    async fn check_for_setup_error(&self) -> Result<()> {
        let (name, body) = (format!(".clinker-probe-{}", self.host), Bytes::from_static(b"probe"));
        self.files.write("", &name, body.clone()).await?;
        let read = self.files.read("", &name).await;
        self.files.remove("", &name).await?;
        if read? == body {
            return Ok(());
        }
        Err(Error::new(Kind::Integrity, format!("{name} does not read back as it was written")))
    }

    fn container_for(&self, backup: &Backup) -> Result<String> {
        let asked = backup.container.clone().filter(|asked| !asked.is_empty());
        let container = asked.unwrap_or_else(|| format!("volume-{}", backup.volume_id));
        path(&container)?;
        Ok(container)
    }

    fn object_prefix(&self, backup: &Backup, now: Timestamp) -> String {
        format!("{}_backup_{}", now.strftime("%Y%m%dT%H%M%SZ"), backup.id)
    }

    async fn put_container(&self, _context: &RequestContext, container: &str) -> Result<()> {
        path(container)?;
        self.files.make_folder(container, self.creates_containers).await
    }

    async fn list(&self, _context: &RequestContext, container: &str, prefix: &str) -> Result<Vec<String>> {
        path(container)?;
        let mut names = self.files.list(container).await?;
        names.retain(|name| name.starts_with(prefix));
        Ok(names)
    }

    async fn put(
        &self,
        _context: &RequestContext,
        container: &str,
        name: &str,
        body: Bytes,
        _md5: [u8; 16],
    ) -> Result<()> {
        path(container)?;
        part_of_path("object", name)?;
        self.files.write(container, name, body).await
    }

    async fn get(&self, _context: &RequestContext, container: &str, name: &str) -> Result<Bytes> {
        path(container)?;
        part_of_path("object", name)?;
        self.files.read(container, name).await
    }

    async fn delete(&self, _context: &RequestContext, container: &str, name: &str) -> Result<()> {
        path(container)?;
        part_of_path("object", name)?;
        self.files.remove(container, name).await
    }

    async fn discard_partial(&self, _context: &RequestContext, _container: &str, prefix: &str) -> Result<()> {
        self.files.remove_incoming(prefix).await
    }
}
