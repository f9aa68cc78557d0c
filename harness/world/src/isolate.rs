//! One run, one fresh thread.

use crate::panics::capture;
use crate::world::WorldError;

/// Deeply nested futures in debug builds need more than a thread's usual 2 MiB. Only touched pages cost memory.
const STACK_BYTES: usize = 256 << 20;

/// Fails unless tokio's scheduler can be seeded, without which the same seed gives different histories.
pub fn require_tokio_unstable() -> Result<(), WorldError> {
    if cfg!(tokio_unstable) { Ok(()) } else { Err(WorldError::TokioUnstable) }
}

/// Runs `f` on a thread of its own and waits for it. A panic becomes [`WorldError::Panic`] with the host `name`.
pub fn run_isolated<T: Send>(name: &str, f: impl FnOnce() -> T + Send) -> Result<T, WorldError> {
    let failed = |message: String| WorldError::Panic { host: name.to_owned(), message };
    std::thread::scope(|scope| {
        let thread = std::thread::Builder::new()
            .name(name.to_owned())
            .stack_size(STACK_BYTES)
            .spawn_scoped(scope, || capture(f))
            .map_err(|error| failed(format!("no thread could be started: {error}")))?;
        match thread.join() {
            Ok(result) => result.map_err(|caught| failed(caught.message)),
            Err(_) => Err(failed("the thread's own clean-up panicked".to_owned())),
        }
    })
}
