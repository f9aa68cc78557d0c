//! The same seed gives the same run, bit for bit, and a difference is shown where it begins.

mod common;

use clinker_env::Tasks;
use clinker_model::Fault;
use clinker_model::fault::When;
use clinker_world::trace::{Kind, Trace, first_difference};
use clinker_world::{Schedule, Tracing, WorldConfig};
use common::*;

type Outcome = (u64, Trace, Vec<String>);

/// A run with traffic, randomness, disk, races between tasks, a hold and a crash; `odd` changes one byte late in it.
fn run(stage: &mut Stage, odd: bool) -> Outcome {
    stage.world.add_host("server", echo_server()).unwrap();
    for name in ["a", "b", "c"] {
        stage.host(name, move |env, notes| async move {
            let mut tasks = tokio::task::JoinSet::new();
            for n in 0..5u64 {
                let (env, notes) = (env.clone(), notes.clone());
                Tasks::LocalSet.spawn_in(&mut tasks, async move {
                    let pause = env.rng.next_u64("jitter") % 1000;
                    tokio::time::sleep(ms(pause)).await;
                    let mut stream = env.net.connect("server", 7).await?;
                    let text = if odd && name == "b" && n == 4 { "odd!" } else { "even" };
                    echo(&mut stream, text).await?;
                    let file = env.fs.create(&format!("/{n}"), 0o600).await?;
                    file.write_at(0, env.rng.uuid().into()).await?;
                    // Unbiased on purpose: which branch runs comes from the seeded scheduler.
                    tokio::select! {
                        () = std::future::ready(()) => notes.add(&env, format!("{name}{n} left")),
                        () = std::future::ready(()) => notes.add(&env, format!("{name}{n} right")),
                    }
                    Ok::<_, std::io::Error>(())
                });
            }
            while let Some(ended) = tasks.join_next().await {
                ended??;
            }
            Ok(())
        });
    }
    stage.begin(1, crash_at("c", "fs.write", When::Before, 2));
    stage.world.advance(secs(60)).unwrap();
    assert_eq!(stage.world.take_signals().len(), 1);
    stage.world.crash("c").unwrap();
    stage.begin(0, Fault::Hold(target("server")));
    stage.run_to(secs(5));
    stage.world.end(0);
    stage.world.restart("c").unwrap();
    stage.run_to(secs(20));
    let texts = stage.all().into_iter().map(|(_, text)| text).collect();
    (stage.world.journal().hash(), stage.world.journal().trace(), texts)
}

fn played(engine: Engine, config: WorldConfig, odd: bool) -> Outcome {
    on_one(engine, WorldConfig { tracing: Tracing::Kept, ..config }, |stage| run(stage, odd))
}

#[test]
fn the_same_seed_gives_the_same_hash_on_two_threads() {
    let permuted = WorldConfig { schedule: Schedule::Permuted(9), ..WorldConfig::new(1) };
    for (engine, config) in
        [(Engine::Turmoil, WorldConfig::new(1)), (Engine::Simnet, WorldConfig::new(1)), (Engine::Simnet, permuted)]
    {
        let (first, trace, notes) = played(engine, config.clone(), false);
        played(engine, WorldConfig::new(2), false);
        let (second, again, notes_again) = played(engine, config, false);
        assert!(first_difference(&trace, &again).is_none(), "{}", first_difference(&trace, &again).unwrap());
        assert_eq!((first, notes.clone()), (second, notes_again));
        assert!(trace.events.len() > 100);
        // The unbiased choices went both ways, so their agreement says something.
        assert!(notes.iter().any(|note| note.ends_with("left")) && notes.iter().any(|note| note.ends_with("right")));
    }
}

/// Three hosts send a numbered text each at the same instants; the order of arrival is the schedule's, the bytes are not.
#[test]
fn another_schedule_is_another_order_of_the_same_bytes() {
    let order = |schedule: Schedule| {
        on_one(Engine::Simnet, WorldConfig { schedule, ..WorldConfig::new(1) }, |stage| {
            stage.host("server", |env, notes| async move {
                let mut listener = env.net.listen(7).await?;
                loop {
                    let mut stream = listener.accept().await?;
                    let (env, notes) = (env.clone(), notes.clone());
                    Tasks::LocalSet.spawn(async move {
                        let mut text = String::new();
                        tokio::io::AsyncReadExt::read_to_string(&mut stream, &mut text).await.unwrap();
                        notes.add(&env, text);
                    });
                }
            });
            for name in ["a", "b", "c"] {
                stage.host(name, move |env, _| async move {
                    use tokio::io::AsyncWriteExt;
                    for round in 0..5 {
                        tokio::time::sleep(secs(1)).await;
                        env.net.connect("server", 7).await?.write_all(format!("{round}{name}").as_bytes()).await?;
                    }
                    Ok(())
                });
            }
            stage.run_to(secs(10));
            stage.all().into_iter().map(|(_, text)| text).collect::<Vec<_>>()
        })
    };
    let in_order = order(Schedule::InOrder);
    let permuted = [1, 2, 3].map(|seed| order(Schedule::Permuted(seed)));
    assert_eq!(in_order.len(), 15);
    for other in &permuted {
        assert_ne!(*other, in_order);
        let mut sorted = other.clone();
        sorted.sort();
        let mut expected = in_order.clone();
        expected.sort();
        assert_eq!(sorted, expected);
    }
    assert_ne!(permuted[0], permuted[1]);
    assert_eq!(permuted[0], order(Schedule::Permuted(1)));
}

/// tokio once decided the order in which peers saw a crashed host's connections end: it drops the tasks of a runtime by
/// task number modulo a small power of two, and task numbers count through the whole process.
#[test]
fn a_crash_ends_connections_in_the_order_of_their_opening_whatever_the_task_numbers() {
    for shift in 0..8 {
        on(SIMULATED, |stage| {
            let scratch = tokio::runtime::Builder::new_current_thread().build().unwrap();
            (0..shift).for_each(|_| drop(scratch.spawn(async {})));
            stage.echoed(|env, notes| async move {
                for n in 0..6 {
                    let mut stream = env.net.connect("server", 7).await?;
                    let (env, notes) = (env.clone(), notes.clone());
                    Tasks::LocalSet.spawn(async move {
                        let end = tokio::io::AsyncReadExt::read(&mut stream, &mut [0; 8]).await.unwrap();
                        notes.add(&env, format!("{n} {end}"));
                    });
                }
                std::future::pending().await
            });
            stage.run_to(secs(1));
            stage.world.crash("server").unwrap();
            stage.run_to(secs(2));
            stage.noted(["0 0", "1 0", "2 0", "3 0", "4 0", "5 0"]);
        });
    }
}

#[test]
fn another_seed_gives_another_run() {
    for engine in SIMULATED {
        let hash = |seed| played(*engine, WorldConfig::new(seed), false).0;
        assert_ne!(hash(1), hash(2));
    }
}

#[test]
fn the_first_difference_is_shown_with_its_surroundings() {
    for engine in SIMULATED {
        let trace = |odd| played(*engine, WorldConfig::new(1), odd).1;
        shows_its_surroundings(&trace(false), &trace(true));
    }
}

fn shows_its_surroundings(even: &Trace, odd: &Trace) {
    let difference = first_difference(even, odd).unwrap();
    let event = odd.events[difference.at];
    assert_eq!((event.kind, event.len, odd.hosts[usize::from(event.host)].as_str()), (Kind::Write, 4, "b"));
    assert_eq!((difference.left.len(), difference.right.len()), (7, 7));
    let text = difference.to_string();
    assert!(text.starts_with(&format!("the runs differ from event {} on\nfirst run:\n", difference.at)), "{text}");
    let marked: Vec<&str> = text.lines().filter(|line| line.starts_with('>')).collect();
    assert!(marked.len() == 2 && marked.iter().all(|line| line.contains("write conn")), "{text}");

    let mut shorter = even.clone();
    shorter.events.pop();
    let difference = first_difference(even, &shorter).unwrap();
    assert_eq!(difference.at, even.events.len() - 1);
    assert!(difference.to_string().contains("(ended)"));
}

#[test]
fn records_come_sorted_and_the_first_three_bites_of_a_fault_are_among_them() {
    use clinker_model::history::FaultPhase;
    use clinker_model::{Entry, Journal};

    on(SIMULATED, |stage| {
        stage.world.add_host("host", echo_server()).unwrap();
        let journal = stage.world.journal();
        journal.declare_fault(2, "silent");
        for _ in 0..5 {
            journal.bite(2, "host", "a request was not answered");
        }
        stage.run_to(secs(1));
        journal.record("host", Entry::Log { level: "INFO".into(), target: "t".into(), message: "m".into() });
        let records = journal.records();
        assert!(records.is_sorted_by_key(|record| (record.t_ns, record.n)));
        let bites = records.iter().filter(|record| {
            matches!(&record.entry, Entry::Fault { fault: 2, name, phase: FaultPhase::Bite, .. } if name == "silent")
        });
        assert_eq!((bites.count(), journal.bites(2)), (3, 5));
        assert_eq!(records.last().unwrap().t_ns, 1_000_000_000);
    });
}
