//! The network of an adapter: real ports of 127.0.0.1 that lead to ports of a world's hosts.
//!
//! A world of real sockets takes connections of its own hosts only, and its names mean nothing to another process. A
//! relay runs as one of its hosts; what the bench makes of the way there (refused, held, cut) is its [`RelayMode`].

mod copy;

use std::io;
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use clinker_env::Env;
use tokio::net::{TcpListener, TcpSocket, TcpStream};
use tokio::sync::watch;

/// Connections that the kernel completes before they are accepted.
const BACKLOG: u32 = 128;

/// What becomes of connections.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum RelayMode {
    /// They are forwarded.
    #[default]
    Pass,
    /// New ones are refused, open ones reset.
    Refuse,
    /// New ones are accepted; nothing is forwarded either way. What was held goes on with the next `Pass`.
    Hold,
    /// Each one, open or new, is reset when this many more bytes, both ways together, have been forwarded.
    ResetAfter(u64),
}

/// A mode, and how many were set before it.
#[derive(Clone, Copy, Debug, Default)]
struct Setting {
    mode: RelayMode,
    number: u64,
}

/// A port of 127.0.0.1 that leads to a port of a world's host. It closes when dropped.
pub struct Relay {
    port: u16,
    setting: watch::Sender<Setting>,
    /// The number of the setting that the port shows.
    shown: watch::Receiver<u64>,
    bites: Arc<AtomicU64>,
}

impl Relay {
    /// Listens on a free port and forwards to `port` of `host`, in tasks of `env`'s process.
    pub async fn start(env: &Env, host: &str, port: u16) -> io::Result<Relay> {
        let socket = bound(0)?;
        let own = socket.local_addr()?.port();
        let listener = socket.listen(BACKLOG)?;
        let (setting, changes) = watch::channel(Setting::default());
        let bites = Arc::new(AtomicU64::new(0));
        let (show, shown) = watch::channel(0);
        let doorman = Doorman {
            env: env.clone(),
            host: host.to_owned(),
            to: port,
            port: own,
            changes,
            show,
            bites: Arc::clone(&bites),
        };
        // It ends with the relay or with its process, whatever is first.
        drop(env.tasks.spawn(doorman.work(Some(listener))));
        Ok(Relay { port: own, setting, shown, bites })
    }

    /// The port on 127.0.0.1.
    pub fn port(&self) -> u16 {
        self.port
    }

    /// What becomes of connections from now on; returns when the port shows it.
    pub async fn set(&self, mode: RelayMode) {
        let number = self.setting.borrow().number + 1;
        self.setting.send_replace(Setting { mode, number });
        if mode == RelayMode::Refuse {
            self.bites.fetch_add(1, Ordering::Relaxed);
        }
        // Without the doorman its process has ended: there is nothing to wait for.
        let _ = self.shown.clone().wait_for(|shown| *shown >= number).await;
    }

    /// Connections that were held up, reset or cut, and one for each refusal: of a connect that the kernel refuses nobody
    /// hears, so that the closed port itself has to count.
    pub fn bites(&self) -> u64 {
        self.bites.load(Ordering::Relaxed)
    }
}

/// A socket that has the port and does not listen: the kernel refuses whoever connects, and nobody else gets the port.
fn bound(port: u16) -> io::Result<TcpSocket> {
    let socket = TcpSocket::new_v4()?;
    // The port's former connections may linger.
    socket.set_reuseaddr(true)?;
    socket.bind(SocketAddr::new(Ipv4Addr::LOCALHOST.into(), port))?;
    Ok(socket)
}

/// Accepts connections while it may.
struct Doorman {
    env: Env,
    host: String,
    to: u16,
    port: u16,
    changes: watch::Receiver<Setting>,
    show: watch::Sender<u64>,
    bites: Arc<AtomicU64>,
}

impl Doorman {
    async fn work(mut self, mut listener: Option<TcpListener>) {
        let mut closed: Option<TcpSocket> = None;
        loop {
            let Setting { mode, number } = *self.changes.borrow_and_update();
            let refuse = mode == RelayMode::Refuse;
            if refuse && listener.is_some() {
                listener = None;
                // Should somebody else have got the port in between, connects go wrong in another way; it stays closed to us.
                closed = bound(self.port).ok();
            } else if !refuse && listener.is_none() {
                let socket = closed.take().map_or_else(|| bound(self.port), Ok);
                listener = socket.and_then(|socket| socket.listen(BACKLOG)).ok();
            }
            self.show.send_replace(number);
            let accepted = async {
                match &listener {
                    Some(listener) => listener.accept().await,
                    None => std::future::pending().await,
                }
            };
            tokio::select! {
                biased;
                changed = self.changes.changed() => {
                    if changed.is_err() {
                        return;
                    }
                }
                accepted = accepted => {
                    if let Ok((client, _)) = accepted {
                        self.forward(client);
                    }
                }
            }
        }
    }

    fn forward(&self, client: TcpStream) {
        let (env, host, to) = (self.env.clone(), self.host.clone(), self.to);
        let (changes, bites) = (self.changes.clone(), Arc::clone(&self.bites));
        // It ends with its connection.
        drop(self.env.tasks.spawn(copy::forward(client, env, host, to, changes, bites)));
    }
}
