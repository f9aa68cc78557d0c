//! The plan: a scenario for one driver preset and one seed, with every choice made.

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};

use crate::account::{Messages, Quota};
use crate::record::{Export, Import};
use crate::scenario::{Content, Create, Expect, OfBackup, ResetStatus, Restore, ServiceList, Set, Snapshot, Write};
use crate::traits::{Traits, given_keys};
use crate::{ByteSize, Fault, Span};

/// Everything a run is determined by, besides the program itself.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Plan {
    /// `<area>/<scenario>`.
    pub scenario: String,
    pub about: String,
    /// Driver preset.
    pub driver: String,
    pub seed: u64,
    pub engine: Engine,
    /// turmoil's tick; 0 for engines that have none.
    pub tick: Span,
    /// Seed of another order of what happens at one instant; absent = first come, first served. simnet only.
    #[serde(default)]
    pub schedule: Option<u64>,
    /// When the last fault with an end has ended; liveness is judged from here.
    pub heal: Span,
    /// The latest end of the run; a run ends earlier once everything asked for has come to rest.
    pub end: Span,
    /// Whether `end` was asked for, so that the run goes on to it even when all is at rest.
    pub fixed_end: bool,
    pub backup_hosts: u32,
    /// Zones of backup hosts that have another one than `storage_availability_zone`.
    #[serde(default)]
    pub zones: BTreeMap<String, String>,
    /// Whether each backup host has a repository disk of its own.
    #[serde(default)]
    pub own_disks: bool,
    /// Modelled cores of hosts that have another number than 2.
    #[serde(default)]
    pub cores: BTreeMap<String, u32>,
    pub gib: ByteSize,
    pub chunk: ByteSize,
    pub block: ByteSize,
    /// Options by Cinder's names, as in `cinder.conf`, the preset's and the scenario's merged.
    pub options: BTreeMap<String, String>,
    pub volumes: Vec<PlannedVolume>,
    pub faults: Vec<PlannedFault>,
    pub steps: Vec<PlannedStep>,
    pub expect: Expect,
}

/// What plays a plan.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Engine {
    /// Event-driven; models TCP as Linux does it.
    #[default]
    Simnet,
    /// The reference: advances in ticks.
    Turmoil,
    /// Loopback TCP in real time.
    Real,
}

impl Engine {
    pub const NAMES: [&'static str; 3] = ["simnet", "turmoil", "real"];

    pub fn name(self) -> &'static str {
        match self {
            Engine::Simnet => "simnet",
            Engine::Turmoil => "turmoil",
            Engine::Real => "real",
        }
    }

    pub fn parse(name: &str) -> Option<Engine> {
        [Engine::Simnet, Engine::Turmoil, Engine::Real].into_iter().find(|engine| engine.name() == name)
    }

    /// Whether it can play a fault of hosts and their network. Those of fakes and disks it always can.
    pub fn plays(self, fault: &Fault) -> bool {
        match (self, fault) {
            (Engine::Simnet, _) => true,
            // Nothing polls the process meanwhile.
            (Engine::Real, Fault::Pause(_)) => true,
            // This machine's kernel drops no packets of ours.
            (Engine::Real, Fault::Hold(_)) => false,
            (Engine::Turmoil | Engine::Real, fault) => !fault.needs_packets(),
        }
    }

    /// How much later than at its moment something may happen, besides a simulation's millisecond: real time is shared
    /// with whatever else this machine does.
    pub fn jitter(self) -> Span {
        match self {
            Engine::Simnet | Engine::Turmoil => Span::default(),
            Engine::Real => Span(std::time::Duration::from_millis(500)),
        }
    }
}

impl Plan {
    /// Sets what plays it; `tick_ms` counts for turmoil only.
    pub fn play_on(&mut self, engine: Engine, tick_ms: u64) {
        self.engine = engine;
        self.tick = match engine {
            Engine::Simnet | Engine::Real => Span::default(),
            Engine::Turmoil => Span(std::time::Duration::from_millis(tick_ms)),
        };
    }

    /// The keys that exist at the start.
    pub fn given_keys(&self) -> BTreeSet<String> {
        let volumes = self.volumes.iter().filter_map(|volume| volume.traits.encryption_key_id.as_ref());
        let imports = self.steps.iter().filter_map(|planned| match &planned.step {
            Step::Import(import) => Some(import),
            _ => None,
        });
        given_keys(volumes, imports)
    }

    /// Whether its engine can play all of its faults, and its schedule if it has one.
    pub fn is_playable(&self) -> bool {
        let ordered = self.schedule.is_none() || self.engine == Engine::Simnet;
        ordered && self.faults.iter().all(|planned| self.engine.plays(&planned.fault))
    }
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct PlannedVolume {
    pub name: String,
    /// UUID of the row.
    pub id: String,
    pub size: ByteSize,
    pub content: Content,
    pub status: String,
    /// `default_availability_zone` if absent.
    #[serde(default)]
    pub zone: Option<String>,
    #[serde(default)]
    pub host: Option<String>,
    #[serde(default, skip_serializing_if = "Traits::is_empty")]
    pub traits: Traits,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct PlannedFault {
    pub at: Span,
    pub until: Option<Span>,
    pub fault: Fault,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct PlannedStep {
    /// Absent = when the step before it has ended.
    pub at: Option<Span>,
    pub refused: Option<String>,
    /// Whether the API may refuse it as well.
    #[serde(default)]
    pub maybe: bool,
    /// Whether it is asked for together with the step before it.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub beside: bool,
    pub step: Step,
}

/// What a client does.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Step {
    Create(Create),
    Restore(Restore),
    Delete(OfBackup),
    ForceDelete(OfBackup),
    ResetStatus(ResetStatus),
    Write(Write),
    Set(Set),
    Export(Export),
    Import(Import),
    /// An administrator removes the row by hand; what is stored stays.
    Forget(OfBackup),
    Snapshot(Snapshot),
    ServiceList(ServiceList),
    Quota(Quota),
    Messages(Messages),
}

impl Step {
    pub fn name(&self) -> &'static str {
        match self {
            Step::Create(_) => "create",
            Step::Restore(_) => "restore",
            Step::Delete(_) => "delete",
            Step::ForceDelete(_) => "force_delete",
            Step::ResetStatus(_) => "reset_status",
            Step::Write(_) => "write",
            Step::Set(_) => "set",
            Step::Export(_) => "export",
            Step::Import(_) => "import",
            Step::Forget(_) => "forget",
            Step::Snapshot(_) => "snapshot",
            Step::ServiceList(_) => "service_list",
            Step::Quota(_) => "quota",
            Step::Messages(_) => "messages",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fault::{HostTarget, OneWay};

    #[test]
    fn an_engine_says_what_it_can_play() {
        let host = || HostTarget { host: "db".to_owned() };
        let one_way = OneWay { from: "api".to_owned(), to: "db".to_owned() };
        for (fault, [simnet, turmoil, real]) in [
            (Fault::Silent(host()), [true, true, true]),
            (Fault::Refuse(host()), [true, true, true]),
            (Fault::Hold(host()), [true, true, false]),
            (Fault::Pause(host()), [true, false, true]),
            (Fault::OneWay(one_way), [true, false, false]),
        ] {
            let plays = [Engine::Simnet, Engine::Turmoil, Engine::Real].map(|engine| engine.plays(&fault));
            assert_eq!(plays, [simnet, turmoil, real], "{}", fault.name());
        }
    }

    #[test]
    fn an_engine_has_one_name() {
        let parsed = Engine::NAMES.map(|name| Engine::parse(name).map(Engine::name));
        assert_eq!(parsed, Engine::NAMES.map(Some));
        assert_eq!(Engine::parse("warp"), None);
    }
}
