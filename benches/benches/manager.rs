//! Operations of the manager in real time, each from the client's request to the last event of it, with 1,000 rows in
//! the database.
//!
//! `cargo bench -p clinker-benches --bench manager [-- create | show | list | services | delete | restore]`. The volume
//! has 64 KiB; SQLite and the repository are in `/dev/shm`, so that no disk is measured; nothing crosses a network.

#[path = "manager/house.rs"]
mod house;
#[path = "common/memory.rs"]
mod memory;

use std::time::Duration;

use clinker_benches::is_measured;
use clinker_drivers::RequestContext;
use clinker_manager::api::NewBackup;
use clinker_manager::db::{Call, CreateRequest, Dump, HostChoice, RestoreTarget, ask};
use clinker_manager::model::{BackupRow, BackupStatus, VolumeRow};
use clinker_manager::quota::Limits;
use criterion::{Criterion, criterion_group, criterion_main};
use house::House;
use tokio::time::Instant;

/// What is backed up, and what is restored to.
const SOURCE: &str = "source";
const TARGET: &str = "target";

fn operations(criterion: &mut Criterion) {
    let mut runtime = tokio::runtime::Builder::new_current_thread();
    let runtime = runtime.enable_all().max_blocking_threads(2).build().expect("start the runtime");
    let house = runtime.block_on(async {
        let house = House::open().await;
        fill(&house, if is_measured() { 1000 } else { 10 }).await;
        house
    });
    let mut group = criterion.benchmark_group("manager");
    group.sample_size(20).warm_up_time(Duration::from_millis(500)).measurement_time(Duration::from_secs(3));
    // First what only looks: each of the others leaves a row in tables that are not looked at.
    group.bench_function("show", |bencher| {
        bencher.iter(|| runtime.block_on(house.api.show("row-7")).expect("it is there"))
    });
    group.bench_function("list", |bencher| bencher.iter(|| runtime.block_on(list(&house))));
    group.bench_function("services", |bencher| {
        bencher.iter(|| runtime.block_on(house.api.services()).expect("there is one"));
    });
    group.bench_function("create", |bencher| {
        bencher.iter_custom(|times| {
            each(times, || {
                let (backup, taken) = runtime.block_on(timed(create(&house)));
                runtime.block_on(remove(&house, &backup));
                taken
            })
        });
    });
    group.bench_function("delete", |bencher| {
        bencher.iter_custom(|times| {
            each(times, || {
                let backup = runtime.block_on(create(&house));
                let taken = runtime.block_on(timed(delete(&house, &backup))).1;
                runtime.block_on(forget(&house, &backup));
                taken
            })
        });
    });
    let backup = runtime.block_on(create(&house));
    group.bench_function("restore", |bencher| bencher.iter(|| runtime.block_on(restore(&house, &backup))));
    group.finish();
}

fn each(times: u64, work: impl FnMut() -> Duration) -> Duration {
    std::iter::repeat_with(work).take(times as usize).sum()
}

async fn timed<T>(work: impl Future<Output = T>) -> (T, Duration) {
    let start = Instant::now();
    let done = work.await;
    (done, start.elapsed())
}

/// Makes so many backups, as rows only, of as many volumes; and the two volumes of this bench.
async fn fill(house: &House, rows: u32) {
    let call = async |call: Call| house.db.call(call).await.expect("the rows can be made");
    let volume = |id: &str| Call::VolumeCreate { volume: VolumeRow { id: id.to_owned(), ..VolumeRow::default() } };
    call(volume(SOURCE)).await;
    call(volume(TARGET)).await;
    for n in 0..rows {
        let (backup_id, volume_id) = (format!("row-{n}"), format!("volume-{n}"));
        call(volume(&volume_id)).await;
        let request = CreateRequest {
            backup_id: backup_id.clone(),
            user_id: "user".to_owned(),
            project_id: "project".to_owned(),
            volume_id,
            display_name: None,
            display_description: None,
            container: None,
            incremental: false,
            force: false,
            snapshot_id: None,
            availability_zone: None,
            limits: Limits::NONE,
        };
        let choice = HostChoice { service_down_time: u64::MAX, pick: 0, same_host: false };
        call(Call::ApiCreate { request, choice }).await;
        call(Call::BackupSetStatus { backup_id, status: BackupStatus::Available }).await;
    }
}

/// Every row: what there is of a list, and more than a client's would be.
async fn list(house: &House) -> Dump {
    ask(house.db.as_ref(), Call::Dump).await.expect("the rows can be read")
}

async fn create(house: &House) -> BackupRow {
    let new = NewBackup { volume_id: SOURCE.to_owned(), ..NewBackup::default() };
    let backup = house.api.create(&RequestContext::admin(), new).await.expect("a backup is accepted");
    house.ended("create", &backup.id).await;
    backup
}

async fn restore(house: &House, backup: &BackupRow) {
    let target = RestoreTarget::Existing { volume_id: TARGET.to_owned() };
    house.api.restore(&RequestContext::admin(), &backup.id, target).await.expect("a restore is accepted");
    house.ended("restore", &backup.id).await;
}

async fn delete(house: &House, backup: &BackupRow) {
    house.api.delete(&RequestContext::admin(), &backup.id, false).await.expect("a delete is accepted");
    house.ended("delete", &backup.id).await;
}

/// So that there are as many rows as before.
async fn forget(house: &House, backup: &BackupRow) {
    let forgotten = house.db.call(Call::BackupForget { backup_id: backup.id.clone() }).await;
    forgotten.expect("the row is there");
}

async fn remove(house: &House, backup: &BackupRow) {
    delete(house, backup).await;
    forget(house, backup).await;
}

criterion_group!(benches, operations);
criterion_main!(benches);
