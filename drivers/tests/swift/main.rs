//! The Swift driver against a scripted server: every wire behaviour in exact virtual time.
//!
//! `support` is the server and the helpers; `../captures` holds recorded exchanges of real servers.

mod auth;
mod catalog;
mod network;
mod objects;
mod retries;
mod setup;
mod support;
