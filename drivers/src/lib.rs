//! Backup drivers: the driver trait, the chunk engine in Cinder's format, and every driver.
//!
//! Start with [`driver::BackupDriver`] (what a service asks of a driver), then [`chunked`] (the engine that turns a
//! [`chunked::store::ChunkStore`] into one). [`registry`] maps `backup_driver` to a constructor. Nothing here knows
//! of simulation: the world is reached through [`clinker_env::Env`] alone.

pub mod capability;
pub mod chunked;
pub mod context;
pub mod device;
pub mod driver;
pub mod error;
pub mod fuzzing;
pub mod http;
pub mod options;
pub mod posix;
mod recent;
pub mod registry;
pub mod s3;
pub mod swift;
pub mod tls;

pub use capability::Capabilities;
pub use context::{RequestContext, Stop};
pub use device::Device;
pub use driver::{Backup, BackupControl, BackupDriver, BackupUpdate, RestoreControl};
pub use error::{Error, Kind, Result};
pub use options::{Options, Secret};
