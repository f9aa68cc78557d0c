//! The Swift driver against a scripted server: every wire behaviour in exact virtual time.
//!
//! `script` is the server, `support` has the helpers; `../captures` holds recorded exchanges of real servers.

mod auth;
mod bounds;
mod catalog;
mod network;
mod objects;
mod retries;
#[path = "../support/script.rs"]
mod script;
mod setup;
mod support;
