//! Progress notes of a create: the percent formula, what is stored by then, and the one 100.0. Their rhythm is in
//! `timing/notes.rs`.

use std::collections::BTreeMap;

use clinker_model::history::{Entry, History};
use clinker_model::verdict::Finding;

use crate::Checker;
use crate::tally::{Tally, at};
use crate::view::{Note, notes, progress_type};

pub const CHECKER: Checker = Checker {
    name: "progress",
    about: "progress notes tell the share of the volume processed and stored, and 100.0 once at the end",
    source: "D5; spec backup-notification; B-NOTE-011, 013, 014",
    check,
};

/// What a timer note says, in hundredths, once all data are stored and only the metadata object is not.
const UNFINISHED_MAX: u64 = 9_999;

/// The notes of one create, from its start to its terminal event.
pub(super) struct Create<'h> {
    pub backup_id: &'h str,
    pub host: &'h str,
    pub notes: Vec<Note<'h>>,
    /// Of the whole volume.
    pub full: bool,
    /// Moment of the terminal event, and whether it is an end.
    pub terminal: Option<(u64, bool)>,
}

fn check(history: &History) -> Finding {
    let mut tally = Tally::new(CHECKER.name);
    for create in creates(history, &mut tally) {
        values(&mut tally, &create);
        final_note(&mut tally, &create);
        if let Some(scale) = scale(history, &create) {
            formula(&mut tally, &create, &scale);
            stored(&mut tally, history, &create, &scale);
        }
    }
    tally.finish()
}

/// Groups the notes by create; a progress note outside of any is a breach at once.
pub(super) fn creates<'h>(history: &'h History, tally: &mut Tally) -> Vec<Create<'h>> {
    let progress_type = progress_type(history);
    let mut creates: Vec<Create<'h>> = Vec::new();
    for note in notes(history) {
        let Some(("create", part)) = note.parts(&progress_type) else { continue };
        let id = note.backup_id();
        let open = creates.iter_mut().find(|create| create.backup_id == id && create.terminal.is_none());
        match (part, open) {
            ("start", _) => {
                let (host, full) = (note.host(), note.payload("parent_id").is_null());
                creates.push(Create { backup_id: id, host, notes: Vec::new(), full, terminal: None });
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

/// The scale of a create's percents; none when its volume was not attached, or is empty.
pub(super) fn scale(history: &History, create: &Create<'_>) -> Option<Scale> {
    device_len(history, create.backup_id).filter(|len| *len > 0).map(|len| Scale::new(history, len))
}

/// The percents of whole chunks, in hundredths.
pub(super) struct Scale {
    len: u64,
    chunk: u64,
    /// Chunks of the volume, the tail included.
    pub chunks: u64,
}

impl Scale {
    fn new(history: &History, len: u64) -> Scale {
        let chunk = history.header.plan.chunk.0.max(1);
        Scale { len, chunk, chunks: len.div_ceil(chunk) }
    }

    /// floor(processed × 10000 ÷ device bytes) after `chunks` chunks.
    pub fn hundredths(&self, chunks: u64) -> u64 {
        let processed = u128::from((chunks * self.chunk).min(self.len));
        u64::try_from(processed * 10_000 / u128::from(self.len)).expect("a share of the whole is at most 10000")
    }
}

pub(super) fn hundredths(note: &Note<'_>) -> u64 {
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

/// A chunk counts when it and all before it are stored. Of full backups on stores that are reached by HTTP, where chunk and
/// object have the same number.
fn stored(tally: &mut Tally, history: &History, create: &Create<'_>, scale: &Scale) {
    let mut stored_ns: BTreeMap<u64, u64> = BTreeMap::new();
    for record in &history.records {
        if let Entry::Request { method, path, status: 200..=299, .. } = &record.entry
            && method == "PUT"
            && let Some(number) = object_number(path, create.backup_id)
        {
            stored_ns.entry(number).or_insert(record.t_ns);
        }
    }
    let by_chunk = create.full && stored_ns.keys().copied().eq(1..=scale.chunks);
    if !by_chunk || create.terminal.is_none_or(|(_, ended_well)| !ended_well) {
        return;
    }
    for note in &create.notes {
        let value = hundredths(note);
        let told = (1..=scale.chunks).take_while(|chunks| scale.hundredths(*chunks) <= value).last().unwrap_or(0);
        let late = (1..=told).find(|number| stored_ns.get(number).is_some_and(|stored_ns| *stored_ns > note.t_ns));
        tally.require(
            late.is_none(),
            note.t_ns,
            "a chunk is processed when it and all before it are stored [D5; B-NOTE-011]",
            || format!("a share without object {:05} and what follows it", late.unwrap_or(0)),
            || note.payload("backup_percent").to_string(),
        );
    }
}

/// Of a data object of the backup.
fn object_number(path: &str, backup_id: &str) -> Option<u64> {
    let (_, number) = path.split('?').next()?.split_once(backup_id)?.1.rsplit_once('-')?;
    (number.len() >= 5).then(|| number.parse().ok())?
}

#[cfg(test)]
mod tests {
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
    fn percents_are_floors_of_whole_chunks() {
        judge("rounded up", create(&replaced(1, (2, 38.1)), "backup.create.end"), "prefix of whole chunks");
        judge("by chunk count", create(&replaced(1, (2, 36.363)), "backup.create.end"), "floor(processed");
    }

    #[test]
    fn percents_never_fall() {
        judge("falls", create(&replaced(4, (241, 66.66)), "backup.create.end"), "percents never fall");
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
    fn a_chunk_counts_when_it_and_all_before_it_are_stored() {
        // The first four chunks are told of after 2 s, eight after 130 s, all eleven at 250 s.
        let check_stored = |case: &str, stored_s: [u64; 11], expected: &str| {
            let mut puts: Vec<(u64, u64)> = stored_s.into_iter().zip(1..).collect();
            puts.sort_unstable();
            let mut notes = GOOD.iter().peekable();
            let mut script = script().option("backup_object_number_per_notification", "4").device("attach", 1050, "aa");
            script = script.note("backup.create.start", "creating");
            for (s, number) in puts {
                while let Some((note_s, percent)) = notes.next_if(|(note_s, _)| *note_s < s) {
                    script = script.at(note_s * 1000).progress(*percent);
                }
                script = script.at(s * 1000).record("swift", put(number));
            }
            script = notes.fold(script, |script, (s, percent)| script.at(s * 1000).progress(*percent));
            judge(case, script.note("backup.create.end", "available"), expected);
        };
        check_stored("in order", [1, 1, 1, 2, 3, 4, 5, 130, 131, 132, 250], "ok");
        check_stored("out of order", [2, 1, 1, 1, 5, 4, 3, 3, 3, 3, 3], "ok");
        check_stored("the fourth is late", [1, 1, 1, 3, 3, 3, 3, 3, 3, 3, 3], "a chunk is processed when");
        check_stored("the first is late", [3, 1, 1, 1, 3, 3, 3, 3, 3, 3, 3], "a chunk is processed when");
        check_stored("the tail is late", [1, 1, 1, 1, 3, 3, 3, 3, 3, 3, 251], "a chunk is processed when");
    }

    fn put(number: u64) -> Entry {
        let id = testing::backup_payload()["backup_id"].as_str().expect("a backup's id").to_owned();
        let path = format!("/v1/AUTH_test/vb/volume_1/20260101000000/az_nova_backup_{id}-{number:05}");
        Entry::Request { method: "PUT".to_owned(), path, status: 201, request_bytes: 1, response_bytes: 0 }
    }

    #[test]
    fn nothing_is_sent_after_a_failure() {
        let failed = || create(&GOOD[..2], "backup.create.error");
        judge("silent", failed().at(400_000).host_event("idle"), "ok");
        judge("leaked timer", failed().at(121_000).progress(38.09), "no progress is sent after");
    }
}
