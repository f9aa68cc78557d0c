//! The network port of a simulated host: the engine's wire with crash points, faults, bites and the trace over it.

use std::future::pending;
use std::io;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use clinker_env::{BoxStream, Listener, Net};
use clinker_model::Journal as _;
use clinker_model::fault::{Answer, When};
use xxhash_rust::xxh3::xxh3_64;

use crate::gate::Gate;
use crate::journal::SimJournal;
use crate::links::Links;
use crate::stream::{End, SimStream};
use crate::trace::Kind;
use crate::wire::{RawListener, RawStream, Wire};

/// A resolver's two tries of 5 s (resolv.conf(5): `timeout`, `attempts`).
const RESOLVER_GIVES_UP: Duration = Duration::from_secs(10);

/// Linux' six retries of a SYN, 1, 2, 4 … s apart (tcp(7): `tcp_syn_retries`).
pub(crate) const CONNECT_GIVES_UP: Duration = Duration::from_secs(127);

/// What the ports and streams of one host share.
pub(crate) struct Place {
    pub(crate) gate: Gate,
    pub(crate) links: Arc<Links>,
    pub(crate) journal: Arc<SimJournal>,
}

pub(crate) struct SimNet {
    wire: Arc<dyn Wire>,
    place: Arc<Place>,
}

impl SimNet {
    pub(crate) fn new(wire: Arc<dyn Wire>, gate: Gate, links: Arc<Links>, journal: Arc<SimJournal>) -> SimNet {
        SimNet { wire, place: Arc::new(Place { gate, links, journal }) }
    }

    /// Asks for the address of `host`, which faults of names answer in their own way. Returns whether the address is right.
    async fn resolve(&self, host: &str) -> io::Result<bool> {
        let Place { gate, links, journal } = &*self.place;
        if !links.hosts().iter().any(|known| known == host) {
            return Err(io::Error::new(io::ErrorKind::NotFound, format!("no host is named {host}")));
        }
        let Some((id, dns)) = links.dns(host) else { return Ok(true) };
        journal.bite(id, gate.host(), &format!("the name {host} was looked up"));
        if !dns.delay.0.is_zero() {
            tokio::time::sleep(dns.delay.0).await;
        }
        let failed = || io::Error::other(format!("temporary failure in name resolution of {host}"));
        match dns.answer {
            Answer::Right => Ok(true),
            Answer::Nxdomain => Err(io::Error::new(io::ErrorKind::NotFound, format!("no host is named {host}"))),
            Answer::Servfail => Err(failed()),
            Answer::Silent => {
                tokio::time::sleep(RESOLVER_GIVES_UP).await;
                Err(failed())
            }
            Answer::Stale => Ok(false),
        }
    }

    async fn dial(&self, host: &str, port: u16) -> io::Result<RawStream> {
        if self.resolve(host).await? {
            return self.wire.connect(host, port).await;
        }
        tokio::time::sleep(CONNECT_GIVES_UP).await;
        Err(io::Error::new(io::ErrorKind::TimedOut, format!("no answer from the old address of {host}:{port}")))
    }
}

#[async_trait]
impl Net for SimNet {
    async fn connect(&self, host: &str, port: u16) -> io::Result<BoxStream> {
        let Place { gate, links, journal } = &*self.place;
        gate.pass("net.connect", When::Before).await;
        let peer = xxh3_64(host.as_bytes());
        journal.event(gate.host(), Kind::Connect, 0, port.into(), peer);
        links.bite_holds(gate.host(), host, "connect to");
        let dialled = self.dial(host, port).await;
        gate.pass("net.connect", When::After).await;
        match dialled {
            Ok(raw) => Ok(SimStream::open(raw, End::Client, &self.place)),
            Err(error) => {
                journal.event(gate.host(), Kind::Refused, 0, port.into(), peer);
                Err(error)
            }
        }
    }

    async fn listen(&self, port: u16) -> io::Result<Box<dyn Listener>> {
        self.place.gate.hold_if_parked().await;
        let raw = self.wire.listen(port).await?;
        self.place.journal.event(self.place.gate.host(), Kind::Listen, 0, raw.port().into(), 0);
        Ok(Box::new(SimListener { raw, place: Arc::clone(&self.place) }))
    }
}

struct SimListener {
    raw: Box<dyn RawListener>,
    place: Arc<Place>,
}

#[async_trait]
impl Listener for SimListener {
    async fn accept(&mut self) -> io::Result<BoxStream> {
        loop {
            self.place.gate.hold_if_parked().await;
            let raw = self.raw.accept().await?;
            if self.place.gate.is_parked() {
                return pending().await;
            }
            // Its SYN was on the way when the refusal began; the client has its answer already.
            if self.place.links.is_refusing(self.place.gate.host()) {
                continue;
            }
            return Ok(SimStream::open(raw, End::Server, &self.place));
        }
    }

    fn port(&self) -> u16 {
        self.raw.port()
    }
}
