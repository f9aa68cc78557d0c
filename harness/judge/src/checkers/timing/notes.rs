//! The rhythm of progress notes: by count, and by the timer.

use clinker_model::history::History;
use clinker_model::verdict::Finding;

use super::Rule;
use crate::Checker;
use crate::checkers::progress::{Create, Scale, creates, hundredths, scale};
use crate::tally::{Tally, at};
use crate::view::{Note, SEC, disturbed, flag, number, seconds};

pub const TIMER_NOTES: Checker = Checker {
    name: "timer_notes",
    about: "a create's progress is told at the start of the data loop, f, and at f + k x backup_timer_interval <= t <= that + \
            1 s while unfinished; every note that no count explains is one of these, and each comes once",
    source: "D5; B-NOTE-012",
    check: timer_notes,
};

pub const COUNT_NOTES: Checker = Checker {
    name: "count_notes",
    about: "a create's progress is told after every N-th chunk, N = backup_object_number_per_notification, except the last",
    source: "D5; spec backup-notification; B-NOTE-010",
    check: count_notes,
};

/// The notes of one create, told apart.
struct Rhythm<'c, 'h> {
    create: &'c Create<'h>,
    every: u64,
    /// Percents, in hundredths, that a count note should have and none has.
    missing: Vec<u64>,
    counted: Vec<&'c Note<'h>>,
    /// Notes that no count explains.
    others: Vec<&'c Note<'h>>,
    /// Every note below 100.0.
    running: Vec<&'c Note<'h>>,
}

impl<'c, 'h> Rhythm<'c, 'h> {
    fn of(history: &History, create: &'c Create<'h>, scale: &Scale) -> Rhythm<'c, 'h> {
        let every = number(history, "backup_object_number_per_notification", 10);
        let multiples = (1u64..).map_while(|index| every.checked_mul(index).filter(|chunks| *chunks > 0));
        let mut missing: Vec<u64> =
            multiples.take_while(|chunks| *chunks < scale.chunks).map(|chunks| scale.hundredths(chunks)).collect();
        let running: Vec<&Note<'_>> = create.notes.iter().filter(|note| hundredths(note) < 10_000).collect();
        let (mut counted, mut others) = (Vec::new(), Vec::new());
        for note in &running {
            match missing.iter().position(|count| *count == hundredths(note)) {
                Some(index) => {
                    missing.remove(index);
                    counted.push(*note);
                }
                None => others.push(*note),
            }
        }
        let reached = match create.terminal {
            Some((_, true)) => 10_000,
            _ => running.last().map_or(0, |note| hundredths(note)),
        };
        missing.retain(|count| *count < reached);
        Rhythm { create, every, missing, counted, others, running }
    }
}

fn each(history: &History, mut judge: impl FnMut(&Rhythm<'_, '_>)) {
    for create in creates(history, &mut Tally::new("unused")) {
        if let Some(scale) = scale(history, &create) {
            judge(&Rhythm::of(history, &create, &scale));
        }
    }
}

fn percent(hundredths: u64) -> f64 {
    hundredths as f64 / 100.0
}

fn count_notes(history: &History) -> Finding {
    let mut rule = Rule::new(&COUNT_NOTES, history);
    each(history, |rhythm| {
        let Rhythm { create, every, missing, counted, .. } = rhythm;
        counted.iter().for_each(|_| rule.applies());
        for count in missing {
            rule.require(
                false,
                create.terminal.map_or(0, |(t_ns, _)| t_ns),
                || format!("a note of {} percent of {}, N = {every}", percent(*count), create.backup_id),
                || "none".to_owned(),
            );
        }
    });
    rule.finish()
}

fn timer_notes(history: &History) -> Finding {
    let mut rule = Rule::new(&TIMER_NOTES, history);
    each(history, |rhythm| {
        let mut timer = Timer::new(history, rhythm);
        for note in &rhythm.others {
            rule.require(
                timer.takes(note),
                note.t_ns,
                || format!("a note of count (N = {}) or on the timer: {}", rhythm.every, timer.account()),
                || {
                    let percent = percent(hundredths(note));
                    format!("{percent} percent of {} at {}", rhythm.create.backup_id, at(note.t_ns))
                },
            );
        }
        timer.missed(&mut rule, rhythm);
    });
    rule.finish()
}

/// The timer's slots: at the start of the data loop and every `backup_timer_interval`.
struct Timer {
    /// None when the driver's progress timer is off.
    first: Option<u64>,
    interval: u64,
    taken: Vec<u64>,
    calm: bool,
}

impl Timer {
    fn new(history: &History, rhythm: &Rhythm<'_, '_>) -> Timer {
        // Each driver has its own: backup_swift_enable_progress_timer, backup_s3_enable_progress_timer …
        let mut options = history.header.plan.options.keys().filter(|name| name.ends_with("_enable_progress_timer"));
        let enabled = options.all(|name| flag(history, name, true));
        let interval = seconds(history, "backup_timer_interval", 120).max(1);
        let first = rhythm.running.first().map(|note| note.t_ns);
        let to = rhythm.create.terminal.map_or(u64::MAX, |(t_ns, _)| t_ns);
        let calm = !disturbed(history, &[rhythm.create.host, "db"], first.unwrap_or(0), to);
        Timer { first: first.filter(|_| enabled), interval, taken: Vec::new(), calm }
    }

    fn account(&self) -> String {
        match self.first {
            Some(first) => format!("every {} s from {} on", self.interval as f64 / 1e9, at(first)),
            None => "off".to_owned(),
        }
    }

    /// Takes the slot a note fits, within a second; each slot once. While the way to the database is disturbed a note may
    /// come through late: it then takes the latest slot before it that is free, so that there are never more than slots.
    fn takes(&mut self, note: &Note<'_>) -> bool {
        let Some(first) = self.first else { return false };
        let since = note.t_ns.saturating_sub(first);
        let slot = (since + SEC / 100) / self.interval;
        let free = |slot: &u64| !self.taken.contains(slot);
        let found = if self.calm {
            Some(slot).filter(|slot| free(slot) && since.saturating_sub(slot * self.interval) <= SEC)
        } else {
            (0..=slot).rev().find(free)
        };
        self.taken.extend(found);
        found.is_some()
    }

    /// While notes still came, no slot before them was left out; the first one is at the very start, 0.0.
    fn missed(&self, rule: &mut Rule<'_>, rhythm: &Rhythm<'_, '_>) {
        let (Some(first), Some(last)) = (self.first, rhythm.running.last()) else { return };
        for slot in 0..=(last.t_ns - first) / self.interval {
            let due = first + slot * self.interval;
            let surely = due + SEC < last.t_ns || slot == 0;
            rule.require(
                self.taken.contains(&slot) || !surely || !self.calm,
                due,
                || format!("a timer note of {} by {}", rhythm.create.backup_id, at(due + SEC)),
                || "none".to_owned(),
            );
        }
    }
}

#[cfg(test)]
mod tests {
    use clinker_model::fault::{Fault, HostTarget};

    use super::*;
    use crate::testing::{self, Script, script};

    /// A create of 10 chunks and a tail of 50 bytes: after 4 chunks 400 ÷ 1050 = 38.09 %, after 8 76.19 %. Moments are
    /// nanoseconds after 1 s.
    fn create(notes: &[(u64, f64)], terminal: &str) -> Script {
        let start = script().option("backup_object_number_per_notification", "4").device("attach", 1050, "aa");
        let start = start.note("backup.create.start", "creating");
        let done = notes.iter().fold(start, |script, (ns, percent)| script.at_ns(S + ns).progress(*percent));
        done.note(terminal, if terminal.ends_with("end") { "available" } else { "error" })
    }

    fn judge(rule: &Checker, case: &str, script: Script, expected: &str) {
        testing::check(case, &(rule.check)(&script.history), expected);
    }

    const S: u64 = 1_000_000_000;
    const END: &str = "backup.create.end";
    const GOOD: [(u64, f64); 6] =
        [(0, 0.0), (S, 38.09), (120 * S, 66.66), (129 * S, 76.19), (240 * S, 95.23), (249 * S, 100.0)];

    fn without(index: usize) -> Vec<(u64, f64)> {
        GOOD.iter().enumerate().filter(|(at, _)| *at != index).map(|(_, note)| *note).collect()
    }

    fn replaced(index: usize, note: (u64, f64)) -> Vec<(u64, f64)> {
        GOOD.iter().enumerate().map(|(at, old)| if at == index { note } else { *old }).collect()
    }

    #[test]
    fn count_notes_come_at_the_right_percents() {
        judge(&COUNT_NOTES, "whole", create(&GOOD, END), "ok");
        judge(&COUNT_NOTES, "one missing", create(&without(1), END), "count_notes: a note of 38.09 percent");
        judge(&COUNT_NOTES, "one chunk later", create(&replaced(1, (S, 47.61)), END), "a note of 38.09 percent");
        judge(&TIMER_NOTES, "one chunk later", create(&replaced(1, (2 * S, 47.61)), END), "47.61 percent of");
        let failed = create(&[(0, 0.0), (S, 38.09), (2 * S, 76.19)], "backup.create.error");
        judge(&COUNT_NOTES, "the last chunk has none", failed, "ok");
        judge(&COUNT_NOTES, "no create", script(), "none");
    }

    #[test]
    fn the_timer_keeps_its_interval() {
        judge(&TIMER_NOTES, "on the grid", create(&GOOD, END), "ok");
        judge(&TIMER_NOTES, "at the bound", create(&replaced(2, (121 * S, 66.66)), END), "ok");
        judge(
            &TIMER_NOTES,
            "1 ns later",
            create(&replaced(2, (121 * S + 1, 66.66)), END),
            "every 120 s from 1.000 s on",
        );
        judge(&TIMER_NOTES, "slot missed", create(&without(2), END), "a timer note of");
        let off = create(&GOOD, END).option("backup_swift_enable_progress_timer", "false");
        judge(&TIMER_NOTES, "switched off", off, "on the timer: off");
        judge(&TIMER_NOTES, "no create", script(), "none");
    }

    #[test]
    fn a_timer_note_may_come_late_while_the_database_is_out_of_reach() {
        let pause = || Fault::Pause(HostTarget { host: "db".to_owned() });
        let late = |more: &[(u64, f64)]| {
            let notes = [(0, 0.0), (S, 38.09), (239 * S, 66.66)];
            let rest = [(241 * S, 76.19), (242 * S, 95.23), (249 * S, 100.0)];
            create(&[&notes, more, &rest].concat(), END)
        };
        judge(&TIMER_NOTES, "out of reach", late(&[]).fault(100, Some(240), pause()), "ok");
        judge(&TIMER_NOTES, "in reach", late(&[]), "on the timer");
        let more = late(&[(240 * S, 66.66)]).fault(100, Some(240), pause());
        judge(&TIMER_NOTES, "more than the timer sent", more, "on the timer");
    }
}
