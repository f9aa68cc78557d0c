//! Processes: crash, restart, crash points, errors and panics; and the clock, streams and cores that they see.

mod common;

use clinker_env::{Tasks, Work};
use clinker_model::Fault;
use clinker_model::fault::{Skew, When};
use clinker_world::{Signal, SoftwareFuture, WorldConfig, WorldError, current_host};
use common::*;
use tokio::io::AsyncReadExt;

#[test]
fn a_restart_keeps_the_disk_and_goes_on_in_the_random_streams() {
    let draw = |engine: Engine, crash: bool| {
        on_one(engine, WorldConfig::new(7), |stage| {
            stage.host("host", |env, notes| async move {
                let survived = env.fs.metadata("/kept").await.is_ok();
                env.fs.create("/kept", 0o600).await?;
                notes.add(&env, format!("{survived} {}", env.rng.uuid()));
                tokio::time::sleep(ms(400)).await;
                notes.add(&env, env.rng.uuid());
                std::future::pending::<()>().await;
                Ok(())
            });
            if crash {
                stage.run_to(ms(200));
                stage.world.crash("host").unwrap();
                assert!(!stage.world.is_running("host"));
                stage.run_to(secs(1));
                stage.world.restart("host").unwrap();
                assert!(stage.world.is_running("host"));
            }
            stage.run_to(secs(2));
            stage.all()
        })
    };
    for engine in ALL {
        let (plain, crashed) = (draw(*engine, false), draw(*engine, true));
        let [(_, first), (_, second)] = &plain[..] else { panic!("{plain:?}") };
        let [(_, before), (started_ms, after), (_, _)] = &crashed[..] else { panic!("{crashed:?}") };
        assert_eq!(first, before);
        assert_eq!(after, &format!("true {second}"));
        assert!(*started_ms == 1000 || *engine == Engine::Real, "{started_ms}");
    }
}

#[test]
fn peers_of_a_crashed_process_see_the_end_and_are_refused_until_it_is_back() {
    on(ALL, |stage| {
        stage.echoed(|env, notes| async move {
            let mut open = env.net.connect("server", 7).await?;
            let end = open.read(&mut [0; 8]).await;
            notes.add(&env, format!("{end:?}"));
            notes.add(&env, kind(env.net.connect("server", 7).await));
            tokio::time::sleep(secs(1)).await;
            let mut again = env.net.connect("server", 7).await?;
            notes.add(&env, echo(&mut again, "back").await?);
            Ok(())
        });
        stage.run_to(ms(500));
        stage.world.crash("server").unwrap();
        stage.run_to(secs(1));
        stage.world.restart("server").unwrap();
        stage.run_to(ms(2500));
        stage.noted(["Ok(0)", "ConnectionRefused", "back"]);
    });
}

#[test]
fn a_process_makes_no_port_call_after_its_crash_point() {
    on(ALL, |stage| {
        let shared = stage.world.fabric().new_disk("store", "/data");
        let disk = shared.clone();
        stage.host("host", move |env, notes| {
            let fs = disk.mount("host");
            async move {
                let other = fs.clone();
                Tasks::LocalSet.spawn(async move {
                    // In the same tick as the crash point, on the same host.
                    tokio::time::sleep(ms(501)).await;
                    other.create("/data/afterwards", 0o600).await
                });
                tokio::time::sleep(ms(500)).await;
                for name in ["/data/a", "/data/b", "/data/c"] {
                    fs.create(name, 0o600).await?;
                    notes.add(&env, name);
                }
                std::future::pending::<()>().await;
                Ok(())
            }
        });
        stage.begin(3, crash_at("host", "fs.create", When::After, 2));
        let reached = stage.world.advance(secs(60)).unwrap();
        match stage.engine() {
            Engine::Turmoil => assert_eq!(reached, ms(510), "the end of the tick"),
            Engine::Simnet => assert_eq!(reached, ms(500)),
            Engine::Real => assert!(reached >= ms(500)),
        }
        let signals = stage.world.take_signals();
        assert_eq!(signals, [Signal::PointReached { host: "host".to_owned(), fault: 3 }]);
        stage.noted(["/data/a"]);
        assert_eq!(stage.bites(3), 1);
        stage.world.crash("host").unwrap();
        stage.run_to(secs(1));
        assert!(shared.contents("/data/b").is_some());
        assert!(shared.contents("/data/afterwards").is_none() && shared.contents("/data/c").is_none());
        // The second life is not parked, and the point fires once.
        stage.world.restart("host").unwrap();
        stage.run_to(secs(2));
        stage.noted(["/data/a", "/data/a", "/data/b", "/data/c"]);
    });
}

#[test]
fn a_crash_point_before_a_call_leaves_the_call_undone() {
    on(ALL, |stage| {
        let gate = stage.world.gate("host");
        stage.host("host", move |env, notes| {
            let gate = gate.clone();
            async move {
                gate.pass("db.op_finish", When::Before).await;
                notes.add(&env, "finished");
                gate.pass("db.op_finish", When::After).await;
                Ok(())
            }
        });
        stage.begin(0, crash_at("host", "db.op_finish", When::Before, 1));
        stage.world.advance(secs(1)).unwrap();
        assert_eq!(stage.world.take_signals().len(), 1);
        stage.noted([]);
    });
}

#[test]
fn a_skewed_clock_is_off_by_its_seconds_and_each_reading_bites() {
    on(SIMULATED, |stage| {
        stage.host("host", |env, notes| async move {
            for _ in 0..3 {
                tokio::time::sleep(secs(10)).await;
                notes.add(&env, "");
            }
            Ok(())
        });
        stage.run_to(secs(15));
        stage.begin(0, Fault::Skew(Skew { host: "host".to_owned(), seconds: 3600 }));
        stage.run_to(secs(25));
        stage.world.end(0);
        stage.run_to(secs(35));
        stage.noted_at([(10_000, ""), (3_620_000, ""), (30_000, "")]);
        assert_eq!(stage.bites(0), 1);
    });
}

#[test]
fn three_jobs_on_two_cores_take_what_their_bytes_cost() {
    on(SIMULATED, |stage| {
        stage.host("host", |env, notes| async move {
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
        });
        stage.run_to(secs(5));
        // 400 MiB at 400 MiB/s is 1 s; the third job waits for a core.
        stage.noted_at([(1000, "a"), (1000, "b"), (2000, "c"), (2100, "zlib")]);
    });
}

#[test]
fn a_host_may_have_its_own_number_of_cores() {
    let mut config = WorldConfig::new(1);
    config.host_cores.insert("single".to_owned(), 1);
    on_one(Engine::Simnet, config, |stage| {
        for host in ["single", "double"] {
            stage.host(host, move |env, notes| async move {
                let second = Tasks::LocalSet.spawn({
                    let env = env.clone();
                    async move { env.compute(Work::Hash, 400 << 20, || ()).await }
                });
                env.compute(Work::Hash, 400 << 20, || ()).await;
                second.await?;
                notes.add(&env, host);
                Ok(())
            });
        }
        stage.run_to(secs(5));
        stage.noted_at([(1000, "double"), (2000, "single")]);
    });
}

/// How a world fails in which one host runs this.
fn failure(stage: &mut Stage, run: impl Fn() -> SoftwareFuture + 'static) -> WorldError {
    stage.world.add_host("bystander", echo_server()).unwrap();
    stage.host("culprit", move |_, _| run());
    let first = stage.world.advance(secs(5)).unwrap_err();
    assert_eq!(stage.world.advance(secs(9)).unwrap_err().to_string(), first.to_string());
    first
}

#[test]
fn an_error_of_software_names_the_host() {
    on(ALL, |stage| {
        let error = failure(stage, || {
            Box::pin(async {
                tokio::time::sleep(ms(100)).await;
                Err("no such luck".into())
            })
        });
        assert_eq!(error.to_string(), "host `culprit` ended with an error: no such luck");
    });
}

#[test]
fn a_panic_of_software_names_the_host_and_the_place() {
    on(ALL, |stage| {
        let error = failure(stage, || Box::pin(async { panic!("on {}", current_host().unwrap()) }));
        let WorldError::Panic { host, message } = error else { panic!("{error}") };
        assert_eq!(host, "culprit");
        assert!(message.starts_with("on culprit at "), "{message}");
    });
    on(ALL, |stage| {
        let error = failure(stage, || {
            Box::pin(async {
                Tasks::LocalSet.spawn(async {
                    tokio::time::sleep(ms(200)).await;
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

/// Where one runtime serves all hosts, nobody would know whose the task is.
#[test]
fn a_task_spawned_past_its_environment_is_an_error_that_names_the_host() {
    on(&[Engine::Simnet, Engine::Real], |stage| {
        let error = failure(stage, || {
            #[expect(clippy::disallowed_methods, reason = "it is what the world must notice")]
            Box::pin(async {
                tokio::time::sleep(ms(100)).await;
                tokio::spawn(std::future::pending::<()>());
                std::future::pending().await
            })
        });
        let expected = "host `culprit` ended with an error: it spawned a task with tokio::spawn; the tasks of a process \
                        are spawned with Env::tasks";
        assert_eq!(error.to_string(), expected);
    });
}

#[test]
fn software_that_returns_takes_its_tasks_with_it_and_may_say_done() {
    on(ALL, |stage| {
        let signals = stage.world.signals();
        stage.host("host", move |env, notes| {
            let signals = signals.clone();
            async move {
                Tasks::LocalSet.spawn(async move {
                    tokio::time::sleep(secs(1)).await;
                    notes.add(&env, "outlived its process");
                });
                tokio::time::sleep(ms(500)).await;
                signals.done();
                Ok(())
            }
        });
        let reached = stage.world.advance(secs(60)).unwrap();
        assert!(reached >= ms(500), "{reached:?}");
        assert!(reached <= ms(510) || stage.engine() == Engine::Real, "{reached:?}");
        assert_eq!(stage.world.take_signals(), [Signal::Done]);
        assert!(!stage.world.is_running("host"));
        stage.run_to(secs(2));
        stage.noted([]);
    });
}

#[test]
fn a_paused_process_stands_still_while_its_kernel_goes_on() {
    on(&[Engine::Simnet, Engine::Real], |stage| {
        stage.echoed(|env, notes| async move {
            let mut open = env.net.connect("server", 7).await?;
            tokio::time::sleep(ms(500)).await;
            // The kernel answers SYNs and takes in what is sent.
            let mut late = env.net.connect("server", 7).await?;
            notes.add(&env, "connected");
            notes.add(&env, echo(&mut open, "first").await?);
            notes.add(&env, echo(&mut late, "second").await?);
            Ok(())
        });
        stage.run_to(ms(250));
        stage.begin(5, Fault::Pause(target("server")));
        stage.run_to(secs(1));
        stage.noted(["connected"]);
        assert!(stage.bites(5) > 0);
        stage.world.end(5);
        stage.run_to(secs(2));
        stage.noted(["connected", "first", "second"]);
        if stage.engine() == Engine::Simnet {
            stage.noted_at([(504, "connected"), (1001, "first"), (1003, "second")]);
        }
    });
}

#[test]
fn a_paused_process_catches_up_with_its_timers_and_dies_when_it_is_killed() {
    on(&[Engine::Simnet], |stage| {
        stage.host("host", |env, notes| async move {
            for _ in 0..3 {
                tokio::time::sleep(secs(1)).await;
                notes.add(&env, "");
            }
            std::future::pending().await
        });
        stage.run_to(ms(1500));
        stage.begin(0, Fault::Pause(target("host")));
        stage.run_to(secs(10));
        stage.world.end(0);
        stage.run_to(secs(20));
        stage.noted_at([(1000, ""), (10_000, ""), (11_000, "")]);
        stage.begin(1, Fault::Pause(target("host")));
        stage.world.restart("host").unwrap();
        stage.run_to(secs(30));
        assert_eq!(stage.all().len(), 3, "a new process on a paused host stands still, too");
        stage.world.end(1);
        stage.run_to(secs(40));
        assert_eq!(stage.all().len(), 6);
    });
}

#[test]
fn hosts_and_faults_that_make_no_sense_are_errors() {
    on(ALL, |stage| {
        let (engine, world) = (stage.engine(), &mut stage.world);
        world.add_host("host", echo_server()).unwrap();
        let cases = [
            (world.add_host("host", echo_server()), "host `host` was added twice"),
            (world.crash("hots"), "no host is named `hots`; there are: host"),
            (world.begin(0, &Fault::Refuse(target("hots"))), "no host is named `hots`; there are: host"),
            (
                world.begin(1, &Fault::Silent(target("host"))),
                "fault 1 (`silent`) is for a fake or a disk: begin it there",
            ),
        ];
        for (result, expected) in cases {
            assert_eq!(result.unwrap_err().to_string(), expected);
        }
        let refused = |fault: &str, error: Option<WorldError>| {
            let expected = format!("fault 2 (`{fault}`) cannot be played by engine {}: simnet can", engine.name());
            assert_eq!(error.map(|error| error.to_string()), (engine != Engine::Simnet).then_some(expected));
        };
        let one_way = clinker_model::fault::OneWay { from: "host".to_owned(), to: "host".to_owned() };
        refused("one_way", world.begin(2, &Fault::OneWay(one_way)).err());
        if engine == Engine::Real {
            refused("hold", world.begin(2, &Fault::Hold(target("host"))).err());
        }
        stage.run_to(ms(100));
        let late = stage.world.add_host("late", echo_server()).unwrap_err();
        assert_eq!(late.to_string(), "host `late` was added after the start of the run");
    });
}
