//! What simnet's TCP does as Linux does it: windows, half-close, resets, backlog; and what time each takes.

mod common;

use std::io::ErrorKind;
use std::time::Duration;

use clinker_env::{BoxStream, Env};
use clinker_world::WorldConfig;
use common::*;
use tokio::io::{AsyncReadExt, AsyncWriteExt};

/// Runs a test in simnet, in a world with this window.
fn with_window(window: u64, test: impl FnOnce(&mut Stage) + Send) {
    on_one(Engine::Simnet, WorldConfig { window, ..WorldConfig::new(1) }, test);
}

fn simnet(test: impl FnOnce(&mut Stage) + Send) {
    on_one(Engine::Simnet, WorldConfig::new(1), test);
}

/// The first connection to port 7.
async fn accepted(env: &Env) -> std::io::Result<BoxStream> {
    env.net.listen(7).await?.accept().await
}

#[test]
fn a_full_window_blocks_the_writer_until_the_reader_drains_it() {
    with_window(10_000, |stage| {
        stage.host("server", |env, notes| async move {
            let mut stream = accepted(&env).await?;
            tokio::time::sleep(secs(60)).await;
            let mut bytes = Vec::new();
            stream.read_to_end(&mut bytes).await?;
            let in_order = bytes.iter().enumerate().all(|(at, byte)| *byte == (at % 251) as u8);
            notes.add(&env, format!("read {} {in_order}", bytes.len()));
            Ok(())
        });
        stage.host("client", |env, notes| async move {
            let bytes: Vec<u8> = (0..35_000).map(|at| (at % 251) as u8).collect();
            let mut stream = env.net.connect("server", 7).await?;
            // 10,000 fill the reader's window, 10,000 more the writer's buffer.
            stream.write_all(&bytes[..20_000]).await?;
            notes.add(&env, "buffered");
            stream.write_all(&bytes[20_000..]).await?;
            notes.add(&env, "written");
            Ok(())
        });
        stage.run_to(secs(59));
        stage.noted(["buffered"]);
        stage.run_to(secs(70));
        stage.noted(["buffered", "written", "read 35000 true"]);
        // Three windows more: each time 1 ms until the writer hears of the room and 1 ms for the bytes, in whole ms of
        // tokio's timers.
        let all = stage.all();
        assert!(all[0].0 <= 5 && all[1..].iter().all(|(at, _)| (60_006..=60_012).contains(at)), "{all:?}");
    });
}

#[test]
fn a_half_closed_connection_still_carries_the_other_half() {
    on(&[Engine::Simnet, Engine::Turmoil, Engine::Real], |stage| {
        stage.host("server", |env, notes| async move {
            let mut stream = accepted(&env).await?;
            let mut question = String::new();
            stream.read_to_string(&mut question).await?;
            notes.add(&env, question);
            tokio::time::sleep(ms(200)).await;
            stream.write_all(b"answer").await?;
            Ok(())
        });
        stage.host("client", |env, notes| async move {
            let mut stream = env.net.connect("server", 7).await?;
            stream.write_all(b"question").await?;
            stream.shutdown().await?;
            let error = stream.write_all(b"more").await.unwrap_err();
            notes.add(&env, format!("{:?}", error.kind()));
            let mut answer = String::new();
            stream.read_to_string(&mut answer).await?;
            notes.add(&env, answer);
            Ok(())
        });
        stage.run_to(secs(1));
        stage.noted(["BrokenPipe", "question", "answer"]);
    });
}

/// RFC 2525 §2.17: who closes with something unread has lost data, and the peer must hear of it.
#[test]
fn closing_with_something_unread_resets_the_peer() {
    on(&[Engine::Simnet, Engine::Real], |stage| {
        stage.host("server", |env, _| async move {
            let mut stream = accepted(&env).await?;
            stream.read_exact(&mut [0; 3]).await?;
            // Let the rest arrive.
            tokio::time::sleep(ms(100)).await;
            drop(stream);
            std::future::pending().await
        });
        stage.host("client", |env, notes| async move {
            let mut stream = env.net.connect("server", 7).await?;
            stream.write_all(b"more than three").await?;
            notes.add(&env, kind(stream.read_u8().await));
            notes.add(&env, kind(stream.write_all(b"x").await));
            Ok(())
        });
        stage.run_to(secs(1));
        stage.noted(["ConnectionReset", "BrokenPipe"]);
    });
}

#[test]
fn closing_with_everything_read_is_an_end_and_writing_on_is_reset() {
    on(&[Engine::Simnet, Engine::Real], |stage| {
        stage.host("server", |env, _| async move {
            let mut stream = accepted(&env).await?;
            stream.read_exact(&mut [0; 3]).await?;
            drop(stream);
            std::future::pending().await
        });
        stage.host("client", |env, notes| async move {
            let mut stream = env.net.connect("server", 7).await?;
            stream.write_all(b"all").await?;
            notes.add(&env, format!("read {}", stream.read(&mut [0; 8]).await?));
            // The first write is answered by a reset, which the second one meets.
            notes.add(&env, kind(stream.write_all(b"x").await));
            tokio::time::sleep(ms(100)).await;
            notes.add(&env, kind(stream.write_all(b"y").await));
            Ok(())
        });
        stage.run_to(secs(1));
        stage.noted(["read 0", "ok", "BrokenPipe"]);
    });
}

/// How long the connect after 1024 others takes when nobody accepts before `accepts`, ms.
fn connect_behind_a_backlog(accepts: Duration, expected: &'static str) {
    simnet(|stage| {
        stage.host("server", move |env, _| async move {
            let mut listener = env.net.listen(7).await?;
            tokio::time::sleep(accepts).await;
            let _accepted = listener.accept().await?;
            std::future::pending().await
        });
        stage.host("client", |env, notes| async move {
            let mut open = Vec::new();
            for _ in 0..1024 {
                open.push(env.net.connect("server", 7).await?);
            }
            let tried = tokio::time::Instant::now();
            open.push(env.net.connect("server", 7).await?);
            notes.add(&env, tried.elapsed().as_millis().to_string());
            Ok(())
        });
        stage.run_to(secs(20));
        stage.noted([expected]);
    });
}

#[test]
fn a_full_backlog_drops_the_next_syn_until_somebody_accepts() {
    // 1024 connects of 2 ms are done at 2.048 s, when one was already accepted.
    connect_behind_a_backlog(secs(2), "2");
    // Tried at 2.048 s, again at 3.048 and at 5.048 s.
    connect_behind_a_backlog(secs(5), "3002");
}

#[test]
fn a_listener_that_goes_resets_whoever_waits_to_be_accepted() {
    on(&[Engine::Simnet, Engine::Real], |stage| {
        stage.host("server", |env, _| async move {
            let listener = env.net.listen(7).await?;
            tokio::time::sleep(ms(300)).await;
            drop(listener);
            std::future::pending().await
        });
        stage.host("client", |env, notes| async move {
            let mut waiting = env.net.connect("server", 7).await?;
            notes.add(&env, kind(waiting.read_u8().await));
            notes.add(&env, kind(env.net.connect("server", 7).await));
            Ok(())
        });
        stage.run_to(secs(1));
        stage.noted(["ConnectionReset", "ConnectionRefused"]);
    });
}

/// tcp(7): a SYN is sent seven times, 127 s long; data sixteen times, about 924 s long.
#[test]
fn connects_and_writes_into_nothing_give_up_when_linux_does() {
    simnet(|stage| {
        stage.echoed(|env, notes| async move {
            let mut open = env.net.connect("server", 7).await?;
            tokio::time::sleep(secs(10)).await;
            let before = tokio::time::Instant::now();
            notes.add(&env, kind(env.net.connect("server", 7).await));
            assert_eq!(before.elapsed(), secs(127));
            let before = tokio::time::Instant::now();
            open.write_all(b"x").await?;
            let error = open.read_u8().await.unwrap_err();
            assert_eq!(error.kind(), ErrorKind::TimedOut);
            notes.add(&env, format!("{} s", before.elapsed().as_secs()));
            Ok(())
        });
        stage.run_to(secs(5));
        stage.world.end_process("server", true).unwrap();
        stage.run_to(secs(2000));
        // 202 ms doubling nine times is 206.646 s up to 103.424 s, then six times 120 s: 926.646 s.
        stage.noted(["TimedOut", "926 s"]);
    });
}
