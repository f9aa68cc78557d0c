//! The end before the end: Ctrl-C and its like while adapters run, which would go on without us.

use std::process::exit;

use anyhow::{Context as _, Result};
use tokio::signal::unix::{SignalKind, signal};

use super::tell;
use crate::adapter::running;

/// From now on SIGINT, SIGTERM and SIGHUP end all adapters, remove what they used, and then this process, with 128 and
/// the signal's number as a shell has it.
pub(super) fn end_adapters_on_signals() -> Result<()> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_io().build().context("watch for signals")?;
    let watch = move || {
        runtime.block_on(async {
            let kinds = [SignalKind::interrupt(), SignalKind::terminate(), SignalKind::hangup()];
            // A process that cannot be told to end is ended as ever, without us.
            let [Ok(mut interrupt), Ok(mut terminate), Ok(mut hangup)] = kinds.map(signal) else { return };
            let kind = tokio::select! {
                biased;
                _ = interrupt.recv() => kinds[0],
                _ = terminate.recv() => kinds[1],
                _ = hangup.recv() => kinds[2],
            };
            running::end_all();
            let number = kind.as_raw_value();
            tell(&format!("clinker: ended by signal {number}: no report was written"));
            exit(128 + number);
        });
    };
    std::thread::Builder::new().name("signals".to_owned()).spawn(watch).context("watch for signals")?;
    Ok(())
}

/// Does not return if a signal has ended the adapters: what was seen since is nobody's result.
pub(super) fn wait_if_ending() {
    while running::is_over() {
        std::thread::park();
    }
}
