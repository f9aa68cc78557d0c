//! What the network does to ordinary software, with and without faults, on every engine that can play them.

mod common;

use std::io::ErrorKind;

use clinker_env::Tasks;
use clinker_model::Fault;
use common::*;
use tokio::io::AsyncReadExt;

#[test]
fn an_echo_takes_round_trips_and_no_fault_bites() {
    on(ALL, |stage| {
        stage.echoed(|env, notes| async move {
            let mut stream = env.net.connect("server", 7).await?;
            notes.add(&env, "connected");
            notes.add(&env, echo(&mut stream, "hello").await?);
            Ok(())
        });
        stage.run_to(secs(1));
        stage.noted(["connected", "hello"]);
        let all = stage.all();
        match stage.engine() {
            // 1 ms each way.
            Engine::Simnet => stage.noted_at([(2, "connected"), (4, "hello")]),
            // A message crosses at the next border of a 10 ms tick. The acknowledgement of a connection does not wait.
            Engine::Turmoil => assert!(all[0].0 <= 20 && all[1].0 <= all[0].0 + 20, "{all:?}"),
            Engine::Real => {}
        }
        assert_eq!(stage.bites(0), 0);
    });
}

#[test]
fn a_hold_is_a_black_hole_and_everything_arrives_at_its_end() {
    on(SIMULATED, |stage| {
        stage.echoed(|env, notes| async move {
            let mut open = env.net.connect("server", 7).await?;
            tokio::time::sleep(secs(2)).await;
            let late = Tasks::LocalSet.spawn({
                let (env, notes) = (env.clone(), notes.clone());
                async move {
                    let connected = env.net.connect("server", 7).await.is_ok();
                    notes.add(&env, format!("late connect {connected}"));
                }
            });
            let back = echo(&mut open, "held").await?;
            notes.add(&env, back);
            late.await?;
            Ok(())
        });
        stage.run_to(secs(1));
        stage.begin(4, Fault::Hold(target("server")));
        stage.run_to(secs(5));
        stage.noted([]);
        // The client's write and its second connect; the answer is not written while the question is on hold.
        // On simnet their repeats too, which are swallowed one by one.
        let bites = stage.bites(4);
        assert!(bites >= 2, "{bites}");
        stage.world.end(4);
        stage.run_to(secs(6));
        let mut texts: Vec<String> = stage.all().into_iter().map(|(_, text)| text).collect();
        texts.sort();
        assert_eq!(texts, ["held", "late connect true"]);
        // On simnet with the next repeats: the SYN's 1 + 2 s after 2.002 s, the data's 202 + 404 + 808 + 1616 ms.
        assert!(stage.all().iter().all(|(at, _)| (5000..5050).contains(at)), "{:?}", stage.all());
        assert_eq!(stage.bites(4), bites);
    });
}

#[test]
fn a_link_stays_held_until_the_last_hold_on_it_ends() {
    on(SIMULATED, |stage| {
        stage.echoed(|env, notes| async move {
            env.net.connect("server", 7).await?;
            notes.add(&env, "connected");
            Ok(())
        });
        stage.begin(0, Fault::Hold(target("server")));
        stage.begin(1, Fault::Hold(target("client")));
        stage.run_to(secs(1));
        stage.world.end(0);
        stage.run_to(ms(2500));
        stage.noted([]);
        stage.world.end(1);
        // The SYN is repeated after 1 and 3 s.
        stage.run_to(secs(4));
        stage.noted(["connected"]);
    });
}

#[test]
fn a_refusal_takes_one_round_trip_and_resets_what_is_open() {
    on(ALL, |stage| {
        let simulated = stage.engine() != Engine::Real;
        stage.echoed(move |env, notes| async move {
            let mut open = env.net.connect("server", 7).await?;
            notes.add(&env, kind(open.read_u8().await));
            tokio::time::sleep(ms(100)).await;
            let before = tokio::time::Instant::now();
            let refused = env.net.connect("server", 7).await;
            assert!(!simulated || before.elapsed() == ms(2));
            notes.add(&env, kind(refused));
            tokio::time::sleep(ms(1000)).await;
            let mut healed = env.net.connect("server", 7).await?;
            notes.add(&env, echo(&mut healed, "healed").await?);
            Ok(())
        });
        stage.run_to(ms(500));
        stage.begin(0, Fault::Refuse(target("server")));
        assert_eq!(stage.bites(0), 1);
        stage.run_to(secs(1));
        assert_eq!(stage.bites(0), 2);
        stage.world.end(0);
        stage.run_to(secs(2));
        stage.noted(["ConnectionReset", "ConnectionRefused", "healed"]);
        assert!(!simulated || stage.all()[0].0 == 500);
        assert_eq!(stage.bites(0), 2);
    });
}

#[test]
fn a_hundred_connections_that_nobody_accepts_harm_nobody() {
    on(ALL, |stage| {
        stage.host("server", |env, _| async move {
            let _listener = env.net.listen(7).await?;
            std::future::pending::<()>().await;
            Ok(())
        });
        stage.host("client", |env, notes| async move {
            let mut open = Vec::new();
            for _ in 0..100 {
                open.push(env.net.connect("server", 7).await?);
            }
            notes.add(&env, format!("{} connected", open.len()));
            Ok(())
        });
        stage.run_to(secs(2));
        stage.noted(["100 connected"]);
    });
}

#[test]
fn errors_of_connecting_and_listening_say_what_is_wrong() {
    on(ALL, |stage| {
        stage.echoed(|env, notes| async move {
            for (host, port) in [("nowhere", 7), ("server", 8)] {
                let error = env.net.connect(host, port).await.err().unwrap();
                notes.add(&env, format!("{error}"));
            }
            let first = env.net.listen(9).await?;
            let error = env.net.listen(9).await.err().unwrap();
            assert_eq!(error.kind(), ErrorKind::AddrInUse);
            notes.add(&env, format!("{error}"));
            drop(first);
            env.net.listen(9).await?;
            assert_ne!(env.net.listen(0).await?.port(), 0);
            notes.add(&env, "listened");
            Ok(())
        });
        stage.run_to(secs(1));
        stage.noted(["no host is named nowhere", "connection refused by server:8", "port 9 is in use", "listened"]);
    });
}

#[test]
fn unmodified_hyper_serves_and_fetches() {
    use http_body_util::{BodyExt, Full};
    use hyper::{Request, Response, body::Bytes, service::service_fn};
    use hyper_util::rt::TokioIo;

    on(ALL, |stage| {
        stage.host("server", |env, _| async move {
            let mut listener = env.net.listen(80).await?;
            loop {
                let stream = TokioIo::new(listener.accept().await?);
                let service = service_fn(|request: Request<hyper::body::Incoming>| async move {
                    let path = request.uri().path().to_owned();
                    let body = request.into_body().collect().await?.to_bytes();
                    Ok::<_, hyper::Error>(Response::new(Full::new(Bytes::from(format!("{path} {}", body.len())))))
                });
                Tasks::LocalSet.spawn(async move {
                    let mut http = hyper::server::conn::http1::Builder::new();
                    http.auto_date_header(false).serve_connection(stream, service).await
                });
            }
        });
        stage.host("client", |env, notes| async move {
            let stream = TokioIo::new(env.net.connect("server", 80).await?);
            let (mut sender, connection) = hyper::client::conn::http1::handshake(stream).await?;
            Tasks::LocalSet.spawn(connection);
            for size in [0, 1_000_000] {
                let body = Full::new(Bytes::from(vec![7; size]));
                let request = Request::put("/x").header("host", "server").body(body)?;
                let answer = sender.send_request(request).await?;
                let text = answer.into_body().collect().await?.to_bytes();
                notes.add(&env, String::from_utf8(text.to_vec())?);
            }
            Ok(())
        });
        stage.run_to(secs(2));
        stage.noted(["/x 0", "/x 1000000"]);
    });
}
