//! Many cells: every combination of some values, played in order.

use std::collections::BTreeMap;
use std::sync::Arc;

use clinker_drivers::Result;

use crate::content::Content;
use crate::measure::measure;
use clinker_model::latency::Cell;
use clinker_model::latency::{Measured, Trace};

/// Plays the cells for their pictures.
///
/// # Errors
/// As [`measure`], of the first that fails.
pub fn traces(cells: &[Cell]) -> Result<Vec<Trace>> {
    cells.iter().map(|cell| Ok(measure(cell, &Content::new(cell.chunk))?.trace())).collect()
}

/// Plays the cells one after the other; `each` hears of every one as it ends.
///
/// # Errors
/// As [`measure`], of the first that fails.
pub fn sweep(cells: &[Cell], mut each: impl FnMut(&Measured)) -> Result<Vec<Measured>> {
    let mut contents: BTreeMap<u64, Arc<Content>> = BTreeMap::new();
    let mut all = Vec::with_capacity(cells.len());
    for cell in cells {
        let content = contents.entry(cell.chunk).or_insert_with(|| Content::new(cell.chunk));
        let measured = measure(cell, content)?.measured;
        each(&measured);
        all.push(measured);
    }
    Ok(all)
}
