//! The Linux half: a case in three network namespaces of its own (client, router, peer), which go with its process.
//!
//! The router is where packets vanish, by a black-hole rule: in silence, and behind the back of both ends.

use std::io::{self, BufRead, BufReader, Write as _};
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use clinker_env::{BoxStream, Listener, Net};
use tokio::io::{AsyncBufReadExt as _, AsyncWriteExt as _, Lines};
use tokio::net::unix::{OwnedReadHalf, OwnedWriteHalf};
use tokio::net::{TcpListener, TcpStream, UnixListener, UnixStream};
use tokio::sync::Mutex;

use crate::cases::Case;
use crate::formula::Kernel;
use crate::lab::{CLOSED_PORT, Deed, Lab, Peer, Seen, Site};

const ROLE: &str = "CLINKER_TCP_ROLE";
const CONTROL: &str = "CLINKER_TCP_CONTROL";
const ABORTS: &str = "CLINKER_TCP_ABORTS";

const CLIENT: &str = "10.7.1.2";
const PEER: &str = "10.7.2.2";

/// What this program is when it is started as a part of the Linux half.
pub fn role() -> Option<String> {
    std::env::var(ROLE).ok()
}

/// Starts `case` as a process in new namespaces; its standard output is what [`finish`] reads.
pub fn start(case: &Case) -> io::Result<Child> {
    let mut command = Command::new("unshare");
    command.args(["--net", "--pid", "--fork", "--kill-child", "--mount-proc"]);
    if !is_root() {
        command.args(["--user", "--map-root-user"]);
    }
    command.arg(std::env::current_exe()?).env(ROLE, case.name);
    command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn()
}

fn is_root() -> bool {
    let id = Command::new("id").arg("-u").output();
    id.is_ok_and(|id| id.stdout.trim_ascii() == b"0")
}

/// Why Linux cannot be asked here, if it cannot: the words of the tool that failed.
pub fn hindrance() -> Option<String> {
    let probe = Case { name: "probe", ..crate::cases::all().swap_remove(0) };
    let output = match start(&probe).and_then(Child::wait_with_output) {
        Ok(output) if output.status.success() => return None,
        Ok(output) => String::from_utf8_lossy(&output.stderr).trim().replace('\n', "; "),
        Err(error) => format!("unshare: {error}"),
    };
    Some(format!("no network namespaces here: {output}"))
}

/// The version of the running kernel, without what a distribution adds to it.
pub fn kernel() -> Result<String, String> {
    let release = std::fs::read_to_string("/proc/sys/kernel/osrelease").map_err(|error| error.to_string())?;
    let number = release.trim().split(['-', '+']).next().unwrap_or_default();
    Ok(number.to_owned())
}

/// Waits for a started case.
pub fn finish(child: Child) -> Result<Seen, String> {
    let output = child.wait_with_output().map_err(|error| error.to_string())?;
    let text = String::from_utf8_lossy(&output.stdout);
    match text.trim().split_once(' ').map(|(ns, what)| (ns.parse(), what)) {
        Some((Ok(ns), what)) => Ok(Seen { what: what.to_owned(), after: Duration::from_nanos(ns) }),
        _ => Err(String::from_utf8_lossy(&output.stderr).into_owned()),
    }
}

/// Plays a part of the Linux half: a case, its peer, or the trial of the namespaces.
pub fn play(role: &str) -> io::Result<()> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    match role {
        "peer" => runtime.block_on(obey()),
        "probe" => Namespaces::make(&[]).map(drop),
        "reach" => runtime.block_on(reach_peer()),
        name => {
            let case = crate::cases::all().into_iter().find(|case| case.name == name);
            let case = case.ok_or_else(|| io::Error::other(format!("no case is named {name}")))?;
            let seen = runtime.block_on(async {
                let lab = LinuxLab::new(&case).await?;
                let play = (case.play)(Site(Arc::new(lab)));
                tokio::time::timeout(Duration::from_secs(60), play).await.map_err(io::Error::other)
            })?;
            writeln!(io::stdout(), "{} {}", seen.after.as_nanos(), seen.what)
        }
    }
}

/// Waits until packets cross: what is sent over a new wire at once may get lost.
async fn reach_peer() -> io::Result<()> {
    let net = clinker_env::real::env().net;
    for _ in 0..50 {
        let refused = net.connect(PEER, CLOSED_PORT);
        if let Ok(Err(error)) = tokio::time::timeout(Duration::from_millis(100), refused).await
            && error.kind() == io::ErrorKind::ConnectionRefused
        {
            return Ok(());
        }
    }
    Err(io::Error::other("the peer's kernel does not answer"))
}

/// A process that holds a network namespace.
struct Holder(Child);

impl Holder {
    fn make() -> io::Result<Holder> {
        let mut command = Command::new("unshare");
        command.args(["--net", "sh", "-c", "echo in; exec sleep 300"]).stdout(Stdio::piped());
        let mut child = command.spawn()?;
        let mut line = String::new();
        BufReader::new(child.stdout.take().expect("it is piped")).read_line(&mut line)?;
        Ok(Holder(child))
    }

    fn enter(&self, program: &str) -> Command {
        let mut command = Command::new("nsenter");
        command.args(["-n", "-t"]).arg(self.0.id().to_string()).arg(program);
        command
    }

    /// This program in the namespace.
    fn enter_self(&self) -> io::Result<Command> {
        Ok(self.enter(&std::env::current_exe()?.to_string_lossy()))
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

fn feed(command: &mut Command, input: &str) -> io::Result<()> {
    let mut child = command.stdin(Stdio::piped()).spawn()?;
    child.stdin.take().expect("it is piped").write_all(input.as_bytes())?;
    let status = child.wait()?;
    if status.success() { Ok(()) } else { Err(io::Error::other(format!("{command:?}: {status}: {input}"))) }
}

/// The router's and the peer's; the client's is this process' own.
struct Namespaces {
    router: Holder,
    peer: Option<Holder>,
    settings: Vec<(&'static str, u32)>,
}

impl Namespaces {
    fn make(settings: &[(&'static str, u32)]) -> io::Result<Namespaces> {
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
    fn add_peer(&mut self) -> io::Result<()> {
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
        let status = self.router.enter_self()?.env(ROLE, "reach").status()?;
        if status.success() { Ok(()) } else { Err(io::Error::other("the router does not reach the peer")) }
    }

    fn remove_peer(&mut self) -> io::Result<()> {
        self.peer = None;
        // A namespace without processes goes some time later.
        self.router.ip("link del r1\n")
    }

    /// Swallows what comes in from one side; what the router itself sends and gets is left alone.
    fn block(&self, (preference, device): Side) -> io::Result<()> {
        self.router.ip(&format!("rule add pref {preference} iif {device} blackhole\n"))
    }

    fn unblock(&self) -> io::Result<()> {
        // Of the two rules there may be one only.
        for (preference, _) in [FROM_CLIENT, FROM_PEER] {
            let mut command = self.router.enter("ip");
            command.args(["rule", "del", "pref", preference]).stderr(Stdio::null()).status()?;
        }
        Ok(())
    }
}

/// A side of the router: the preference of the rule about it, its device.
type Side = (&'static str, &'static str);
const FROM_CLIENT: Side = ("100", "r0");
const FROM_PEER: Side = ("101", "r1");

struct Machines {
    namespaces: Namespaces,
    peer: Option<Child>,
}

struct LinuxLab {
    net: Arc<dyn Net>,
    control: UnixListener,
    directory: tempfile::TempDir,
    aborts: bool,
    kernel: Kernel,
    machines: Mutex<Machines>,
    orders: Mutex<Option<OwnedWriteHalf>>,
    answers: Mutex<Option<Lines<tokio::io::BufReader<OwnedReadHalf>>>>,
}

impl LinuxLab {
    async fn new(case: &Case) -> io::Result<LinuxLab> {
        let directory = tempfile::tempdir()?;
        let control = UnixListener::bind(directory.path().join("control"))?;
        let machines = Mutex::new(Machines { namespaces: Namespaces::make(case.settings)?, peer: None });
        let net = clinker_env::real::env().net;
        let (orders, answers) = (Mutex::new(None), Mutex::new(None));
        let lab = LinuxLab {
            net,
            control,
            directory,
            aborts: case.aborts,
            kernel: Kernel::with(case.settings),
            machines,
            orders,
            answers,
        };
        lab.start_peer(&mut *lab.machines.lock().await).await?;
        reach_peer().await?;
        Ok(lab)
    }

    async fn start_peer(&self, machines: &mut Machines) -> io::Result<()> {
        let holder = machines.namespaces.peer.as_ref().expect("its machine is on");
        let mut command = holder.enter_self()?;
        command.env(ROLE, "peer").env(CONTROL, self.directory.path().join("control"));
        if self.aborts {
            command.env(ABORTS, "1");
        }
        machines.peer = Some(command.spawn()?);
        let (answers, orders) = self.control.accept().await?.0.into_split();
        *self.orders.lock().await = Some(orders);
        *self.answers.lock().await = Some(tokio::io::BufReader::new(answers).lines());
        Ok(())
    }

    async fn try_to(&self, deed: Deed) -> io::Result<()> {
        let mut machines = self.machines.lock().await;
        let machines = &mut *machines;
        match deed {
            Deed::BlockTo => machines.namespaces.block(FROM_CLIENT),
            Deed::BlockFrom => machines.namespaces.block(FROM_PEER),
            Deed::Block => machines.namespaces.block(FROM_CLIENT).and_then(|()| machines.namespaces.block(FROM_PEER)),
            Deed::Heal => machines.namespaces.unblock(),
            Deed::Kill => machines.kill(),
            Deed::CutPower => {
                machines.namespaces.block(FROM_CLIENT)?;
                machines.namespaces.block(FROM_PEER)?;
                machines.kill()?;
                machines.namespaces.remove_peer()
            }
            Deed::PowerOn => {
                machines.namespaces.add_peer()?;
                self.start_peer(machines).await?;
                machines.namespaces.unblock()
            }
            Deed::Pause => machines.signal("STOP"),
            Deed::Resume => machines.signal("CONT"),
            Deed::Reset => {
                self.tell("close").await;
                self.hear().await;
                Ok(())
            }
        }
    }
}

impl Machines {
    fn kill(&mut self) -> io::Result<()> {
        let mut peer = self.peer.take().expect("the peer runs");
        peer.kill()?;
        peer.wait().map(drop)
    }

    fn signal(&self, signal: &str) -> io::Result<()> {
        let peer = self.peer.as_ref().expect("the peer runs");
        feed(&mut Command::new("sh"), &format!("kill -{signal} {}\n", peer.id()))
    }
}

#[async_trait]
impl Lab for LinuxLab {
    fn net(&self) -> Arc<dyn Net> {
        Arc::clone(&self.net)
    }

    fn peer(&self) -> &str {
        PEER
    }

    fn kernel(&self) -> Kernel {
        self.kernel
    }

    fn patience(&self) -> Duration {
        Duration::from_secs(5)
    }

    async fn perform(&self, deed: Deed) {
        self.try_to(deed).await.expect("the namespaces are this process' own");
    }

    async fn tell(&self, order: &str) {
        let mut orders = self.orders.lock().await;
        let orders = orders.as_mut().expect("the peer was started");
        orders.write_all(format!("{order}\n").as_bytes()).await.expect("the peer listens to orders");
    }

    async fn hear(&self) -> String {
        let mut answers = self.answers.lock().await;
        let answers = answers.as_mut().expect("the peer was started");
        answers.next_line().await.ok().flatten().expect("the peer answers each order")
    }
}

/// The peer's process.
async fn obey() -> io::Result<()> {
    let net = Arc::new(PeerNet { aborts: std::env::var(ABORTS).is_ok() });
    let mut peer = Peer::start(net).await?;
    let control = std::env::var(CONTROL).map_err(io::Error::other)?;
    let (read, mut answers) = UnixStream::connect(control).await?.into_split();
    let mut orders = tokio::io::BufReader::new(read).lines();
    while let Some(order) = orders.next_line().await? {
        let answer = peer.obey(&order).await?;
        answers.write_all(format!("{answer}\n").as_bytes()).await?;
    }
    Ok(())
}

/// As the real one, which listens on the loopback device only.
struct PeerNet {
    /// Closing a connection resets it.
    aborts: bool,
}

#[async_trait]
impl Net for PeerNet {
    async fn connect(&self, _: &str, _: u16) -> io::Result<BoxStream> {
        Err(io::Error::other("the peer does not connect"))
    }

    #[expect(clippy::disallowed_methods, reason = "the real thing is what is asked here")]
    async fn listen(&self, port: u16) -> io::Result<Box<dyn Listener>> {
        let listener = TcpListener::bind((PEER, port)).await?;
        Ok(Box::new(PeerListener { listener, aborts: self.aborts, port }))
    }
}

struct PeerListener {
    listener: TcpListener,
    aborts: bool,
    port: u16,
}

#[async_trait]
impl Listener for PeerListener {
    async fn accept(&mut self) -> io::Result<BoxStream> {
        let stream: TcpStream = self.listener.accept().await?.0;
        stream.set_nodelay(true)?;
        if self.aborts {
            stream.set_zero_linger()?;
        }
        Ok(Box::new(stream))
    }

    fn port(&self) -> u16 {
        self.port
    }
}
