//! The kernels of the data path: digests, zero detection and zlib streams at the speed of the machine. Start with `md5`
//! for the lanes and `zlib` for the glued stream. Nothing here knows volumes, drivers or threads, and there is no unsafe
//! code: plain arrays, compiled once per instruction set and chosen at run time by `multiversion`.
//! What was measured, and why each library was chosen, is in `docs/performance.md`.

mod lanes;
pub mod md5;
pub mod sha256;
pub mod zero;
pub mod zlib;
