//! Computing on tokio's blocking pool.

use async_trait::async_trait;

use crate::{Cpu, Work};

pub(super) struct BlockingPool;

#[async_trait]
impl Cpu for BlockingPool {
    #[expect(clippy::disallowed_methods, reason = "this is the replacement the ban names")]
    async fn run(&self, _work: Work, _bytes: u64, job: Box<dyn FnOnce() + Send>) {
        // A panicking job shows in `Env::compute`: its result never arrives.
        let _ = tokio::task::spawn_blocking(job).await;
    }
}
