//! The S3 driver against a scripted server: every wire behaviour in exact virtual time.
//!
//! `script` is the server, `support` has the helpers; `../captures/s3` holds recorded exchanges of real servers.

mod auth;
mod log;
mod network;
mod objects;
mod retries;
#[path = "../support/script.rs"]
mod script;
mod setup;
mod support;
#[cfg(feature = "tls")]
mod tls;
