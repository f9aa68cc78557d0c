//! The nemesis: applies the plan's faults at their times, crashes hosts at their points, and starts them again.

use std::time::Duration;

use clinker_model::fault::{Fault, Stored, Swap};
use clinker_model::history::FaultPhase;
use clinker_model::plan::{Engine, Plan};
use clinker_model::{Entry, FaultId, Journal};
use clinker_world::{Signal, World};

use super::RunError;
use super::scene::Scene;

/// How long a run goes on after everything asked for is done, so that late wrongs still show.
const SETTLE: Duration = Duration::from_secs(15);

/// The same where every second is one of the user's; what only shows later shows in a simulation.
const REAL_SETTLE: Duration = Duration::from_secs(3);

/// Something to do to the world at a time.
#[derive(Clone, Debug)]
enum Action {
    Begin(FaultId),
    End(FaultId),
    Restart(String),
}

/// Runs the world to the end of the plan.
pub(super) fn drive(world: &mut dyn World, plan: &Plan, scene: &Scene) -> Result<(), RunError> {
    let mut agenda = agenda(plan);
    let mut end = plan.end.0;
    let mut done = false;
    loop {
        let now = world.now();
        while let Some((_, action)) = agenda.pop_due(now) {
            act(world, plan, scene, &action, &mut agenda)?;
        }
        if now >= end {
            return Ok(());
        }
        let until = agenda.next().map_or(end, |next| next.min(end));
        world.advance(until)?;
        for signal in world.take_signals() {
            match signal {
                Signal::Done => done = true,
                Signal::PointReached { host, fault } => {
                    let Fault::Crash(crash) = &plan.faults[fault].fault else { continue };
                    world.end_process(&host, crash.power)?;
                    agenda.add(world.now() + crash.restart_after.0, Action::Restart(host));
                }
            }
        }
        if done && !plan.fixed_end {
            let rest = agenda.last().map_or(world.now(), |last| last.max(world.now()));
            let settle = if plan.engine == Engine::Real { REAL_SETTLE } else { SETTLE };
            end = end.min(rest + settle);
            done = false;
        }
    }
}

/// Actions sorted by time, then by the order in which they were added.
struct Agenda(Vec<(Duration, Action)>);

impl Agenda {
    fn add(&mut self, at: Duration, action: Action) {
        let place = self.0.partition_point(|(other, _)| *other <= at);
        self.0.insert(place, (at, action));
    }

    fn next(&self) -> Option<Duration> {
        self.0.first().map(|(at, _)| *at)
    }

    fn last(&self) -> Option<Duration> {
        self.0.last().map(|(at, _)| *at)
    }

    fn pop_due(&mut self, now: Duration) -> Option<(Duration, Action)> {
        (self.next()? <= now).then(|| self.0.remove(0))
    }
}

fn agenda(plan: &Plan) -> Agenda {
    let mut agenda = Agenda(Vec::new());
    for (id, planned) in plan.faults.iter().enumerate() {
        agenda.add(planned.at.0, Action::Begin(id));
        if let Some(until) = planned.until {
            agenda.add(until.0, Action::End(id));
        }
    }
    agenda
}

fn act(
    world: &mut dyn World,
    plan: &Plan,
    scene: &Scene,
    action: &Action,
    agenda: &mut Agenda,
) -> Result<(), RunError> {
    match action {
        Action::Begin(id) => begin(world, plan, scene, *id, agenda),
        Action::End(id) => {
            note(world, plan, *id, FaultPhase::End);
            world.end(*id);
            scene.targets().for_each(|target| target.end(*id));
            Ok(())
        }
        Action::Restart(host) => Ok(world.restart(host)?),
    }
}

fn begin(world: &mut dyn World, plan: &Plan, scene: &Scene, id: FaultId, agenda: &mut Agenda) -> Result<(), RunError> {
    let fault = &plan.faults[id].fault;
    let failed = |why: String| RunError::Fault { id, name: fault.name(), why };
    note(world, plan, id, FaultPhase::Begin);
    let resolved = resolve(fault, scene).map_err(failed)?;
    match &resolved {
        Fault::Crash(crash) => {
            world.begin(id, &resolved)?;
            if crash.point.is_none() {
                agenda.add(world.now() + crash.restart_after.0, Action::Restart(crash.host.clone()));
            }
        }
        own if own.is_of_world() => world.begin(id, own)?,
        other => scene.target_of(other).map_err(failed)?.begin(id, other).map_err(failed)?,
    }
    Ok(())
}

fn note(world: &mut dyn World, plan: &Plan, id: FaultId, phase: FaultPhase) {
    let name = plan.faults[id].fault.name().to_owned();
    let journal = world.journal();
    journal.declare_fault(id, &name);
    journal.record("nemesis", Entry::Fault { fault: id, name, phase, what: String::new() });
}

/// The fault with names replaced: `store` by the back end's host, a backup's name by its id.
fn resolve(fault: &Fault, scene: &Scene) -> Result<Fault, String> {
    let mut fault = fault.clone();
    for (_, host) in fault.hosts_mut() {
        *host = scene.host_named(host)?;
    }
    match &mut fault {
        Fault::Corrupt(Stored { backup, .. })
        | Fault::Truncate(Stored { backup, .. })
        | Fault::Lose(Stored { backup, .. })
        | Fault::Swap(Swap { backup, .. }) => *backup = scene.backup_id(backup)?,
        _ => {}
    }
    Ok(fault)
}
