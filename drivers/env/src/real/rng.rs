//! Random streams seeded from the operating system.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::Read;
use std::sync::Mutex;

use rand_chacha::ChaCha8Rng;
use rand_chacha::rand_core::{Rng as _, SeedableRng};

use crate::Rng;

#[derive(Default)]
pub(super) struct OsSeeded {
    streams: Mutex<BTreeMap<String, ChaCha8Rng>>,
}

impl Rng for OsSeeded {
    fn fill(&self, name: &str, dest: &mut [u8]) {
        let mut streams = self.streams.lock().expect("no panic while the lock is held");
        let stream = streams.entry(name.to_owned()).or_insert_with(|| ChaCha8Rng::from_seed(os_seed()));
        stream.fill_bytes(dest);
    }
}

fn os_seed() -> [u8; 32] {
    let mut seed = [0; 32];
    File::open("/dev/urandom")
        .and_then(|mut file| file.read_exact(&mut seed))
        .expect("every Unix host has /dev/urandom");
    seed
}
