//! The same seed gives the same run, bit for bit, and a difference is shown where it begins.

mod common;

use clinker_env::Tasks;
use clinker_model::Fault;
use clinker_model::fault::When;
use clinker_world::trace::{Kind, Trace, first_difference};
use clinker_world::{World, run_isolated};
use common::*;

/// A run with traffic, randomness, disk, races between tasks, a hold and a crash; `odd` changes one byte late in it.
fn run(seed: u64, odd: bool) -> (u64, Trace, Vec<String>) {
    let notes = Notes::default();
    let mut world = world(seed);
    world.add_host("server", echo_server()).unwrap();
    for name in ["a", "b", "c"] {
        let notes = notes.clone();
        let host = software(move |env| {
            let notes = notes.clone();
            async move {
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
            }
        });
        world.add_host(name, host).unwrap();
    }
    world.begin(1, &crash_at("c", "fs.write", When::Before, 2)).unwrap();
    world.advance(secs(60)).unwrap();
    assert_eq!(world.take_signals().len(), 1);
    world.crash("c").unwrap();
    world.begin(0, &Fault::Hold(target("server"))).unwrap();
    run_to(&mut world, secs(5));
    world.end(0);
    world.restart("c").unwrap();
    run_to(&mut world, secs(20));
    (world.journal().hash(), world.journal().trace(), notes.texts())
}

fn on_a_thread(seed: u64, odd: bool) -> (u64, Trace, Vec<String>) {
    run_isolated("run", move || run(seed, odd)).unwrap()
}

#[test]
fn the_same_seed_gives_the_same_hash_on_two_threads() {
    let (first, trace, notes) = on_a_thread(1, false);
    on_a_thread(2, false);
    let (second, again, notes_again) = on_a_thread(1, false);
    assert!(first_difference(&trace, &again).is_none(), "{}", first_difference(&trace, &again).unwrap());
    assert_eq!((first, notes.clone()), (second, notes_again));
    assert!(trace.events.len() > 100);
    // The unbiased choices went both ways, so their agreement says something.
    assert!(notes.iter().any(|note| note.ends_with("left")) && notes.iter().any(|note| note.ends_with("right")));
}

/// tokio once decided the order in which peers saw a crashed host's connections end: it drops the tasks of a runtime by
/// task number modulo a small power of two, and task numbers count through the whole process.
#[test]
fn a_crash_ends_connections_in_the_order_of_their_opening_whatever_the_task_numbers() {
    for shift in 0..8 {
        isolated(|| {
            let scratch = tokio::runtime::Builder::new_current_thread().build().unwrap();
            (0..shift).for_each(|_| drop(scratch.spawn(async {})));
            let notes = Notes::default();
            let mut world = world(1);
            world.add_host("server", echo_server()).unwrap();
            let seen = notes.clone();
            let client = software(move |env| {
                let notes = seen.clone();
                async move {
                    use tokio::io::AsyncReadExt;
                    for n in 0..6 {
                        let mut stream = env.net.connect("server", 7).await?;
                        let (env, notes) = (env.clone(), notes.clone());
                        Tasks::LocalSet.spawn(async move {
                            let end = stream.read(&mut [0; 8]).await.unwrap();
                            notes.add(&env, format!("{n} {end}"));
                        });
                    }
                    std::future::pending().await
                }
            });
            world.add_host("client", client).unwrap();
            run_to(&mut world, secs(1));
            world.crash("server").unwrap();
            run_to(&mut world, secs(2));
            assert_eq!(notes.texts(), ["0 0", "1 0", "2 0", "3 0", "4 0", "5 0"], "shift {shift}");
        });
    }
}

#[test]
fn another_seed_gives_another_run() {
    assert_ne!(on_a_thread(1, false).0, on_a_thread(2, false).0);
}

#[test]
fn the_first_difference_is_shown_with_its_surroundings() {
    let (even, odd) = (on_a_thread(1, false).1, on_a_thread(1, true).1);
    let difference = first_difference(&even, &odd).unwrap();
    let event = odd.events[difference.at];
    assert_eq!((event.kind, event.len, odd.hosts[usize::from(event.host)].as_str()), (Kind::Write, 4, "b"));
    assert_eq!((difference.left.len(), difference.right.len()), (7, 7));
    let text = difference.to_string();
    assert!(text.starts_with(&format!("the runs differ from event {} on\nfirst run:\n", difference.at)), "{text}");
    let marked: Vec<&str> = text.lines().filter(|line| line.starts_with('>')).collect();
    assert!(marked.len() == 2 && marked.iter().all(|line| line.contains("write conn")), "{text}");

    let mut shorter = even.clone();
    shorter.events.pop();
    let difference = first_difference(&even, &shorter).unwrap();
    assert_eq!(difference.at, even.events.len() - 1);
    assert!(difference.to_string().contains("(ended)"));
}

#[test]
fn records_come_sorted_and_the_first_three_bites_of_a_fault_are_among_them() {
    use clinker_model::history::FaultPhase;
    use clinker_model::{Entry, Journal};

    isolated(|| {
        let mut world = world(1);
        world.add_host("host", echo_server()).unwrap();
        let journal = world.journal();
        journal.declare_fault(2, "silent");
        for _ in 0..5 {
            journal.bite(2, "host", "a request was not answered");
        }
        run_to(&mut world, secs(1));
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
