//! Processes: crash, restart, crash points, errors and panics; and the clock, streams and cores that they see.

mod common;

use clinker_env::{Tasks, Work};
use clinker_model::Fault;
use clinker_model::fault::{Skew, When};
use clinker_world::{Signal, SoftwareFuture, World, WorldError, current_host};
use common::*;

#[test]
fn a_restart_keeps_the_disk_and_goes_on_in_the_random_streams() {
    isolated(|| {
        let draw = |crash: bool| {
            let notes = Notes::default();
            let mut world = world(7);
            let seen = notes.clone();
            let host = software(move |env| {
                let notes = seen.clone();
                async move {
                    let survived = env.fs.metadata("/kept").await.is_ok();
                    env.fs.create("/kept", 0o600).await?;
                    notes.add(&env, format!("{survived} {}", env.rng.uuid()));
                    tokio::time::sleep(secs(1)).await;
                    notes.add(&env, env.rng.uuid());
                    std::future::pending::<()>().await;
                    Ok(())
                }
            });
            world.add_host("host", host).unwrap();
            if crash {
                run_to(&mut world, ms(500));
                world.crash("host").unwrap();
                assert!(!world.is_running("host"));
                run_to(&mut world, secs(3));
                world.restart("host").unwrap();
                assert!(world.is_running("host"));
            }
            run_to(&mut world, secs(10));
            notes.all()
        };
        let (plain, crashed) = (draw(false), draw(true));
        let [(_, first), (_, second)] = &plain[..] else { panic!("{plain:?}") };
        let [(_, before), (started_ms, after), (_, _)] = &crashed[..] else { panic!("{crashed:?}") };
        assert_eq!(first, before);
        assert_eq!(after, &format!("true {second}"));
        assert_eq!(*started_ms, 3000);
    });
}

#[test]
fn peers_of_a_crashed_process_see_the_end_and_are_refused_until_it_is_back() {
    isolated(|| {
        let notes = Notes::default();
        let mut world = world(1);
        world.add_host("server", echo_server()).unwrap();
        let seen = notes.clone();
        let client = software(move |env| {
            let notes = seen.clone();
            async move {
                use tokio::io::AsyncReadExt;
                let mut open = env.net.connect("server", 7).await?;
                let end = open.read(&mut [0; 8]).await;
                notes.add(&env, format!("{end:?}"));
                let refused = env.net.connect("server", 7).await.err().unwrap();
                notes.add(&env, format!("{:?}", refused.kind()));
                tokio::time::sleep(secs(3)).await;
                let mut again = env.net.connect("server", 7).await?;
                notes.add(&env, echo(&mut again, "back").await?);
                Ok(())
            }
        });
        world.add_host("client", client).unwrap();
        run_to(&mut world, secs(1));
        world.crash("server").unwrap();
        run_to(&mut world, secs(2));
        world.restart("server").unwrap();
        run_to(&mut world, secs(6));
        assert_eq!(notes.texts(), ["Ok(0)", "ConnectionRefused", "back"]);
    });
}

#[test]
fn a_process_makes_no_port_call_after_its_crash_point() {
    isolated(|| {
        let notes = Notes::default();
        let mut world = world(1);
        let shared = world.fabric().new_disk("store", "/data");
        let (seen, disk) = (notes.clone(), shared.clone());
        let host = software(move |env| {
            let (notes, fs) = (seen.clone(), disk.mount("host"));
            async move {
                let other = fs.clone();
                Tasks::LocalSet.spawn(async move {
                    // In the same tick as the crash point, on the same host.
                    tokio::time::sleep(ms(1001)).await;
                    other.create("/data/afterwards", 0o600).await
                });
                tokio::time::sleep(secs(1)).await;
                for name in ["/data/a", "/data/b", "/data/c"] {
                    fs.create(name, 0o600).await?;
                    notes.add(&env, name);
                }
                std::future::pending::<()>().await;
                Ok(())
            }
        });
        world.add_host("host", host).unwrap();
        world.begin(3, &crash_at("host", "fs.create", When::After, 2)).unwrap();
        let reached = world.advance(secs(60)).unwrap();
        assert_eq!(reached, ms(1010));
        assert_eq!(world.take_signals(), [Signal::PointReached { host: "host".to_owned(), fault: 3 }]);
        assert_eq!(notes.texts(), ["/data/a"]);
        assert_eq!(world.journal().bites(3), 1);
        world.crash("host").unwrap();
        run_to(&mut world, secs(2));
        assert!(shared.contents("/data/b").is_some());
        assert!(shared.contents("/data/afterwards").is_none() && shared.contents("/data/c").is_none());
        // The second life is not parked, and the point fires once.
        world.restart("host").unwrap();
        run_to(&mut world, secs(9));
        assert_eq!(notes.texts(), ["/data/a", "/data/a", "/data/b", "/data/c"]);
    });
}

#[test]
fn a_crash_point_before_a_call_leaves_the_call_undone() {
    isolated(|| {
        let mut world = world(1);
        let gate = world.gate("host");
        let notes = Notes::default();
        let seen = notes.clone();
        let host = software(move |env| {
            let (gate, notes) = (gate.clone(), seen.clone());
            async move {
                gate.pass("db.op_finish", When::Before).await;
                notes.add(&env, "finished");
                gate.pass("db.op_finish", When::After).await;
                Ok(())
            }
        });
        world.add_host("host", host).unwrap();
        world.begin(0, &crash_at("host", "db.op_finish", When::Before, 1)).unwrap();
        world.advance(secs(1)).unwrap();
        assert_eq!(world.take_signals().len(), 1);
        assert!(notes.all().is_empty());
    });
}

#[test]
fn a_skewed_clock_is_off_by_its_seconds_and_each_reading_bites() {
    isolated(|| {
        let notes = Notes::default();
        let mut world = world(1);
        let seen = notes.clone();
        let host = software(move |env| {
            let notes = seen.clone();
            async move {
                for _ in 0..3 {
                    tokio::time::sleep(secs(10)).await;
                    notes.add(&env, "");
                }
                Ok(())
            }
        });
        world.add_host("host", host).unwrap();
        run_to(&mut world, secs(15));
        world.begin(0, &Fault::Skew(Skew { host: "host".to_owned(), seconds: 3600 })).unwrap();
        run_to(&mut world, secs(25));
        world.end(0);
        run_to(&mut world, secs(35));
        let times: Vec<u128> = notes.all().into_iter().map(|(at, _)| at).collect();
        assert_eq!(times, [10_000, 3_620_000, 30_000]);
        assert_eq!(world.journal().bites(0), 1);
    });
}

#[test]
fn three_jobs_on_two_cores_take_what_their_bytes_cost() {
    isolated(|| {
        let notes = Notes::default();
        let mut world = world(1);
        let seen = notes.clone();
        let host = software(move |env| {
            let notes = seen.clone();
            async move {
                let jobs = ["a", "b", "c"].map(|name| {
                    let (env, notes) = (env.clone(), notes.clone());
                    Tasks::LocalSet.spawn(async move {
                        let name = env.compute(Work::Hash, 400 << 20, move || name).await;
                        notes.add(&env, name);
                    })
                });
                for job in jobs {
                    job.await?;
                }
                // 64 jobs of 64 KiB are 4 MiB at 40 MiB/s, although each alone (1.6 ms) is no whole number of ms.
                for _ in 0..64 {
                    env.compute(Work::Zlib, 64 << 10, || ()).await;
                }
                notes.add(&env, "zlib");
                Ok(())
            }
        });
        world.add_host("host", host).unwrap();
        run_to(&mut world, secs(5));
        // 400 MiB at 400 MiB/s is 1 s; the third job waits for a core.
        let expected = [(1000, "a"), (1000, "b"), (2000, "c"), (2100, "zlib")];
        assert_eq!(notes.all(), expected.map(|(at, name)| (at, name.to_owned())));
    });
}

fn failure(run: impl Fn() -> SoftwareFuture + 'static) -> WorldError {
    let mut world = world(1);
    world.add_host("bystander", echo_server()).unwrap();
    world.add_host("culprit", software(move |_| run())).unwrap();
    let first = world.advance(secs(5)).unwrap_err();
    assert_eq!(world.advance(secs(9)).unwrap_err().to_string(), first.to_string());
    first
}

#[test]
fn errors_and_panics_of_software_name_the_host() {
    isolated(|| {
        let error = failure(|| {
            Box::pin(async {
                tokio::time::sleep(secs(1)).await;
                Err("no such luck".into())
            })
        });
        assert_eq!(error.to_string(), "host `culprit` ended with an error: no such luck");

        let error = failure(|| Box::pin(async { panic!("on {}", current_host().unwrap()) }));
        let WorldError::Panic { host, message } = error else { panic!("{error}") };
        assert_eq!(host, "culprit");
        assert!(message.starts_with("on culprit at "), "{message}");

        let error = failure(|| {
            Box::pin(async {
                Tasks::LocalSet.spawn(async {
                    tokio::time::sleep(secs(2)).await;
                    panic!("in a task");
                });
                std::future::pending().await
            })
        });
        let WorldError::Panic { host, message } = error else { panic!("{error}") };
        assert_eq!(host, "culprit");
        assert!(message.starts_with("in a task at "), "{message}");
    });
}

#[test]
fn software_that_returns_takes_its_tasks_with_it_and_may_say_done() {
    isolated(|| {
        let notes = Notes::default();
        let mut world = world(1);
        let (seen, signals) = (notes.clone(), world.signals());
        let host = software(move |env| {
            let (notes, signals) = (seen.clone(), signals.clone());
            async move {
                Tasks::LocalSet.spawn(async move {
                    tokio::time::sleep(secs(2)).await;
                    notes.add(&env, "outlived its process");
                });
                tokio::time::sleep(secs(1)).await;
                signals.done();
                Ok(())
            }
        });
        world.add_host("host", host).unwrap();
        let reached = world.advance(secs(60)).unwrap();
        assert!(reached >= secs(1) && reached <= ms(1010), "{reached:?}");
        assert_eq!(world.take_signals(), [Signal::Done]);
        assert!(!world.is_running("host"));
        run_to(&mut world, secs(5));
        assert!(notes.all().is_empty());
    });
}

#[test]
fn hosts_and_faults_that_make_no_sense_are_errors() {
    isolated(|| {
        let mut world = world(1);
        world.add_host("host", echo_server()).unwrap();
        let cases = [
            (world.add_host("host", echo_server()), "host `host` was added twice"),
            (world.crash("hots"), "no host is named `hots`; there are: host"),
            (world.begin(0, &Fault::Hold(target("hots"))), "no host is named `hots`; there are: host"),
            (
                world.begin(1, &Fault::Silent(target("host"))),
                "fault 1 (`silent`) is not one of the world's own: hold, refuse, skew, crash",
            ),
        ];
        for (result, expected) in cases {
            assert_eq!(result.unwrap_err().to_string(), expected);
        }
        run_to(&mut world, secs(1));
        let late = world.add_host("late", echo_server()).unwrap_err();
        assert_eq!(late.to_string(), "host `late` was added after the start of the run");
    });
}
