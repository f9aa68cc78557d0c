//! Quotas: what a project has never exceeds them, what is refused would have, and users are told what is true.

use std::collections::BTreeMap;

use clinker_model::history::{Entry, History, Phase};
use clinker_model::plan::Step;
use clinker_model::verdict::Finding;
use serde_json::Value;

use crate::Checker;
use crate::tally::Tally;
use crate::view::{text, truth};

pub const CHECKER: Checker = Checker {
    name: "quotas",
    about: "a project's backups never exceed its quotas, refusals are true, and a deleted backup counts no more",
    source: "reference 02 section 2.10; quota_backups, quota_backup_gigabytes",
    check,
};

/// Backups and GiB.
type Pair = [u64; 2];

const NAMES: [&str; 2] = ["quota_backups", "quota_backup_gigabytes"];

/// What was in use when.
struct Usage {
    limits: [Option<u64>; 2],
    /// Size and project of each backup that counts.
    counted: BTreeMap<String, (String, u64)>,
    /// After each transaction, by project.
    moments: Vec<(u64, BTreeMap<String, Pair>)>,
}

fn check(history: &History) -> Finding {
    let mut tally = Tally::new(CHECKER.name);
    let options = &history.header.plan.options;
    let limit = |name: &str, default: i64| {
        let limit = options.get(name).and_then(|text| text.trim().parse::<i64>().ok()).unwrap_or(default);
        u64::try_from(limit).ok()
    };
    let limits = [limit(NAMES[0], 10), limit(NAMES[1], 1000)];
    let mut usage = Usage { limits, counted: BTreeMap::new(), moments: vec![(0, BTreeMap::new())] };
    let mut asked_at = BTreeMap::new();
    for record in &history.records {
        match &record.entry {
            Entry::Commit { changes, .. } => {
                let mut added = false;
                for change in changes.iter().filter(|change| change.table == "backups") {
                    added |= usage.count(&change.id, &change.after);
                }
                usage.note(record.t_ns);
                if added {
                    within(&mut tally, record.t_ns, &usage);
                }
            }
            Entry::Op { phase: Phase::Invoke, step, .. } => drop(asked_at.insert(*step, record.t_ns)),
            Entry::Op { phase, step, value, failure, .. } => {
                let from = asked_at.get(step).copied().unwrap_or(0);
                let planned = history.header.plan.steps.get(*step).map(|planned| &planned.step);
                if let (Some(Step::Quota(expected)), Phase::Ok) = (planned, phase) {
                    told(&mut tally, record.t_ns, value, &usage.since(from), limits);
                    as_expected(&mut tally, record.t_ns, value, [expected.backups, expected.gigabytes]);
                }
                if let Some(failure) = failure.as_ref().filter(|failure| failure.kind == "quota") {
                    let size = planned.and_then(|step| size_asked(history, step));
                    refused(&mut tally, record.t_ns, &failure.reason, &usage.since(from), limits, size);
                }
            }
            _ => {}
        }
    }
    tally.finish()
}

impl Usage {
    /// Whether the backup counts and did not before.
    fn count(&mut self, id: &str, row: &Value) -> bool {
        if row.is_null() || truth(&row["deleted"]) {
            self.counted.remove(id);
            return false;
        }
        let counts = (text(&row["project_id"]).to_owned(), row["size"].as_u64().unwrap_or(0));
        self.counted.insert(id.to_owned(), counts).is_none()
    }

    fn note(&mut self, t_ns: u64) {
        let mut used: BTreeMap<String, Pair> = BTreeMap::new();
        for (project, size) in self.counted.values() {
            let [backups, gigabytes] = used.entry(project.clone()).or_default();
            *backups += 1;
            *gigabytes += size;
        }
        if self.moments.last().is_none_or(|(_, last)| *last != used) {
            self.moments.push((t_ns, used));
        }
    }

    /// What any project had in use at any moment from `t_ns` to now; one that has nothing has nothing.
    fn since(&self, t_ns: u64) -> Vec<Pair> {
        let first = self.moments.iter().rposition(|(at, _)| *at < t_ns).unwrap_or(0);
        let mut pairs: Vec<Pair> = self.moments[first..].iter().flat_map(|(_, used)| used.values().copied()).collect();
        if self.moments[first..].iter().any(|(_, used)| used.is_empty()) {
            pairs.push([0, 0]);
        }
        pairs
    }
}

fn within(tally: &mut Tally, t_ns: u64, usage: &Usage) {
    let Some((_, used)) = usage.moments.last() else { return };
    for (project, used) in used {
        for ((name, used), limit) in NAMES.iter().zip(used).zip(usage.limits) {
            tally.require(
                limit.is_none_or(|limit| *used <= limit),
                t_ns,
                "no transaction takes a project beyond a quota [reference 02 section 2.10]",
                || format!("{name}: at most {limit:?} for project {project}"),
                || used.to_string(),
            );
        }
    }
}

/// The size in GiB that a create asks for; that of an import is in its record.
fn size_asked(history: &History, step: &Step) -> Option<u64> {
    let plan = &history.header.plan;
    let Step::Create(create) = step else { return None };
    let volume = plan.volumes.iter().find(|volume| volume.name == create.volume)?;
    Some(volume.size.0.div_ceil(plan.gib.0).max(1))
}

/// `quota_backups has 2 of 2 in use, 1 more asked for`
fn clause(text: &str) -> Option<(&str, u64, u64, u64)> {
    let (name, rest) = text.split_once(" has ")?;
    let (used, rest) = rest.split_once(" of ")?;
    let (limit, rest) = rest.split_once(" in use, ")?;
    let asked = rest.strip_suffix(" more asked for")?;
    Some((name, used.parse().ok()?, limit.parse().ok()?, asked.parse().ok()?))
}

fn refused(tally: &mut Tally, t_ns: u64, reason: &str, used: &[Pair], limits: [Option<u64>; 2], size: Option<u64>) {
    let what = reason.splitn(3, ": ").nth(2).unwrap_or_default();
    let is_true = |text: &str| {
        let Some((name, in_use, limit, asked)) = clause(text) else { return false };
        let Some(which) = NAMES.iter().position(|known| *known == name) else { return false };
        let right = if which == 0 { Some(1) } else { size };
        limits[which] == Some(limit)
            && in_use + asked > limit
            && right.is_none_or(|right| right == asked)
            && used.iter().any(|pair| pair[which] == in_use)
    };
    tally.require(
        !what.is_empty() && what.split("; ").all(is_true),
        t_ns,
        "only what would exceed a quota is refused for it, and the reason tells how [reference 02 section 2.10]",
        || format!("a quota of {limits:?} that {used:?} and what is asked for exceed"),
        || reason.to_owned(),
    );
}

fn told(tally: &mut Tally, t_ns: u64, value: &Value, used: &[Pair], limits: [Option<u64>; 2]) {
    let quotas = ["backups", "backup_gigabytes"].map(|name| &value[name]);
    let is_limit = |quota: &Value, limit: Option<u64>| match limit {
        Some(limit) => quota["limit"] == limit,
        None => quota["limit"].as_i64().is_some_and(|limit| limit < 0),
    };
    let sum = |quota: &Value| quota["in_use"].as_u64().unwrap_or(0) + quota["reserved"].as_u64().unwrap_or(0);
    let told = quotas.map(sum);
    tally.require(
        used.contains(&told) && quotas.iter().zip(limits).all(|(quota, limit)| is_limit(quota, limit)),
        t_ns,
        "what a user is told to be in use is what the rows sum up to [reference 02 section 2.10]",
        || format!("limits {limits:?}; in use one of {used:?}"),
        || value.to_string(),
    );
}

fn as_expected(tally: &mut Tally, t_ns: u64, value: &Value, expected: [Option<u64>; 2]) {
    for (name, expected) in ["backups", "backup_gigabytes"].into_iter().zip(expected) {
        let Some(expected) = expected else { continue };
        tally.require(
            value[name]["in_use"] == expected,
            t_ns,
            "as much is in use as the scenario expects [scenario: quota]",
            || format!("{name}: {expected}"),
            || value[name].to_string(),
        );
    }
}

#[cfg(test)]
mod tests {
    use clinker_model::account::Quota;
    use clinker_model::history::Failure;
    use clinker_model::scenario::Create;
    use serde_json::json;

    use super::*;
    use crate::testing::{self, Script, script};

    fn judge(case: &str, script: Script, expected: &str) {
        testing::check(case, &check(&script.history), expected);
    }

    fn row(size: u64) -> Value {
        json!({ "project_id": "p", "size": size, "deleted": false, "status": "creating" })
    }

    fn two() -> Script {
        script().option("quota_backups", "2").option("quota_backup_gigabytes", "5")
    }

    #[test]
    fn a_project_stays_within_its_quotas() {
        judge("just within", two().row("backups", "a", row(2)).row("backups", "b", row(3)), "ok");
        judge("a GiB too many", two().row("backups", "a", row(3)).row("backups", "b", row(3)), "beyond a quota");
        let third = |script: Script| script.row("backups", "c", row(0));
        judge("one too many", third(two().row("backups", "a", row(1)).row("backups", "b", row(1))), "beyond a quota");
        let deleted = two().row("backups", "a", row(1)).row("backups", "b", row(1));
        judge("after a delete", third(deleted.row("backups", "a", json!({ "deleted": true }))), "ok");
        let other = two().row("backups", "a", row(3)).row("backups", "b", row(2));
        judge("another project", other.row("backups", "c", json!({ "project_id": "q", "size": 5 })), "ok");
        judge("no limit", script().option("quota_backups", "-1").row("backups", "a", row(9)), "ok");
        judge("nothing made", two(), "none");
    }

    fn create() -> Step {
        let (volume, name) = ("vol-1".to_owned(), "first".to_owned());
        let create = Create {
            volume,
            name,
            incremental: false,
            force: false,
            container: None,
            snapshot: None,
            availability_zone: None,
        };
        Step::Create(create)
    }

    #[test]
    fn only_what_would_exceed_is_refused() {
        let refused = |script: Script, what: &str| {
            let failure = Failure { kind: "quota".into(), reason: format!("quota: api_create: {what}") };
            let entry = Entry::Op {
                phase: Phase::Fail,
                step: 0,
                op: "create".into(),
                value: Value::Null,
                failure: Some(failure),
            };
            script.step(Some("quota"), create()).op(0, Phase::Invoke, None).record("api", entry)
        };
        let full = || two().row("backups", "a", row(1)).row("backups", "b", row(4)).at(1000);
        judge("over", refused(full(), "quota_backups has 2 of 2 in use, 1 more asked for"), "ok");
        let both = "quota_backups has 2 of 2 in use, 1 more asked for; \
                    quota_backup_gigabytes has 5 of 5 in use, 1 more asked for";
        judge("over both", refused(full(), both), "ok");
        let freed = || full().row("backups", "a", json!({ "deleted": true })).at(2000);
        judge("not over", refused(freed(), "quota_backups has 2 of 2 in use, 1 more asked for"), "only what would");
        judge("would fit", refused(freed(), "quota_backups has 1 of 2 in use, 1 more asked for"), "only what would");
        judge("other limit", refused(full(), "quota_backups has 2 of 1 in use, 1 more asked for"), "only what would");
        let size = "quota_backup_gigabytes has 5 of 5 in use, 7 more asked for";
        judge("other size", refused(full(), size), "only what would");
        judge("no reason", refused(full(), "too much"), "only what would");
    }

    #[test]
    fn a_user_is_told_what_is_true_and_expected() {
        let asked = |in_use: [u64; 2], expected: Option<u64>| {
            let value = json!({
                "backups": { "limit": 2, "in_use": in_use[0], "reserved": 0 },
                "backup_gigabytes": { "limit": 5, "in_use": in_use[1], "reserved": 0 },
            });
            let step = Step::Quota(Quota { backups: expected, gigabytes: None });
            let entry = Entry::Op { phase: Phase::Ok, step: 0, op: "quota".into(), value, failure: None };
            let script = two().row("backups", "a", row(3)).at(1000).step(None, step);
            script.op(0, Phase::Invoke, None).record("api", entry)
        };
        judge("true", asked([1, 3], Some(1)), "ok");
        judge("false", asked([2, 3], None), "sum up to");
        judge("other than expected", asked([1, 3], Some(2)), "as the scenario expects");
    }
}
