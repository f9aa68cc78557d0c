//! The drivers against a real Swift and its S3 interface, and the same cases against the fakes.
//!
//! [`cases`] is the list, `bench` what each case does; [`real`] and [`fake`] are the two kinds of [`Server`] it is played
//! against, both on loopback TCP; [`table`] sets the outcomes side by side. `admin` is the operator's hand on a Swift
//! (quotas, listings), `volume` a volume in memory that strikes a server at a chosen offset.

mod admin;
mod bench;
pub mod cases;
pub mod fake;
pub mod real;
pub mod table;
mod volume;

use anyhow::Result;
use async_trait::async_trait;

pub use admin::Quota;

/// The user who owns the account, on both kinds of server; for S3 access key and secret.
pub const USER: &str = "test:tester";
pub const KEY: &str = "testing";
pub const ACCOUNT: &str = "AUTH_test";
/// The reseller, who alone sets an account's quota.
pub const RESELLER: &str = "admin:admin";
pub const RESELLER_KEY: &str = "admin";

/// What happens to a server.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Action {
    /// It stands still: SIGSTOP.
    Stop,
    Continue,
    /// It ends at once: SIGKILL. Nothing, if it has ended.
    Kill,
    /// It comes up again with what it stored. Nothing, if it is up.
    Start,
    /// The part that holds the objects stands still, the rest goes on and answers for it.
    StopObjects,
    ContinueObjects,
    /// Every token issued so far stops working. Nothing, where there are no tokens.
    ForgetTokens,
}

/// A server on loopback whose fate is in our hands.
#[async_trait]
pub trait Server: Send + Sync {
    fn port(&self) -> u16;

    /// Returns when it has happened.
    async fn apply(&self, action: Action) -> Result<()>;

    /// Allows so many bytes in the container or in the whole account; None lifts the quota.
    async fn set_quota(&self, quota: Quota, container: &str, bytes: Option<u64>) -> Result<()>;

    /// Names of the objects in a container, sorted; none if there is no such container.
    async fn stored(&self, container: &str) -> Result<Vec<String>>;
}
