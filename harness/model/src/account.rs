//! Steps about a project's account: a user looks at the quotas, and at the messages about what failed.

use serde::{Deserialize, Serialize};

/// The user asks how much of the quotas is used: what the API tells is judged, and held against what is given here.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Quota {
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub backups: Option<u64>,
    /// GiB.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub gigabytes: Option<u64>,
}

/// The user lists the messages: what the API tells is judged, and held against how many there must be.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Messages {
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub count: Option<u64>,
}
