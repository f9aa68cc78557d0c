//! Calls of a publisher about its outbox rows (D5): delivered in order, at least once.

use serde_json::Value;

use super::Queued;
use super::sqlite::{Tx, sql};
use crate::{Error, Kind, Result};

impl Tx<'_> {
    pub(super) fn undelivered(&self, publisher_id: &str, limit: u32) -> Result<Vec<Queued>> {
        let query = "SELECT seq, publisher_id, message FROM outbox WHERE publisher_id = ?1 AND delivered = 0
                     ORDER BY seq LIMIT ?2";
        self.select(query, (publisher_id, limit))?
            .into_iter()
            .map(|row| {
                serde_json::from_value(row).map_err(|error| {
                    Error::new(Kind::Internal, "an outbox row has another form than its table").with_source(error)
                })
            })
            .collect()
    }

    pub(super) fn delivered(&mut self, publisher_id: &str, up_to: u64) -> Result<Value> {
        self.sql
            .prepare_cached("UPDATE outbox SET delivered = 1 WHERE publisher_id = ?1 AND seq <= ?2")
            .and_then(|mut statement| statement.execute((publisher_id, up_to)))
            .map_err(sql)?;
        Ok(Value::Null)
    }
}
