//! Adapters as they are and as they should not be: our own drivers in a child process do what they do in this one; a child
//! that is silent, dead, babbling or of another version is a verdict, and is gone afterwards.

#[path = "adapter/broken.rs"]
mod broken;
#[path = "adapter/command.rs"]
mod command;
#[path = "adapter/place.rs"]
mod place;
#[path = "adapter/relayed.rs"]
mod relayed;
#[expect(dead_code, reason = "shared with tests that use all of it")]
mod support;

use std::collections::BTreeMap;
use std::sync::Arc;

use async_trait::async_trait;
use clinker::adapter::{AdapterDriver, AdapterStore, Role};
use clinker::loader::presets::{BLOCK, CHUNK, preset};
use clinker_drivers::chunked::ChunkedDriver;
use clinker_drivers::chunked::decisions::Production;
use clinker_drivers::chunked::store::ChunkStore as _;
use clinker_drivers::{Backup, BackupDriver, Kind, Options, RequestContext, registry};
use clinker_model::fault::Stored;
use clinker_model::{Fault, FaultTarget};
use place::{Device, Place};
use support::body::{Arm, Ledger, body};
use support::s3::{NAMED, Server};
use support::{Control, noise};

/// 2 chunks and a tail.
const LEN: usize = 2 * CHUNK as usize + 12_345;

fn posix_options(place: &Place) -> BTreeMap<String, String> {
    let repository = place.folder().join("repository");
    std::fs::create_dir_all(&repository).unwrap();
    let mut options = preset("posix").unwrap().options(CHUNK, BLOCK);
    options.insert("backup_posix_path".into(), repository.display().to_string());
    options
}

fn files(place: &Place) -> Vec<String> {
    let mut found = Vec::new();
    let mut folders = vec![place.folder().join("repository")];
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(folder).unwrap().map(Result::unwrap) {
            match entry.file_type().unwrap().is_dir() {
                true => folders.push(entry.path()),
                false => found.push(entry.file_name().into_string().unwrap()),
            }
        }
    }
    found.sort();
    found
}

fn row(id: &str, parent: Option<&Backup>) -> Backup {
    Backup {
        id: format!("{id}0000000-0000-4000-8000-000000000001"),
        volume_id: "vol-1".into(),
        size: 1,
        availability_zone: "nova".into(),
        parent_id: parent.map(|parent| parent.id.clone()),
        volume_meta: Some("{\"volume\": 1}".into()),
        ..Backup::default()
    }
}

async fn stored(driver: &dyn BackupDriver, id: &str, parent: Option<&Backup>, data: &[u8]) -> Backup {
    let (control, device) = (Arc::new(Control::default()), Device::new(data.to_vec()));
    let backup = row(id, parent);
    let context = RequestContext::admin();
    driver.backup(&context, &backup, parent, &device, control.clone()).await.unwrap();
    assert_eq!(control.percents.lock().unwrap().last(), Some(&100.0), "progress is told before the answer");
    let (container, prefix) = control.location.lock().unwrap().clone().expect("asked to be saved");
    Backup { container: Some(container), service_metadata: Some(prefix), ..backup }
}

/// A backup, an increment, restores as the volume is, and the end of both.
async fn round_trip(place: &Place, driver: &dyn BackupDriver) {
    driver.do_setup().await.unwrap();
    driver.check_for_setup_error().await.unwrap();
    let before = noise(LEN, 1);
    let mut after = before.clone();
    after[70_000..76_000].fill(0);
    let full = stored(driver, "f", None, &before).await;
    let increment = stored(driver, "1", Some(&full), &after).await;
    let chain = [full.clone(), increment.clone()];
    for (chain, is_new, expected) in [(&chain[..1], true, &before), (&chain, true, &after), (&chain, false, &after)] {
        let device = Device::new(if is_new { vec![0; LEN] } else { noise(LEN, 9) });
        let control = Arc::new(Control::default());
        driver.restore(&RequestContext::admin(), chain, &device, is_new, control).await.unwrap();
        assert!(device.data() == *expected, "{} of the chain, new: {is_new}", chain.len());
    }
    assert!(driver.export_record(&increment).unwrap().is_empty());
    driver.import_record(&increment, &serde_json::Map::new()).unwrap();
    driver.verify(&RequestContext::admin(), &increment, 1).await.unwrap();
    let error = driver.verify(&RequestContext::admin(), &increment, 2).await.unwrap_err();
    assert_eq!(error.kind, Kind::InvalidBackup, "{error}");
    for backup in [&increment, &full] {
        driver.delete_backup(&RequestContext::admin(), backup).await.unwrap();
    }
    assert_eq!(files(place), [""; 0]);
}

#[tokio::test]
async fn a_whole_round_trip_of_the_posix_driver_passes_through_a_child_process() {
    let place = Place::new();
    let process = place.ours("posix", Role::Driver).await;
    assert_eq!(process.hello().name, "clinker-posix");
    let driver = AdapterDriver::new(&process, posix_options(&place));
    assert!(driver.capabilities().incremental && driver.capabilities().progress);
    round_trip(&place, &driver).await;
    assert_eq!(process.failure(), None);
    assert!(process.notifications().iter().all(|noted| !noted.late));
    drop(driver);
    place.check_gone(process);
}

#[tokio::test]
async fn a_whole_round_trip_of_the_posix_store_passes_through_a_child_process() {
    let place = Place::new();
    let process = place.ours("posix", Role::Store).await;
    let store = Arc::new(AdapterStore::new(&process, posix_options(&place)));
    assert_eq!((store.geometry().chunk, store.geometry().block), (CHUNK, BLOCK));
    let env = clinker_env::real::env();
    let driver = ChunkedDriver::new(store, env, &Options::default(), Arc::new(Production));
    round_trip(&place, &driver).await;
    assert_eq!(process.failure(), None);
}

#[tokio::test]
async fn on_a_new_volume_what_the_driver_skips_stays_unwritten() {
    let place = Place::new();
    let process = place.ours("posix", Role::Driver).await;
    let mut options = posix_options(&place);
    // The unit in which zeros are left out is 1 MiB from an object's start.
    options.insert("backup_file_size".into(), (4 << 20).to_string());
    let driver = AdapterDriver::new(&process, options);
    let mut data = vec![0; 4 << 20];
    data[5..9].copy_from_slice(b"data");
    data[3 << 20..].copy_from_slice(&noise(1 << 20, 3));
    let full = stored(&driver, "f", None, &data).await;
    for (is_new, expected) in [(true, false), (false, true)] {
        let device = Device::new(if is_new { vec![0; data.len()] } else { noise(data.len(), 4) });
        let control = Arc::new(Control::default());
        driver.restore(&RequestContext::admin(), std::slice::from_ref(&full), &device, is_new, control).await.unwrap();
        assert!(device.data() == data);
        assert_eq!(device.touched(1 << 20..3 << 20), expected, "new: {is_new}");
    }
}

#[tokio::test]
async fn a_cancel_reaches_the_driver_and_ends_the_backup() {
    let place = Place::new();
    let process = place.ours("posix", Role::Driver).await;
    let driver = AdapterDriver::new(&process, posix_options(&place));
    let device = Device::new(noise(LEN, 1));
    let control = Arc::new(place::Cancelling::after(2));
    let error = driver.backup(&RequestContext::admin(), &row("c", None), None, &device, control).await.unwrap_err();
    assert_eq!(error.to_string(), "cancelled");
    assert_eq!(files(&place), [""; 0]);
    assert_eq!(process.failure(), None);
}

#[tokio::test]
async fn options_that_the_driver_refuses_show_at_set_up() {
    let place = Place::new();
    let process = place.ours("posix", Role::Driver).await;
    let check = async |name: &str, value: &str, expected: &str| {
        let options = BTreeMap::from([(name.to_owned(), value.to_owned())]);
        let error = AdapterDriver::new(&process, options).do_setup().await.unwrap_err();
        assert!(error.to_string().starts_with(expected), "{error}");
    };
    check("backup_posix_pth", "/", "invalid_config: configure: option backup_posix_pth: no such option").await;
    check("backup_posix_path", "here", "invalid_config: do_setup: option backup_posix_path: found \"here\"").await;
    // Another driver behind the same process has options of its own, and keeps them.
    let right = AdapterDriver::new(&process, posix_options(&place));
    let wrong = AdapterDriver::new(&process, BTreeMap::from([("backup_posix_path".to_owned(), "/nowhere".to_owned())]));
    for _ in 0..2 {
        right.check_for_setup_error().await.unwrap();
        assert_eq!(wrong.check_for_setup_error().await.unwrap_err().kind, Kind::NotFound);
    }
    assert_eq!(process.failure(), None);
}

/// The fake's own ledger.
struct FakeLedger(Arc<dyn FaultTarget>);

#[async_trait]
impl Ledger for FakeLedger {
    async fn lose(&self, backup: &Backup, end: &str) {
        self.0.begin(99, &Fault::Lose(Stored { backup: backup.id.clone(), object: end.to_owned() })).unwrap();
    }

    async fn names(&self, _: &[&Backup]) -> Vec<String> {
        self.0.stored().into_iter().map(|object| format!("{}/{}", object.container, object.name)).collect()
    }
}

/// Outcomes and requests of the body over loopback, in this process or through an adapter.
async fn s3_seen(through: Option<&Place>) -> (Vec<String>, Vec<String>) {
    let env = clinker_env::real::env();
    let listener = env.net.listen(0).await.unwrap();
    let at = format!("127.0.0.1:{}", listener.port());
    let server = Server::new();
    env.tasks.spawn(Arc::clone(&server.s3).serve_on(env.clone(), listener));
    let mut options = preset("s3").unwrap().options(CHUNK, BLOCK);
    let short =
        [("backup_s3_timeout", "1"), ("backup_s3_retry_max_attempts", "1"), ("backup_s3_retry_mode", "standard")];
    options.extend(short.map(|(name, value)| (name.to_owned(), value.to_owned())));
    options.insert("backup_s3_endpoint_url".into(), format!("http://{at}"));
    options.insert("host".into(), "backup-host-1".into());
    let driver: Arc<dyn BackupDriver> = match through {
        Some(place) => Arc::new(AdapterDriver::new(&place.ours("s3", Role::Driver).await, options)),
        None => {
            let mut own = Options::default();
            options.iter().for_each(|(name, value)| own.set(name, value).unwrap());
            registry::build(&own, &env).unwrap()
        }
    };
    let target = Arc::clone(&server.s3) as Arc<dyn FaultTarget>;
    let ledger = Arc::new(FakeLedger(Arc::clone(&target)));
    let outcomes = body(&Arm { driver, misconfigured: Vec::new(), ledger, server: Some(target) }).await;
    let masked = |lines: Vec<String>| {
        let masked = |line: &String| place::without_stamps(&line.replace(&at, NAMED[0]));
        lines.iter().map(masked).collect()
    };
    (masked(outcomes), masked(server.requests.lines()))
}

#[tokio::test]
async fn errors_texts_and_requests_are_the_same_through_a_child_process() {
    let place = Place::new();
    let (here, through) = (s3_seen(None).await, s3_seen(Some(&place)).await);
    assert_eq!(here.0, through.0);
    assert_eq!(here.1, through.1);
    assert!(here.0.iter().any(|line| line.contains("timeout: restore: ")), "{:#?}", here.0);
}
