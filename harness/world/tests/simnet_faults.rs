//! The faults that simnet alone can play: what they do to a stream, to the millisecond.

mod common;

use std::time::Duration;

use clinker_env::Tasks;
use clinker_model::fault::{Answer, Bandwidth, Dns, Latency, Loss, OneWay, Reset};
use clinker_model::{ByteSize, Fault, Span};
use clinker_world::WorldConfig;
use common::*;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::time::Instant;

fn simnet<T: Send>(seed: u64, test: impl FnOnce(&mut Stage) -> T + Send) -> T {
    on_one(Engine::Simnet, WorldConfig::new(seed), test)
}

/// A server that notes how many bytes it has read until the client closed.
fn sink(stage: &mut Stage) {
    stage.host("server", |env, notes| async move {
        let mut listener = env.net.listen(7).await?;
        loop {
            let mut stream = listener.accept().await?;
            let (env, notes) = (env.clone(), notes.clone());
            Tasks::LocalSet.spawn(async move {
                let mut bytes = Vec::new();
                let read = stream.read_to_end(&mut bytes).await;
                notes.add(&env, format!("{} bytes, {}", bytes.len(), kind(read)));
            });
        }
    });
}

/// A client that connects, waits until 1 s have passed, and writes so many bytes.
fn source(stage: &mut Stage, bytes: usize) {
    stage.host("client", move |env, _| async move {
        let mut stream = env.net.connect("server", 7).await?;
        tokio::time::sleep_until(Instant::now() + secs(1) - ms(2)).await;
        stream.write_all(&vec![7; bytes]).await?;
        stream.shutdown().await?;
        std::future::pending().await
    });
}

#[test]
fn bandwidth_takes_what_the_bytes_cost() {
    for (bytes, rate, ms) in
        [(1_000_000, 1_000_000, 1000), (5_000, 10_000, 500), (100, 1_000, 100), (3_000_000, 250_000, 12_000)]
    {
        simnet(1, |stage| {
            sink(stage);
            source(stage, bytes);
            stage.begin(0, Fault::Bandwidth(Bandwidth { host: "server".to_owned(), bytes_per_second: rate }));
            stage.run_to(secs(60));
            // Written at 1 s; the last byte is sent after bytes / rate and arrives 1 ms later.
            let expected = 1000 + ms + 1;
            let all = stage.all();
            assert_eq!(all[0].1, format!("{bytes} bytes, ok"));
            assert!(
                (expected..=expected + 1).contains(&all[0].0),
                "{bytes} at {rate}: {all:?}, expected {expected} ms"
            );
            assert!(stage.bites(0) > 0);
        });
    }
}

/// Once a fault's end left the link busy for as long as its old rate would have taken, for every later fault too.
#[test]
fn a_link_that_is_quick_again_sends_what_waits_at_once() {
    simnet(1, |stage| {
        sink(stage);
        source(stage, 64 << 10);
        let drip = |rate| Fault::Bandwidth(Bandwidth { host: "server".to_owned(), bytes_per_second: rate });
        stage.begin(0, drip(1));
        stage.run_to(secs(10));
        stage.world.end(0);
        stage.begin(1, drip(1 << 20));
        stage.run_to(secs(60));
        let all = stage.all();
        assert_eq!(all[0].1, "65536 bytes, ok");
        assert!((10_000..10_100).contains(&all[0].0), "64 KiB at 1 MiB/s from 10 s on: {all:?}");
    });
}

#[test]
fn two_streams_share_the_bandwidth_of_their_link() {
    simnet(1, |stage| {
        sink(stage);
        stage.host("client", |env, _| async move {
            let mut tasks = Vec::new();
            for _ in 0..2 {
                let mut stream = env.net.connect("server", 7).await?;
                tasks.push(Tasks::LocalSet.spawn(async move { stream.write_all(&[7; 50_000]).await }));
            }
            for task in tasks {
                task.await??;
            }
            std::future::pending().await
        });
        stage.begin(0, Fault::Bandwidth(Bandwidth { host: "client".to_owned(), bytes_per_second: 100_000 }));
        stage.run_to(secs(5));
        let all = stage.all();
        assert_eq!(all.len(), 2);
        assert!((1000..1010).contains(&all[1].0), "100,000 bytes at 100,000 per second: {all:?}");
    });
}

#[test]
fn latency_is_added_to_each_way_and_jitter_stays_in_its_bounds() {
    let round_trips = |seed: u64, jitter: Span| -> Vec<u128> {
        simnet(seed, |stage| {
            stage.echoed(|env, notes| async move {
                let mut stream = env.net.connect("server", 7).await?;
                for _ in 0..20 {
                    let sent = Instant::now();
                    echo(&mut stream, "x").await?;
                    notes.add(&env, sent.elapsed().as_millis().to_string());
                }
                Ok(())
            });
            let by = Span(ms(30));
            stage.begin(0, Fault::Latency(Latency { host: "server".to_owned(), by, jitter }));
            stage.run_to(secs(20));
            assert!(stage.bites(0) > 0);
            stage.all().iter().map(|(_, text)| text.parse().unwrap()).collect()
        })
    };
    // 1 + 30 ms each way.
    assert_eq!(round_trips(1, Span::default()), [62; 20]);
    let spread = round_trips(1, Span(ms(10)));
    // Up to 10 ms more each way; tokio rounds a wake up to the next millisecond.
    assert!(spread.len() == 20 && spread.iter().all(|ms| (62..=84).contains(ms)), "{spread:?}");
    assert!(spread.iter().max().unwrap() - spread.iter().min().unwrap() >= 5, "{spread:?}");
    assert_eq!(spread, round_trips(1, Span(ms(10))));
    assert_ne!(spread, round_trips(2, Span(ms(10))));
}

#[test]
fn lost_packets_come_late_but_everything_arrives() {
    let arrived = |seed: u64, percent: f64| {
        simnet(seed, |stage| {
            sink(stage);
            source(stage, 200_000);
            stage.begin(0, Fault::Loss(Loss { host: "server".to_owned(), percent }));
            stage.run_to(secs(600));
            stage.noted(["200000 bytes, ok"]);
            (stage.all()[0].0, stage.bites(0))
        })
    };
    // The last of the pieces arrives some ns after 1001 ms, and tokio's timers have whole ms.
    let (without, _) = arrived(1, 1e-9);
    assert_eq!(without, 1002);
    let (late, bites) = arrived(1, 10.0);
    assert!(late >= 1201 && bites > 0, "{late} ms, {bites} bites");
    assert_eq!(arrived(1, 10.0), (late, bites));
    let others: Vec<u128> = (2..6).map(|seed| arrived(seed, 10.0).0).collect();
    assert!(others.iter().any(|other| *other != late), "{others:?}");
}

#[test]
fn one_way_swallows_one_direction_only() {
    let play = |from: &'static str, to: &'static str| {
        simnet(1, move |stage| {
            stage.host("server", |env, notes| async move {
                let mut stream = env.net.listen(7).await?.accept().await?;
                let mut byte = [0; 1];
                while stream.read_exact(&mut byte).await.is_ok() {
                    notes.add(&env, "heard");
                    stream.write_all(&byte).await?;
                }
                Ok(())
            });
            stage.host("client", |env, notes| async move {
                let mut stream = env.net.connect("server", 7).await?;
                tokio::time::sleep_until(Instant::now() + secs(2)).await;
                stream.write_all(b"x").await?;
                stream.read_exact(&mut [0; 1]).await?;
                notes.add(&env, "answered");
                std::future::pending().await
            });
            stage.run_to(secs(1));
            stage.begin(0, Fault::OneWay(OneWay { from: from.to_owned(), to: to.to_owned() }));
            stage.run_to(secs(4));
            let during: Vec<String> = stage.all().into_iter().map(|(_, text)| text).collect();
            assert!(stage.bites(0) > 0);
            stage.world.end(0);
            stage.run_to(secs(30));
            stage.noted(["heard", "answered"]);
            during
        })
    };
    assert_eq!(play("client", "server"), Vec::<String>::new());
    assert_eq!(play("server", "client"), ["heard"]);
}

#[test]
fn a_reset_strikes_one_connection_after_so_many_bytes() {
    simnet(1, |stage| {
        stage.host("server", |env, notes| async move {
            let mut listener = env.net.listen(7).await?;
            loop {
                let mut stream = listener.accept().await?;
                let mut bytes = Vec::new();
                let read = stream.read_to_end(&mut bytes).await;
                notes.add(&env, format!("{} {}", bytes.len(), kind(read)));
            }
        });
        stage.host("client", |env, notes| async move {
            for _ in 0..2 {
                let mut stream = env.net.connect("server", 7).await?;
                let mut written = Ok(());
                for _ in 0..10 {
                    tokio::time::sleep(ms(10)).await;
                    written = stream.write_all(&[7; 1000]).await;
                    if written.is_err() {
                        break;
                    }
                }
                notes.add(&env, kind(written));
                drop(stream);
                tokio::time::sleep(secs(1)).await;
            }
            Ok(())
        });
        let reset = Reset { host: "server".to_owned(), after: ByteSize(5000) };
        stage.begin(0, Fault::Reset(reset));
        stage.run_to(secs(10));
        // Five writes pass, the sixth strikes; the seventh meets it. The second connection is spared.
        stage.noted(["5000 ConnectionReset", "ConnectionReset", "ok", "10000 ok"]);
        assert_eq!(stage.bites(0), 1);
    });
}

#[test]
fn names_resolve_as_the_fault_says() {
    let rows: [(Answer, u64, &str, Duration); 6] = [
        (Answer::Right, 0, "ok", ms(2)),
        (Answer::Right, 3, "ok", ms(3002)),
        (Answer::Nxdomain, 0, "NotFound", ms(0)),
        (Answer::Servfail, 1, "Other", secs(1)),
        // Two tries of 5 s.
        (Answer::Silent, 0, "Other", secs(10)),
        // 127 s of SYNs to where nobody is.
        (Answer::Stale, 0, "TimedOut", secs(127)),
    ];
    for (answer, delay, expected, takes) in rows {
        on(SIMULATED, |stage| {
            let simnet = stage.engine() == Engine::Simnet;
            stage.echoed(move |env, notes| async move {
                tokio::time::sleep(secs(1)).await;
                let before = Instant::now();
                let connected = env.net.connect("server", 7).await;
                assert!(!simnet || before.elapsed() == takes, "{answer:?}: {:?}", before.elapsed());
                notes.add(&env, kind(connected));
                // Other names are not concerned.
                notes.add(&env, kind(env.net.connect("client", 7).await));
                Ok(())
            });
            stage.begin(0, Fault::Dns(Dns { host: "server".to_owned(), answer, delay: Span::secs(delay) }));
            stage.run_to(secs(200));
            stage.noted([expected, "ConnectionRefused"]);
            assert_eq!(stage.bites(0), 1);
        });
    }
}

#[test]
fn faults_that_have_ended_leave_no_trace() {
    simnet(1, |stage| {
        stage.echoed(|env, notes| async move {
            tokio::time::sleep(secs(1)).await;
            let mut stream = env.net.connect("server", 7).await?;
            let sent = Instant::now();
            echo(&mut stream, "x").await?;
            notes.add(&env, sent.elapsed().as_millis().to_string());
            Ok(())
        });
        let host = || "server".to_owned();
        for (id, fault) in [
            Fault::Pause(target("server")),
            Fault::OneWay(OneWay { from: host(), to: "client".to_owned() }),
            Fault::Bandwidth(Bandwidth { host: host(), bytes_per_second: 1 }),
            Fault::Latency(Latency { host: host(), by: Span::secs(9), jitter: Span::secs(9) }),
            Fault::Loss(Loss { host: host(), percent: 100.0 }),
            Fault::Reset(Reset { host: host(), after: ByteSize(0) }),
            Fault::Dns(Dns { host: host(), answer: Answer::Nxdomain, delay: Span::default() }),
        ]
        .into_iter()
        .enumerate()
        {
            stage.begin(id, fault);
        }
        stage.run_to(ms(500));
        (0..7).for_each(|id| stage.world.end(id));
        stage.run_to(secs(5));
        stage.noted(["2"]);
        assert_eq!((1..7).map(|id| stage.bites(id)).sum::<u64>(), 0);
    });
}

/// Nobody says anything: the peer finds out when it asks the machine that came back.
#[test]
fn a_loss_of_power_leaves_connections_half_open_until_the_machine_is_back() {
    simnet(1, |stage| {
        stage.echoed(|env, notes| async move {
            let mut open = env.net.connect("server", 7).await?;
            let early = tokio::time::timeout(secs(20), open.read_u8()).await;
            notes.add(&env, format!("silence {}", early.is_err()));
            open.write_all(b"x").await?;
            notes.add(&env, kind(open.read_u8().await));
            let mut again = env.net.connect("server", 7).await?;
            notes.add(&env, echo(&mut again, "back").await?);
            Ok(())
        });
        stage.run_to(secs(1));
        stage.world.end_process("server", true).unwrap();
        stage.run_to(secs(10));
        stage.world.restart("server").unwrap();
        stage.run_to(secs(60));
        stage.noted(["silence true", "ConnectionReset", "back"]);
        // The machine has been back since 10 s: what is sent at 20 s is answered by a reset one round trip later.
        let all = stage.all();
        assert_eq!((all[0].0, all[1].0), (20_002, 20_004));
    });
}

#[test]
fn a_machine_without_power_from_the_start_is_silent_until_it_has_some() {
    simnet(1, |stage| {
        stage.echoed(|env, notes| async move {
            let early = tokio::time::timeout(secs(5), env.net.connect("server", 7)).await;
            notes.add(&env, format!("silence {}", early.is_err()));
            tokio::time::sleep(secs(5)).await;
            let mut stream = env.net.connect("server", 7).await?;
            notes.add(&env, echo(&mut stream, "here").await?);
            Ok(())
        });
        stage.world.end_process("server", true).unwrap();
        stage.run_to(secs(8));
        stage.world.restart("server").unwrap();
        stage.run_to(secs(20));
        stage.noted(["silence true", "here"]);
    });
}
