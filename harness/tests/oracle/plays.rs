//! Which play of ours answers which recorded row: `plays/*.toml`, read.

use std::collections::BTreeMap;

use serde::Deserialize;

const FILES: &[(&str, &str)] = &[
    ("create.toml", include_str!("plays/create.toml")),
    ("restore.toml", include_str!("plays/restore.toml")),
    ("damage.toml", include_str!("plays/damage.toml")),
    ("delete.toml", include_str!("plays/delete.toml")),
    ("reset.toml", include_str!("plays/reset.toml")),
    ("record.toml", include_str!("plays/record.toml")),
    ("swift.toml", include_str!("plays/swift.toml")),
    ("absent.toml", include_str!("plays/absent.toml")),
];

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub struct File {
    #[serde(default, rename = "play")]
    plays: Vec<Play>,
    #[serde(default, rename = "absent")]
    absent: Vec<Absent>,
}

/// A scenario of ours for one recorded row, or for several of the same kind.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Play {
    pub rows: Vec<String>,
    /// The named differences, in the order in which they are accounted for.
    #[serde(default)]
    pub deviations: Vec<String>,
    #[serde(default = "posix")]
    pub driver: String,
    /// Lines at the head of the scenario: options.
    #[serde(default)]
    head: String,
    /// Its tables: volumes, faults, steps.
    #[serde(default)]
    script: String,
    /// A case that is arranged in the database, instead of a scenario.
    pub direct: Option<super::direct::Case>,
    /// Events from this second on are the row's; what was before made its starting point.
    #[serde(default)]
    pub since: u64,
    /// The recorded events up to the first of this type are the row's.
    pub until_event: Option<String>,
    /// The recorded fact that is a backup's row → the name of our backup, perhaps `@` a second.
    #[serde(default = "first")]
    pub backups: BTreeMap<String, String>,
    volume: Option<String>,
    /// Chunks of the volume.
    #[serde(default = "four")]
    pub chunks: u64,
    /// `backup_object_number_per_notification`, in both services.
    #[serde(default = "ten")]
    pub every: u64,
    /// Notes with the same percentage count as one.
    #[serde(default)]
    pub collapse: bool,
    /// The row is about initialisation: its events, and no others, are compared.
    #[serde(default)]
    pub init: bool,
    /// Events as they arrive, instead of as they are committed.
    #[serde(default)]
    pub delivered: bool,
    /// Nothing reaches the message bus between these seconds.
    pub hold_broker: Option<(u64, u64)>,
    /// Why faults of this play hit nothing.
    pub idle_faults: Option<String>,
    /// Facts that say nothing here → why.
    #[serde(default)]
    pub not_compared: BTreeMap<String, String>,
}

/// Rows that no play answers.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Absent {
    pub rows: Vec<String>,
    pub why: String,
}

fn posix() -> String {
    "posix".into()
}

fn first() -> BTreeMap<String, String> {
    BTreeMap::from([("backup".into(), "first".into())])
}

fn four() -> u64 {
    4
}

fn ten() -> u64 {
    10
}

/// Every play, and every list of rows without one.
pub fn all() -> (Vec<Play>, Vec<Absent>) {
    let (mut plays, mut absent) = (Vec::new(), Vec::new());
    for (name, text) in FILES {
        let file: File = toml::from_str(text).unwrap_or_else(|error| panic!("{name}: {error}"));
        plays.extend(file.plays);
        absent.extend(file.absent);
    }
    (plays, absent)
}

impl Play {
    pub fn name(&self) -> &str {
        &self.rows[0]
    }

    /// The volume whose row is compared: the restore's target, or else the source.
    pub fn volume(&self) -> &str {
        self.volume.as_deref().unwrap_or("vol-1")
    }

    /// The backup whose objects and bytes are looked at.
    pub fn last_backup(&self) -> &str {
        let last = self.backups.values().next_back().map_or("first", String::as_str);
        last.split('@').next().unwrap_or(last)
    }

    /// The whole scenario: what rows have in common, and what is this one's.
    pub fn scenario(&self) -> String {
        let Play { driver, head, script, every, .. } = self;
        let mut text =
            format!("about = \"A case recorded from the original service.\"\ndrivers = [\"{driver}\"]\n{head}\n");
        text += &format!("options.backup_object_number_per_notification = {every}\n");
        if !head.contains("progress_timer") {
            let option = if driver == "posix" { "backup_enable" } else { "backup_swift_enable" };
            text += &format!("options.{option}_progress_timer = false\n");
        }
        if !head.contains("end =") {
            text += "end = \"25s\"\n";
        }
        if !script.contains("name = \"vol-1\"") {
            text += "[[volume]]\nname = \"vol-1\"\nsize = \"256KiB\"\n";
        }
        text + script
    }
}
