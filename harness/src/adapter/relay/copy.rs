//! One connection through a relay.

use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use clinker_env::{BoxStream, Env};
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio::sync::watch;

use super::{RelayMode, Setting};

/// Bytes forwarded at once.
const PIECE: usize = 16 << 10;

/// Why a connection is over.
enum Over {
    /// Both sides have closed, or one has broken it.
    Ended,
    /// The relay cuts it.
    Cut,
}

/// Forwards until both sides have closed, one breaks off, or the relay's mode ends it.
pub(super) async fn forward(
    mut client: TcpStream,
    env: Env,
    host: String,
    port: u16,
    mut changes: watch::Receiver<Setting>,
    bites: Arc<AtomicU64>,
) {
    // Only slower if the kernel says no.
    let _ = client.set_nodelay(true);
    let over = match passing(&mut changes, &bites).await {
        Some(_) => match env.net.connect(&host, port).await {
            Ok(server) => both_ways(&mut client, server, changes, &bites).await,
            // Nobody listens there: a connection that broke at once is as near to a refusal as can be now.
            Err(_) => Over::Cut,
        },
        None => Over::Cut,
    };
    if let Over::Cut = over {
        // Its end is a reset then.
        let _ = client.set_zero_linger();
    }
}

/// Waits while the mode is to hold; the setting then, or none if the connection is to be cut.
async fn passing(changes: &mut watch::Receiver<Setting>, bites: &AtomicU64) -> Option<Setting> {
    let mut held = false;
    loop {
        let setting = *changes.borrow_and_update();
        match setting.mode {
            RelayMode::Hold => {
                if !std::mem::replace(&mut held, true) {
                    bites.fetch_add(1, Ordering::Relaxed);
                }
            }
            RelayMode::Refuse => {
                bites.fetch_add(1, Ordering::Relaxed);
                return None;
            }
            RelayMode::Pass | RelayMode::ResetAfter(_) => return Some(setting),
        }
        // The relay is gone.
        changes.changed().await.ok()?;
    }
}

/// Bytes that may pass, both ways together, in one setting.
#[derive(Default)]
struct Budget {
    number: AtomicU64,
    used: AtomicU64,
}

impl Budget {
    /// How many of `wanted` bytes may pass. They count as passed.
    fn take(&self, setting: Setting, wanted: u64) -> u64 {
        let RelayMode::ResetAfter(limit) = setting.mode else { return wanted };
        if self.number.swap(setting.number, Ordering::Relaxed) != setting.number {
            self.used.store(0, Ordering::Relaxed);
        }
        let used = self.used.load(Ordering::Relaxed);
        let taken = wanted.min(limit.saturating_sub(used));
        self.used.store(used + taken, Ordering::Relaxed);
        taken
    }
}

async fn both_ways(
    client: &mut TcpStream,
    server: BoxStream,
    mut changes: watch::Receiver<Setting>,
    bites: &AtomicU64,
) -> Over {
    let (from_client, to_client) = client.split();
    let (from_server, to_server) = tokio::io::split(server);
    let budget = Budget::default();
    let (up, down) = (changes.clone(), changes.clone());
    let up = one_way(from_client, to_server, up, &budget, bites);
    let down = one_way(from_server, to_client, down, &budget, bites);
    let cut = async {
        // A connection on which nothing moves is cut as well.
        let refused = changes.wait_for(|setting| setting.mode == RelayMode::Refuse).await;
        if refused.is_ok() {
            bites.fetch_add(1, Ordering::Relaxed);
        }
        Over::Cut
    };
    tokio::select! {
        biased;
        over = cut => over,
        done = async { tokio::try_join!(up, down) } => done.map_or_else(|over| over, |_| Over::Ended),
    }
}

/// Forwards one direction to its end, which it passes on.
async fn one_way(
    mut from: impl AsyncRead + Unpin,
    mut to: impl AsyncWrite + Unpin,
    mut changes: watch::Receiver<Setting>,
    budget: &Budget,
    bites: &AtomicU64,
) -> Result<(), Over> {
    let mut piece = vec![0; PIECE];
    loop {
        let read = from.read(&mut piece).await.map_err(|_| Over::Cut)?;
        let setting = passing(&mut changes, bites).await.ok_or(Over::Cut)?;
        let taken = budget.take(setting, read as u64) as usize;
        let wrote = async {
            to.write_all(&piece[..taken]).await?;
            to.flush().await
        };
        wrote.await.map_err(|_: io::Error| Over::Cut)?;
        if taken < read {
            bites.fetch_add(1, Ordering::Relaxed);
            return Err(Over::Cut);
        }
        if read == 0 {
            // The other direction goes on.
            return to.shutdown().await.map_err(|_| Over::Cut);
        }
    }
}
