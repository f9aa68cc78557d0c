//! How long a chunked backup takes on a given link, in virtual time: exact, and against the theoretical bound.
//!
//! The chunk engine is the real one. Beneath it are a link and a store that are arithmetic ([`link`], [`store`]), and the
//! volume's bytes are described, not made ([`content`]): 10 GiB cost milliseconds. [`bound`] is the formula of the least
//! time there is, [`measure()`] plays one
//! [`Cell`](clinker_model::latency::Cell), [`mod@sweep`] many. Nothing here prints.

pub mod bound;
pub mod content;
pub mod link;
pub mod measure;
mod stalls;
mod stations;
pub mod store;
pub mod sweep;

pub use bound::Bound;
pub use measure::{Seen, measure, measure_bytes};
pub use sweep::{sweep, traces};
