//! Network namespaces: the client's is that of the calling process; the router's and the peer's are held by processes that
//! wait. They go with those, and those with the PID namespace that [`linux`](crate::linux) starts a case in.

use std::io::{self, BufRead, BufReader, Write as _};
use std::process::{Child, Command, Stdio};

use crate::linux::{PEER, this_program};

const CLIENT: &str = "10.7.1.2";

/// A process that holds a network namespace.
pub struct Holder(Child);

impl Holder {
    pub fn make() -> io::Result<Holder> {
        let mut command = Command::new("unshare");
        command.args(["--net", "sh", "-c", "echo in; exec sleep 300"]).stdout(Stdio::piped());
        let mut child = command.spawn()?;
        let mut line = String::new();
        BufReader::new(child.stdout.take().expect("it is piped")).read_line(&mut line)?;
        Ok(Holder(child))
    }

    pub fn enter(&self, program: &str) -> Command {
        let mut command = Command::new("nsenter");
        command.args(["-n", "-t"]).arg(self.0.id().to_string()).arg(program);
        command
    }

    /// This program in the namespace.
    pub fn enter_self(&self) -> io::Result<Command> {
        Ok(self.enter(&this_program()?))
    }

    /// Runs commands of `ip`, one a line.
    fn ip(&self, lines: &str) -> io::Result<()> {
        feed(self.enter("ip").args(["-batch", "-"]), lines)
    }

    fn set(&self, settings: &[(&str, u32)]) -> io::Result<()> {
        feed(&mut self.enter("sh"), &script(settings))
    }
}

impl Drop for Holder {
    fn drop(&mut self) {
        // Gone already: so be it.
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

fn script(settings: &[(&str, u32)]) -> String {
    // `tcp_syn_linear_timeouts` came with Linux 6.5.
    let line = |(name, value): &(&str, u32)| {
        let file = format!("/proc/sys/net/{name}");
        format!("if [ -e {file} ]; then echo {value} > {file} || exit 1; fi\n")
    };
    settings.iter().map(line).collect()
}

pub fn feed(command: &mut Command, input: &str) -> io::Result<()> {
    let spawned = command.stdin(Stdio::piped()).spawn();
    let mut child = spawned.map_err(|error| io::Error::new(error.kind(), format!("{command:?}: {error}")))?;
    child.stdin.take().expect("it is piped").write_all(input.as_bytes())?;
    let status = child.wait()?;
    if status.success() { Ok(()) } else { Err(io::Error::other(format!("{command:?}: {status}: {input}"))) }
}

/// The router's and the peer's; the client's is this process' own.
pub struct Namespaces {
    router: Holder,
    pub peer: Option<Holder>,
    settings: Vec<(&'static str, u32)>,
}

impl Namespaces {
    pub fn make(settings: &[(&'static str, u32)]) -> io::Result<Namespaces> {
        let router = Holder::make()?;
        feed(&mut Command::new("sh"), &script(settings))?;
        let wire = format!(
            "link add c0 type veth peer name r0 netns {}\naddr add {CLIENT}/24 dev c0\nlink set lo up\nlink set c0 up\n\
             route add default via 10.7.1.1\n",
            router.0.id()
        );
        feed(Command::new("ip").args(["-batch", "-"]), &wire)?;
        router.set(&[("ipv4/ip_forward", 1), ("ipv4/conf/all/rp_filter", 0), ("ipv4/conf/default/rp_filter", 0)])?;
        router.ip("addr add 10.7.1.1/24 dev r0\nlink set r0 up\n")?;
        let mut made = Namespaces { router, peer: None, settings: settings.to_vec() };
        made.add_peer()?;
        Ok(made)
    }

    /// A machine with a kernel state of its own, on a new wire with the old address.
    pub fn add_peer(&mut self) -> io::Result<()> {
        let peer = Holder::make()?;
        peer.set(&self.settings)?;
        self.router.ip(&format!(
            "link add r1 type veth peer name p0 netns {}\naddr add 10.7.2.1/24 dev r1\nlink set r1 up\n",
            peer.0.id()
        ))?;
        peer.ip(&format!(
            "link set lo up\naddr add {PEER}/24 dev p0\nlink set p0 up\nroute add default via 10.7.2.1\n"
        ))?;
        self.peer = Some(peer);
        let status = self.router.enter_self()?.env(crate::linux::ROLE, "reach").status()?;
        if status.success() { Ok(()) } else { Err(io::Error::other("the router does not reach the peer")) }
    }

    pub fn remove_peer(&mut self) -> io::Result<()> {
        self.peer = None;
        // A namespace without processes goes some time later.
        self.router.ip("link del r1\n")
    }

    /// Swallows what comes in from one side; what the router itself sends and gets is left alone.
    pub fn block(&self, (preference, device): Side) -> io::Result<()> {
        self.router.ip(&format!("rule add pref {preference} iif {device} blackhole\n"))
    }

    pub fn unblock(&self) -> io::Result<()> {
        // Of the two rules there may be one only.
        for (preference, _) in [FROM_CLIENT, FROM_PEER] {
            let mut command = self.router.enter("ip");
            command.args(["rule", "del", "pref", preference]).stderr(Stdio::null()).status()?;
        }
        Ok(())
    }
}

/// A side of the router: the preference of the rule about it, its device.
pub type Side = (&'static str, &'static str);
pub const FROM_CLIENT: Side = ("100", "r0");
pub const FROM_PEER: Side = ("101", "r1");
