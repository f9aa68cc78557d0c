//! What the simulated network does to ordinary software, with and without faults.

mod common;

use std::io::ErrorKind;

use clinker_env::Tasks;
use clinker_model::Fault;
use clinker_world::World;
use common::*;

#[test]
fn an_echo_takes_two_ticks_and_no_fault_bites() {
    isolated(|| {
        let notes = Notes::default();
        let mut world = world(1);
        world.add_host("server", echo_server()).unwrap();
        let seen = notes.clone();
        let client = software(move |env| {
            let notes = seen.clone();
            async move {
                let mut stream = env.net.connect("server", 7).await?;
                notes.add(&env, "connected");
                notes.add(&env, echo(&mut stream, "hello").await?);
                Ok(())
            }
        });
        world.add_host("client", client).unwrap();
        run_to(&mut world, secs(1));
        // A message crosses at the next border of a 10 ms tick. The acknowledgement of a connection does not wait for one.
        let all = notes.all();
        assert_eq!(notes.texts(), ["connected", "hello"]);
        assert!(all[0].0 <= 20 && all[1].0 <= all[0].0 + 20, "{all:?}");
        assert_eq!(world.journal().bites(0), 0);
    });
}

#[test]
fn a_hold_is_a_black_hole_and_everything_arrives_at_its_end() {
    isolated(|| {
        let notes = Notes::default();
        let mut world = world(1);
        world.add_host("server", echo_server()).unwrap();
        let seen = notes.clone();
        let client = software(move |env| {
            let notes = seen.clone();
            async move {
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
            }
        });
        world.add_host("client", client).unwrap();
        run_to(&mut world, secs(1));
        world.begin(4, &Fault::Hold(target("server"))).unwrap();
        run_to(&mut world, secs(5));
        assert_eq!(notes.texts(), Vec::<String>::new());
        // The client's write and its second connect; the answer is not written while the question is on hold.
        assert_eq!(world.journal().bites(4), 2);
        world.end(4);
        run_to(&mut world, secs(6));
        let mut texts = notes.texts();
        texts.sort();
        assert_eq!(texts, ["held", "late connect true"]);
        assert!(notes.all().iter().all(|(at, _)| (5000..5050).contains(at)), "{:?}", notes.all());
        assert_eq!(world.journal().bites(4), 2);
    });
}

#[test]
fn a_link_stays_held_until_the_last_hold_on_it_ends() {
    isolated(|| {
        let notes = Notes::default();
        let mut world = world(1);
        world.add_host("server", echo_server()).unwrap();
        let seen = notes.clone();
        let client = software(move |env| {
            let notes = seen.clone();
            async move {
                env.net.connect("server", 7).await?;
                notes.add(&env, "connected");
                Ok(())
            }
        });
        world.add_host("client", client).unwrap();
        world.begin(0, &Fault::Hold(target("server"))).unwrap();
        world.begin(1, &Fault::Hold(target("client"))).unwrap();
        run_to(&mut world, secs(1));
        world.end(0);
        run_to(&mut world, secs(2));
        assert!(notes.all().is_empty());
        world.end(1);
        run_to(&mut world, secs(3));
        assert_eq!(notes.texts(), ["connected"]);
    });
}

#[test]
fn a_refusal_takes_one_round_trip_and_resets_what_is_open() {
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
                let error = open.read_u8().await.unwrap_err();
                notes.add(&env, format!("{:?}", error.kind()));
                tokio::time::sleep_until(tokio::time::Instant::now() + ms(500)).await;
                let before = tokio::time::Instant::now();
                let error = env.net.connect("server", 7).await.err().unwrap();
                assert_eq!(before.elapsed(), ms(2));
                notes.add(&env, format!("{:?}", error.kind()));
                tokio::time::sleep(secs(2)).await;
                let mut healed = env.net.connect("server", 7).await?;
                notes.add(&env, echo(&mut healed, "healed").await?);
                Ok(())
            }
        });
        world.add_host("client", client).unwrap();
        run_to(&mut world, secs(1));
        world.begin(0, &Fault::Refuse(target("server"))).unwrap();
        assert_eq!(world.journal().bites(0), 1);
        run_to(&mut world, secs(2));
        assert_eq!(world.journal().bites(0), 2);
        world.end(0);
        run_to(&mut world, secs(5));
        assert_eq!(notes.texts(), ["ConnectionReset", "ConnectionRefused", "healed"]);
        assert_eq!(notes.all()[0].0, 1000);
        assert_eq!(world.journal().bites(0), 2);
    });
}

#[test]
fn a_hundred_connections_that_nobody_accepts_harm_nobody() {
    isolated(|| {
        let notes = Notes::default();
        let mut world = world(1);
        let deaf = software(|env| async move {
            let _listener = env.net.listen(7).await?;
            std::future::pending::<()>().await;
            Ok(())
        });
        world.add_host("server", deaf).unwrap();
        let seen = notes.clone();
        let client = software(move |env| {
            let notes = seen.clone();
            async move {
                let mut open = Vec::new();
                for _ in 0..100 {
                    open.push(env.net.connect("server", 7).await?);
                }
                notes.add(&env, format!("{} connected", open.len()));
                Ok(())
            }
        });
        world.add_host("client", client).unwrap();
        run_to(&mut world, secs(10));
        assert_eq!(notes.texts(), ["100 connected"]);
    });
}

#[test]
fn errors_of_connecting_and_listening_say_what_is_wrong() {
    isolated(|| {
        let notes = Notes::default();
        let mut world = world(1);
        world.add_host("server", echo_server()).unwrap();
        let seen = notes.clone();
        let client = software(move |env| {
            let notes = seen.clone();
            async move {
                for (host, port) in [("nowhere", 7), ("server", 8)] {
                    let error = env.net.connect(host, port).await.err().unwrap();
                    notes.add(&env, format!("{host}:{port} {:?}", error.kind()));
                }
                let first = env.net.listen(9).await?;
                let kind = env.net.listen(9).await.err().unwrap().kind();
                assert_eq!(kind, ErrorKind::AddrInUse);
                drop(first);
                env.net.listen(9).await?;
                assert_ne!(env.net.listen(0).await?.port(), 0);
                notes.add(&env, "listened");
                Ok(())
            }
        });
        world.add_host("client", client).unwrap();
        run_to(&mut world, secs(1));
        assert_eq!(notes.texts(), ["nowhere:7 NotFound", "server:8 ConnectionRefused", "listened"]);
    });
}

#[test]
fn unmodified_hyper_serves_and_fetches() {
    use http_body_util::{BodyExt, Full};
    use hyper::{Request, Response, body::Bytes, service::service_fn};
    use hyper_util::rt::TokioIo;

    isolated(|| {
        let notes = Notes::default();
        let mut world = world(1);
        let server = software(|env| async move {
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
        world.add_host("server", server).unwrap();
        let seen = notes.clone();
        let client = software(move |env| {
            let notes = seen.clone();
            async move {
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
            }
        });
        world.add_host("client", client).unwrap();
        run_to(&mut world, secs(5));
        assert_eq!(notes.texts(), ["/x 0", "/x 1000000"]);
    });
}
