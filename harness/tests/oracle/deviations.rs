//! Every way in which our service means to differ from the original, as code: applied to a recorded outcome, each gives
//! the outcome that ours must have. `docs/deviations.md` says the same in words.

use super::outcome::{Event, Outcome};
use super::plays::Play;

/// One deliberate difference.
pub struct Deviation {
    pub id: &'static str,
    /// Where the design decides it.
    pub decision: &'static str,
    /// What ours does, in one line.
    pub ours: &'static str,
    /// Not named by plays: it is in every row where it makes a difference.
    pub everywhere: bool,
    pub apply: fn(&mut Outcome, &Play),
}

const fn named(
    id: &'static str,
    decision: &'static str,
    ours: &'static str,
    apply: fn(&mut Outcome, &Play),
) -> Deviation {
    Deviation { id, decision, ours, everywhere: false, apply }
}

pub const DEVIATIONS: &[Deviation] = &[
    named("DEV-01", "D5", "an operation that fails ends with an error event that says why", error_events),
    named("DEV-02", "D5", "a create that a force delete cancels ends as an error, before the delete ends", cancelled),
    named("DEV-03", "D5", "percentages are those of the bytes stored", percentages),
    named("DEV-04", "D5", "100.0 comes exactly once, at the end; nothing comes after a failure", one_hundred_once),
    Deviation {
        everywhere: true,
        ..named("DEV-05", "§5", "an absent fail_reason is null, never the empty text", null_reasons)
    },
    named("DEV-06", "D5", "every initialisation attempt ends with an event", init_events),
    named("DEV-07", "§5", "a delete that fails leaves the backup error_deleting", delete_fails),
    named("DEV-08", "D7", "a delete that cannot list what there is fails", listing_fails),
    named("DEV-09", "D6", "restored bytes are verified", verified),
    named("DEV-10", "D4, §5", "a restore that arrives while the driver does not work is refused", restore_not_working),
    named("DEV-11", "§5", "the new volume of a restore that fails is in error", new_target),
    named("DEV-12", "§5", "the backup's status is looked at before the volume's", backup_first),
    named("DEV-13", "D8, §5", "a request that finds the backup in another status leaves it alone", left_alone),
    named("DEV-14", "§5", "the target of a restore that did not begin becomes available again", target_released),
    named("DEV-15", "§5", "a volume in a status that is not the restore's is left alone", volume_left_alone),
    named("DEV-16", "D7", "a failed create removes what it stored", nothing_left),
    named("DEV-17", "D4", "a backup that was never stored is deleted by the API itself", deleted_by_api),
    named("DEV-18", "D5", "a dead message bus loses no event", events_kept),
    named("DEV-19", "D11", "the set-up check finds wrong credentials", check_finds),
    named("DEV-20", "§5", "the status of a backup that was never stored can be reset", reset_never_stored),
    named("DEV-21", "D11", "a resumed delete without a user's token fails instead of leaving all objects", no_token),
    named("DEV-22", "§5", "a create that fails before it has a container ends as well", early_failure),
];

/// The size of every recorded volume.
const GIB: f64 = (1u64 << 30) as f64;

/// Each start without its end or error gets its error, before the next operation starts.
fn error_events(outcome: &mut Outcome, play: &Play) {
    let mut events: Vec<Event> = Vec::new();
    let mut open: Option<Event> = None;
    let status = |outcome: &Outcome| outcome.get(&format!("{}.status", fact_of_backup(play))).to_owned();
    for event in outcome.events.drain(..).collect::<Vec<_>>() {
        if event.is_start()
            && let Some(start) = open.replace(event.clone())
        {
            events.push(Event::error(start.operation(), &status(outcome), start.has_parent));
        }
        if event.is_terminal() {
            open = None;
        }
        events.push(event);
    }
    if let Some(start) = open {
        events.push(Event::error(start.operation(), &status(outcome), start.has_parent));
    } else if let Some(case) = play.direct.as_ref().filter(|_| events.is_empty()) {
        events.push(Event::error(&case.operation, &status(outcome), false));
    }
    outcome.events = events;
}

fn cancelled(outcome: &mut Outcome, _: &Play) {
    let ended = outcome.events.iter().position(|event| event.event_type == "create.end" && event.status == "deleted");
    let deleted = outcome.events.iter().position(|event| event.event_type == "delete.end");
    if let (Some(ended), Some(deleted)) = (ended, deleted) {
        let end = outcome.events.remove(ended);
        outcome.events.insert(deleted, Event::error("create", "deleting", end.has_parent));
        outcome.change("ok", false);
    }
}

/// The original adds N for each chunk, N being the chunks per note, and divides by the volume's size in bytes. Ours are
/// whole hundredths of a percent, rounded down.
fn percentages(outcome: &mut Outcome, play: &Play) {
    for percent in outcome.events.iter_mut().filter_map(|event| event.percent.as_mut()) {
        if *percent != 100.0 {
            let chunks = (*percent / 100.0 * GIB).round() as u64 / play.every;
            *percent = (chunks * 10_000 / play.chunks) as f64 / 100.0;
        }
    }
}

/// To be applied after the percentages: a note after the last chunk says 100.0 by then.
fn one_hundred_once(outcome: &mut Outcome, _: &Play) {
    let last = |events: &[Event], index: usize| events.get(index + 1).is_none_or(|next| next.percent.is_none());
    let events = std::mem::take(&mut outcome.events);
    let kept = events.iter().enumerate().filter(|(index, event)| match event.percent {
        None => true,
        Some(percent) => event.status == "creating" && (percent < 100.0 || last(&events, *index)),
    });
    outcome.events = kept.map(|(_, event)| event.clone()).collect();
}

fn null_reasons(outcome: &mut Outcome, _: &Play) {
    for (name, value) in &mut outcome.facts {
        if name.ends_with(".fail_reason") && value == "empty" {
            *value = "null".into();
        }
    }
}

fn init_events(outcome: &mut Outcome, _: &Play) {
    let ok = outcome.get("ok") == "true";
    let (word, priority) = if ok { ("end", "INFO") } else { ("error", "ERROR") };
    let event_type = format!("init.{word}");
    outcome.events.push(Event { event_type, priority: priority.into(), has_reason: !ok, ..Event::default() });
}

fn delete_fails(outcome: &mut Outcome, _: &Play) {
    outcome.change("backup.status", "error_deleting");
}

fn listing_fails(outcome: &mut Outcome, _: &Play) {
    fails(outcome, "delete");
    outcome.change("backup.status", "error_deleting");
    outcome.change("backup.fail_reason", "set");
    outcome.change("backup.deleted", false);
}

fn verified(outcome: &mut Outcome, _: &Play) {
    fails(outcome, "restore");
    outcome.change("volume.status", "error_restoring");
    outcome.change("volume.src_backup", false);
}

fn restore_not_working(outcome: &mut Outcome, _: &Play) {
    fails(outcome, "restore");
    outcome.change("volume.src_backup", false);
    outcome.change("identical", false);
}

fn new_target(outcome: &mut Outcome, _: &Play) {
    outcome.change("volume.status", "error");
}

/// The refusal is then one of [`left_alone`]: the row keeps what it had.
fn backup_first(outcome: &mut Outcome, play: &Play) {
    left_alone(outcome, play);
}

/// The status that the start event tells is what the row had.
fn left_alone(outcome: &mut Outcome, _: &Play) {
    if let Some(start) = outcome.events.iter().find(|event| event.is_start()) {
        let had = start.status.clone();
        outcome.change("backup.status", had);
    }
    outcome.change("backup.fail_reason", "null");
}

fn target_released(outcome: &mut Outcome, _: &Play) {
    outcome.change("volume.status", "available");
}

fn volume_left_alone(outcome: &mut Outcome, _: &Play) {
    outcome.change("volume.status", "available");
}

fn nothing_left(outcome: &mut Outcome, _: &Play) {
    outcome.change("left", false);
}

fn deleted_by_api(outcome: &mut Outcome, _: &Play) {
    for event in &mut outcome.events {
        event.by_api |= event.operation() == "delete";
    }
}

/// What our create sends while the bus is dead, and after it.
fn events_kept(outcome: &mut Outcome, _: &Play) {
    let event = |event_type: &str, status: &str, percent| Event {
        event_type: event_type.into(),
        priority: "INFO".into(),
        status: status.into(),
        percent,
        ..Event::default()
    };
    outcome.events.push(event("createprogress", "creating", Some(100.0)));
    outcome.events.push(event("create.end", "available", None));
}

fn check_finds(outcome: &mut Outcome, _: &Play) {
    outcome.change("ok", false);
}

fn reset_never_stored(outcome: &mut Outcome, _: &Play) {
    outcome.change("backup.status", "available");
    let event_type = "reset_status.end".to_owned();
    outcome.events.push(Event { event_type, priority: "INFO".into(), status: "available".into(), ..Event::default() });
}

fn no_token(outcome: &mut Outcome, play: &Play) {
    listing_fails(outcome, play);
}

/// Where the objects would be is recorded before the first request.
fn early_failure(outcome: &mut Outcome, _: &Play) {
    outcome.change("backup.container", "set");
    outcome.change("backup.status", "error");
    outcome.change("backup.fail_reason", "set");
    outcome.change("volume.status", "available");
    outcome.change("volume.previous_status", "error_backing-up");
}

/// The operation does not reach its goal: its end is not sent.
fn fails(outcome: &mut Outcome, operation: &str) {
    outcome.change("ok", false);
    outcome.events.retain(|event| event.event_type != format!("{operation}.end"));
}

/// The fact that is the row of the backup whose operation may have failed.
fn fact_of_backup(play: &Play) -> &str {
    let has = |name: &str| play.backups.contains_key(name);
    if has("backup") { "backup" } else { play.backups.keys().next().map_or("backup", String::as_str) }
}
