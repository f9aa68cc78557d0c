//! The fakes of the simulation, served over loopback TCP, with the faults that stand for what befalls a real server.

use std::sync::Arc;

use anyhow::{Result, anyhow};
use async_trait::async_trait;
use clinker_env::{Env, Listener};
use clinker_fakes::s3::Key;
use clinker_fakes::swift::{Access, V1User};
use clinker_fakes::{S3Config, S3Fake, SwiftConfig, SwiftFake, TokenRegistry};
use clinker_model::fault::{Full, HostTarget, Matching, Status};
use clinker_model::{ByteSize, Entry, Fault, FaultId, FaultTarget, Journal};
use tokio::sync::Mutex;
use tokio::task::JoinHandle;

use super::admin::Admin;
use super::{ACCOUNT, Action, KEY, Quota, RESELLER, RESELLER_KEY, Server, USER};

const STOPPED: FaultId = 1;
const NO_OBJECTS: FaultId = 2;
const NO_TOKENS: FaultId = 3;
const FULL: FaultId = 4;

/// What is asked of the fakes is judged by the drivers' outcomes alone.
struct NoJournal;

impl Journal for NoJournal {
    fn record(&self, _: &str, _: Entry) {}

    fn bite(&self, _: FaultId, _: &str, _: &str) {}
}

enum Kind {
    Swift(Arc<SwiftFake>, Box<Admin>),
    S3(Arc<S3Fake>),
}

/// A fake on a port of 127.0.0.1.
pub struct FakeServer {
    env: Env,
    port: u16,
    kind: Kind,
    /// The server process; None while it is dead.
    process: Mutex<Option<JoinHandle<()>>>,
}

impl FakeServer {
    pub async fn swift(env: &Env) -> Result<FakeServer> {
        let listener = env.net.listen(0).await?;
        let port = listener.port();
        let mut reseller = V1User::owner(RESELLER, RESELLER_KEY, "AUTH_admin");
        reseller.access = Access::Reseller;
        let config = SwiftConfig {
            storage_url: format!("http://127.0.0.1:{port}"),
            users: vec![V1User::owner(USER, KEY, ACCOUNT), reseller],
            ..SwiftConfig::default()
        };
        let journal = Arc::new(NoJournal);
        let fake = SwiftFake::new(config, TokenRegistry::new(journal.clone()), journal);
        FakeServer::up(env, listener, Kind::Swift(fake, Box::new(Admin::new(env, port)?))).await
    }

    pub async fn s3(env: &Env) -> Result<FakeServer> {
        let config = S3Config { keys: vec![Key::new(USER, KEY, USER)], ..S3Config::default() };
        FakeServer::up(env, env.net.listen(0).await?, Kind::S3(S3Fake::new(config, Arc::new(NoJournal)))).await
    }

    async fn up(env: &Env, listener: Box<dyn Listener>, kind: Kind) -> Result<FakeServer> {
        let server = FakeServer { env: env.clone(), port: listener.port(), kind, process: Mutex::new(None) };
        server.serve(listener).await;
        Ok(server)
    }

    async fn serve(&self, listener: Box<dyn Listener>) {
        let env = self.env.clone();
        let serving = match &self.kind {
            Kind::Swift(fake, _) => self.env.tasks.spawn(ended(Arc::clone(fake).serve_on(env, listener))),
            Kind::S3(fake) => self.env.tasks.spawn(ended(Arc::clone(fake).serve_on(env, listener))),
        };
        *self.process.lock().await = Some(serving);
    }

    fn target(&self) -> &dyn FaultTarget {
        match &self.kind {
            Kind::Swift(fake, _) => &**fake,
            Kind::S3(fake) => &**fake,
        }
    }

    fn begin(&self, id: FaultId, fault: &Fault) -> Result<()> {
        self.target().begin(id, fault).map_err(|refusal| anyhow!(refusal))
    }

    async fn kill(&self) {
        if let Some(process) = self.process.lock().await.take() {
            process.abort();
            // It was aborted: that is no news.
            let _ = process.await;
        }
        // A process that comes up again does not stand still.
        self.target().end(STOPPED);
    }
}

async fn ended(serving: impl Future<Output = std::io::Result<()>>) {
    if let Err(error) = serving.await {
        eprintln!("a fake has ended: {error}");
    }
}

fn host() -> HostTarget {
    HostTarget { host: "store".into() }
}

#[async_trait]
impl Server for FakeServer {
    fn port(&self) -> u16 {
        self.port
    }

    async fn apply(&self, action: Action) -> Result<()> {
        match action {
            Action::Stop => self.begin(STOPPED, &Fault::Silent(host()))?,
            Action::Continue => self.target().end(STOPPED),
            Action::Kill => self.kill().await,
            Action::Start => {
                if self.process.lock().await.is_none() {
                    self.serve(self.env.net.listen(self.port).await?).await;
                }
            }
            Action::StopObjects => {
                // All objects of the cases are of volumes; requests for containers are answered.
                let requests = Matching { path: "/volume_".into(), ..Matching::default() };
                let status = Status { host: host().host, code: 503, retry_after: None, beyond_per_second: 0, requests };
                self.begin(NO_OBJECTS, &Fault::Status(status))?;
            }
            Action::ContinueObjects => self.target().end(NO_OBJECTS),
            Action::ForgetTokens => {
                if matches!(self.kind, Kind::Swift(..)) {
                    self.begin(NO_TOKENS, &Fault::RevokeTokens(host()))?;
                }
            }
        }
        Ok(())
    }

    async fn set_quota(&self, quota: Quota, container: &str, bytes: Option<u64>) -> Result<()> {
        match (&self.kind, bytes) {
            (Kind::Swift(_, admin), bytes) => admin.set_quota(quota, container, bytes).await,
            (Kind::S3(_), Some(bytes)) => self.begin(FULL, &Fault::Full(Full { after: ByteSize(bytes) })),
            (Kind::S3(fake), None) => {
                fake.end(FULL);
                Ok(())
            }
        }
    }

    async fn stored(&self, container: &str) -> Result<Vec<String>> {
        let stored = self.target().stored().into_iter();
        Ok(stored.filter(|object| object.container == container).map(|object| object.name).collect())
    }
}
