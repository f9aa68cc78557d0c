//! The determinism check: the same plan twice, on two threads; the rolling hashes must agree.

use clinker_model::plan::Plan;
use clinker_world::Tracing;
use clinker_world::trace::first_difference;

use crate::run::{self, Parts, Run, RunError, Watch};

/// Plays the plan twice. `Err` holds the first event in which the runs differ, with its surroundings.
pub fn twice(plan: &Plan) -> Result<Result<Run, String>, RunError> {
    let traced = Watch { tracing: Tracing::Kept, ..Watch::default() };
    let first = run::play_watched(plan, &Parts::default(), traced)?;
    let second = run::play_watched(plan, &Parts::default(), traced)?;
    if first.hash == second.hash {
        return Ok(Ok(first));
    }
    let difference = first_difference(&first.trace, &second.trace)
        .map_or_else(|| "the hashes differ but no event does".to_owned(), |difference| difference.to_string());
    Ok(Err(difference))
}
