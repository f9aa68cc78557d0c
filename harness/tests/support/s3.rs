//! An S3 server: the fake and the options that fit it, at any address.

use std::sync::Arc;

use clinker::loader::presets::{BLOCK, CHUNK, preset};
use clinker_drivers::{BackupDriver, Options, registry};
use clinker_env::Env;
use clinker_fakes::{S3Config, S3Fake, s3};

use super::Requests;

/// Address of the server in a simulated world, and of nobody.
pub const NAMED: [&str; 2] = ["s3:8080", "s3:9"];

/// The server, with the requests that it answered.
#[derive(Clone)]
pub struct Server {
    pub s3: Arc<S3Fake>,
    pub requests: Arc<Requests>,
}

impl Server {
    pub fn new() -> Server {
        let requests = Requests::new();
        let options = options(NAMED[0]);
        let access = options.backup_s3_store_access_key.expect("the preset has a key");
        let secret = options.backup_s3_store_secret_key.expect("the preset has a key");
        let keys = vec![s3::Key::new(&access, secret.expose(), "backup")];
        Server { s3: S3Fake::new(S3Config { keys, ..S3Config::default() }, requests.clone()), requests }
    }
}

/// The preset's options for a server at this address; time-outs and waits are short, so that real time is bounded.
fn options(at: &str) -> Options {
    let mut options = Options::default();
    for (name, value) in preset("s3").expect("a known preset").options(CHUNK, BLOCK) {
        options.set(&name, &value.replace(NAMED[0], at)).unwrap();
    }
    for (name, value) in
        [("backup_s3_timeout", "1"), ("backup_s3_retry_max_attempts", "1"), ("backup_s3_retry_mode", "standard")]
    {
        options.set(name, value).unwrap();
    }
    options.host = "backup-host-1".into();
    options
}

/// The drivers that a run needs: a right one, one with a wrong key, one that is sent to where nobody listens.
pub fn drivers(at: &str, nobody: &str, env: &Env) -> [Arc<dyn BackupDriver>; 3] {
    let mut wrong_key = options(at);
    wrong_key.set("backup_s3_store_secret_key", "not-the-key").unwrap();
    [options(at), wrong_key, options(nobody)].map(|options| registry::build(&options, env).unwrap())
}
