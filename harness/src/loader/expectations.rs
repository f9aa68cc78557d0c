//! Checks of `[expect]`: names that occur, statuses and checks that exist, one moment per service state.

use clinker_model::scenario::{Scenario, StepEntry};

use super::check::{BACKUP_STATUSES, Checker, LATEST_MOMENT, SNAPSHOT_STATUSES, VOLUME_STATUSES};

impl Checker<'_> {
    pub fn expectations(&mut self) {
        let expect = &self.scenario.expect;
        let mut hosts = super::hosts::backup_hosts(self.scenario);
        hosts.extend(hosts.clone().iter().map(|host| format!("{host}#0")));
        hosts.extend(super::hosts::further_workers(self.scenario));
        let hosts: Vec<&str> = hosts.iter().map(String::as_str).collect();
        for (index, service) in expect.service.iter().enumerate() {
            let index = index.to_string();
            if service.at.is_some() == service.by.is_some() {
                let message =
                    "a service state has exactly one of `at` (exactly then) and `by` (at some moment up to then)";
                self.wrong(&["expect", "service", &index], message);
            }
            self.known(&["expect", "service", &index, "host"], "backup host", &service.host, &hosts);
        }
        let backups = backups(self.scenario);
        for (name, status) in &expect.backup {
            self.known(&["expect", "backup", name], "backup", name, &backups);
            self.known(&["expect", "backup", name], "backup status", status, &BACKUP_STATUSES);
        }
        for name in expect.reason.keys() {
            self.known(&["expect", "reason", name], "backup", name, &backups);
        }
        for name in expect.objects.keys() {
            self.known(&["expect", "objects", name], "backup", name, &backups);
        }
        for (name, told) in &expect.messages {
            let path = ["expect", "messages", name];
            self.known(&path, "backup", name, &backups);
            if let Some(wrong) = told.iter().find(|pair| !is_message(pair)) {
                self.wrong(&path, format!("`{wrong}` is not action and detail of a message, as in `013_018`"));
            }
        }
        let volumes = volumes(self.scenario);
        for (name, status) in &expect.volume {
            self.known(&["expect", "volume", name], "volume", name, &volumes);
            self.known(&["expect", "volume", name], "volume status", status, &VOLUME_STATUSES);
        }
        let taken = self.scenario.steps.iter().filter_map(|step| step.snapshot.as_ref());
        let taken: Vec<&str> = taken.map(|snapshot| snapshot.name.as_str()).collect();
        for (name, status) in &expect.snapshot {
            self.known(&["expect", "snapshot", name], "snapshot", name, &taken);
            self.known(&["expect", "snapshot", name], "snapshot status", status, &SNAPSHOT_STATUSES);
        }
        let checks: Vec<&str> = clinker_judge::CHECKERS.iter().map(|checker| checker.name).collect();
        for (index, check) in expect.checks.iter().enumerate() {
            self.known(&["expect", "checks", &index.to_string()], "check", check, &checks);
        }
        if expect.attempts.windows(2).any(|pair| pair[0] >= pair[1]) {
            self.wrong(&["expect", "attempts"], "`attempts` are moments in rising order");
        }
        self.end();
    }

    /// A given end lies after everything asked for.
    fn end(&mut self) {
        let named = super::plan::moments(self.scenario).chain(self.scenario.end);
        if let Some(latest) = named.max().filter(|latest| *latest > LATEST_MOMENT) {
            self.wrong(&[], format!("{latest} is after {LATEST_MOMENT}, the latest moment that a scenario may name"));
        }
        if let Some(end) = self.scenario.end
            && let Some(latest) = super::plan::moments(self.scenario).max().filter(|latest| *latest > end)
        {
            self.wrong(&["end"], format!("`end` {end} is before something asked for at {latest}"));
        }
    }
}

/// `013_018`: action and detail.
fn is_message(pair: &str) -> bool {
    let number = |text: &str| text.len() == 3 && text.bytes().all(|byte| byte.is_ascii_digit());
    pair.split_once('_').is_some_and(|(action, detail)| number(action) && number(detail))
}

fn backups(scenario: &Scenario) -> Vec<&str> {
    scenario.steps.iter().filter_map(made_by).collect()
}

fn made_by(step: &StepEntry) -> Option<&str> {
    let created = step.create.as_ref().map(|create| create.name.as_str());
    created.or(step.import.as_ref().map(|import| import.name.as_str()))
}

/// Every volume that is declared, used or made.
fn volumes(scenario: &Scenario) -> Vec<&str> {
    let made = scenario.steps.iter().filter_map(|step| step.restore.as_ref()?.new.as_deref());
    let used = super::plan::existing_volumes(scenario).into_iter();
    used.chain(made).collect()
}
