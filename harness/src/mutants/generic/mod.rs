//! Generic mutants: one call of one port is dropped, repeated, delayed or altered. What no listed bug turns red, one of
//! these does, or its case rests on nothing.

mod bus;
mod controls;
mod driver;
mod store;
mod volumes;

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use clinker_env::{Env, real};
use serde_json::Value;

use crate::run::{Parts, wrap_env};

/// What happens to a call.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum How {
    /// It is not made, and its caller is told that all went well.
    Drop,
    /// It is made twice.
    Repeat,
    /// It is made ten minutes late.
    Delay,
    /// What is handed over, or what is answered, is another thing.
    Alter,
    /// It fails although all is well.
    Refuse,
    /// Its failure is told as a success.
    Swallow,
}

impl How {
    fn name(self) -> &'static str {
        match self {
            How::Drop => "dropped",
            How::Repeat => "repeated",
            How::Delay => "delayed",
            How::Alter => "altered",
            How::Refuse => "refused",
            How::Swallow => "swallowed",
        }
    }
}

/// What a refused call says.
pub const PLANTED: &str = "a planted bug";

/// Late enough for every time-out.
const LATE: Duration = Duration::from_secs(600);

/// A generic mutant.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Twist {
    /// `store.put`, `driver.backup`, `control.progress`, `bus.notify`, `volumes.detach` …
    pub call: &'static str,
    pub how: How,
    /// The call, counted from 1 for each port, that is hit; 0 = every one.
    pub nth: u64,
}

impl Twist {
    /// `store.put-dropped`, or `store.put-dropped-2` where only the second call is.
    pub fn name(&self) -> String {
        let nth = if self.nth == 0 { String::new() } else { format!("-{}", self.nth) };
        format!("{}-{}{nth}", self.call, self.how.name())
    }

    /// Every call of that name.
    pub const fn every(call: &'static str, how: How) -> Twist {
        Twist { call, how, nth: 0 }
    }

    /// Plants it, around what is planted already.
    pub fn plant(&self, parts: &mut Parts) {
        match self.call.split('.').next() {
            Some("store") => store::plant(*self, parts),
            Some("driver" | "control" | "device") => driver::plant(*self, parts),
            Some("bus") => bus::plant(*self, parts),
            Some("env") => parts.env = wrap_env(|env| Env { rng: real::env().rng, ..env }),
            Some("db") => bus::plant_in_db(*self, parts),
            _ => volumes::plant(*self, parts),
        }
    }
}

/// Counts the calls of one kind and says which of them is hit.
struct Hit {
    twist: Twist,
    seen: AtomicU64,
}

impl Hit {
    fn new(twist: Twist) -> Hit {
        Hit { twist, seen: AtomicU64::new(0) }
    }

    /// What is to happen to this call, if anything.
    fn strikes(&self, call: &str) -> Option<How> {
        if call != self.twist.call {
            return None;
        }
        let number = self.seen.fetch_add(1, Ordering::Relaxed) + 1;
        (self.twist.nth == 0 || self.twist.nth == number).then_some(self.twist.how)
    }

    /// As [`Hit::strikes`]; a delay is waited for here.
    async fn strikes_late(&self, call: &str) -> Option<How> {
        let how = self.strikes(call);
        if how == Some(How::Delay) {
            tokio::time::sleep(LATE).await;
        }
        how
    }
}

/// Every generic mutant, in the order in which they are tried.
pub fn all() -> Vec<Twist> {
    let twists: &[(&'static str, &[How])] = &[
        ("store.put", &[How::Drop, How::Alter, How::Repeat, How::Swallow, How::Refuse, How::Delay]),
        ("store.put_metadata", &[How::Drop, How::Alter, How::Repeat]),
        ("store.put_hashes", &[How::Drop, How::Alter, How::Repeat]),
        ("store.get", &[How::Alter, How::Swallow, How::Refuse, How::Delay]),
        ("store.list", &[How::Drop, How::Alter, How::Swallow, How::Refuse]),
        // Only where there is nothing.
        ("store.list_empty", &[How::Refuse]),
        ("store.delete", &[How::Drop, How::Swallow, How::Refuse]),
        ("store.put_container", &[How::Drop, How::Swallow, How::Repeat, How::Refuse]),
        ("store.container_for", &[How::Alter]),
        ("store.object_prefix", &[How::Alter]),
        ("store.check_options", &[How::Drop]),
        ("store.check_for_setup_error", &[How::Drop, How::Repeat, How::Refuse, How::Delay]),
        ("store.geometry", &[How::Alter]),
        // Whatever goes wrong is told without words.
        ("driver.set_up", &[How::Alter]),
        // The option is not looked at.
        ("driver.customer_key", &[How::Drop]),
        // The caller's token is not handed on.
        ("driver.context", &[How::Alter]),
        ("driver.do_setup", &[How::Drop, How::Refuse]),
        ("driver.check_for_setup_error", &[How::Drop, How::Refuse, How::Delay]),
        ("driver.backup", &[How::Drop, How::Alter, How::Swallow, How::Repeat, How::Refuse]),
        ("driver.restore", &[How::Drop, How::Alter, How::Swallow, How::Refuse]),
        ("driver.delete_backup", &[How::Drop, How::Alter, How::Swallow, How::Refuse]),
        ("driver.export_record", &[How::Refuse]),
        ("driver.import_record", &[How::Drop, How::Refuse]),
        ("driver.verify", &[How::Drop, How::Refuse]),
        ("driver.capabilities", &[How::Alter]),
        ("control.save_location", &[How::Drop, How::Alter, How::Delay]),
        ("control.check_cancelled", &[How::Drop, How::Swallow]),
        ("control.progress", &[How::Drop, How::Alter, How::Repeat]),
        ("control.volume_meta", &[How::Drop, How::Repeat]),
        ("control.restore_cancelled", &[How::Drop]),
        ("device.read", &[How::Alter, How::Swallow]),
        ("device.write", &[How::Drop, How::Alter, How::Repeat]),
        ("device.flush", &[How::Drop]),
        ("bus.notify", &[How::Drop, How::Repeat, How::Alter]),
        ("bus.cast", &[How::Drop, How::Repeat]),
        ("volumes.attach", &[How::Refuse, How::Delay]),
        ("volumes.detach", &[How::Drop, How::Refuse]),
        ("volumes.create_temporary", &[How::Drop]),
        ("volumes.delete_temporary", &[How::Drop]),
        ("volumes.attachments", &[How::Drop]),
        ("db.service_attempt", &[How::Refuse, How::Repeat]),
        ("db.service_heartbeat", &[How::Refuse, How::Delay]),
        ("db.op_begin", &[How::Refuse, How::Alter]),
        ("db.op_save_location", &[How::Refuse]),
        ("db.op_progress", &[How::Refuse, How::Repeat, How::Alter]),
        ("db.op_finish", &[How::Refuse, How::Delay]),
        ("db.cleanup_list", &[How::Refuse]),
        ("db.cleanup_one", &[How::Refuse]),
        // Random bytes of the machine in place of the seed's.
        ("env.rng", &[How::Alter]),
    ];
    let whole = twists.iter().flat_map(|(call, hows)| hows.iter().map(|how| Twist::every(call, *how)));
    let later = [
        ("store.put", How::Drop, 3),
        ("store.put", How::Alter, 3),
        ("store.delete", How::Drop, 3),
        ("bus.notify", How::Drop, 3),
        // The record that a host hands on, after it has got it.
        ("bus.cast_record", How::Drop, 2),
        ("bus.cast_record", How::Repeat, 2),
    ];
    whole.chain(later.into_iter().map(|(call, how, nth)| Twist { call, how, nth })).collect()
}

/// Lets every notification go out as another.
pub(super) fn notifications_altered(parts: &mut Parts, alter: fn(&Value) -> Value) {
    bus::plant_altering(Twist::every("bus.notify", How::Alter), alter, parts);
}

/// The mutant of a name that [`Twist::name`] gives.
pub fn find(name: &str) -> Option<Twist> {
    all().into_iter().find(|twist| twist.name() == name)
}
