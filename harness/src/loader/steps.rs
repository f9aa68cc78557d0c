//! Checks of `[[do]]`: one kind each, in order of time, every name created before it is used.

use std::collections::BTreeSet;

use clinker_model::plan::Step;
use clinker_model::record::Import;
use clinker_model::scenario::{Restore, Set};

use super::check::{BACKUP_STATUSES, Checker, KINDS, SNAPSHOT_STATUSES, VOLUME_STATUSES};
use super::plan::existing_volumes;
use super::suggest::hint;
use crate::fixtures;

/// The names that steps so far have made.
#[derive(Default)]
struct Names<'s> {
    backups: BTreeSet<&'s str>,
    new_volumes: BTreeSet<&'s str>,
    records: BTreeSet<&'s str>,
    snapshots: BTreeSet<&'s str>,
}

impl Checker<'_> {
    pub fn steps(&mut self) {
        let scenario = self.scenario;
        let kinds: Vec<Vec<Step>> = scenario.steps.iter().map(|entry| entry.kinds()).collect();
        let mut names = Names::default();
        let mut last = None;
        for (index, (entry, kinds)) in scenario.steps.iter().zip(&kinds).enumerate() {
            let index = index.to_string();
            if entry.beside && (index == "0" || entry.at.is_some()) {
                let message =
                    "`beside` is for a step that is asked for together with the one before it: it has no `at`";
                self.wrong(&["do", &index, "beside"], message);
            }
            if let Some(at) = entry.at {
                if last.is_some_and(|last| at < last) {
                    self.wrong(
                        &["do", &index, "at"],
                        format!("`at` {at} is before the step above it: order steps by time"),
                    );
                }
                last = Some(at);
            }
            if let Some(kind) = &entry.refused {
                self.known(&["do", &index, "refused"], "kind of error", kind, &KINDS);
                if entry.maybe {
                    self.wrong(&["do", &index, "maybe"], "`maybe` leaves open what `refused` decides");
                }
            }
            match kinds.as_slice() {
                [] => self.wrong(&["do", &index], "this step has no kind, such as `create` or `restore`"),
                [step] => self.step(&index, step, &mut names),
                [_, second, ..] => {
                    let message = format!("a step has exactly one kind: `{}` is a second one", second.name());
                    self.wrong(&["do", &index, second.name()], message);
                }
            }
        }
    }

    fn step<'s>(&mut self, index: &str, step: &'s Step, names: &mut Names<'s>) {
        let path = ["do", index, step.name(), "backup"];
        match step {
            Step::Create(create) => {
                if create.name.is_empty() {
                    self.wrong(&["do", index, "create", "as"], "`as` is empty: it names the backup for later steps");
                }
                if let Some(snapshot) = create.snapshot.as_deref().filter(|name| !names.snapshots.contains(name)) {
                    let known: Vec<&str> = names.snapshots.iter().copied().collect();
                    let message =
                        format!("no step before this one takes snapshot `{snapshot}`{}", hint(snapshot, &known));
                    self.wrong(&["do", index, "create", "snapshot"], message);
                }
                if !names.backups.insert(&create.name) {
                    let message = format!("backup `{}` is created twice: every `as` is its own", create.name);
                    self.wrong(&["do", index, "create", "as"], message);
                }
            }
            Step::Restore(restore) => {
                self.created(&path, &restore.backup, names);
                self.restore_target(index, restore, names);
            }
            Step::Delete(of) | Step::ForceDelete(of) => self.created(&path, &of.backup, names),
            Step::ResetStatus(reset) => {
                self.created(&path, &reset.backup, names);
                let path = ["do", index, "reset_status", "status"];
                self.known(&path, "status for `reset_status`", &reset.status, &["available", "error"]);
            }
            Step::Write(write) if write.len.0 == 0 => self.wrong(&["do", index, "write", "len"], "`len` is at least 1"),
            Step::Write(_) | Step::ServiceList(_) | Step::Quota(_) | Step::Messages(_) => {}
            Step::Set(set) => self.set(index, set, names),
            Step::Snapshot(snapshot) => drop(names.snapshots.insert(&snapshot.name)),
            Step::Forget(of) => self.created(&path, &of.backup, names),
            Step::Export(export) => {
                self.created(&path, &export.backup, names);
                names.records.insert(&export.name);
            }
            Step::Import(import) => self.import(index, import, names),
        }
    }

    fn import<'s>(&mut self, index: &str, import: &'s Import, names: &mut Names<'s>) {
        if import.sources() != 1 {
            let message = "`import` has exactly one of `record` (an exported one), `fixture` and `url`";
            self.wrong(&["do", index, "import"], message);
        }
        if let Some(record) = import.record.as_deref().filter(|record| !names.records.contains(record)) {
            let known: Vec<&str> = names.records.iter().copied().collect();
            let message = format!("no step before this one exports record `{record}`{}", hint(record, &known));
            self.wrong(&["do", index, "import", "record"], message);
        }
        if let Some(fixture) = &import.fixture {
            let path = ["do", index, "import", "fixture"];
            let known = fixtures::links();
            let known: Vec<&str> = known.iter().map(String::as_str).collect();
            self.known(&path, "fixture", fixture, &known);
            if self.scenario.drivers != ["posix"] {
                self.wrong(&path, "fixtures are repositories of the driver posix");
            }
        }
        if import.volume_meta.is_some() && import.fixture.is_none() {
            self.wrong(&["do", index, "import", "volume_meta"], "`volume_meta` changes a `fixture`: name one");
        }
        names.backups.insert(&import.name);
    }

    fn restore_target<'s>(&mut self, index: &str, restore: &'s Restore, names: &mut Names<'s>) {
        match (&restore.volume, &restore.new) {
            (Some(_), None) => {}
            (None, Some(new)) => {
                let taken = existing_volumes(self.scenario).contains(&new.as_str());
                if taken || !names.new_volumes.insert(new) {
                    let message = format!("volume `{new}` exists already: `new` names one that the call creates");
                    self.wrong(&["do", index, "restore", "new"], message);
                }
            }
            _ => {
                let message = "`restore` has exactly one of `volume` (into that one) and `new` (into one it creates)";
                self.wrong(&["do", index, "restore"], message);
            }
        }
    }

    fn set<'s>(&mut self, index: &str, set: &'s Set, names: &mut Names<'s>) {
        let path = ["do", index, "set", "status"];
        match (&set.backup, &set.volume, &set.snapshot) {
            (Some(backup), None, None) => {
                self.created(&["do", index, "set", "backup"], backup, names);
                self.known(&path, "backup status", &set.status, &BACKUP_STATUSES);
            }
            (None, Some(_), None) => self.known(&path, "volume status", &set.status, &VOLUME_STATUSES),
            (None, None, Some(snapshot)) => {
                let known: Vec<&str> = names.snapshots.iter().copied().collect();
                self.known(&["do", index, "set", "snapshot"], "snapshot", snapshot, &known);
                self.known(&path, "snapshot status", &set.status, &SNAPSHOT_STATUSES);
            }
            _ => self.wrong(&["do", index, "set"], "`set` has exactly one of `backup`, `volume` and `snapshot`"),
        }
        if set.service.is_some() && set.backup.is_none() {
            self.wrong(&["do", index, "set", "service"], "only a backup has a `service`");
        }
    }

    fn created(&mut self, path: &[&str], backup: &str, names: &Names<'_>) {
        if !names.backups.contains(backup) {
            let known: Vec<&str> = names.backups.iter().copied().collect();
            self.wrong(path, format!("no step before this one creates backup `{backup}`{}", hint(backup, &known)));
        }
    }
}
