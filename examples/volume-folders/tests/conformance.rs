//! The conformance suite of Clinker for the store of this crate: `cargo test`, `cargo test -- B-INT`, `cargo test -- --list`.

use std::process::ExitCode;
use std::sync::Arc;

use clinker::conformance::candidate::Candidate;
use clinker::conformance::trials;
use volume_folders::VolumeFolders;

fn main() -> ExitCode {
    // It lives on a disk, as the built-in `posix` does: the suite gives it that world, with all the faults a disk has.
    let candidate =
        Candidate::store("volume-folders", "posix", |options, env| Ok(Arc::new(VolumeFolders::new(options, env))));
    trials::main(candidate)
}
