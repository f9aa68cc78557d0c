//! Calls about service rows: registration, the end of an attempt, heartbeats, the list.

use serde_json::Value;

use super::sqlite::{Tx, sql, to_json};
use super::{Call, ServiceView};
use crate::model::ServiceRow;
use crate::notify::Event;
use crate::{Error, Kind, Result, state};

impl Tx<'_> {
    pub(super) fn service(&mut self, call: Call) -> Result<Value> {
        match call {
            Call::ServiceRegister { host, worker, process, replaces, driver, availability_zone } => {
                let id = service_id(&host, worker);
                let before: Option<ServiceRow> = self.load("services", &id)?;
                let holder = before.as_ref().map(|row| &row.process);
                if holder != replaces.as_ref() {
                    return to_json(holder);
                }
                let row = ServiceRow {
                    id,
                    host,
                    binary: "cinder-backup".to_owned(),
                    worker,
                    process,
                    driver,
                    availability_zone,
                    started_at: self.now,
                    working: false,
                    reason: None,
                    last_heartbeat: None,
                    attempt: 0,
                    updated_at: None,
                    // What is stored there stays where it is, whether the driver works again or not.
                    host_bound: before.is_some_and(|before| before.host_bound),
                };
                self.save_service(&row)?;
            }
            Call::ServiceAttempt { host, worker, process, attempt, host_bound } => {
                let id = service_id(&host, worker);
                let mut row: ServiceRow = self.load("services", &id)?.ok_or_else(|| not_registered(&id))?;
                same_process(&id, &process, &row.process)?;
                row.working = attempt.error.is_none();
                row.reason = attempt.error.clone();
                row.attempt = attempt.number;
                row.host_bound = host_bound.unwrap_or(row.host_bound);
                if row.working {
                    // The first heartbeat goes out with the success itself.
                    row.last_heartbeat = Some(self.now);
                }
                self.save_service(&row)?;
                self.emit(&host, Event::init(&row, &attempt))?;
            }
            Call::ServiceHeartbeat { host, worker, process, working } => {
                let id = service_id(&host, worker);
                let row = self.row("services", &id)?.ok_or_else(|| not_registered(&id))?;
                same_process(&id, &process, row["process"].as_str().unwrap_or_default())?;
                if working && row["working"] == false {
                    // It was long on its way: the driver has stopped working since.
                    return Ok(Value::Null);
                }
                self.heartbeat(&id, row)?;
            }
            Call::ServiceList { service_down_time } => return to_json(self.services(service_down_time)?),
            _ => unreachable!("only service calls come here"),
        }
        Ok(Value::Null)
    }

    /// Every service with its state, by id.
    pub(super) fn services(&self, service_down_time: u64) -> Result<Vec<ServiceView>> {
        let rows = self.select("SELECT * FROM services ORDER BY id", [])?;
        rows.into_iter()
            .map(|row| {
                let row: ServiceRow = serde_json::from_value(row).map_err(|error| {
                    Error::new(Kind::Internal, "a service row has another form than its table").with_source(error)
                })?;
                let state = state::of_worker(&row, self.now, service_down_time);
                Ok(ServiceView { row, state })
            })
            .collect()
    }

    /// Two columns of one row: by far the most frequent write.
    fn heartbeat(&mut self, id: &str, before: Value) -> Result<()> {
        let updated_at = to_json(self.host_time())?;
        self.sql
            .prepare_cached("UPDATE services SET last_heartbeat = ?1, updated_at = ?2 WHERE id = ?3")
            .and_then(|mut statement| statement.execute((self.now, updated_at.as_str(), id)))
            .map_err(sql)?;
        let mut after = before.clone();
        after["last_heartbeat"] = self.now.into();
        after["updated_at"] = updated_at;
        self.changed("services", id, before, after);
        Ok(())
    }
}

fn not_registered(id: &str) -> Error {
    Error::new(Kind::NotFound, format!("service {id}: it has not registered"))
}

fn same_process(id: &str, sender: &str, holder: &str) -> Result<()> {
    if sender == holder {
        return Ok(());
    }
    Err(Error::new(Kind::Conflict, format!("service {id}: process {sender} has been followed by {holder}")))
}

/// A worker's id in the table of services.
pub fn service_id(host: &str, worker: u32) -> String {
    if worker == 0 { host.to_owned() } else { format!("{host}#{worker}") }
}
