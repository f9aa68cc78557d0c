//! Bugs that were found and mended, each with its story, played as scenarios and judged as every run is.

use clinker::loader;
use clinker::run::{Parts, play};
use clinker_drivers::Options;
use clinker_model::Entry;
use clinker_model::verdict::Outcome;

/// Plays the scenario with one driver; every checker must be content. The event types of the messages committed.
fn check(driver: &str, scenario: &str) -> Vec<String> {
    let options: Vec<&str> = Options::table().iter().map(|option| option.name).collect();
    let scenario = loader::load("regression", scenario, &options).unwrap();
    let plan = loader::plan(&scenario, "regression", driver, 1).unwrap();
    let run = play(&plan, &Parts::default()).unwrap();
    for finding in clinker_judge::judge(&run.history) {
        assert_ne!(finding.outcome, Outcome::Fail, "{driver}: {finding:#?}");
    }
    let commits = run.history.records.iter().filter_map(|record| match &record.entry {
        Entry::Commit { outbox, .. } => Some(outbox),
        _ => None,
    });
    commits.flatten().map(|queued| queued.message["event_type"].as_str().unwrap_or_default().to_owned()).collect()
}

/// A delete was asked for while its host could not be reached, and the host restarted. Clean-up resumed the delete and
/// then the queued request arrived and began it once more: a second start without an end, and two deletes at once.
#[test]
fn a_delete_resumed_at_start_is_not_begun_again_by_its_queued_request() {
    let scenario = r#"
        about = "A delete is queued for a host that is cut off, and the host restarts."
        drivers = ["swift"]
        end = "60s"
        [[fault]]
        at = "10s"
        until = "14s"
        hold = { host = "backup-host-1" }
        [[fault]]
        at = "12s"
        crash = { host = "backup-host-1", restart_after = "3s" }
        [[do]]
        at = "2s"
        create = { volume = "vol-1", as = "first" }
        [[do]]
        at = "11s"
        delete = { backup = "first" }
        [expect]
        backup = { first = "deleted" }
    "#;
    let events = check("swift", scenario);
    let deletes: Vec<&String> = events.iter().filter(|event| event.starts_with("backup.delete.")).collect();
    assert_eq!(deletes, ["backup.delete.start", "backup.delete.end"]);
}
