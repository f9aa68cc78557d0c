//! The POSIX driver: backups as files below one directory, a repository shared by all backup hosts.
//!
//! [`PosixStore`] decides names and options; [`client`] does file operations and maps their errors.

mod client;
mod pieces;

use async_trait::async_trait;
use bytes::Bytes;
use clinker_env::Env;
use jiff::Timestamp;

use crate::chunked::pieces::Pieces;
use crate::chunked::store::{ChunkStore, Geometry};
use crate::{Backup, Error, Kind, Options, RequestContext, Result};
use client::Client;

/// A repository of files, reached through the environment's file system.
pub struct PosixStore {
    client: Client,
    geometry: Geometry,
    host: String,
    create_containers: bool,
    /// The directory of backups that name none, if set.
    container: Option<String>,
    host_bound: bool,
}

impl PosixStore {
    pub fn new(options: &Options, env: &Env) -> PosixStore {
        PosixStore {
            client: Client::new(env, options.expand(&options.backup_posix_path)),
            geometry: Geometry {
                chunk: options.backup_file_size,
                block: options.backup_sha_block_size_bytes,
                progress_timer: options.backup_enable_progress_timer,
            },
            host: options.host.clone(),
            create_containers: options.backup_create_containers,
            container: options.backup_container.clone(),
            host_bound: options.backup_posix_host_bound,
        }
    }
}

/// Refuses containers that could leave the repository.
fn check_container(container: &str) -> Result<()> {
    let sound = |part: &str| !part.is_empty() && part != "." && part != ".." && !part.contains('\0');
    if container.split('/').all(sound) {
        return Ok(());
    }
    let shown = container.escape_debug();
    let what = format!("container \"{shown}\" is not a relative path below the repository without . and ..");
    Err(Error::new(Kind::InvalidBackup, what))
}

/// Refuses object names and prefixes that are no plain file names.
fn check_name(name: &str) -> Result<()> {
    if !name.is_empty() && name != "." && name != ".." && !name.contains(['/', '\0']) {
        return Ok(());
    }
    Err(Error::new(Kind::InvalidBackup, format!("object \"{}\" is not a file name", name.escape_debug())))
}

#[async_trait]
impl ChunkStore for PosixStore {
    fn geometry(&self) -> Geometry {
        self.geometry
    }

    fn host_bound(&self) -> bool {
        self.host_bound
    }

    fn check_options(&self) -> Result<()> {
        let repository = self.client.repository();
        if repository.starts_with('/') && !repository.contains('\0') {
            return Ok(());
        }
        let found = repository.escape_debug();
        let what = format!("option backup_posix_path: found \"{found}\", expected an absolute path");
        Err(Error::new(Kind::InvalidConfig, what))
    }

    async fn check_for_setup_error(&self) -> Result<()> {
        self.client.probe(&format!(".clinker-probe-{}", self.host.replace('/', "_"))).await
    }

    fn container_for(&self, backup: &Backup) -> Result<String> {
        let asked = backup.container.as_deref().filter(|asked| !asked.is_empty());
        let container = match (asked, &self.container, backup.id.get(..2), backup.id.get(2..4)) {
            (Some(asked), ..) => asked.to_owned(),
            (None, Some(default), ..) => default.clone(),
            (None, None, Some(first), Some(second)) => format!("{first}/{second}/{}", backup.id),
            _ => {
                let what = format!("backup id \"{}\" is too short for a directory", backup.id.escape_debug());
                return Err(Error::new(Kind::InvalidBackup, what));
            }
        };
        check_container(&container)?;
        Ok(container)
    }

    fn object_prefix(&self, backup: &Backup, now: Timestamp) -> String {
        format!("volume_{}_{}_backup_{}", backup.volume_id, now.strftime("%Y%m%d%H%M%S"), backup.id)
    }

    async fn put_container(&self, _context: &RequestContext, container: &str) -> Result<()> {
        check_container(container)?;
        self.client.make_directory(container, self.create_containers).await
    }

    async fn list(&self, _context: &RequestContext, container: &str, prefix: &str) -> Result<Vec<String>> {
        check_container(container)?;
        check_name(prefix)?;
        let mut names = self.client.list(container).await?;
        names.retain(|name| name.starts_with(prefix));
        Ok(names)
    }

    fn wants_md5(&self) -> bool {
        false
    }

    async fn put(
        &self,
        _context: &RequestContext,
        container: &str,
        name: &str,
        body: Bytes,
        _md5: [u8; 16],
    ) -> Result<()> {
        check_container(container)?;
        check_name(name)?;
        self.client.write(container, name, body).await
    }

    async fn get(&self, context: &RequestContext, container: &str, name: &str) -> Result<Bytes> {
        self.get_at_most(context, container, name, u64::MAX).await
    }

    async fn get_at_most(&self, _context: &RequestContext, container: &str, name: &str, max: u64) -> Result<Bytes> {
        check_container(container)?;
        check_name(name)?;
        self.client.read(container, name, max).await
    }

    fn pieces(&self) -> Option<&dyn Pieces> {
        Some(self)
    }

    async fn delete(&self, _context: &RequestContext, container: &str, name: &str) -> Result<()> {
        check_container(container)?;
        check_name(name)?;
        self.client.remove(container, name).await
    }

    async fn discard_partial(&self, _context: &RequestContext, container: &str, prefix: &str) -> Result<()> {
        check_container(container)?;
        check_name(prefix)?;
        self.client.remove_temporaries(container, prefix).await
    }
}
