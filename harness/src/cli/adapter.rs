//! `clinker adapter`: a built-in driver as an adapter, which shows the protocol and tests it.

use anyhow::{Context as _, Result};
use clap::{Args, ValueEnum};
use clinker_drivers::registry;
use clinker_env::real;

use super::Exit;
use crate::adapter;

#[derive(Args)]
pub(super) struct Adapter {
    /// The driver: swift, s3 or posix.
    #[arg(long)]
    driver: String,
    /// The whole driver, or its store alone.
    #[arg(long, value_enum, default_value_t = Role::Driver)]
    role: Role,
}

#[derive(Clone, Copy, ValueEnum)]
enum Role {
    Driver,
    Store,
}

impl Adapter {
    pub fn execute(self) -> Result<Exit> {
        let info = registry::find(&self.driver).map_err(|error| anyhow::anyhow!("serve a driver: {}", error.what))?;
        let role = match self.role {
            Role::Driver => adapter::Role::Driver,
            Role::Store => adapter::Role::Store,
        };
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().context("start a runtime")?;
        runtime.block_on(adapter::serve::serve(info, role, real::env()));
        // The thread that reads standard input may still wait for a line.
        Ok(Exit::AllAsExpected)
    }
}
