//! The backup service: lifecycle, operations, state, notifications, the database and its wire.
//!
//! Start with [`service::Service`] (what runs on a backup host) and [`api::Api`] (what a client calls). An operation is
//! one file. What each operation's end means for rows and events is [`transitions`], section 5 of the design as code.
//! The outside is reached through [`clinker_env::Env`] and the ports [`db::Db`], [`bus::Bus`], [`volumes::Volumes`],
//! [`keys::Keys`] and [`service::DriverFactory`]; nothing here knows of simulation.

mod account;
pub mod api;
mod attachments;
pub mod bus;
mod calls;
mod casts;
mod cleanup;
mod create;
pub mod db;
mod delete;
mod encryption;
mod export;
mod import;
pub mod keys;
pub mod lifecycle;
pub mod messages;
pub mod metadata;
pub mod model;
pub mod notify;
mod operation;
mod outbox;
pub mod placement;
pub mod quota;
pub mod record;
mod reset;
mod restore;
pub mod service;
pub mod state;
mod temporary;
pub mod transitions;
pub mod volumes;
pub mod wire;
mod workers;

pub use clinker_drivers::{Error, Kind, Result};
