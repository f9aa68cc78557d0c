//! The other side of the protocol for our own drivers: the reference adapter, `clinker adapter`.
//!
//! [`link`] is the pair of pipes; [`ops`] carries requests out.

mod device;
mod link;
mod ops;

use std::collections::BTreeMap;
use std::sync::Arc;

use clinker_drivers::registry::DriverInfo;
use clinker_drivers::{Options, Result};
use clinker_env::Env;
use serde_json::{Value, json};

use super::message::{Failed, Op, PROTOCOL, Role};
use link::Link;
use ops::Served;

/// Serves a driver, or its store, on this process's standard input and output until the input ends.
pub async fn serve(info: &'static DriverInfo, role: Role, env: Env) {
    let (link, mut requests) = Link::open();
    let mut server = Server { info, role, env, link, served: None };
    while let Some(request) = requests.recv().await {
        let id = request["id"].clone();
        let answer = match serde_json::from_value(request) {
            Ok(op) => server.answer(op).await,
            Err(error) => Err(refused(format!("request not understood ({error})"))),
        };
        server.link.say(&match answer {
            Ok(ok) => json!({ "id": id, "ok": ok }),
            Err(failed) => json!({ "id": id, "error": failed }),
        });
    }
}

struct Server {
    info: &'static DriverInfo,
    role: Role,
    env: Env,
    link: Arc<Link>,
    served: Option<Served>,
}

impl Server {
    async fn answer(&mut self, op: Op) -> Result<Value, Failed> {
        match op {
            Op::Hello { protocol, role, .. } => self.greet(protocol, role),
            Op::Configure { options } => {
                let own = own_options(self.info, &options).map_err(|error| Failed::from(&error))?;
                let (served, facts) = Served::new(&own, self.role, &self.env).map_err(|error| Failed::from(&error))?;
                self.served = Some(served);
                Ok(facts)
            }
            op => match &self.served {
                Some(served) => served.answer(op, &self.link).await,
                None => Err(refused(format!("{} before configure", op.name()))),
            },
        }
    }

    fn greet(&self, protocol: u32, role: Role) -> Result<Value, Failed> {
        if protocol != PROTOCOL {
            return Err(refused(format!("protocol {protocol}: this adapter speaks {PROTOCOL}")));
        }
        if role != self.role {
            let (asked, own) = (role.as_str(), self.role.as_str());
            return Err(refused(format!("role {asked}: this adapter was started as {own}")));
        }
        let name = format!("clinker-{}", self.info.short_name);
        let capabilities = ops::capabilities(self.info.short_name);
        Ok(json!({
            "protocol": PROTOCOL,
            "name": name,
            "version": env!("CARGO_PKG_VERSION"),
            "capabilities": capabilities,
        }))
    }
}

fn own_options(info: &DriverInfo, given: &BTreeMap<String, String>) -> Result<Options> {
    let mut own = Options { backup_driver: info.short_name.to_owned(), ..Options::default() };
    given.iter().filter(|(name, _)| *name != "backup_driver").try_for_each(|(name, value)| own.set(name, value))?;
    own.validate().map(|()| own)
}

fn refused(message: String) -> Failed {
    Failed { kind: clinker_drivers::Kind::Unsupported, message, definite: true, operation: String::new() }
}
