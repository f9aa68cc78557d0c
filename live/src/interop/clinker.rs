//! Clinker's side: its drivers in this process, on the real environment.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;
use clinker_drivers::chunked::format;
use clinker_drivers::{
    Backup, BackupControl, BackupDriver, Device, Error, Kind, Options, RequestContext, RestoreControl, registry,
};
use clinker_env::Env;
use tokio::time::timeout;

use super::chain::Link;
use super::stores::OptionMap;
use super::volume::{LEN, State};

/// Clinker's drivers. What fails is said as text for the table.
pub struct Clinker {
    env: Env,
    limit: Duration,
}

impl Clinker {
    /// `limit` is the time of one operation.
    pub fn new(env: Env, limit: Duration) -> Clinker {
        Clinker { env, limit }
    }

    /// Backs the state up, as an increment of the last link if there is one.
    pub async fn backup(
        &self,
        options: &OptionMap,
        links: &[Link],
        volume_id: &str,
        state: &State,
    ) -> Result<Link, String> {
        let driver = self.driver(options).await?;
        let row = Backup {
            id: self.env.rng.uuid(),
            volume_id: volume_id.to_owned(),
            size: 1,
            display_name: Some("interop".into()),
            created_at: self.env.clock.now(),
            availability_zone: "nova".into(),
            parent_id: links.last().map(|link| link.id.clone()),
            ..Backup::default()
        };
        let service = Arc::new(Service::default());
        let device = Memory(Mutex::new(state.data.clone()));
        let context = RequestContext::admin();
        self.within(driver.backup(&context, &row, links.last(), &device, service.clone())).await?;
        let location = service.location.lock().expect("no panic while the lock is held").take();
        let (container, prefix) = location.ok_or("the driver saved no location")?;
        Ok(Backup { container: Some(container), service_metadata: Some(prefix), ..row })
    }

    /// The bytes of the last link, restored to a new volume or over one that is full of something else.
    pub async fn restore(&self, options: &OptionMap, links: &[Link], volume_is_new: bool) -> Result<Vec<u8>, String> {
        let driver = self.driver(options).await?;
        let device = Memory(Mutex::new(vec![if volume_is_new { 0 } else { 0xee }; LEN]));
        let (context, service) = (RequestContext::admin(), Arc::new(Service::default()));
        self.within(driver.restore(&context, links, &device, volume_is_new, service.clone())).await?;
        let warnings = service.warnings.lock().expect("no panic while the lock is held").join("; ");
        if !warnings.is_empty() {
            return Err(format!("restored with a warning: {warnings}"));
        }
        Ok(device.0.into_inner().expect("no panic while the lock is held"))
    }

    /// Deletes the links, youngest first; fails if an object of theirs is left.
    pub async fn delete(&self, options: &OptionMap, links: &[Link]) -> Result<(), String> {
        let driver = self.driver(options).await?;
        let context = RequestContext::admin();
        for link in links.iter().rev() {
            self.within(driver.delete_backup(&context, link)).await?;
        }
        let store = registry::store(&parse(options)?, &self.env).map_err(|error| error.to_string())?;
        for link in links {
            let (container, prefix) = place(link);
            let left = self.within(store.list(&context, container, prefix)).await?;
            if !left.is_empty() {
                return Err(format!("left: {}", left.join(", ")));
            }
        }
        Ok(())
    }

    /// That each of the links has an object of this compressor and none of another.
    pub async fn check_compression(&self, options: &OptionMap, links: &[Link], wanted: &str) -> Result<(), String> {
        let store = registry::store(&parse(options)?, &self.env).map_err(|error| error.to_string())?;
        for link in links {
            let (container, prefix) = place(link);
            let name = format::metadata_name(prefix);
            let body = self.within(store.get(&RequestContext::admin(), container, &name)).await?;
            let objects = format::decode_metadata(&name, &body).map_err(|error| error.to_string())?;
            let used = |compression: &str| objects.iter().any(|object| object.compression == compression);
            let foreign = objects.iter().find(|object| object.compression != wanted && object.compression != "none");
            if !used(wanted) || foreign.is_some() {
                return Err(format!("backup {} is not compressed with {wanted}", link.id));
            }
        }
        Ok(())
    }

    /// A driver that has found its store in order.
    async fn driver(&self, options: &OptionMap) -> Result<Arc<dyn BackupDriver>, String> {
        let driver = registry::build(&parse(options)?, &self.env).map_err(|error| error.to_string())?;
        self.within(driver.do_setup()).await?;
        self.within(driver.check_for_setup_error()).await?;
        Ok(driver)
    }

    async fn within<T>(&self, work: impl Future<Output = clinker_drivers::Result<T>>) -> Result<T, String> {
        let seconds = self.limit.as_secs();
        let ended = timeout(self.limit, work).await;
        ended.map_err(|_| format!("no end within {seconds} s"))?.map_err(|error| error.to_string())
    }
}

fn place(link: &Link) -> (&str, &str) {
    (link.container.as_deref().unwrap_or_default(), link.service_metadata.as_deref().unwrap_or_default())
}

fn parse(options: &OptionMap) -> Result<Options, String> {
    let mut parsed = Options::default();
    for (name, value) in options {
        parsed.set(name, value).map_err(|error| error.to_string())?;
    }
    Ok(parsed)
}

/// A volume in memory.
struct Memory(Mutex<Vec<u8>>);

#[async_trait]
impl Device for Memory {
    fn len(&self) -> u64 {
        self.0.lock().expect("no panic while the lock is held").len() as u64
    }

    async fn read_at(&self, offset: u64, len: usize) -> clinker_drivers::Result<Bytes> {
        let data = self.0.lock().expect("no panic while the lock is held");
        let start = data.len().min(offset as usize);
        Ok(Bytes::copy_from_slice(&data[start..data.len().min(start + len)]))
    }

    async fn write_at(&self, offset: u64, new: Bytes) -> clinker_drivers::Result<()> {
        let mut data = self.0.lock().expect("no panic while the lock is held");
        match data.get_mut(offset as usize..offset as usize + new.len()) {
            Some(range) => range.copy_from_slice(&new),
            None => return Err(Error::new(Kind::InvalidVolume, "write beyond the end")),
        }
        Ok(())
    }

    async fn flush(&self) -> clinker_drivers::Result<()> {
        Ok(())
    }
}

/// The service's side of an operation that nobody cancels.
#[derive(Default)]
struct Service {
    location: Mutex<Option<(String, String)>>,
    warnings: Mutex<Vec<String>>,
}

#[async_trait]
impl BackupControl for Service {
    async fn save_location(&self, container: &str, service_metadata: &str) -> clinker_drivers::Result<()> {
        let location = (container.to_owned(), service_metadata.to_owned());
        *self.location.lock().expect("no panic while the lock is held") = Some(location);
        Ok(())
    }

    async fn check_cancelled(&self) -> clinker_drivers::Result<()> {
        Ok(())
    }

    async fn progress(&self, _backup_percent: f64) -> clinker_drivers::Result<()> {
        Ok(())
    }
}

#[async_trait]
impl RestoreControl for Service {
    async fn check_cancelled(&self) -> clinker_drivers::Result<()> {
        Ok(())
    }

    fn warn(&self, finding: &str) {
        self.warnings.lock().expect("no panic while the lock is held").push(finding.to_owned());
    }
}
