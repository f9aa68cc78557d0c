//! Where the tasks of a process run. A world with several processes in one runtime must know whose a task is.

use std::future::Future;

use tokio::task::{AbortHandle, JoinHandle, JoinSet};

/// Spawns tasks of one process. Software that takes an [`Env`](crate::Env) spawns through it and in no other way, so that
/// a simulated crash ends all of them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Tasks {
    /// On the runtime: it belongs to one process.
    Runtime,
    /// In the [`LocalSet`](tokio::task::LocalSet) that polls the caller: each process has its own.
    LocalSet,
}

impl Tasks {
    /// Spawns a task that goes on when its handle is dropped.
    ///
    /// # Panics
    /// As [`tokio::spawn`] does: outside of a runtime, or with [`Tasks::LocalSet`] outside of a `LocalSet`.
    #[expect(clippy::disallowed_methods, reason = "this is the one place that spawns")]
    pub fn spawn<F>(self, task: F) -> JoinHandle<F::Output>
    where
        F: Future + Send + 'static,
        F::Output: Send + 'static,
    {
        match self {
            Tasks::Runtime => tokio::spawn(task),
            Tasks::LocalSet => tokio::task::spawn_local(task),
        }
    }

    /// Spawns a task that ends with `set`; panics as [`Tasks::spawn`] does.
    #[expect(clippy::disallowed_methods, reason = "this is the one place that spawns")]
    pub fn spawn_in<F>(self, set: &mut JoinSet<F::Output>, task: F) -> AbortHandle
    where
        F: Future + Send + 'static,
        F::Output: Send + 'static,
    {
        match self {
            Tasks::Runtime => set.spawn(task),
            Tasks::LocalSet => set.spawn_local(task),
        }
    }
}
