//! Named random streams: ChaCha8 from hash(seed, host, name). They go on where they were when a host restarts, so that
//! a second life does not draw the identifiers of the first again.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};

use clinker_env::Rng;
use rand_chacha::ChaCha8Rng;
use rand_chacha::rand_core::{Rng as _, SeedableRng};
use sha2::{Digest, Sha256};

/// All streams of a world.
pub(crate) struct Streams {
    seed: u64,
    streams: Mutex<BTreeMap<(String, String), ChaCha8Rng>>,
}

impl Streams {
    pub(crate) fn new(seed: u64) -> Streams {
        Streams { seed, streams: Mutex::default() }
    }

    pub(crate) fn of(self: &Arc<Self>, host: &str) -> SimRng {
        SimRng { host: host.to_owned(), streams: Arc::clone(self) }
    }

    /// A stream of its own, which nothing else continues.
    pub(crate) fn open(&self, host: &str, name: &str) -> ChaCha8Rng {
        let mut hash = Sha256::new();
        hash.update(self.seed.to_le_bytes());
        hash.update(host.as_bytes());
        hash.update([0]);
        hash.update(name.as_bytes());
        ChaCha8Rng::from_seed(hash.finalize().into())
    }
}

pub(crate) struct SimRng {
    host: String,
    streams: Arc<Streams>,
}

impl Rng for SimRng {
    fn fill(&self, name: &str, dest: &mut [u8]) {
        let mut streams = self.streams.streams.lock().expect("no panic while the lock is held");
        let stream =
            streams.entry((self.host.clone(), name.to_owned())).or_insert_with(|| self.streams.open(&self.host, name));
        stream.fill_bytes(dest);
    }
}
