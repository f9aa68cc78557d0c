//! The ways of an adapter to the servers of its bench, and what is made of these ways.

use std::collections::BTreeMap;

use clinker_env::Env;
use clinker_model::fault::Reset;
use clinker_model::{Fault, FaultId, Journal};
use clinker_world::SimJournal;

use crate::adapter::relay::{Relay, RelayMode};
use crate::loader::presets::{Preset, port};

/// One relay per server; none where the driver is in the world itself.
#[derive(Default)]
pub(super) struct Relays {
    /// By host, with the port that it has in the world.
    ways: BTreeMap<String, (u16, Relay)>,
    /// Bites of a relay that are accounted for.
    active: std::sync::Mutex<BTreeMap<FaultId, (String, u64)>>,
}

impl Relays {
    /// Opens a way to each server of the preset.
    pub async fn open(env: &Env, preset: &Preset) -> std::io::Result<Relays> {
        let mut relays = Relays::default();
        for host in preset.servers.iter().filter(|host| **host != "store") {
            relays.ways.insert((*host).to_owned(), (port(host), Relay::start(env, host, port(host)).await?));
        }
        Ok(relays)
    }

    /// A text in which URLs of the world's servers lead through the relays.
    pub fn translated(&self, text: &str) -> String {
        self.ways.iter().fold(text.to_owned(), |text, (host, (port, relay))| {
            text.replace(&format!("//{host}:{port}"), &format!("//127.0.0.1:{}", relay.port()))
        })
    }

    /// Begins a fault of the network; an error says that a relay cannot do it.
    pub async fn begin(&self, id: FaultId, fault: &Fault) -> Result<(), String> {
        let (host, mode) = match fault {
            Fault::Refuse(target) => (&target.host, RelayMode::Refuse),
            Fault::Hold(target) => (&target.host, RelayMode::Hold),
            Fault::Reset(Reset { host, after }) => (host, RelayMode::ResetAfter(after.0)),
            other => return Err(format!("a relay has no fault {}", other.name())),
        };
        let (_, relay) = self.ways.get(host).ok_or_else(|| format!("there is no way to {host}"))?;
        self.active.lock().expect("no panic while the lock is held").insert(id, (host.clone(), relay.bites()));
        relay.set(mode).await;
        Ok(())
    }

    /// Ends it and counts what it hit.
    pub async fn end(&self, id: FaultId, journal: &SimJournal) {
        let active = self.active.lock().expect("no panic while the lock is held").remove(&id);
        let Some((host, before)) = active else { return };
        let Some((_, relay)) = self.ways.get(&host) else { return };
        for _ in before..relay.bites() {
            journal.bite(id, &host, "a connection was refused, held or cut");
        }
        relay.set(RelayMode::Pass).await;
    }
}
