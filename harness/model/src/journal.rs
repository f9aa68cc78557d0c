//! The port through which everything in a world reports what happened.

use crate::{Entry, FaultId};

/// Takes records in the order in which things happen and stamps them with virtual time and a number.
pub trait Journal: Send + Sync {
    /// Appends an entry of `host` at the present moment.
    fn record(&self, host: &str, entry: Entry);

    /// Counts that a fault actually hit something; the first bites are recorded with `what`.
    fn bite(&self, fault: FaultId, host: &str, what: &str);
}
