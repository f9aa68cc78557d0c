//! The one test body that runs in a simulated world and on the real machine alike.

use std::fmt::Debug;
use std::sync::Arc;

use async_trait::async_trait;
use clinker_drivers::{Backup, BackupDriver, RequestContext, Result};
use clinker_model::fault::{Cut, HostTarget, Matching, Side, Status};
use clinker_model::{ByteSize, Fault, FaultTarget};

use super::{Control, MemoryDevice, noise};

const FULL: &str = "f0f0f0f0-0000-4000-8000-000000000001";
const INCREMENT: &str = "1c1c1c1c-0000-4000-8000-000000000002";
/// 3 chunks and a tail.
const VOLUME_BYTES: usize = 3 * (64 << 10) + 12_345;

/// What holds the objects, seen from behind.
#[async_trait]
pub trait Ledger: Send + Sync {
    /// Takes away the object of a backup that ends so.
    async fn lose(&self, backup: &Backup, end: &str);

    /// Names of the objects of these backups.
    async fn names(&self, backups: &[&Backup]) -> Vec<String>;
}

/// A world, as the body sees it.
pub struct Arm {
    pub driver: Arc<dyn BackupDriver>,
    /// A wrong key, or a repository that is not there.
    pub misconfigured: Vec<(&'static str, Arc<dyn BackupDriver>)>,
    pub ledger: Arc<dyn Ledger>,
    /// A server whose answers can be disturbed.
    pub server: Option<Arc<dyn FaultTarget>>,
}

/// Runs everything; one line per call of the driver, with its outcome.
pub async fn body(arm: &Arm) -> Vec<String> {
    let mut lines = Vec::new();
    let driver = &*arm.driver;
    note(&mut lines, "do_setup", driver.do_setup().await);
    note(&mut lines, "check_for_setup_error", driver.check_for_setup_error().await);
    for (name, misconfigured) in &arm.misconfigured {
        note(&mut lines, name, misconfigured.check_for_setup_error().await);
    }
    let before = noise(VOLUME_BYTES, 1);
    let mut after = before.clone();
    // Two blocks of the second chunk: one object of the increment.
    after[70_000..76_000].copy_from_slice(&noise(6_000, 2));
    let full = store(&mut lines, driver, FULL, None, &before).await;
    let increment = store(&mut lines, driver, INCREMENT, Some(&full), &after).await;
    let chain = [full.clone(), increment.clone()];
    restore(&mut lines, driver, &chain[..1], &before).await;
    restore(&mut lines, driver, &chain, &after).await;
    if let Some(server) = &arm.server {
        disturbed(&mut lines, driver, &**server, &chain).await;
    }
    arm.ledger.lose(&full, "-00002").await;
    restore(&mut lines, driver, &chain, &after).await;
    for backup in [&increment, &full] {
        note(&mut lines, "delete_backup", driver.delete_backup(&RequestContext::admin(), backup).await);
        lines.push(format!("left: {:?}", arm.ledger.names(&[&full, &increment]).await));
    }
    lines
}

/// What the server does wrong must look the same over simulated and real sockets.
async fn disturbed(lines: &mut Vec<String>, driver: &dyn BackupDriver, server: &dyn FaultTarget, chain: &[Backup]) {
    let host = || "swift".to_owned();
    let matching = |method: &str| Matching { method: method.into(), times: 1, ..Matching::default() };
    let cut = |side, requests| Fault::Cut(Cut { host: host(), side, after: ByteSize(1000), requests });
    let get = Matching { path: "00001".into(), ..matching("GET") };
    let faults = [
        (
            "one 503",
            Fault::Status(Status {
                host: host(),
                code: 503,
                retry_after: None,
                beyond_per_second: 0,
                requests: matching("GET"),
            }),
        ),
        ("one answer cut short", cut(Side::Response, get.clone())),
        ("answers cut short", cut(Side::Response, Matching { times: 0, ..get })),
        ("silence", Fault::Silent(HostTarget { host: host() })),
    ];
    for (id, (name, fault)) in faults.into_iter().enumerate() {
        server.begin(id, &fault).unwrap();
        let device = MemoryDevice::new(vec![0; VOLUME_BYTES]);
        let context = RequestContext::admin();
        let restored = driver.restore(&context, chain, &device, true, Arc::new(Control::default())).await;
        server.end(id);
        note(lines, name, restored);
    }
    // A put that breaks off, and one that the server refuses for want of space.
    let put = Matching { path: "-00003".into(), ..matching("PUT") };
    let full = Status {
        host: host(),
        code: 507,
        retry_after: None,
        beyond_per_second: 0,
        requests: Matching { times: 0, ..put.clone() },
    };
    for (id, (name, fault)) in
        [("one put cut short", cut(Side::Request, put)), ("507", Fault::Status(full))].into_iter().enumerate()
    {
        server.begin(10 + id, &fault).unwrap();
        let backup = Backup { id: format!("abababab-0000-4000-8000-00000000000{id}"), ..row(FULL) };
        let device = MemoryDevice::new(noise(VOLUME_BYTES, 3));
        let control = Arc::new(Control::default());
        let context = RequestContext::admin();
        let stored = driver.backup(&context, &backup, None, &device, control.clone()).await;
        server.end(10 + id);
        note(lines, name, stored);
        let (container, prefix) = control.location.lock().unwrap().clone().expect("chosen before the first put");
        let stored = Backup { container: Some(container), service_metadata: Some(prefix), ..backup };
        note(lines, "delete_backup", driver.delete_backup(&context, &stored).await);
    }
}

fn row(id: &str) -> Backup {
    Backup {
        id: id.into(),
        volume_id: "vol-1".into(),
        size: 1,
        created_at: "2027-03-04T05:06:05Z".parse().unwrap(),
        availability_zone: "nova".into(),
        ..Backup::default()
    }
}

async fn store(
    lines: &mut Vec<String>,
    driver: &dyn BackupDriver,
    id: &str,
    parent: Option<&Backup>,
    data: &[u8],
) -> Backup {
    let backup = Backup { parent_id: parent.map(|parent| parent.id.clone()), ..row(id) };
    let control = Arc::new(Control::default());
    let device = MemoryDevice::new(data.to_vec());
    let stored = driver.backup(&RequestContext::admin(), &backup, parent, &device, control.clone()).await;
    note(lines, "backup", stored);
    lines.push(format!("progress: {:?}", control.percents.lock().unwrap()));
    let (container, prefix) = control.location.lock().unwrap().clone().expect("a stored backup has a location");
    Backup { container: Some(container), service_metadata: Some(prefix), ..backup }
}

async fn restore(lines: &mut Vec<String>, driver: &dyn BackupDriver, chain: &[Backup], expected: &[u8]) {
    let device = MemoryDevice::new(vec![0; expected.len()]);
    let control = Arc::new(Control::default());
    let restored = driver.restore(&RequestContext::admin(), chain, &device, true, control.clone()).await;
    let (ok, warnings) = (restored.is_ok(), control.warnings.lock().unwrap().clone());
    note(lines, "restore", restored);
    lines.push(format!("identical: {}, warnings: {warnings:?}", device.data() == expected));
    assert!(!ok || device.data() == expected, "a restore that ends well gives the bytes back");
}

/// An outcome as a line: what came back, or kind, retry and reason text of the error.
fn note<T: Debug>(lines: &mut Vec<String>, call: &str, outcome: Result<T>) {
    lines.push(match outcome {
        Ok(value) => format!("{call}: ok {value:?}"),
        Err(error) => format!("{call}: {error} (retry {})", error.retry),
    });
}
