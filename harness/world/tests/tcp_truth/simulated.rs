//! The simulated half: a case on two hosts of simnet.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex as SyncMutex};
use std::time::Duration;

use async_trait::async_trait;
use clinker_env::Net;
use clinker_model::fault::{HostTarget, OneWay, Reset};
use clinker_model::{ByteSize, Fault};
use clinker_world::{Signals, SimnetWorld, Software, World, WorldConfig, run_isolated};
use tokio::sync::mpsc::{UnboundedReceiver, UnboundedSender, unbounded_channel};
use tokio::sync::{Mutex, oneshot};

use crate::cases::Case;
use crate::formula::{DEFAULT, Kernel};
use crate::lab::{Deed, Lab, Peer, Seen, Site};

const CLIENT: &str = "client";
const PEER: &str = "peer";
/// No case waits longer.
const END: Duration = Duration::from_secs(86_400);

/// Plays a case; the error says what went wrong with the world.
pub fn play(case: &Case) -> Result<Seen, String> {
    let play = case.play;
    run_isolated(case.name, || {
        let mut world = SimnetWorld::new(WorldConfig::new(1)).map_err(|error| error.to_string())?;
        let shared = Arc::new(Shared::new(world.signals()));
        let result = Arc::new(SyncMutex::new(None));
        world.add_host(PEER, peer(&shared)).map_err(|error| error.to_string())?;
        let (lab, place) = (Arc::clone(&shared), Arc::clone(&result));
        let client: Software = Box::new(move |env| {
            let (shared, place) = (Arc::clone(&lab), Arc::clone(&place));
            Box::pin(async move {
                let done = shared.signals.clone();
                let seen = play(Site(Arc::new(SimLab { net: Arc::clone(&env.net), shared }))).await;
                *place.lock().expect("no panic while the lock is held") = Some(seen);
                done.done();
                Ok(())
            })
        });
        world.add_host(CLIENT, client).map_err(|error| error.to_string())?;
        while world.advance(END).map_err(|error| error.to_string())? < END {
            world.take_signals();
            let wanted = shared.deeds.lock().expect("no panic while the lock is held").pop_front();
            if let Some((deed, done)) = wanted {
                perform(&mut world, deed);
                // The case may have been ended meanwhile.
                let _ = done.send(());
            }
            if let Some(seen) = result.lock().expect("no panic while the lock is held").take() {
                return Ok(seen);
            }
        }
        Err(format!("{} does not end", case.name))
    })
    .unwrap_or_else(|error| Err(error.to_string()))
}

const TO_PEER: usize = 0;
const FROM_PEER: usize = 1;
const PAUSE: usize = 2;
const RESET: usize = 3;

fn perform(world: &mut SimnetWorld, deed: Deed) {
    let one_way = |from: &str, to: &str| Fault::OneWay(OneWay { from: from.to_owned(), to: to.to_owned() });
    let target = || HostTarget { host: PEER.to_owned() };
    let done = match deed {
        Deed::BlockTo => world.begin(TO_PEER, &one_way(CLIENT, PEER)),
        Deed::BlockFrom => world.begin(FROM_PEER, &one_way(PEER, CLIENT)),
        Deed::Block => world.begin(TO_PEER, &Fault::Hold(target())),
        Deed::Heal => {
            world.end(TO_PEER);
            world.end(FROM_PEER);
            Ok(())
        }
        Deed::Kill => world.end_process(PEER, false),
        Deed::CutPower => world.end_process(PEER, true),
        Deed::PowerOn => world.restart(PEER),
        Deed::Pause => world.begin(PAUSE, &Fault::Pause(target())),
        Deed::Resume => {
            world.end(PAUSE);
            Ok(())
        }
        Deed::Reset => world.begin(RESET, &Fault::Reset(Reset { host: PEER.to_owned(), after: ByteSize(0) })),
    };
    done.expect("simnet plays every fault of hosts and links");
}

/// What joins the client, the peer and the world around them.
struct Shared {
    signals: Signals,
    deeds: SyncMutex<VecDeque<(Deed, oneshot::Sender<()>)>>,
    order: UnboundedSender<String>,
    orders: Mutex<UnboundedReceiver<String>>,
    answer: UnboundedSender<String>,
    answers: Mutex<UnboundedReceiver<String>>,
}

impl Shared {
    fn new(signals: Signals) -> Shared {
        let (order, orders) = unbounded_channel();
        let (answer, answers) = unbounded_channel();
        let (orders, answers) = (Mutex::new(orders), Mutex::new(answers));
        Shared { signals, deeds: SyncMutex::default(), order, orders, answer, answers }
    }
}

fn peer(shared: &Arc<Shared>) -> Software {
    let shared = Arc::clone(shared);
    Box::new(move |env| {
        let shared = Arc::clone(&shared);
        Box::pin(async move {
            let mut peer = Peer::start(env.net).await?;
            let mut orders = shared.orders.lock().await;
            while let Some(order) = orders.recv().await {
                shared.answer.send(peer.obey(&order).await?)?;
            }
            Ok(())
        })
    })
}

struct SimLab {
    net: Arc<dyn Net>,
    shared: Arc<Shared>,
}

#[async_trait]
impl Lab for SimLab {
    fn net(&self) -> Arc<dyn Net> {
        Arc::clone(&self.net)
    }

    fn peer(&self) -> &str {
        PEER
    }

    fn kernel(&self) -> Kernel {
        DEFAULT
    }

    fn patience(&self) -> Duration {
        Duration::from_secs(3600)
    }

    async fn perform(&self, deed: Deed) {
        let (send, done) = oneshot::channel();
        self.shared.deeds.lock().expect("no panic while the lock is held").push_back((deed, send));
        self.shared.signals.done();
        done.await.expect("the world performs every deed");
        if deed == Deed::Reset {
            // A reset on the way strikes with the first byte.
            self.tell("write 1").await;
            self.hear().await;
        }
    }

    async fn tell(&self, order: &str) {
        self.shared.order.send(order.to_owned()).expect("the peer's orders are kept");
    }

    async fn hear(&self) -> String {
        self.shared.answers.lock().await.recv().await.expect("the peer answers each order")
    }
}
