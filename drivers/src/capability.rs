//! What a driver can do, declared by the driver and verified by the conformance suite.

/// Abilities beyond the operations every driver has. Undeclared abilities must be refused as `unsupported`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Capabilities {
    /// Reports progress while backing up.
    pub progress: bool,
    /// A running create can be cancelled, and a backup deleted in any state.
    pub force_delete: bool,
    /// Can store only what changed since a parent backup.
    pub incremental: bool,
    /// The store can be reached from its own host only (D4: its requests go to that host).
    pub host_bound: bool,
}
