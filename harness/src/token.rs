//! Replay tokens: scenario, driver, seed, engine, and the build for which the seed holds.

use std::fmt;
use std::ops::RangeInclusive;
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use clinker_model::Span;
use clinker_model::plan::{Engine, Plan};

use crate::catalog::LOCK;

/// Ticks that a run may have, milliseconds.
pub const TICKS: RangeInclusive<u64> = 1..=1000;

/// `clk1:<scenario>@<driver>:<seed>:<engine>:<version>-<lock>`; the engine is `simnet`, `simnet-<schedule's seed>`,
/// `turmoil-<tick ms>` or `real`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Token {
    pub scenario: String,
    pub driver: String,
    pub seed: u64,
    pub engine: Engine,
    /// turmoil's tick, milliseconds; 0 for engines that have none.
    pub tick_ms: u64,
    /// As [`Plan::schedule`].
    pub schedule: Option<u64>,
    /// Program version and hash of its lock file.
    pub build: String,
}

impl Token {
    pub fn of(plan: &Plan) -> Token {
        Token {
            scenario: plan.scenario.clone(),
            driver: plan.driver.clone(),
            seed: plan.seed,
            engine: plan.engine,
            tick_ms: u64::try_from(plan.tick.0.as_millis()).unwrap_or(u64::MAX),
            schedule: plan.schedule,
            build: this_build(),
        }
    }

    pub fn parse(text: &str) -> Result<Token> {
        let wrong = || format!("token \"{text}\": expected clk1:AREA/SCENARIO@DRIVER:SEED:ENGINE:BUILD");
        let parts: Vec<&str> = text.split(':').collect();
        let &["clk1", case, seed, engine, build] = parts.as_slice() else { anyhow::bail!(wrong()) };
        let (scenario, driver) = case.split_once('@').with_context(wrong)?;
        let (engine, detail) = engine.split_once('-').map_or((engine, None), |(name, detail)| (name, Some(detail)));
        let engine = Engine::parse(engine).with_context(|| {
            format!("token \"{text}\": no engine is called \"{engine}\"; there are {}", Engine::NAMES.join(", "))
        })?;
        let detail = detail.map(str::parse).transpose().with_context(wrong)?;
        let (tick_ms, schedule) = match engine {
            Engine::Simnet => (0, detail),
            Engine::Turmoil => (detail.with_context(wrong)?, None),
            Engine::Real => {
                ensure!(detail.is_none(), wrong());
                (0, None)
            }
        };
        ensure!(
            engine != Engine::Turmoil || TICKS.contains(&tick_ms),
            "token \"{text}\": the tick is from 1 to 1000 (milliseconds)"
        );
        Ok(Token {
            scenario: scenario.to_owned(),
            driver: driver.to_owned(),
            seed: seed.parse().with_context(wrong)?,
            engine,
            tick_ms,
            schedule,
            build: build.to_owned(),
        })
    }

    /// Sets a plan's engine as the token has it.
    pub fn apply(&self, plan: &mut Plan) {
        plan.engine = self.engine;
        plan.tick = Span(Duration::from_millis(self.tick_ms));
        plan.schedule = self.schedule;
    }

    /// Whether this program is the one that the seed holds for.
    pub fn fits_this_build(&self) -> bool {
        self.build == this_build()
    }
}

/// Version and lock file of this program.
pub fn this_build() -> String {
    format!("{}-{}", env!("CARGO_PKG_VERSION"), &LOCK[..8])
}

impl fmt::Display for Token {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Token { scenario, driver, seed, engine, tick_ms, schedule, build } = self;
        write!(f, "clk1:{scenario}@{driver}:{seed}:{}", engine.name())?;
        match (engine, schedule) {
            (Engine::Turmoil, _) => write!(f, "-{tick_ms}")?,
            (Engine::Simnet, Some(schedule)) => write!(f, "-{schedule}")?,
            (Engine::Simnet, None) | (Engine::Real, _) => {}
        }
        write!(f, ":{build}")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_token_reads_back() {
        for engine in ["turmoil-10", "simnet", "simnet-8191", "real"] {
            let text = format!("clk1:init/refused-at-start@swift-v3:17:{engine}:{}", this_build());
            let token = Token::parse(&text).unwrap();
            assert_eq!(token.to_string(), text);
            assert!(token.fits_this_build());
        }
    }

    #[test]
    fn a_wrong_token_says_what_would_be_right() {
        for (text, part) in [
            ("", "expected clk1:"),
            ("clk1:a/b:1:turmoil-10:x", "expected clk1:"),
            ("clk1:a/b@swift:one:turmoil-10:x", "expected clk1:"),
            ("clk1:a/b@swift:1:warp-10:x", "there are simnet, turmoil, real"),
            ("clk1:a/b@swift:1:simnet-x:x", "expected clk1:"),
            ("clk1:a/b@swift:1:real-1:x", "expected clk1:"),
            ("clk1:a/b@swift:1:turmoil-0:x", "from 1 to 1000"),
            ("clk1:a/b@swift:1:turmoil-1001:x", "from 1 to 1000"),
        ] {
            let error = Token::parse(text).unwrap_err().to_string();
            assert!(error.contains(part), "{text}: {error}");
        }
    }
}
