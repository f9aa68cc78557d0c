//! What the database commits and what the collector receives, as records of the history.

use std::sync::Arc;

use clinker_manager::db::{Commit, CommitLog};
use clinker_model::history::{OutboxRow, RowChange};
use clinker_model::{Entry, Journal};
use clinker_world::SimJournal;
use serde_json::Value;

use super::scene::{COLLECTOR_HOST, DB_HOST};

/// Writes every transaction into the history.
pub(super) struct CommitRecorder(pub Arc<SimJournal>);

impl CommitLog for CommitRecorder {
    fn committed(&self, commit: Commit) {
        let changes = commit.changes.into_iter().map(|change| RowChange {
            table: change.table.to_owned(),
            id: change.id,
            before: change.before,
            after: change.after,
        });
        let outbox = commit.outbox.into_iter().map(|queued| OutboxRow {
            seq: queued.seq,
            publisher_id: queued.publisher_id,
            message: queued.message,
        });
        let entry =
            Entry::Commit { call: commit.call.to_owned(), changes: changes.collect(), outbox: outbox.collect() };
        self.0.record(DB_HOST, entry);
    }
}

/// Writes every notification that arrives into the history.
pub(super) struct EventRecorder(pub Arc<SimJournal>);

impl EventRecorder {
    pub fn collected(&self, message: Value) {
        self.0.record(COLLECTOR_HOST, Entry::Event { message });
    }
}
