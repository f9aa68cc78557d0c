//! A volume in memory that strikes a server at a chosen offset, and a service that only remembers.

use std::sync::{Arc, Mutex};

use async_trait::async_trait;
use bytes::Bytes;
use clinker_drivers::{BackupControl, Device, Error, Kind, RestoreControl, Result};
use clinker_env::Env;
use tokio::time::{Duration, sleep};

use super::{Action, Server};

/// What befalls the server.
#[derive(Clone, Copy, Debug)]
pub(super) enum Blow {
    Now(Action),
    /// Nothing, but the volume takes this long.
    Pause(Duration),
    /// It stands still, and a second later it ends, with the request that was sent meanwhile.
    StopThenKill,
}

/// When the volume strikes: before the read, or after the write, at this offset.
pub(super) struct Strike {
    pub at: u64,
    pub blow: Blow,
    pub server: Arc<dyn Server>,
    pub env: Env,
}

impl Strike {
    async fn check(&self, offset: u64) -> Result<()> {
        if offset != self.at {
            return Ok(());
        }
        let action = match self.blow {
            Blow::Now(action) => action,
            Blow::Pause(pause) => {
                sleep(pause).await;
                return Ok(());
            }
            Blow::StopThenKill => {
                let server = Arc::clone(&self.server);
                self.env.tasks.spawn(async move {
                    sleep(Duration::from_secs(1)).await;
                    // A failure shows in the outcome: the server only hangs.
                    let _ = server.apply(Action::Kill).await;
                });
                Action::Stop
            }
        };
        let failed = |error: anyhow::Error| Error::new(Kind::Internal, format!("the server was not struck: {error}"));
        self.server.apply(action).await.map_err(failed)
    }
}

/// Bytes in memory.
pub(super) struct Volume {
    data: Mutex<Vec<u8>>,
    strike: Option<Strike>,
}

impl Volume {
    pub(super) fn new(data: Vec<u8>, strike: Option<Strike>) -> Volume {
        Volume { data: Mutex::new(data), strike }
    }

    pub(super) fn into_data(self) -> Vec<u8> {
        self.data.into_inner().expect("no panic while locked")
    }

    async fn strike(&self, offset: u64) -> Result<()> {
        match &self.strike {
            Some(strike) => strike.check(offset).await,
            None => Ok(()),
        }
    }
}

#[async_trait]
impl Device for Volume {
    fn len(&self) -> u64 {
        self.data.lock().expect("no panic while locked").len() as u64
    }

    async fn read_at(&self, offset: u64, len: usize) -> Result<Bytes> {
        self.strike(offset).await?;
        let data = self.data.lock().expect("no panic while locked");
        let start = data.len().min(offset as usize);
        Ok(Bytes::copy_from_slice(&data[start..data.len().min(start + len)]))
    }

    async fn write_at(&self, offset: u64, new: Bytes) -> Result<()> {
        {
            let mut data = self.data.lock().expect("no panic while locked");
            let target = data.get_mut(offset as usize..offset as usize + new.len());
            target.ok_or_else(|| Error::new(Kind::InvalidVolume, "write beyond the end"))?.copy_from_slice(&new);
        }
        self.strike(offset).await
    }

    async fn flush(&self) -> Result<()> {
        Ok(())
    }
}

/// The service's side of an operation.
#[derive(Default)]
pub(super) struct Service {
    location: Mutex<Option<(String, String)>>,
}

impl Service {
    /// Container and prefix, once the driver has told them.
    pub(super) fn location(&self) -> Option<(String, String)> {
        self.location.lock().expect("no panic while locked").clone()
    }
}

#[async_trait]
impl BackupControl for Service {
    async fn save_location(&self, container: &str, service_metadata: &str) -> Result<()> {
        let location = (container.to_owned(), service_metadata.to_owned());
        *self.location.lock().expect("no panic while locked") = Some(location);
        Ok(())
    }

    async fn check_cancelled(&self) -> Result<()> {
        Ok(())
    }

    async fn progress(&self, _: f64) -> Result<()> {
        Ok(())
    }
}

#[async_trait]
impl RestoreControl for Service {
    async fn check_cancelled(&self) -> Result<()> {
        Ok(())
    }

    fn warn(&self, finding: &str) {
        eprintln!("a restore warned: {finding}");
    }
}
