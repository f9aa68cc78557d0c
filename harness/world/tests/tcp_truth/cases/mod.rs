//! The cases: what a client does and sees, written once for both worlds.

mod connect;
mod death;
mod flow;
mod partition;

use std::pin::Pin;

use crate::formula::Time;
use crate::lab::{Seen, Site};

pub type Play = fn(Site) -> Pin<Box<dyn Future<Output = Seen>>>;

#[derive(Clone)]
pub struct Case {
    pub name: &'static str,
    /// What happens, in the table.
    pub about: &'static str,
    /// Below `/proc/sys/net`, of the client's and the peer's kernel on Linux; simnet has Linux' defaults.
    pub settings: &'static [(&'static str, u32)],
    /// Whether the peer's closing resets, for [`Deed::Reset`](crate::lab::Deed::Reset) on Linux.
    pub aborts: bool,
    pub time: Time,
    /// Why simnet's time is another one than Linux'.
    pub apart: Option<&'static str>,
    pub play: Play,
}

impl Case {
    const fn new(name: &'static str, about: &'static str, time: Time, play: Play) -> Case {
        Case { name, about, settings: &[], aborts: false, time, apart: None, play }
    }

    const fn with(self, settings: &'static [(&'static str, u32)]) -> Case {
        Case { settings, ..self }
    }
}

/// All of them, in the table's order.
pub fn all() -> Vec<Case> {
    [connect::CASES, death::CASES, partition::CASES, flow::CASES].concat()
}
