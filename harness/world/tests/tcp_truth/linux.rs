//! The Linux half: a case in three network namespaces of its own (client, router, peer), which go with its process.
//!
//! The router is where packets vanish, by a black-hole rule: in silence, and behind the back of both ends.

use std::io::{self, Write as _};
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
use crate::namespaces::{FROM_CLIENT, FROM_PEER, Namespaces, feed};

pub const ROLE: &str = "CLINKER_TCP_ROLE";
const CONTROL: &str = "CLINKER_TCP_CONTROL";
const ABORTS: &str = "CLINKER_TCP_ABORTS";

pub const PEER: &str = "10.7.2.2";

/// What this program is when it is started as a part of the Linux half.
pub fn role() -> Option<String> {
    std::env::var(ROLE).ok()
}

pub fn this_program() -> io::Result<String> {
    Ok(std::env::current_exe()?.to_string_lossy().into_owned())
}

/// Starts `case` as a process in new namespaces; its standard output is what [`finish`] reads.
pub fn start(case: &Case) -> io::Result<Child> {
    let mut command = Command::new("unshare");
    command.args(["--net", "--pid", "--fork", "--kill-child", "--mount-proc"]);
    if !is_root() {
        command.args(["--user", "--map-root-user"]);
    }
    command.arg(this_program()?).env(ROLE, case.name);
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
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    Err(io::Error::other("the peer's kernel does not answer"))
}

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
        let killed = peer.kill();
        peer.wait().and(killed)
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
