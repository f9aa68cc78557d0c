//! What is put to the test: a driver of ours, one of somebody else's crate, or an adapter.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use clinker_drivers::chunked::store::ChunkStore;
use clinker_drivers::{BackupDriver, Capabilities, Error, Options};
use clinker_env::Env;
use clinker_model::Journal;
use clinker_model::conformance::Subject;

use super::adapters::Pool;
use super::bench::Pace;
use crate::adapter::Role;
use crate::loader::presets::{self, Preset};
use crate::loader::suggest::hint;
use crate::run::{Made, Parts, Server, ServerMaker};

/// A driver with what it claims to be able to do, and the world it lives in.
#[derive(Clone)]
pub struct Candidate {
    pub name: String,
    pub kind: Kind,
    /// Whose servers, options and scenarios it uses.
    pub preset: &'static Preset,
    /// `store`, `driver`, `manager`, `service`.
    pub roles: BTreeSet<String>,
    pub claims: BTreeSet<String>,
    pub made: Made,
    /// A server of its own, in place of the preset's.
    pub server: Option<ServerMaker>,
    /// The processes behind it, if it is an adapter.
    pub adapter: Option<Arc<Pool>>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    BuiltIn,
    PlugIn,
    Adapter,
}

impl Kind {
    fn name(self) -> &'static str {
        match self {
            Kind::BuiltIn => "built-in",
            Kind::PlugIn => "plug-in",
            Kind::Adapter => "adapter",
        }
    }
}

/// Capabilities that a driver on the chunk engine has, whatever its store.
pub const OF_THE_ENGINE: &[&str] =
    &["chunked", "progress", "incremental", "force_delete", "sparse", "fixtures", "volume_meta"];

/// How long a case of an adapter may take unless somebody says otherwise.
pub const WALL_LIMIT: Duration = Duration::from_secs(60);

/// A word of a shell's command line that means exactly this text.
pub fn quoted(text: &str) -> String {
    let plain = |ch: char| ch.is_ascii_alphanumeric() || "-_./:=@%+,".contains(ch);
    if !text.is_empty() && text.chars().all(plain) {
        return text.to_owned();
    }
    format!("'{}'", text.replace('\'', "'\\''"))
}

/// Everything that a driver can claim, as docs/adapter-protocol.md explains it; `sim` is the harness's own.
pub const CLAIMS: &[&str] = &[
    "chunked",
    "progress",
    "incremental",
    "force_delete",
    "sparse",
    "fixtures",
    "volume_meta",
    "net",
    "host_bound",
    "auth",
    "etag_md5",
    "list_bound",
    "swift",
    "s3",
    "posix",
    "tls",
];

/// What is wrong with a claim that nobody knows; a fragment that fits after "the adapter".
pub fn unknown_claim(claim: &str) -> Option<String> {
    (!CLAIMS.contains(&claim)).then(|| format!("claims \"{claim}\", which is no capability{}", hint(claim, CLAIMS)))
}

fn texts(names: &[&str]) -> BTreeSet<String> {
    names.iter().map(|name| (*name).to_owned()).collect()
}

impl Candidate {
    /// A driver of ours, by its preset.
    pub fn built_in(name: &str) -> Option<Candidate> {
        let preset = presets::preset(name)?;
        let mut claims = texts(OF_THE_ENGINE);
        let own: &[&str] = match preset.store {
            "swift" => &["swift", "auth", "net", "etag_md5", "list_bound"],
            "s3" => &["s3", "auth", "net", "etag_md5"],
            _ => &["posix"],
        };
        claims.extend(texts(own));
        claims.insert("sim".to_owned());
        Some(Candidate {
            name: name.to_owned(),
            kind: Kind::BuiltIn,
            preset,
            roles: texts(&["store", "driver", "manager", "service"]),
            claims,
            made: Made::Registry,
            server: None,
            adapter: None,
        })
    }

    /// A store of objects of your own below our chunk engine, in the world of the preset `like`: its servers, its options
    /// and its scenarios.
    ///
    /// # Panics
    /// No preset is called `like`.
    pub fn store<F>(name: &str, like: &str, make: F) -> Candidate
    where
        F: Fn(&Options, &Env) -> Result<Arc<dyn ChunkStore>, Error> + Send + Sync + 'static,
    {
        let mut candidate = Candidate::plug_in(name, like, Made::Store(Arc::new(make)));
        candidate.claims.extend(texts(OF_THE_ENGINE));
        candidate
    }

    /// A whole driver of your own, in the world of the preset `like`.
    ///
    /// # Panics
    /// No preset is called `like`.
    pub fn driver<F>(name: &str, like: &str, make: F) -> Candidate
    where
        F: Fn(&Options, &Env) -> Result<Arc<dyn BackupDriver>, Error> + Send + Sync + 'static,
    {
        let mut candidate = Candidate::plug_in(name, like, Made::Driver(Arc::new(make)));
        candidate.roles.remove("store");
        candidate
    }

    fn plug_in(name: &str, like: &str, made: Made) -> Candidate {
        let built_in = Candidate::built_in(like);
        let built_in =
            built_in.unwrap_or_else(|| panic!("no preset is called {like}: {}", presets::names().join(", ")));
        let claims = texts(&["sim"]);
        Candidate { name: name.to_owned(), kind: Kind::PlugIn, claims, made, ..built_in }
    }

    /// Puts a server of your own on the host of the preset's back end (`swift` or `s3`; your driver connects to that name
    /// through [`Env::net`]), for a store that speaks a protocol of its own. Its ledger has the engine's containers and names.
    ///
    /// # Panics
    /// The preset's back end is a disk.
    pub fn with_server<F>(mut self, make: F) -> Candidate
    where
        F: Fn(Arc<dyn Journal>) -> Arc<dyn Server> + Send + Sync + 'static,
    {
        assert!(self.preset.store != "store", "{} lives on a disk: take the world of swift or s3", self.preset.name);
        self.server = Some(Arc::new(make));
        self
    }

    /// Claims capabilities, which are then tested: `auth`, `net`, `etag_md5`, `incremental` …; the suite refuses to begin
    /// with one that it does not know.
    pub fn claiming(mut self, capabilities: &[&str]) -> Candidate {
        self.claims.extend(texts(capabilities));
        self
    }

    /// Takes claims back.
    pub fn without(mut self, capabilities: &[&str]) -> Candidate {
        self.claims.retain(|claim| !capabilities.contains(&claim.as_str()));
        self
    }

    /// The command that plays this again: `what` is a case (`B-CRT-001`), or one of its plays (`B-FLT-001/create/7/eio`).
    pub fn repeat(&self, what: &str, seed: u64, pace: Pace) -> String {
        let words = match (&self.adapter, self.kind) {
            (_, Kind::PlugIn) => return format!("cargo test --test conformance -- --case {what} --seed {seed}"),
            (Some(pool), _) => {
                let role = if pool.role() == Role::Store { " --role store" } else { "" };
                let limit = match pace {
                    Pace::Real(limit) if limit != WALL_LIMIT => format!(" --wall-limit {}", limit.as_secs()),
                    _ => String::new(),
                };
                format!("--adapter {} --driver {}{role}{limit}", quoted(pool.command()), self.preset.name)
            }
            (None, _) => format!("--driver {}", self.preset.name),
        };
        format!("clinker conform {words} --case {what} --seed {seed}")
    }

    /// What is wrong with its claims, if anything.
    pub fn wrong_claim(&self) -> Option<String> {
        let claims = self.claims.iter().filter(|claim| *claim != "sim");
        claims.map(String::as_str).find_map(unknown_claim).map(|why| format!("the candidate {} {why}", self.name))
    }

    pub fn claims(&self, capability: &str) -> bool {
        self.claims.contains(capability)
    }

    /// The service's parts with this driver among them.
    pub fn parts(&self) -> Parts {
        Parts { made: self.made.clone(), server: self.server.clone(), ..Parts::default() }
    }

    pub fn subject(&self, profile: &str) -> Subject {
        Subject {
            name: self.name.clone(),
            kind: self.kind.name().to_owned(),
            roles: self.roles.iter().cloned().collect(),
            capabilities: self.claims.iter().cloned().collect(),
            profile: profile.to_owned(),
        }
    }

    /// Why a case with these needs is not for this candidate, or none if it is.
    pub fn lacks(&self, needs: &[String]) -> Option<String> {
        needs.iter().find_map(|need| self.lacks_one(need))
    }

    fn lacks_one(&self, need: &str) -> Option<String> {
        let have = match need {
            "any" => true,
            // A driver with a format of its own has no part in the rules of ours.
            "store" => self.roles.contains("store") || self.claims("chunked"),
            "driver" => self.roles.contains("driver") || self.roles.contains("store"),
            "manager" | "service" => {
                if !self.roles.contains("manager") {
                    return Some(format!("needs {need}: an adapter is asked without our manager"));
                }
                true
            }
            "ceph" | "nfs" => return Some(format!("no driver: {need}")),
            // The key manager and the message bus are the service's, not the driver's.
            "keys" | "messages" => self.roles.contains("manager"),
            _ => self.claims(need),
        };
        (!have).then(|| format!("{} does not claim {need}", self.name))
    }

    /// Whether what the driver says of itself and what was claimed for it agree; the names of those that do not.
    pub fn disagreements(&self, said: Capabilities) -> Vec<&'static str> {
        let pairs =
            [("progress", said.progress), ("incremental", said.incremental), ("force_delete", said.force_delete)];
        pairs.into_iter().filter(|(name, said)| self.claims(name) != *said).map(|(name, _)| name).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::conformance::profile::capabilities;

    #[test]
    fn a_shell_reads_a_quoted_word_as_it_was() {
        for text in ["plain", "two words", "sh -c 'exit 3'", "$HOME `x` \"y\" \\ ; *", "", "''", "a\nb"] {
            let said = std::process::Command::new("sh").arg("-c").arg(format!("printf %s {}", quoted(text))).output();
            let said = said.unwrap_or_else(|error| panic!("start sh: {error}"));
            assert_eq!(String::from_utf8_lossy(&said.stdout), text);
        }
    }

    #[test]
    fn every_capability_that_cases_need_can_be_claimed() {
        // No driver claims these: the service has them, there is no driver yet, or the harness itself decides.
        let others = ["keys", "ceph", "nfs", "sim"];
        let needed: Vec<&str> = capabilities().into_iter().filter(|need| !others.contains(need)).collect();
        assert_eq!(needed.iter().find(|need| !CLAIMS.contains(need)), None);
        assert_eq!(OF_THE_ENGINE.iter().find(|name| !CLAIMS.contains(name)), None);
    }

    #[test]
    fn an_unknown_claim_is_refused_with_a_suggestion() {
        let made = |_: &Options, _: &Env| Err(Error::new(clinker_drivers::Kind::Unsupported, "nothing"));
        let candidate = Candidate::store("volume-folders", "posix", made);
        assert_eq!(candidate.wrong_claim(), None);
        let wrong = candidate.claiming(&["net", "etag-md5"]).wrong_claim();
        let expected =
            "the candidate volume-folders claims \"etag-md5\", which is no capability; did you mean `etag_md5`?";
        assert_eq!(wrong.as_deref(), Some(expected));
    }
}
