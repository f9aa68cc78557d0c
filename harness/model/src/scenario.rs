//! The scenario file as a user writes it. Checked and completed into a [`crate::plan::Plan`] by the loader.
//!
//! `docs/scenario-format.md` is the reference. No `flatten`, no `untagged`: only so does an error point at the field.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::account::{Messages, Quota};
use crate::fault::{self, Fault};
use crate::plan::Step;
use crate::record::{Export, Import};
use crate::{ByteSize, Span};

#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Scenario {
    /// One sentence: what happens and what must come of it.
    pub about: String,
    /// Driver presets it runs for: `swift`, `swift-v3`, `swift-per-user`, `posix`.
    pub drivers: Vec<String>,
    /// Options under Cinder's names; a table named like a preset holds options for that preset only.
    #[serde(default)]
    pub options: BTreeMap<String, toml::Value>,
    #[serde(default)]
    pub geometry: Geometry,
    /// What a "GiB" of volume size is.
    #[serde(default = "Scenario::default_gib")]
    pub gib: ByteSize,
    /// Number of backup services, `backup-host-1` …
    #[serde(default = "Scenario::default_hosts")]
    pub backup_hosts: u32,
    /// Availability zones of backup hosts; `storage_availability_zone` where none is given.
    #[serde(default)]
    pub zone: BTreeMap<String, String>,
    /// Whether all backup hosts share one repository disk, as over NFS; each has its own if not.
    #[serde(default = "Scenario::default_shared_disk")]
    pub shared_disk: bool,
    /// Modelled cores of hosts that have another number than 2.
    #[serde(default)]
    pub cores: BTreeMap<String, u32>,
    /// When the run ends; if absent, some time after the last thing asked for has ended.
    #[serde(default)]
    pub end: Option<Span>,
    #[serde(default, rename = "volume")]
    pub volumes: Vec<Volume>,
    #[serde(default, rename = "fault")]
    pub faults: Vec<FaultEntry>,
    #[serde(default, rename = "do")]
    pub steps: Vec<StepEntry>,
    #[serde(default)]
    pub expect: Expect,
}

impl Scenario {
    fn default_gib() -> ByteSize {
        ByteSize(1 << 20)
    }

    fn default_hosts() -> u32 {
        1
    }

    fn default_shared_disk() -> bool {
        true
    }
}

/// Overrides the standard geometry (chunk 64 KiB, block 4 KiB) for every driver.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Geometry {
    pub chunk: Option<ByteSize>,
    pub block: Option<ByteSize>,
}

/// A volume that exists at the start. Undeclared volumes are 8 chunks + 12,345 seeded bytes.
#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Volume {
    pub name: String,
    pub size: Option<ByteSize>,
    #[serde(default)]
    pub content: Content,
    #[serde(default)]
    pub status: Option<String>,
    /// Its zone; `default_availability_zone` if absent.
    pub zone: Option<String>,
    /// The backup host it lives on, for `backup_use_same_host`.
    pub host: Option<String>,
    pub description: Option<String>,
    /// The id of its type: a backup of an encrypted volume restores to no other.
    pub volume_type: Option<String>,
    /// It is encrypted with this key.
    pub encryption_key_id: Option<String>,
    /// The user's metadata.
    #[serde(default)]
    pub metadata: BTreeMap<String, String>,
    /// The metadata of the image that it was made from: it is bootable.
    #[serde(default)]
    pub glance_metadata: BTreeMap<String, String>,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Content {
    /// Seeded random bytes: does not compress.
    #[default]
    Random,
    Zeros,
    /// Seeded text: compresses.
    Text,
    /// The committed file-system image.
    Image,
}

/// A fault as written: times and exactly one of the kinds.
#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct FaultEntry {
    #[serde(default)]
    pub at: Span,
    /// Its end; absent = until the run ends.
    pub until: Option<Span>,
    pub hold: Option<fault::HostTarget>,
    pub refuse: Option<fault::HostTarget>,
    pub silent: Option<fault::HostTarget>,
    pub slow: Option<fault::Slow>,
    pub status: Option<fault::Status>,
    pub cut: Option<fault::Cut>,
    pub wrong_credentials: Option<fault::HostTarget>,
    pub revoke_tokens: Option<fault::HostTarget>,
    pub expire_tokens: Option<fault::ExpireTokens>,
    pub corrupt: Option<fault::Stored>,
    pub truncate: Option<fault::Stored>,
    pub lose: Option<fault::Stored>,
    pub swap: Option<fault::Swap>,
    pub lag: Option<fault::Lag>,
    pub full: Option<fault::Full>,
    pub read_only: Option<fault::HostTarget>,
    pub crash: Option<fault::Crash>,
    pub skew: Option<fault::Skew>,
    pub drift: Option<fault::Drift>,
    pub pause: Option<fault::HostTarget>,
    pub one_way: Option<fault::OneWay>,
    pub bandwidth: Option<fault::Bandwidth>,
    pub latency: Option<fault::Latency>,
    pub loss: Option<fault::Loss>,
    pub reset: Option<fault::Reset>,
    pub dns: Option<fault::Dns>,
}

/// A step as written: a time and exactly one of the kinds.
#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct StepEntry {
    /// When it starts; absent = when the step before it has ended.
    pub at: Option<Span>,
    /// The kind of error with which the API must refuse it.
    pub refused: Option<String>,
    /// Whether the API may refuse it as well.
    #[serde(default)]
    pub maybe: bool,
    /// Whether it is asked for together with the step before it, not after that.
    #[serde(default)]
    pub beside: bool,
    pub create: Option<Create>,
    pub restore: Option<Restore>,
    pub delete: Option<OfBackup>,
    pub force_delete: Option<OfBackup>,
    pub reset_status: Option<ResetStatus>,
    pub write: Option<Write>,
    pub set: Option<Set>,
    pub export: Option<Export>,
    pub import: Option<Import>,
    pub forget: Option<OfBackup>,
    pub snapshot: Option<Snapshot>,
    pub service_list: Option<ServiceList>,
    pub quota: Option<Quota>,
    pub messages: Option<Messages>,
}

/// A request for a backup.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Create {
    pub volume: String,
    /// The name by which later steps mean this backup.
    #[serde(rename = "as")]
    pub name: String,
    #[serde(default)]
    pub incremental: bool,
    #[serde(default)]
    pub force: bool,
    pub container: Option<String>,
    /// The source, instead of the volume itself.
    #[serde(default)]
    pub snapshot: Option<String>,
    /// The zone to make it in; the volume's if absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub availability_zone: Option<String>,
}

/// The volume's user takes a snapshot.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Snapshot {
    pub volume: String,
    /// The name by which later steps mean it.
    #[serde(rename = "as")]
    pub name: String,
}

/// A request for a restore: into an existing volume, or into a `new` one that the call creates.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Restore {
    pub backup: String,
    pub volume: Option<String>,
    pub new: Option<String>,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct OfBackup {
    pub backup: String,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ResetStatus {
    pub backup: String,
    /// `available` or `error`.
    pub status: String,
}

/// The volume's user writes seeded bytes.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Write {
    pub volume: String,
    pub offset: ByteSize,
    pub len: ByteSize,
}

/// An administrator edits a status in the database by hand.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Set {
    pub backup: Option<String>,
    pub volume: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub snapshot: Option<String>,
    pub status: String,
    /// Of a backup: the class path of the driver that made it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub service: Option<String>,
}

/// An administrator lists the services: what the API tells of their states is judged.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ServiceList {}

/// What must have come of it, besides what every run is judged by.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Expect {
    /// States of services at given times.
    pub service: Vec<ServiceExpectation>,
    /// Final status of backups, by their `as` name.
    pub backup: BTreeMap<String, String>,
    /// Final status of volumes.
    pub volume: BTreeMap<String, String>,
    /// Final status of snapshots.
    pub snapshot: BTreeMap<String, String>,
    /// Text that the backup's final `fail_reason` contains.
    pub reason: BTreeMap<String, String>,
    /// How many objects of a backup the store holds at the end, the metadata and the hash list among them.
    pub objects: BTreeMap<String, u64>,
    /// What the user was told about each backup: `013_018` is action and detail.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub messages: BTreeMap<String, Vec<String>>,
    /// When the initialisation attempts of `backup-host-1` start, exactly.
    pub attempts: Vec<Span>,
    /// Checkers that must have applied (not merely passed for want of anything to check).
    pub checks: Vec<String>,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ServiceExpectation {
    /// Exactly then …
    pub at: Option<Span>,
    /// … or at some moment up to then.
    pub by: Option<Span>,
    pub is: ServiceState,
    /// `backup-host-1` if absent.
    #[serde(default = "first_backup_host")]
    pub host: String,
}

fn first_backup_host() -> String {
    "backup-host-1".to_owned()
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ServiceState {
    Initializing,
    Up,
    Down,
}

impl FaultEntry {
    /// The kinds that are given; a right entry has exactly one.
    pub fn kinds(&self) -> Vec<Fault> {
        let kinds = [
            self.hold.clone().map(Fault::Hold),
            self.refuse.clone().map(Fault::Refuse),
            self.silent.clone().map(Fault::Silent),
            self.slow.clone().map(Fault::Slow),
            self.status.clone().map(Fault::Status),
            self.cut.clone().map(Fault::Cut),
            self.wrong_credentials.clone().map(Fault::WrongCredentials),
            self.revoke_tokens.clone().map(Fault::RevokeTokens),
            self.expire_tokens.clone().map(Fault::ExpireTokens),
            self.corrupt.clone().map(Fault::Corrupt),
            self.truncate.clone().map(Fault::Truncate),
            self.lose.clone().map(Fault::Lose),
            self.swap.clone().map(Fault::Swap),
            self.lag.clone().map(Fault::Lag),
            self.full.clone().map(Fault::Full),
            self.read_only.clone().map(Fault::ReadOnly),
            self.crash.clone().map(Fault::Crash),
            self.skew.clone().map(Fault::Skew),
            self.drift.clone().map(Fault::Drift),
            self.pause.clone().map(Fault::Pause),
            self.one_way.clone().map(Fault::OneWay),
            self.bandwidth.clone().map(Fault::Bandwidth),
            self.latency.clone().map(Fault::Latency),
            self.loss.clone().map(Fault::Loss),
            self.reset.clone().map(Fault::Reset),
            self.dns.clone().map(Fault::Dns),
        ];
        kinds.into_iter().flatten().collect()
    }
}

impl StepEntry {
    /// The kinds that are given; a right entry has exactly one.
    pub fn kinds(&self) -> Vec<Step> {
        let kinds = [
            self.create.clone().map(Step::Create),
            self.restore.clone().map(Step::Restore),
            self.delete.clone().map(Step::Delete),
            self.force_delete.clone().map(Step::ForceDelete),
            self.reset_status.clone().map(Step::ResetStatus),
            self.write.clone().map(Step::Write),
            self.set.clone().map(Step::Set),
            self.export.clone().map(Step::Export),
            self.import.clone().map(Step::Import),
            self.forget.clone().map(Step::Forget),
            self.snapshot.clone().map(Step::Snapshot),
            self.service_list.clone().map(Step::ServiceList),
            self.quota.clone().map(Step::Quota),
            self.messages.clone().map(Step::Messages),
        ];
        kinds.into_iter().flatten().collect()
    }
}
