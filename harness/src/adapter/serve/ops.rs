//! Each request as a call of the driver or of its store.

use std::sync::Arc;

use async_trait::async_trait;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use clinker_drivers::chunked::store::{ChunkStore, Geometry};
use clinker_drivers::{
    Backup, BackupControl, BackupDriver, Error, Kind, Options, RequestContext, RestoreControl, Result, registry,
};
use clinker_env::Env;
use serde_json::{Map, Value, json};

use super::device::FileDevice;
use super::link::Link;
use super::refused;
use crate::adapter::message::{Event, Failed, Op, PROGRESS, Question, Role, StoreFacts};

/// What the requests go to.
pub(super) enum Served {
    Driver(Arc<dyn BackupDriver>),
    Store(Arc<dyn ChunkStore>),
}

/// The claims of a built-in driver.
pub(super) fn capabilities(driver: &str) -> Vec<&'static str> {
    let mut all = vec!["chunked", "progress", "incremental", "force_delete", "sparse", "fixtures", "volume_meta"];
    match driver {
        "swift" => all.extend(["swift", "net", "auth", "etag_md5", "list_bound"]),
        "s3" => all.extend(["s3", "net", "auth", "etag_md5"]),
        _ => all.push("posix"),
    }
    all
}

fn done(result: Result<()>) -> Result<Value> {
    result.map(|()| json!({}))
}

impl Served {
    /// With what `configure` is answered.
    pub fn new(options: &Options, role: Role, env: &Env) -> Result<(Served, Value)> {
        if role == Role::Driver {
            return Ok((Served::Driver(registry::build(options, env)?), json!({})));
        }
        let store = registry::store(options, env)?;
        let Geometry { chunk, block, progress_timer } = store.geometry();
        let facts = StoreFacts { chunk, block, progress_timer, host_bound: store.host_bound() };
        Ok((Served::Store(store), json!(facts)))
    }

    pub async fn answer(&self, op: Op, link: &Arc<Link>) -> Result<Value, Failed> {
        let name = op.name();
        let answer = match self {
            Served::Driver(driver) => driver_op(&**driver, op, link).await,
            Served::Store(store) => store_op(&**store, op).await,
        };
        let of_this_role = answer.ok_or_else(|| refused(format!("{name} is not of this role")))?;
        of_this_role.map_err(|error| Failed::from(&error))
    }
}

/// None for a request of the other role.
async fn driver_op(driver: &dyn BackupDriver, op: Op, link: &Arc<Link>) -> Option<Result<Value>> {
    Some(match op {
        Op::DoSetup {} => done(driver.do_setup().await),
        Op::CheckForSetupError {} => done(driver.check_for_setup_error().await),
        Op::Backup { context, backup, parent, device, volume_size } => match FileDevice::open(&device, volume_size) {
            Ok(device) => {
                let control = Arc::new(Control { link: Arc::clone(link), backup: backup.id.clone() });
                let (context, backup, parent) = (context.into(), backup.into(), parent.map(Backup::from));
                let update = driver.backup(&context, &backup, parent.as_ref(), &device, control).await;
                update.map(|update| json!({ "object_count": update.object_count }))
            }
            Err(error) => Err(error),
        },
        Op::Restore { context, chain, device, volume_size, volume_is_new } => {
            match FileDevice::open(&device, volume_size) {
                Ok(device) => {
                    let chain: Vec<Backup> = chain.into_iter().map(Backup::from).collect();
                    let backup = chain.last().map(|backup| backup.id.clone()).unwrap_or_default();
                    let control = Arc::new(Control { link: Arc::clone(link), backup });
                    done(driver.restore(&context.into(), &chain, &device, volume_is_new, control).await)
                }
                Err(error) => Err(error),
            }
        }
        Op::DeleteBackup { context, backup } => done(driver.delete_backup(&context.into(), &backup.into()).await),
        Op::ExportRecord { backup } => driver.export_record(&backup.into()).map(|info| json!({ "driver_info": info })),
        Op::ImportRecord { backup, driver_info } => done(driver.import_record(&backup.into(), &driver_info)),
        Op::Verify { context, backup, object_count } => {
            done(driver.verify(&context.into(), &backup.into(), object_count).await)
        }
        _ => return None,
    })
}

/// None for a request of the other role.
async fn store_op(store: &dyn ChunkStore, op: Op) -> Option<Result<Value>> {
    let caller = RequestContext::from;
    Some(match op {
        Op::CheckOptions {} => done(store.check_options()),
        Op::CheckForSetupError {} => done(store.check_for_setup_error().await),
        Op::ContainerFor { backup } => store.container_for(&backup.into()).map(|found| json!({ "container": found })),
        Op::ObjectPrefix { backup, now } => Ok(json!({ "prefix": store.object_prefix(&backup.into(), now) })),
        Op::PutContainer { context, container } => done(store.put_container(&caller(context), &container).await),
        Op::List { context, container, prefix } => {
            store.list(&caller(context), &container, &prefix).await.map(|names| json!({ "names": names }))
        }
        Op::Put { context, container, name, body, md5 } => match decoded(&body, &md5) {
            Ok((body, md5)) => done(store.put(&caller(context), &container, &name, body.into(), md5).await),
            Err(error) => Err(error),
        },
        Op::Get { context, container, name } => {
            let body = store.get(&caller(context), &container, &name).await;
            body.map(|body| json!({ "body": BASE64.encode(&body) }))
        }
        Op::Delete { context, container, name } => done(store.delete(&caller(context), &container, &name).await),
        Op::DiscardPartial { context, container, prefix } => {
            done(store.discard_partial(&caller(context), &container, &prefix).await)
        }
        _ => return None,
    })
}

fn decoded(body: &str, md5: &str) -> Result<(Vec<u8>, [u8; 16])> {
    let mut digest = [0; 16];
    let wrong = |what: &str| Error::new(Kind::Internal, format!("put: {what}"));
    hex::decode_to_slice(md5, &mut digest).map_err(|error| wrong("md5 is not 32 hex digits").with_source(error))?;
    let body = BASE64.decode(body).map_err(|error| wrong("body is not base64").with_source(error))?;
    Ok((body, digest))
}

/// The service's side of an operation, which is at the other end of the link.
struct Control {
    link: Arc<Link>,
    backup: String,
}

impl Control {
    async fn go_on(&self) -> Result<()> {
        match self.link.ask(&Question::Cancelled { backup: self.backup.clone() }).await? {
            Value::Bool(true) => Err(Error::cancelled()),
            _ => Ok(()),
        }
    }
}

#[async_trait]
impl BackupControl for Control {
    async fn save_location(&self, container: &str, service_metadata: &str) -> Result<()> {
        let (container, service_metadata) = (container.to_owned(), service_metadata.to_owned());
        let question = Question::SaveLocation { backup: self.backup.clone(), container, service_metadata };
        self.link.ask(&question).await.map(drop)
    }

    async fn check_cancelled(&self) -> Result<()> {
        self.go_on().await
    }

    async fn progress(&self, backup_percent: f64) -> Result<()> {
        let payload = Map::from_iter([("backup_percent".to_owned(), backup_percent.into())]);
        let event_type = PROGRESS.to_owned();
        self.link.tell(&Event::Notification { backup: self.backup.clone(), event_type, payload });
        Ok(())
    }
}

#[async_trait]
impl RestoreControl for Control {
    async fn check_cancelled(&self) -> Result<()> {
        self.go_on().await
    }

    async fn volume_meta(&self, volume_meta: Option<&str>) -> Result<()> {
        let volume_meta = volume_meta.map(str::to_owned);
        self.link.ask(&Question::VolumeMeta { backup: self.backup.clone(), volume_meta }).await.map(drop)
    }

    fn warn(&self, finding: &str) {
        self.link.tell(&Event::Warning { backup: self.backup.clone(), finding: finding.to_owned() });
    }
}
