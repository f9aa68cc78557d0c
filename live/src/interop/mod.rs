//! Interoperation with real Cinder, both ways: store × compressor × writer × reader, each link of a chain byte for byte.
//!
//! [`venv`] installs Cinder, [`cinder`] and [`clinker`] write and read chains, [`stores`] says where, [`volume`] what,
//! [`table`] shows what came of it.

mod chain;
mod cinder;
mod clinker;
mod stores;
mod table;
mod venv;
mod volume;

use std::path::PathBuf;
use std::time::Duration;

use anyhow::Context as _;
use clap::Parser;
use tokio::time::Instant;

use chain::{Chain, Writer};
use cinder::Cinder;
use clinker::Clinker;
use stores::{Kind, Store};
use table::Row;

const COMPRESSORS: [&str; 4] = ["none", "zlib", "bz2", "zstd"];

/// Restores with real Cinder what Clinker writes, and the reverse; shows for each combination whether it is byte-exact.
#[derive(Debug, Parser)]
#[command(name = "interop")]
pub struct Args {
    /// Only this store; may be repeated
    #[arg(long, value_enum)]
    store: Vec<Kind>,
    /// Where Cinder is, or is to be installed [default: target/clinker/cinder]
    #[arg(long, env = "CLINKER_CINDER_VENV", value_name = "DIR")]
    venv: Option<PathBuf>,
    /// The Python that makes the virtual environment
    #[arg(long, default_value = "python3")]
    python: PathBuf,
    /// A real S3 server instead of the built-in one
    #[arg(long, value_name = "URL", requires_all = ["s3_key", "s3_secret"])]
    s3_endpoint: Option<String>,
    /// Access key id for that server
    #[arg(long, value_name = "KEY", requires = "s3_endpoint")]
    s3_key: Option<String>,
    /// Secret access key for that server
    #[arg(long, env = "CLINKER_S3_SECRET", hide_env_values = true, value_name = "SECRET")]
    s3_secret: Option<String>,
    /// Buckets used are this name with -clinker, -cinder and -in-turn; they are created, and emptied of what was written
    #[arg(long, default_value = "interop")]
    s3_bucket: String,
    /// Seconds for one backup or restore
    #[arg(long, default_value_t = 120)]
    timeout: u64,
    /// Writes the table to this file as well
    #[arg(long, value_name = "FILE")]
    write: Option<PathBuf>,
}

/// Everything; whether each cell is byte-exact. An error says what of the set-up failed.
pub async fn run(args: &Args) -> anyhow::Result<bool> {
    let venv = venv::ready(args.venv.as_deref(), &args.python).await?;
    let start = Instant::now();
    let work = tempfile::tempdir().context("create a working folder")?;
    let env = clinker_env::real::env();
    let limit = Duration::from_secs(args.timeout);
    let mut cinder = Cinder::new(&venv, work.path(), limit);
    cinder.start().await?;
    let clinker = Clinker::new(env.clone(), limit);
    let states = volume::write_states(work.path())?;
    let volume_id = env.rng.uuid();

    let mut rows = Vec::new();
    let mut served = Vec::new();
    for kind in args.kinds() {
        let store = Store::open(kind, args, work.path(), &env).await?;
        for compressor in COMPRESSORS {
            for writer in &Writer::ALL {
                let chain = Chain { store: &store, compressor, writer, volume_id: &volume_id, states: &states };
                rows.extend(chain.play(&mut cinder, &clinker).await);
                eprintln!("{} {compressor}: written by {}, {}", store.name(), writer.name, table::summary(&rows));
            }
        }
        if let Some(refused) = store.refused() {
            eprintln!("the S3 server refused: {refused}");
        }
        served.push(store.described());
    }
    let text = table::render(&rows);
    println!("{text}\n{} in {:.0} s", table::summary(&rows), start.elapsed().as_secs_f64());
    let exact = rows.iter().all(Row::is_exact);
    if let Some(path) = &args.write {
        let document = table::document(&rows, &text, &served, &venv.versions().await?);
        std::fs::write(path, document).with_context(|| format!("write {}", path.display()))?;
    }
    if !exact && let Some(kept) = cinder.keep_log() {
        eprintln!("what Cinder said is in {}", kept.display());
    }
    Ok(exact)
}

impl Args {
    fn kinds(&self) -> Vec<Kind> {
        if self.store.is_empty() { vec![Kind::Posix, Kind::S3] } else { self.store.clone() }
    }
}
