//! A run drawn to be looked at: what each host went through, as spans and marks on a lane.

use serde::{Deserialize, Serialize};

/// One picture.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Timeline {
    /// Where the run ended, virtual nanoseconds.
    pub end_ns: u64,
    pub lanes: Vec<Lane>,
}

/// One host.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Lane {
    pub host: String,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub spans: Vec<LaneSpan>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub marks: Vec<Mark>,
    /// Marks left out because there were too many of their kind.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub omitted: u64,
}

fn is_zero(number: &u64) -> bool {
    *number == 0
}

/// Something that lasts.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct LaneSpan {
    pub kind: SpanKind,
    /// `refuse`, `up`, `attempt 2`, `create backup#1` …
    pub label: String,
    pub from_ns: u64,
    /// Absent: to the end of the run.
    pub until_ns: Option<u64>,
    pub tone: Tone,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum SpanKind {
    /// A fault is active on the host.
    Fault,
    /// The service's state as the API tells it: `initializing`, `up`, `down`.
    State,
    /// `do_setup` and `check_for_setup_error`.
    Attempt,
    /// A backup, restore or delete by the driver; a step of the workload on `api`.
    Operation,
    /// Between two heartbeats lay more than there should be.
    Gap,
}

/// Something that happens at a moment.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Mark {
    pub kind: MarkKind,
    pub t_ns: u64,
    /// `PUT /v1/… 201`, `backup.createprogress 12.5`, `crashed` …
    pub label: String,
    pub tone: Tone,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum MarkKind {
    Heartbeat,
    Request,
    Notification,
    Process,
    /// A fault hit something.
    Bite,
    /// A rule was broken.
    Violation,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Tone {
    #[default]
    Neutral,
    Good,
    Bad,
}
