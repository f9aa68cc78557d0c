//! An adapter's way into a world of real sockets: through a relay that passes, refuses, holds and cuts.

use std::collections::BTreeMap;
use std::future::Future;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use clinker::adapter::relay::{Relay, RelayMode};
use clinker::adapter::{AdapterDriver, AdapterProcess, Role};
use clinker::loader::presets::{BLOCK, CHUNK, preset};
use clinker_drivers::{BackupDriver as _, RequestContext};
use clinker_env::Env;
use clinker_world::{BoxError, RealWorld, Signal, Software, World as _, WorldConfig, run_isolated};

use super::place::{Device, Place};
use super::support::s3::Server;
use super::support::{Control, noise};
use super::{row, stored};

/// Longer than it takes.
const END: Duration = Duration::from_secs(120);

fn add<F>(world: &mut RealWorld, name: &str, software: impl Fn(Env) -> F + 'static)
where
    F: Future<Output = Result<(), BoxError>> + 'static,
{
    let software: Software = Box::new(move |env| Box::pin(software(env)));
    world.add_host(name, software).unwrap();
}

/// Runs `run` on a host of a world with an S3 server.
fn in_real_world<F: Future<Output = ()> + 'static>(run: impl Fn(Env) -> F + Send + Clone + 'static) {
    let play = move || {
        // Signatures carry the time: the child's clock is this machine's.
        let epoch = clinker_env::real::env().clock.now();
        let mut world = RealWorld::new(WorldConfig { epoch, ..WorldConfig::new(7) }).unwrap();
        let server = Server::new();
        add(&mut world, "s3", move |env| {
            let s3 = Arc::clone(&server.s3);
            async move { Ok(s3.serve(env, 8080).await?) }
        });
        let signals = world.signals();
        add(&mut world, "backup-host-1", move |env| {
            let (run, signals) = (run(env), signals.clone());
            async move {
                run.await;
                signals.done();
                Ok(())
            }
        });
        world.advance(END).unwrap();
        assert_eq!(world.take_signals(), [Signal::Done], "it ends within {END:?}");
    };
    run_isolated("relay", play).unwrap();
}

fn options(port: u16) -> BTreeMap<String, String> {
    let mut options = preset("s3").unwrap().options(CHUNK, BLOCK);
    let short =
        [("backup_s3_timeout", "1"), ("backup_s3_retry_max_attempts", "0"), ("backup_s3_retry_mode", "standard")];
    options.extend(short.map(|(name, value)| (name.to_owned(), value.to_owned())));
    options.insert("backup_s3_endpoint_url".into(), format!("http://127.0.0.1:{port}"));
    options
}

#[test]
fn a_driver_in_a_child_process_works_with_a_world_through_a_relay() {
    in_real_world(|env| async move {
        let place = Place::new();
        let relay = Relay::start(&env, "s3", 8080).await.unwrap();
        let process = place.ours("s3", Role::Driver).await;
        let driver = AdapterDriver::new(&process, options(relay.port()));
        let check = async |expected: &str| match driver.check_for_setup_error().await {
            Ok(()) => assert_eq!("ok", expected),
            Err(error) => assert_eq!(error.kind.as_str(), expected, "{error}"),
        };
        check("ok").await;
        assert_eq!(relay.bites(), 0);
        relay.set(RelayMode::Refuse).await;
        check("unreachable").await;
        relay.set(RelayMode::Pass).await;
        check("ok").await;
        relay.set(RelayMode::Hold).await;
        check("timeout").await;
        assert!(relay.bites() > 0);
        relay.set(RelayMode::Pass).await;
        check("ok").await;
        relay.set(RelayMode::ResetAfter(100)).await;
        check("unreachable").await;
        relay.set(RelayMode::Pass).await;
        let data = noise(200_000, 1);
        let full = stored(&driver, "f", None, &data).await;
        relay.set(RelayMode::ResetAfter(30_000)).await;
        let (device, control) = (Device::new(data), Arc::new(Control::default()));
        let cut = driver.backup(&RequestContext::admin(), &row("c", None), None, &device, control).await;
        assert_eq!(cut.unwrap_err().kind.as_str(), "unreachable");
        relay.set(RelayMode::Pass).await;
        driver.delete_backup(&RequestContext::admin(), &full).await.unwrap();
        assert_eq!(process.failure(), None);
    });
}

#[test]
fn one_child_process_serves_one_world_after_the_other() {
    let place = Arc::new(Place::new());
    let kept: Arc<Mutex<Option<AdapterProcess>>> = Arc::default();
    for run in 0..2 {
        let (place, kept) = (Arc::clone(&place), Arc::clone(&kept));
        in_real_world(move |env| {
            let (place, kept) = (Arc::clone(&place), Arc::clone(&kept));
            async move {
                let before = kept.lock().unwrap().take();
                assert_eq!(before.is_some(), run == 1);
                let process = match before {
                    Some(process) => process,
                    None => place.ours("s3", Role::Driver).await,
                };
                let relay = Relay::start(&env, "s3", 8080).await.unwrap();
                let driver = AdapterDriver::new(&process, options(relay.port()));
                driver.check_for_setup_error().await.unwrap();
                assert_eq!(process.failure(), None);
                *kept.lock().unwrap() = Some(process);
            }
        });
    }
}
