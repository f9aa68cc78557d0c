//! Where chains are stored: a folder, or an S3 server, with the options by which either side reaches it.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};

use anyhow::Context as _;
use clinker_env::Env;
use clinker_fakes::{S3Config, S3Fake, s3};
use clinker_model::{Entry, FaultId, Journal};

use super::Args;
use super::volume::{BLOCK, CHUNK};

/// Options under Cinder's names, which are Clinker's too.
pub type OptionMap = BTreeMap<String, String>;

#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub enum Kind {
    Posix,
    S3,
}

/// An open store.
pub enum Store {
    Posix { repository: PathBuf },
    S3(Server),
}

/// An S3 server and a key for it.
pub struct Server {
    endpoint: String,
    key: String,
    secret: String,
    bucket: String,
    /// What the built-in server refused; none for a real one.
    refusals: Option<Arc<Refusals>>,
}

impl Store {
    pub async fn open(kind: Kind, args: &Args, work: &Path, env: &Env) -> anyhow::Result<Store> {
        if kind == Kind::Posix {
            let repository = work.join("repository");
            std::fs::create_dir(&repository).context("create the repository's folder")?;
            return Ok(Store::Posix { repository });
        }
        let bucket = args.s3_bucket.clone();
        if let (Some(endpoint), Some(key), Some(secret)) = (&args.s3_endpoint, &args.s3_key, &args.s3_secret) {
            let (endpoint, key, secret) = (endpoint.clone(), key.clone(), secret.clone());
            return Ok(Store::S3(Server { endpoint, key, secret, bucket, refusals: None }));
        }
        let (key, secret) = ("interop-access-key".to_owned(), "interop-secret-key".to_owned());
        let refusals = Arc::new(Refusals::default());
        let config = S3Config { keys: vec![s3::Key::new(&key, &secret, "interop")], ..S3Config::default() };
        let listener = env.net.listen(0).await.context("listen on a loopback port")?;
        let endpoint = format!("http://127.0.0.1:{}", listener.port());
        env.tasks.spawn(S3Fake::new(config, refusals.clone()).serve_on(env.clone(), listener));
        Ok(Store::S3(Server { endpoint, key, secret, bucket, refusals: Some(refusals) }))
    }

    pub fn name(&self) -> &'static str {
        match self {
            Store::Posix { .. } => "posix",
            Store::S3(_) => "s3",
        }
    }

    /// A sentence about it.
    pub fn described(&self) -> String {
        match self {
            Store::Posix { .. } => "`posix` is a local folder.".to_owned(),
            Store::S3(Server { refusals: Some(_), .. }) => {
                "`s3` is Clinker's own strict S3 server on loopback TCP.".to_owned()
            }
            Store::S3(Server { endpoint, .. }) => format!("`s3` is {endpoint}."),
        }
    }

    pub fn options(&self, compressor: &str, writer: &str) -> OptionMap {
        let (chunk, block) = (CHUNK.to_string(), BLOCK.to_string());
        let set: Vec<(&str, String)> = match self {
            Store::Posix { repository } => vec![
                ("backup_driver", "cinder.backup.drivers.posix.PosixBackupDriver".into()),
                ("backup_posix_path", repository.display().to_string()),
                ("backup_file_size", chunk),
                ("backup_sha_block_size_bytes", block),
            ],
            Store::S3(server) => vec![
                ("backup_driver", "cinder.backup.drivers.s3.S3BackupDriver".into()),
                ("backup_s3_endpoint_url", server.endpoint.clone()),
                ("backup_s3_store_access_key", server.key.clone()),
                ("backup_s3_store_secret_key", server.secret.clone()),
                // A bucket for each kind of chain, so that each side creates one.
                ("backup_s3_store_bucket", format!("{}-{writer}", server.bucket)),
                ("backup_s3_object_size", chunk),
                ("backup_s3_block_size", block),
                ("backup_s3_timeout", "30".into()),
                ("backup_s3_retry_max_attempts", "2".into()),
            ],
        };
        let compression = ("backup_compression_algorithm", compressor.to_owned());
        set.into_iter().chain([compression]).map(|(name, value)| (name.to_owned(), value)).collect()
    }

    /// What the built-in server refused, in its last answer of that kind.
    pub fn refused(&self) -> Option<String> {
        match self {
            Store::S3(Server { refusals: Some(refusals), .. }) => {
                refusals.0.lock().expect("no panic while the lock is held").clone()
            }
            _ => None,
        }
    }
}

/// Remembers the last request that was answered with an error other than "not there".
#[derive(Default)]
struct Refusals(Mutex<Option<String>>);

impl Journal for Refusals {
    fn record(&self, _host: &str, entry: Entry) {
        let Entry::Request { status, .. } = &entry else { return };
        if *status >= 400 && *status != 404 {
            *self.0.lock().expect("no panic while the lock is held") = Some(format!("{entry:?}"));
        }
    }

    fn bite(&self, _fault: FaultId, _host: &str, _what: &str) {}
}
