//! The port through which everything in a world reports what happened.

use std::future::Future;
use std::pin::Pin;

use crate::fault::When;
use crate::{Entry, FaultId};

/// Takes records in the order in which things happen and stamps them with virtual time and a number.
pub trait Journal: Send + Sync {
    /// Appends an entry of `host` at the present moment.
    fn record(&self, host: &str, entry: Entry);

    /// Counts that a fault actually hit something; the first bites are recorded with `what`.
    fn bite(&self, fault: FaultId, host: &str, what: &str);
}

/// Where a server's process can be made to end: `http.put` before it is carried out, and after that, before its answer.
pub trait Points: Send + Sync {
    /// Never completes when the process ends here.
    fn pass<'a>(&'a self, point: &'a str, when: When) -> Pin<Box<dyn Future<Output = ()> + Send + 'a>>;
}

/// Something that faults act on: a fake server, or a simulated disk.
///
/// Hosts and objects are resolved already: `host` is the target's own, [`crate::fault::Stored`] carries a backup id.
pub trait FaultTarget: Send + Sync {
    /// Switches a fault on. An error says that this target has no such fault, or that the object is not there.
    fn begin(&self, id: FaultId, fault: &crate::Fault) -> Result<(), String>;

    /// Switches it off; unknown ids are ignored.
    fn end(&self, id: FaultId);

    /// The ledger: every object held, sorted by container and name.
    fn stored(&self) -> Vec<StoredObject>;

    /// An object's bytes as they are, or none; no fault applies.
    fn object_bytes(&self, _container: &str, _name: &str) -> Option<Vec<u8>> {
        None
    }

    /// Puts an object there, or other bytes into it, behind the back of everybody. An error says why that cannot be.
    fn put_bytes(&self, container: &str, name: &str, _bytes: &[u8]) -> Result<(), String> {
        Err(format!("put {container}/{name}: this target holds no objects"))
    }
}

/// One object of a ledger.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StoredObject {
    pub container: String,
    pub name: String,
    /// Bytes as stored.
    pub len: u64,
}
