//! Checks of `[[fault]]`: one kind each, a target that exists, times in order.

use clinker_model::fault::{Answer, Matching};
use clinker_model::{Fault, Span};

use super::check::Checker;
use super::presets::BROKER_HOST;
use super::suggest::hint;

impl Checker<'_> {
    pub fn faults(&mut self) {
        for (index, entry) in self.scenario.faults.iter().enumerate() {
            let index = index.to_string();
            let kinds = entry.kinds();
            match kinds.as_slice() {
                [] => self.wrong(&["fault", &index], "this fault has no kind, such as `refuse` or `crash`"),
                [fault] => {
                    self.times(&index, fault);
                    self.target(&index, fault);
                    self.details(&index, fault);
                }
                [_, second, ..] => {
                    let message = format!("a fault has exactly one kind: `{}` is a second one", second.name());
                    self.wrong(&["fault", &index, second.name()], message);
                }
            }
        }
    }

    fn times(&mut self, index: &str, fault: &Fault) {
        let entry = &self.scenario.faults[index.parse::<usize>().expect("it was a position")];
        let Some(until) = entry.until else { return };
        let path = ["fault", index, "until"];
        if fault.is_one_shot() {
            self.wrong(&path, format!("`{}` happens at a moment: it has no `until`", fault.name()));
        } else if until <= entry.at {
            self.wrong(&path, format!("`until` {until} is not after `at` {}", entry.at));
        }
    }

    fn target(&mut self, index: &str, fault: &Fault) {
        if super::hosts::needs_one_store(fault) && !self.scenario.shared_disk {
            let message = format!("`{}` needs one store for all backup hosts: `shared_disk` is false", fault.name());
            self.wrong(&["fault", index, fault.name()], message);
        }
        for (key, host) in fault.hosts() {
            self.host(&["fault", index, fault.name(), key], fault, &host);
        }
    }

    fn host(&mut self, path: &[&str], fault: &Fault, host: &str) {
        for preset in self.presets.clone() {
            let hosts = super::hosts::of_world(self.scenario, preset);
            let hosts: Vec<&str> = hosts.iter().map(String::as_str).collect();
            if !hosts.contains(&host) {
                let message = format!("unknown host `{host}` for driver {}{}", preset.name, hint(host, &hosts));
                return self.wrong(path, message);
            }
            let disk = super::hosts::is_disk(self.scenario, preset, host);
            let http = preset.servers.contains(&host) && !disk;
            if disk && !matches!(fault, Fault::Slow(_) | Fault::Silent(_) | Fault::ReadOnly(_)) {
                let (name, driver) = (fault.name(), preset.name);
                let message =
                    format!("`{name}` does not apply to `{host}` of {driver}, a disk: it has slow, silent, read_only");
                return self.wrong(path, message);
            }
            let login = host == BROKER_HOST && matches!(fault, Fault::WrongCredentials(_));
            if needs_http(fault) && !http && !login {
                let message =
                    format!("`{}` needs a server that speaks HTTP: `{host}` of {} does not", fault.name(), preset.name);
                return self.wrong(path, message);
            }
            if matches!(fault, Fault::RevokeTokens(_) | Fault::ExpireTokens(_)) && !preset.tokens {
                let (name, driver) = (fault.name(), preset.name);
                let message = format!("`{name}` means nothing to {driver}: its server issues no tokens");
                return self.wrong(path, message);
            }
            if is_of_connects(fault) && !(preset.servers.contains(&host) || SERVERS.contains(&host)) {
                let servers: Vec<&str> = SERVERS.iter().chain(preset.servers).copied().collect();
                let (name, driver) = (fault.name(), preset.name);
                let message = format!(
                    "`{name}` needs a host that others connect to: nobody asks for `{host}`; for {driver} there are {}",
                    servers.join(", ")
                );
                return self.wrong(path, message);
            }
            if matches!(fault, Fault::ReadOnly(_)) && !disk {
                let message = format!("`read_only` needs a repository disk: `{host}` of {} is none", preset.name);
                return self.wrong(path, message);
            }
        }
    }

    fn details(&mut self, index: &str, fault: &Fault) {
        let name = fault.name();
        let path = |field| ["fault", index, name, field];
        match fault {
            Fault::Slow(slow) => {
                if slow.delay.ns() == 0 && slow.bytes_per_second == 0 {
                    self.wrong(&["fault", index, name], "`slow` needs a `delay` or `bytes_per_second`");
                }
                self.matching(index, name, &slow.requests);
            }
            Fault::Status(status) => {
                if !(200..=599).contains(&status.code) {
                    self.wrong(&path("code"), format!("`code` {} is not an HTTP status from 200 to 599", status.code));
                }
                self.matching(index, name, &status.requests);
            }
            Fault::Cut(cut) => self.matching(index, name, &cut.requests),
            Fault::Crash(crash) => {
                if crash.nth == 0 {
                    self.wrong(&path("nth"), "`nth` counts from 1");
                }
                if let Some(point) = &crash.point {
                    self.known(&path("point"), "crash point", point, POINTS);
                }
            }
            Fault::Corrupt(stored) | Fault::Truncate(stored) | Fault::Lose(stored) => {
                self.backup_exists(&path("backup"), &stored.backup);
            }
            Fault::Swap(swap) => {
                self.backup_exists(&path("backup"), &swap.backup);
                if swap.object == swap.with {
                    self.wrong(&path("with"), "`with` is another object than `object`");
                }
            }
            Fault::Skew(skew) if skew.seconds == 0 => self.wrong(&path("seconds"), "`seconds` 0 is no skew"),
            Fault::Skew(skew) if skew.seconds.unsigned_abs() > MOST_SKEW => {
                self.wrong(&path("seconds"), format!("`seconds` is at most {MOST_SKEW} (ten years) either way"));
            }
            Fault::Drift(drift) if drift.ppm == 0 || drift.ppm.unsigned_abs() > MOST_DRIFT => {
                let message = format!("`ppm` is at least 1 and at most {MOST_DRIFT} either way");
                self.wrong(&path("ppm"), message);
            }
            Fault::Lag(lag) if lag.by == Span::default() => self.wrong(&path("by"), "`by` 0s is no lag"),
            _ => self.link(index, fault),
        }
    }

    /// Faults of links and names.
    fn link(&mut self, index: &str, fault: &Fault) {
        let name = fault.name();
        let path = |field| ["fault", index, name, field];
        match fault {
            Fault::OneWay(link) => {
                let same =
                    self.presets.iter().find(|preset| preset.world_host(&link.from) == preset.world_host(&link.to));
                if let Some(preset) = same {
                    let message = format!("`to` is the host that `from` is, for driver {}: name another", preset.name);
                    self.wrong(&path("to"), message);
                }
            }
            Fault::Bandwidth(link) if link.bytes_per_second == 0 => {
                let message = "`bytes_per_second` is at least 1: a link that carries nothing is a `hold`";
                self.wrong(&path("bytes_per_second"), message);
            }
            Fault::Latency(link) if link.by == Span::default() && link.jitter == Span::default() => {
                self.wrong(&["fault", index, name], "`latency` needs a `by` or a `jitter` above 0s");
            }
            Fault::Loss(link) if !(link.percent > 0.0 && link.percent <= 100.0) => {
                self.wrong(&path("percent"), format!("`percent` {} is not above 0 and at most 100", link.percent));
            }
            Fault::Dns(dns) if dns.answer == Answer::Right && dns.delay == Span::default() => {
                self.wrong(&path("answer"), "the right answer at once is no fault: add a `delay` or another `answer`");
            }
            _ => {}
        }
    }

    fn matching(&mut self, index: &str, name: &str, requests: &Matching) {
        let methods = ["GET", "HEAD", "PUT", "POST", "DELETE", "LIST"];
        if requests.nth == 0 {
            self.wrong(&["fault", index, name, "requests", "nth"], "`nth` counts from 1");
        }
        if !requests.method.is_empty() {
            self.known(&["fault", index, name, "requests", "method"], "method", &requests.method, &methods);
        }
    }

    /// Notes a problem unless some step creates the backup.
    fn backup_exists(&mut self, path: &[&str], backup: &str) {
        let created: Vec<&str> = self
            .scenario
            .steps
            .iter()
            .filter_map(|step| step.create.as_ref())
            .map(|create| create.name.as_str())
            .collect();
        if !created.contains(&backup) {
            self.wrong(path, format!("no step creates backup `{backup}`{}", hint(backup, &created)));
        }
    }
}

/// The points of a process, `<port>.<call>`, at which it can be made to end.
#[rustfmt::skip]
const POINTS: &[&str] = &[
    "bus.acknowledge", "bus.call", "bus.cast", "bus.consume", "bus.notify", "bus.reply",
    "db.api_create", "db.api_delete", "db.api_export", "db.api_force_delete", "db.api_reset_status", "db.api_restore", "db.api_started",
    "db.api_withdraw", "db.backup_get", "db.casts_sent", "db.casts_unsent", "db.cleanup_list", "db.cleanup_one",
    "db.key_drop", "db.key_save", "db.key_take", "db.spare_key_drop", "db.spare_key_save",
    "db.export_begin", "db.import_begin", "db.import_finish", "db.op_begin", "db.op_finish", "db.op_progress", "db.op_save_location",
    "db.op_status", "db.outbox_delivered", "db.outbox_fetch", "db.service_attempt", "db.service_heartbeat",
    "db.service_list", "db.service_register", "db.temporary_drop", "db.temporary_save", "db.volume_create", "db.volume_get",
    "db.work_elsewhere", "db.work_of", "db.work_take",
    "fs.create", "fs.create_dir", "fs.list", "fs.metadata", "fs.open", "fs.read", "fs.remove", "fs.rename", "fs.sync",
    "fs.sync_dir", "fs.write",
    "http.delete", "http.get", "http.head", "http.list", "http.other", "http.post", "http.put",
    "keys.clone", "keys.delete",
    "net.connect",
    "store.check", "store.delete", "store.discard_partial", "store.get", "store.list", "store.put", "store.put_container",
    "volumes.attach", "volumes.create_temporary", "volumes.delete_temporary", "volumes.detach",
];
/// Hosts that others connect to, whatever the driver.
const SERVERS: &[&str] = &["db", "volume", "keymanager", BROKER_HOST];

/// Seconds; clocks are written as dates with four digits of year.
const MOST_SKEW: u64 = 10 * 365 * 86_400;

/// Millionths; a clock that runs so slow still runs forward.
const MOST_DRIFT: u64 = 500_000;

fn needs_http(fault: &Fault) -> bool {
    matches!(
        fault,
        Fault::Status(_) | Fault::Cut(_) | Fault::WrongCredentials(_) | Fault::RevokeTokens(_) | Fault::ExpireTokens(_)
    )
}

/// Whether it strikes those who connect to its host.
fn is_of_connects(fault: &Fault) -> bool {
    matches!(fault, Fault::Reset(_) | Fault::Dns(_))
}
