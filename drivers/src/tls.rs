//! TLS over the environment's streams, with the `tls` feature; without it no URL asks for it. HTTP and the message bus share it.
//!
//! Certificates are judged by the host's own clock, and authorities are read through the environment's file system.

#[cfg(feature = "tls")]
mod rustls;

#[cfg(feature = "tls")]
pub use rustls::Tls;

/// Whether TLS is built in.
pub const AVAILABLE: bool = cfg!(feature = "tls");

/// How a server's certificate is checked.
#[derive(Clone, Debug)]
pub struct TlsOptions {
    /// Off: any certificate is taken.
    pub verify: bool,
    /// Path of a PEM file with the authorities to trust; the system's if none.
    pub ca_file: Option<String>,
    /// The option that names the file, for error texts.
    pub ca_option: &'static str,
}

impl Default for TlsOptions {
    fn default() -> TlsOptions {
        TlsOptions { verify: true, ca_file: None, ca_option: "" }
    }
}

#[cfg(not(feature = "tls"))]
pub use absent::Tls;

#[cfg(not(feature = "tls"))]
mod absent {
    use clinker_env::{BoxStream, Env};

    use super::TlsOptions;
    use crate::{Error, Kind, Result};

    /// No TLS. Whoever reads a URL refuses one that asks for it before it comes to this.
    pub struct Tls;

    impl Tls {
        pub fn new(_: TlsOptions) -> Tls {
            Tls
        }

        pub async fn wrap(&self, _: &Env, target: &str, _: &str, _: BoxStream) -> Result<BoxStream> {
            Err(Error::new(Kind::Unsupported, format!("{target}: TLS is not built in")))
        }
    }
}
