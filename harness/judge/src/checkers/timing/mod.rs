//! The timing rules, each a check of its own with a name and a formula; `docs/timing.md` is the same list with reasons.
//!
//! They judge every run that has what they speak of. Moments in formulas: e = end, s = start; R = `report_interval`,
//! D = `service_down_time`, I = interval between attempts, P = `backup_driver_stats_polling_interval`,
//! T = `backup_initialization_timeout`; "slack" is [`slack`], "grain" [`crate::view::grain`].

mod ages;
mod clock;
mod ends;
mod heartbeats;
mod marks;
mod notes;
mod recovery;
mod trials;

use clinker_model::history::History;
use clinker_model::verdict::Finding;

use crate::Checker;
use crate::services::host_of;
use crate::tally::Tally;
use crate::view::{MS, SEC, disturbed, grain};

/// Every timing rule, in the order of `docs/timing.md`.
pub const CHECKERS: [Checker; 17] = [
    marks::DOWN_MARK,
    marks::DETECTION,
    ages::DOWN_BY,
    ages::UP_WHILE_FRESH,
    recovery::UP_BY,
    trials::ATTEMPT_SPACING,
    trials::CHECK_SPACING,
    trials::CUT_OFF,
    trials::SINGLE_FLIGHT,
    heartbeats::FIRST_HEARTBEAT,
    heartbeats::HEARTBEAT_SPACING,
    heartbeats::HEARTBEAT_SILENCE,
    recovery::REGISTRATION,
    recovery::RECOVERY,
    notes::TIMER_NOTES,
    notes::COUNT_NOTES,
    ends::OPERATION_END,
];

/// How late the database may hear of something that is due: the way there, and the answer before it.
fn slack(history: &History) -> u64 {
    SEC + (grain(history) - MS)
}

/// Whether nothing kept a worker or its way to the database from being on time.
fn calm(history: &History, worker: &str, from: u64, to: u64) -> bool {
    !disturbed(history, &[worker, host_of(worker), "db"], from, to)
}

/// One rule held against one history.
struct Rule<'h> {
    history: &'h History,
    name: &'static str,
    text: String,
    tally: Tally,
}

impl<'h> Rule<'h> {
    fn new(checker: &Checker, history: &'h History) -> Rule<'h> {
        let text = format!("{}: {} [{}]", checker.name, checker.about, checker.source);
        Rule { history, name: checker.name, text, tally: Tally::new(checker.name) }
    }

    fn applies(&mut self) {
        self.tally.applies();
    }

    fn require(&mut self, holds: bool, t_ns: u64, bound: impl FnOnce() -> String, observed: impl FnOnce() -> String) {
        let name = self.name;
        self.tally.require(holds, t_ns, &self.text, || format!("{name}: {}", bound()), observed);
    }

    fn finish(self) -> Finding {
        self.tally.finish()
    }
}
