//! Restored bytes: what a good restore leaves on the device is what the backup read from its own.

use clinker_model::history::{Entry, History};
use clinker_model::verdict::Finding;

use crate::Checker;
use crate::tally::{Tally, at};
use crate::view::notes;

pub const CHECKER: Checker = Checker {
    name: "restored_bytes",
    about: "after a restore that ended well the device holds the bytes of the backup",
    source: "D6; B-RST-001, 002; B-INC-003; B-INT-001..003",
    check,
};

/// A digest of a device at a moment.
struct Digest<'h> {
    t_ns: u64,
    backup: &'h str,
    moment: &'h str,
    len: u64,
    digest: &'h str,
}

fn digests(history: &History) -> Vec<Digest<'_>> {
    history
        .records
        .iter()
        .filter_map(|record| match &record.entry {
            Entry::Device { moment, backup_id: Some(backup), len, digest, .. } => {
                Some(Digest { t_ns: record.t_ns, backup, moment, len: *len, digest })
            }
            _ => None,
        })
        .collect()
}

fn check(history: &History) -> Finding {
    const RULE: &str = "a restore that ended well leaves the backup's bytes on the device [D6]";
    let mut tally = Tally::new(CHECKER.name);
    let digests = digests(history);
    for note in notes(history).into_iter().filter(|note| note.event_type() == "backup.restore.end") {
        let last = |moment: &str| {
            digests.iter().rfind(|digest| {
                digest.backup == note.backup_id() && digest.moment == moment && digest.t_ns <= note.t_ns
            })
        };
        let name = format!("restore of {} that ended at {}", note.backup_id(), at(note.t_ns));
        match (last("attach"), last("detach")) {
            // A larger target is digested whole: nothing to compare. A digest of the backup's length is.
            (Some(made), Some(restored)) if restored.len > made.len => {}
            (Some(made), Some(restored)) => tally.require(
                (made.len, made.digest) == (restored.len, restored.digest),
                note.t_ns,
                RULE,
                || format!("{name}: {} bytes, digest {}", made.len, made.digest),
                || format!("{} bytes, digest {}", restored.len, restored.digest),
            ),
            (made, _) => {
                let missing = if made.is_none() { "the backup's source" } else { "the restored device" };
                tally.broken(note.t_ns, RULE, format!("{name}: both digests"), format!("no digest of {missing}"));
            }
        }
    }
    tally.finish()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{self, Script, script};

    fn judge(case: &str, script: Script, expected: &str) {
        testing::check(case, &check(&script.history), expected);
    }

    fn restored(len: u64, digest: &str) -> Script {
        let backup = script().device("attach", 1050, "aa").at(10).device("detach", len, digest);
        backup.note("backup.restore.end", "available")
    }

    #[test]
    fn a_good_restore_leaves_the_backups_bytes() {
        judge("same", restored(1050, "aa"), "ok");
        judge("one bit differs", restored(1050, "ab"), "leaves the backup's bytes");
        judge("shorter", restored(1000, "aa"), "1000 bytes");
        judge("larger target", restored(2000, "ff"), "none");
        judge("no digest", script().device("attach", 1, "aa").note("backup.restore.end", "available"), "no digest of");
    }

    #[test]
    fn a_failed_restore_is_not_judged() {
        let failed = script().device("attach", 9, "aa").device("detach", 9, "bb");
        judge("error", failed.note("backup.restore.error", "available"), "none");
    }
}
