//! The bus through TLS: the broker's certificate is checked as the options say, and no credential shows anywhere.

#![cfg(feature = "tls")]

#[path = "../../harness/fakes/tests/support/mod.rs"]
mod memory;

use std::io::{self, Write};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use async_trait::async_trait;
use clinker_drivers::{Kind, Options};
use clinker_env::{BoxStream, Env, Listener, Net, Tasks};
use clinker_fakes::{BrokerConfig, BrokerFake};
use clinker_manager::bus::amqp::AmqpBus;
use clinker_manager::bus::{Bus as _, CallerContext, Cast, Method};
use rcgen::{CertificateParams, CertifiedIssuer, KeyPair, date_time_ymd};
use serde_json::{Value, json};
use tokio_rustls::TlsAcceptor;
use tokio_rustls::rustls::ServerConfig;
use tokio_rustls::rustls::crypto::ring;
use tokio_rustls::rustls::pki_types::PrivateKeyDer;

const PASSWORD: &str = "open-sesame";
const TOKEN: &str = "gAAAA-token";
const PLAIN: u16 = 5672;
const TLS: u16 = 5671;

/// A certificate for host `broker`, and the authority's in PEM form.
fn identity() -> (Arc<ServerConfig>, String) {
    let authority = CertificateParams::new(Vec::new()).unwrap();
    let authority = CertifiedIssuer::self_signed(authority, KeyPair::generate().unwrap()).unwrap();
    let mut params = CertificateParams::new(vec!["broker".to_owned()]).unwrap();
    params.not_before = date_time_ymd(2026, 1, 1);
    params.not_after = date_time_ymd(2027, 1, 1);
    let key = KeyPair::generate().unwrap();
    let certificate = params.signed_by(&key, &authority).unwrap();
    let config = ServerConfig::builder_with_provider(Arc::new(ring::default_provider()))
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_no_client_auth()
        .with_single_cert(vec![certificate.der().clone()], PrivateKeyDer::try_from(key.serialize_der()).unwrap())
        .unwrap();
    (Arc::new(config), authority.pem())
}

/// Puts a TLS server before the broker's plain port.
struct TlsNet {
    inner: Arc<dyn Net>,
    config: Arc<ServerConfig>,
}

#[async_trait]
impl Net for TlsNet {
    async fn connect(&self, host: &str, port: u16) -> io::Result<BoxStream> {
        assert_eq!((host, port), ("broker", TLS), "TLS has a port of its own");
        let mut server = self.inner.connect(host, PLAIN).await?;
        let (near, far) = tokio::io::duplex(1 << 16);
        let acceptor = TlsAcceptor::from(self.config.clone());
        Tasks::Runtime.spawn(async move {
            // A client that does not like the certificate goes away.
            if let Ok(mut stream) = acceptor.accept(far).await {
                let _ = tokio::io::copy_bidirectional(&mut stream, &mut server).await;
            }
        });
        Ok(Box::new(near))
    }

    async fn listen(&self, _: u16) -> io::Result<Box<dyn Listener>> {
        Err(io::ErrorKind::Unsupported.into())
    }
}

/// Everything that is logged.
#[derive(Clone, Default)]
struct Log(Arc<Mutex<Vec<u8>>>);

impl Write for Log {
    fn write(&mut self, text: &[u8]) -> io::Result<usize> {
        self.0.lock().unwrap().extend(text);
        Ok(text.len())
    }
    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

struct World {
    env: Env,
    broker: Arc<BrokerFake>,
    log: Log,
    /// Of the right authority, of another one.
    authorities: [tempfile::NamedTempFile; 2],
    _logging: tracing::subscriber::DefaultGuard,
}

async fn world() -> World {
    let (env, _) = memory::env();
    let config =
        BrokerConfig { host: "broker".into(), user: "cinder".into(), password: PASSWORD.into(), vhost: "/".into() };
    let broker = BrokerFake::new(config, Arc::new(memory::Memory::default()));
    let serve = broker.clone().serve(env.clone(), PLAIN);
    Tasks::Runtime.spawn(async move { drop(serve.await) });
    tokio::task::yield_now().await;
    let (config, right) = identity();
    let (_, other) = identity();
    let authorities = [right, other].map(|pem| {
        let mut file = tempfile::NamedTempFile::new().unwrap();
        file.write_all(pem.as_bytes()).unwrap();
        file
    });
    let net = Arc::new(TlsNet { inner: env.net.clone(), config });
    let log = Log::default();
    let (writer, level) = (log.clone(), tracing::Level::TRACE);
    let logging = tracing_subscriber::fmt().with_max_level(level).with_writer(move || writer.clone()).finish();
    let _logging = tracing::subscriber::set_default(logging);
    World { env: Env { net, ..env }, broker, log, authorities, _logging }
}

impl World {
    fn bus(&self, password: &str, authority: Option<usize>) -> AmqpBus {
        let mut options = Options::default();
        options.set("transport_url", &format!("rabbit://cinder:{password}@broker//")).unwrap();
        options.set("ssl", "true").unwrap();
        let path = authority.map(|number| self.authorities[number].path().to_str().unwrap().to_owned());
        options.set("ssl_ca_file", &path.unwrap_or_else(|| "/nowhere/ca.pem".to_owned())).unwrap();
        AmqpBus::new(self.env.clone(), &options).unwrap()
    }

    fn is_discreet(&self, said: &str) {
        let logged = String::from_utf8_lossy(&self.log.0.lock().unwrap()).into_owned();
        for secret in [PASSWORD, "wrong-secret", TOKEN, "Y2luZGVy"] {
            assert!(!logged.contains(secret) && !said.contains(secret), "{secret} shows: {said} {logged}");
        }
    }
}

fn request(id: &str) -> Cast {
    let (user_id, project_id, token) = ("user".into(), "project".into(), Some(TOKEN.into()));
    let context = CallerContext { user_id, project_id, token, catalog: Vec::new() };
    Cast { id: id.into(), backup_id: "b-1".into(), context, method: Method::ExportRecord, reply_to: None }
}

fn note() -> Value {
    json!({ "message_id": "m", "priority": "INFO", "payload": {}, "timestamp": "2026-11-21 18:30:00.000123" })
}

#[tokio::test(start_paused = true)]
async fn casts_calls_and_notifications_go_through_tls() {
    let world = world().await;
    let manager = world.bus(PASSWORD, Some(0));
    let mut queue = manager.consume("host-1").await.unwrap();
    let caller = world.bus(PASSWORD, Some(0));
    caller.cast("host-1", &request("1")).await.unwrap();
    assert_eq!(queue.next().await.unwrap().id, "1");
    queue.acknowledge().await.unwrap();
    let (asked, answered) = (request("2"), async {
        let call = queue.next().await.unwrap();
        manager.reply(&call.reply_to.unwrap(), &Ok(json!("an answer"))).await
    });
    let (answer, sent) = tokio::join!(caller.call("host-1", &asked, Duration::from_secs(60)), answered);
    sent.unwrap();
    assert_eq!(answer.unwrap(), json!("an answer"));
    caller.notify(&note()).await.unwrap();
    assert!(world.broker.waiting().contains(&("notifications.info".to_owned(), 1)));
    world.is_discreet("");
}

#[tokio::test(start_paused = true)]
async fn a_broker_that_is_not_to_be_trusted_gets_no_credential() {
    let world = world().await;
    let rows = [
        (PASSWORD, Some(1), Kind::Unreachable, "broker's TLS certificate is not one to trust (option ssl_ca_file)"),
        (PASSWORD, None, Kind::InvalidConfig, "option ssl_ca_file: the file cannot be read"),
        ("wrong-secret", Some(0), Kind::Auth, "broker refused the credentials"),
    ];
    for (password, authority, kind, what) in rows {
        let bus = world.bus(password, authority);
        let error = bus.notify(&note()).await.unwrap_err();
        assert_eq!((error.kind, error.what.as_str()), (kind, what));
        world.is_discreet(&format!("{error} {error:?}"));
        let error = bus.call("host-1", &request("1"), Duration::from_secs(20)).await.unwrap_err();
        let said = "timeout: host-1 did not answer within 20s (option rpc_response_timeout); it was not asked: ";
        assert_eq!(error.to_string(), format!("{said}{what}"));
        world.is_discreet(&format!("{error:?}"));
    }
    let logged = String::from_utf8_lossy(&world.log.0.lock().unwrap()).into_owned();
    assert!(logged.contains("the reply queue is away"), "{logged}");
}
