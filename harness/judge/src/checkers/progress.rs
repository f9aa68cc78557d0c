//! Progress notes of a create: the percent formula, count notes, timer notes, and the one 100.0.

use clinker_model::history::{Entry, History};
use clinker_model::verdict::Finding;

use crate::Checker;
use crate::tally::{Tally, at};
use crate::view::{Note, SEC, disturbed, flag, notes, number, progress_type, seconds};

pub const CHECKER: Checker = Checker {
    name: "progress",
    about: "progress notes tell the share of the volume processed, when count and timer say, and 100.0 once at the end",
    source: "D5; spec backup-notification; B-NOTE-010..015",
    check,
};

/// What a timer note says, in hundredths, once all data are stored and only the metadata object is not.
const UNFINISHED_MAX: u64 = 9_999;

/// The notes of one create, from its start to its terminal event.
struct Create<'h> {
    backup_id: &'h str,
    host: &'h str,
    notes: Vec<Note<'h>>,
    /// Moment of the terminal event, and whether it is an end.
    terminal: Option<(u64, bool)>,
}

fn check(history: &History) -> Finding {
    let mut tally = Tally::new(CHECKER.name);
    for create in creates(history, &mut tally) {
        values(&mut tally, &create);
        final_note(&mut tally, &create);
        if let Some(len) = device_len(history, create.backup_id).filter(|len| *len > 0) {
            let scale = Scale::new(history, len);
            formula(&mut tally, &create, &scale);
            rhythm(history, &mut tally, &create, &scale);
        }
    }
    tally.finish()
}

/// Groups the notes by create; a progress note outside of any is a breach at once.
fn creates<'h>(history: &'h History, tally: &mut Tally) -> Vec<Create<'h>> {
    let progress_type = progress_type(history);
    let mut creates: Vec<Create<'h>> = Vec::new();
    for note in notes(history) {
        let Some(("create", part)) = note.parts(&progress_type) else { continue };
        let id = note.backup_id();
        let open = creates.iter_mut().find(|create| create.backup_id == id && create.terminal.is_none());
        match (part, open) {
            ("start", _) => {
                creates.push(Create { backup_id: id, host: note.host(), notes: Vec::new(), terminal: None });
            }
            ("progress", Some(create)) => create.notes.push(note),
            ("progress", None) => tally.broken(
                note.t_ns,
                "no progress is sent after the end, error or cancel of a create [D5; B-NOTE-014]",
                "silence",
                format!("{:?} percent of {id} at {}", note.percent(), at(note.t_ns)),
            ),
            ("end" | "error", Some(create)) => create.terminal = Some((note.t_ns, part == "end")),
            _ => {}
        }
    }
    creates
}

fn device_len(history: &History, backup: &str) -> Option<u64> {
    history.records.iter().rev().find_map(|record| match &record.entry {
        Entry::Device { moment, backup_id, len, .. } if moment == "attach" && backup_id.as_deref() == Some(backup) => {
            Some(*len)
        }
        _ => None,
    })
}

/// The percents of whole chunks, in hundredths.
struct Scale {
    len: u64,
    chunk: u64,
    /// Chunks of the volume, the tail included.
    chunks: u64,
}

impl Scale {
    fn new(history: &History, len: u64) -> Scale {
        let chunk = history.header.plan.chunk.0.max(1);
        Scale { len, chunk, chunks: len.div_ceil(chunk) }
    }

    /// floor(processed × 10000 ÷ device bytes) after `chunks` chunks.
    fn hundredths(&self, chunks: u64) -> u64 {
        let processed = u128::from((chunks * self.chunk).min(self.len));
        u64::try_from(processed * 10_000 / u128::from(self.len)).expect("a share of the whole is at most 10000")
    }
}

fn hundredths(note: &Note<'_>) -> u64 {
    note.percent().map_or(0, |percent| (percent * 100.0).round().clamp(0.0, 1e9) as u64)
}

/// Hundredths, never falling.
fn values(tally: &mut Tally, create: &Create<'_>) {
    let mut last = 0;
    for note in &create.notes {
        let percent = note.percent().unwrap_or(-1.0);
        let exact = (percent * 100.0 - (percent * 100.0).round()).abs() < 1e-6 && (0.0..=100.0).contains(&percent);
        tally.require(
            exact,
            note.t_ns,
            "backup_percent is floor(processed × 10000 ÷ device bytes) ÷ 100 [D5; B-NOTE-011]",
            || "0.00 to 100.00 in hundredths".to_owned(),
            || note.payload("backup_percent").to_string(),
        );
        tally.require(
            hundredths(note) >= last,
            note.t_ns,
            "percents never fall [D5; B-NOTE-011]",
            || format!("at least {}", last as f64 / 100.0),
            || note.payload("backup_percent").to_string(),
        );
        last = hundredths(note);
    }
}

/// Exactly one 100.0, the last note, just before the end; at most one before an error.
fn final_note(tally: &mut Tally, create: &Create<'_>) {
    let Some((t_ns, ended_well)) = create.terminal else { return };
    let full = create.notes.iter().filter(|note| hundredths(note) == 10_000).count();
    let last_is_full = create.notes.last().is_some_and(|note| hundredths(note) == 10_000);
    tally.require(
        if ended_well { full == 1 && last_is_full } else { full == 0 || (full == 1 && last_is_full) },
        t_ns,
        "exactly one 100.0 is sent, after the metadata object and just before create.end [D5; B-NOTE-013]",
        || format!("one 100.0 before create.end of {}", create.backup_id),
        || format!("{full}, the last note being {:?}", create.notes.last().and_then(Note::percent)),
    );
}

/// Every percent is one of whole chunks.
fn formula(tally: &mut Tally, create: &Create<'_>, scale: &Scale) {
    for note in &create.notes {
        let value = hundredths(note);
        let near = value.saturating_mul(scale.len) / 10_000 / scale.chunk;
        // With every chunk stored but the metadata object not, the timer still tells of something unfinished.
        let unfinished = value == UNFINISHED_MAX;
        let whole = unfinished || (near.saturating_sub(1)..=near + 2).any(|chunks| scale.hundredths(chunks) == value);
        tally.require(
            whole,
            note.t_ns,
            "processed is a prefix of whole chunks [D5; B-NOTE-011]",
            || format!("a percent of {} chunks of {} bytes in {}", scale.chunks, scale.chunk, scale.len),
            || note.payload("backup_percent").to_string(),
        );
    }
}

/// Every note is explained by count or timer, and no note of either is missing.
fn rhythm(history: &History, tally: &mut Tally, create: &Create<'_>, scale: &Scale) {
    let every = number(history, "backup_object_number_per_notification", 10);
    let multiples = (1u64..).map_while(|index| every.checked_mul(index).filter(|chunks| *chunks > 0));
    let mut counts: Vec<u64> =
        multiples.take_while(|chunks| *chunks < scale.chunks).map(|chunks| scale.hundredths(chunks)).collect();
    let running: Vec<&Note<'_>> = create.notes.iter().filter(|note| hundredths(note) < 10_000).collect();
    let reached = match create.terminal {
        Some((_, true)) => 10_000,
        _ => running.last().map_or(0, |note| hundredths(note)),
    };
    let mut timer = Timer::new(history, create, running.first());
    for note in &running {
        let value = hundredths(note);
        let by_count = counts.iter().position(|count| *count == value).map(|index| counts.remove(index)).is_some();
        tally.require(
            by_count || timer.takes(note),
            note.t_ns,
            "progress is sent by count and by timer only [D5; B-NOTE-010, 012]",
            || format!("a note after every {every}th chunk but the last, and on the timer"),
            || format!("{} percent of {} at {}", value as f64 / 100.0, create.backup_id, at(note.t_ns)),
        );
    }
    for count in counts.into_iter().filter(|count| *count < reached) {
        tally.broken(
            create.terminal.map_or(0, |(t_ns, _)| t_ns),
            "a count note follows every N-th chunk except the last [D5; B-NOTE-010]",
            format!("a note of {} percent of {}", count as f64 / 100.0, create.backup_id),
            "none",
        );
    }
    timer.missed(tally, create, running.last());
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
    fn new(history: &History, create: &Create<'_>, first: Option<&&Note<'_>>) -> Timer {
        // Each driver has its own: backup_swift_enable_progress_timer, backup_s3_enable_progress_timer …
        let mut options = history.header.plan.options.keys().filter(|name| name.ends_with("_enable_progress_timer"));
        let enabled = options.all(|name| flag(history, name, true));
        let interval = seconds(history, "backup_timer_interval", 120).max(1);
        let from = first.map_or(0, |note| note.t_ns);
        let to = create.terminal.map_or(u64::MAX, |(t_ns, _)| t_ns);
        let calm = !disturbed(history, &[create.host, "db"], from, to);
        Timer { first: first.map(|note| note.t_ns).filter(|_| enabled), interval, taken: Vec::new(), calm }
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
    fn missed(&self, tally: &mut Tally, create: &Create<'_>, last: Option<&&Note<'_>>) {
        let (Some(first), Some(last)) = (self.first, last) else { return };
        for slot in 0..=(last.t_ns - first) / self.interval {
            let due = first + slot * self.interval;
            let surely = due + SEC < last.t_ns || slot == 0;
            tally.require(
                self.taken.contains(&slot) || !surely || !self.calm,
                due,
                "the timer sends a note at the start of the data loop and every backup_timer_interval [D5; B-NOTE-012]",
                || format!("a timer note of {} at {}", create.backup_id, at(due)),
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

    /// A create of 10 chunks and a tail of 50 bytes: after 4 chunks 400 ÷ 1050 = 38.09 %, after 8 76.19 %.
    fn create(notes: &[(u64, f64)], terminal: &str) -> Script {
        let start = script().option("backup_object_number_per_notification", "4").device("attach", 1050, "aa");
        let start = start.note("backup.create.start", "creating");
        let done = notes.iter().fold(start, |script, (s, percent)| script.at(s * 1000).progress(*percent));
        done.note(terminal, if terminal.ends_with("end") { "available" } else { "error" })
    }

    fn judge(case: &str, script: Script, expected: &str) {
        testing::check(case, &check(&script.history), expected);
    }

    const GOOD: [(u64, f64); 6] = [(1, 0.0), (2, 38.09), (121, 66.66), (130, 76.19), (241, 95.23), (250, 100.0)];

    fn without(index: usize) -> Vec<(u64, f64)> {
        GOOD.iter().enumerate().filter(|(at, _)| *at != index).map(|(_, note)| *note).collect()
    }

    fn replaced(index: usize, note: (u64, f64)) -> Vec<(u64, f64)> {
        GOOD.iter().enumerate().map(|(at, old)| if at == index { note } else { *old }).collect()
    }

    #[test]
    fn a_create_that_keeps_every_rule_passes() {
        judge("whole", create(&GOOD, "backup.create.end"), "ok");
        judge("nothing to check", script(), "none");
    }

    #[test]
    fn count_notes_come_at_the_right_percents() {
        judge("one missing", create(&without(1), "backup.create.end"), "a note of 38.09 percent");
        judge("at 5 chunks", create(&replaced(1, (2, 47.61)), "backup.create.end"), "by count and by timer only");
        judge("of the last chunk", create(&[(1, 0.0), (2, 38.09), (3, 76.19)], "backup.create.error"), "ok");
    }

    #[test]
    fn percents_are_floors_of_whole_chunks() {
        judge("rounded up", create(&replaced(1, (2, 38.1)), "backup.create.end"), "prefix of whole chunks");
        judge("by chunk count", create(&replaced(1, (2, 36.363)), "backup.create.end"), "floor(processed");
    }

    #[test]
    fn percents_never_fall() {
        judge("falls", create(&replaced(4, (241, 66.66)), "backup.create.end"), "percents never fall");
    }

    #[test]
    fn the_timer_keeps_its_interval() {
        judge("slot missed", create(&without(2), "backup.create.end"), "a timer note");
        judge("off the grid", create(&replaced(2, (123, 66.66)), "backup.create.end"), "by count and by timer only");
        let off = create(&GOOD, "backup.create.end").option("backup_swift_enable_progress_timer", "false");
        judge("switched off", off, "by count and by timer only");
    }

    #[test]
    fn a_timer_note_may_come_late_while_the_database_is_out_of_reach() {
        let pause = || Fault::Pause(HostTarget { host: "db".to_owned() });
        let late = [(1, 0.0), (2, 38.09), (240, 66.66), (241, 76.19), (242, 95.23), (250, 100.0)];
        judge("out of reach", create(&late, "backup.create.end").fault(100, Some(240), pause()), "ok");
        judge("in reach", create(&late, "backup.create.end"), "by count and by timer only");
        let more = [(1, 0.0), (2, 38.09), (240, 66.66), (241, 66.66), (242, 76.19), (243, 95.23), (250, 100.0)];
        let more = create(&more, "backup.create.end").fault(100, Some(240), pause());
        judge("more than the timer sent", more, "by count and by timer only");
    }

    #[test]
    fn a_timer_note_before_the_metadata_object_stays_below_100() {
        judge("99.99", create(&replaced(4, (241, 99.99)), "backup.create.end"), "ok");
        judge("100.0", create(&replaced(4, (241, 100.0)), "backup.create.end"), "exactly one 100.0");
    }

    #[test]
    fn one_hundred_is_sent_once_and_last() {
        judge("none", create(&without(5), "backup.create.end"), "exactly one 100.0");
        let mut twice = GOOD.to_vec();
        twice.push((251, 100.0));
        judge("two", create(&twice, "backup.create.end"), "exactly one 100.0");
        judge("detach failed after it", create(&GOOD, "backup.create.error"), "ok");
    }

    #[test]
    fn nothing_is_sent_after_a_failure() {
        let failed = || create(&GOOD[..2], "backup.create.error");
        judge("silent", failed().at(400_000).host_event("idle"), "ok");
        judge("leaked timer", failed().at(121_000).progress(38.09), "no progress is sent after");
    }
}
