//! Mutants of quotas and user messages: usage that is counted elsewhere or otherwise, and messages of too much.

use std::sync::Arc;

use async_trait::async_trait;
use clinker_drivers::{Error, Kind, Result};
use clinker_manager::db::record::RecordCall;
use clinker_manager::db::{Call, Db, Dump, ask};
use clinker_manager::messages::{self, Detail, UserMessages};
use clinker_manager::quota::{Limits, Usage, refusal};
use clinker_manager::transitions::Case;
use serde_json::Value;

use super::Mutant;
use crate::run::{Parts, wrap};

pub(super) static ACCOUNT: &[Mutant] = &[
    Mutant {
        name: "quota-checked-before",
        about: "the quota is looked at before the transaction that uses it up, not in it",
        scenario: "quota/race",
        driver: "swift",
        checker: "quotas",
        plant: |parts| parts.db = wrap(|inner| Arc::new(CountsItself { inner, counts: |row| row["deleted"] == false })),
    },
    Mutant {
        name: "quota-not-released",
        about: "a deleted backup is never taken off what is in use",
        scenario: "quota/full",
        driver: "swift",
        checker: "quotas",
        plant: |parts| parts.db = wrap(|inner| Arc::new(CountsItself { inner, counts: |_| true })),
    },
    Mutant {
        name: "failed-backups-are-free",
        about: "a backup in error, which its user still has, does not count",
        scenario: "quota/import-fails",
        driver: "swift",
        checker: "quotas",
        plant: |parts| parts.db = wrap(|inner| Arc::new(CountsItself { inner, counts: is_whole })),
    },
    Mutant {
        name: "imports-are-free",
        about: "an import is not held against the quota",
        scenario: "quota/import-beyond",
        driver: "swift",
        checker: "quotas",
        plant: |parts| parts.db = wrap(|inner| Arc::new(ImportsFreely(inner))),
    },
    Mutant {
        name: "message-twice",
        about: "a request is told of again when its cast comes after clean-up has ended it",
        scenario: "message/queued-create",
        driver: "swift",
        checker: "messages",
        plant: message_twice,
    },
    Mutant {
        name: "cancel-is-told",
        about: "whoever force deletes a create is told that the backup driver failed",
        scenario: "message/cancelled",
        driver: "swift",
        checker: "messages",
        plant: cancel_is_told,
    },
];

fn is_whole(row: &Value) -> bool {
    row["deleted"] == false && row["status"] != "error"
}

/// Looks at the rows first, and asks for the backup without limits then.
struct CountsItself {
    inner: Arc<dyn Db>,
    counts: fn(&Value) -> bool,
}

impl CountsItself {
    async fn require(&self, project_id: &str, volume_id: &str, limits: Limits) -> Result<()> {
        let dump: Dump = ask(self.inner.as_ref(), Call::Dump).await?;
        let size = |row: &Value| row["size"].as_u64().unwrap_or(0);
        let own = dump.backups.iter().filter(|row| row["project_id"] == project_id && (self.counts)(row));
        let used = own.fold(Usage::default(), |used, row| Usage {
            backups: used.backups + 1,
            gigabytes: used.gigabytes + size(row),
        });
        let gigabytes = dump.volumes.iter().find(|row| row["id"] == volume_id).map_or(1, size);
        let refused = refusal(limits, used, Usage { backups: 1, gigabytes });
        refused.map_or(Ok(()), |reason| Err(Error::new(Kind::Quota, reason).during("api_create")))
    }
}

#[async_trait]
impl Db for CountsItself {
    fn new_key(&self) -> String {
        self.inner.new_key()
    }

    async fn call_as(&self, key: &str, call: Call) -> Result<Value> {
        let mut call = call;
        if let Call::Api(asked) = &mut call
            && let Call::ApiCreate { request, .. } = &mut asked.request
        {
            self.require(&request.project_id, &request.volume_id, request.limits).await?;
            request.limits = Limits::NONE;
        }
        self.inner.call_as(key, call).await
    }
}

struct ImportsFreely(Arc<dyn Db>);

#[async_trait]
impl Db for ImportsFreely {
    fn new_key(&self) -> String {
        self.0.new_key()
    }

    async fn call_as(&self, key: &str, call: Call) -> Result<Value> {
        let mut call = call;
        if let Call::Api(asked) = &mut call
            && let Call::Record(RecordCall::ApiImport { request, .. }) = &mut asked.request
        {
            request.limits = Limits::NONE;
        }
        self.0.call_as(key, call).await
    }
}

fn message_twice(parts: &mut Parts) {
    struct Bug;
    impl UserMessages for Bug {
        fn detail(&self, case: Case, reason: &str) -> Option<Detail> {
            messages::Production.detail(case, reason)
        }
        fn repeats(&self) -> bool {
            true
        }
    }
    parts.messages = Arc::new(Bug);
}

fn cancel_is_told(parts: &mut Parts) {
    struct Bug;
    impl UserMessages for Bug {
        fn detail(&self, case: Case, reason: &str) -> Option<Detail> {
            let case = if case == Case::CreateForceDeleted { Case::CreateFailed } else { case };
            messages::Production.detail(case, reason)
        }
    }
    parts.messages = Arc::new(Bug);
}
