//! A client that fetches 1 KiB again and again over one connection.

use std::convert::Infallible;
use std::time::Duration;

use bytes::Bytes;
use clinker_env::Env;
use clinker_world::{BoxError, Software, World};
use http_body_util::{BodyExt, Full};
use hyper::service::service_fn;
use hyper::{Request, Response};
use hyper_util::rt::TokioIo;

/// Longer than any number of requests takes.
const END: Duration = Duration::from_secs(86_400);

pub fn keep_alive(world: &mut dyn World, count: u32) {
    let server: Software = Box::new(|env| Box::pin(serve(env)));
    world.add_host("server", server).expect("the first host");
    let signals = world.signals();
    let client: Software = Box::new(move |env| {
        let signals = signals.clone();
        Box::pin(async move {
            fetch(&env, count).await?;
            signals.done();
            Ok(())
        })
    });
    world.add_host("client", client).expect("another name");
    world.advance(END).expect("no request fails");
    assert_eq!(world.take_signals().len(), 1, "all requests were answered");
}

async fn serve(env: Env) -> Result<(), BoxError> {
    let mut listener = env.net.listen(80).await?;
    let body = Bytes::from(vec![7; 1024]);
    loop {
        let stream = TokioIo::new(listener.accept().await?);
        let body = body.clone();
        env.tasks.spawn(async move {
            let service = service_fn(move |_| {
                let body = body.clone();
                async move { Ok::<_, Infallible>(Response::new(Full::new(body))) }
            });
            let mut http = hyper::server::conn::http1::Builder::new();
            http.auto_date_header(false).serve_connection(stream, service).await
        });
    }
}

async fn fetch(env: &Env, count: u32) -> Result<(), BoxError> {
    let stream = TokioIo::new(env.net.connect("server", 80).await?);
    let (mut sender, connection) = hyper::client::conn::http1::handshake(stream).await?;
    env.tasks.spawn(connection);
    for _ in 0..count {
        let request = Request::get("/").header("host", "server").body(Full::<Bytes>::default())?;
        let body = sender.send_request(request).await?.into_body().collect().await?.to_bytes();
        assert_eq!(body.len(), 1024);
    }
    Ok(())
}
