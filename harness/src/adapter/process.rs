//! The child process: its start, its threads, its end. [`super::state`] is what goes on meanwhile.
//!
//! Threads read and write its pipes, so that one adapter serves many runs, each with a runtime of its own. Wall limits
//! are tokio's time: an adapter belongs in a world of real time.

use std::future::Future;
use std::io::{BufReader, Read as _, Seek as _, SeekFrom, Write as _};
use std::os::unix::process::CommandExt as _;
use std::path::{Path, PathBuf};
use std::pin::pin;
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc::{Receiver, channel};
use std::sync::{Arc, Mutex, OnceLock};
use std::task::{Context, Poll, Wake, Waker};
use std::time::{Duration, Instant};

use clinker_drivers::{BackupControl, Error, Kind, RestoreControl};
use rustix::process::{Pid, WaitId, WaitIdOptions, waitid};
use serde_json::Value;
use tokio::sync::OwnedSemaphorePermit;
use tokio::sync::mpsc::{UnboundedReceiver, unbounded_channel};
use tokio::time::timeout;

use super::failure::{AdapterFailure, How};
use super::memory::Devices;
use super::message::{Event, FromAdapter, Hello, LINE_MAX, Op, PROGRESS, PROTOCOL, Question, Role, request_line};
use super::running;
use super::state::{Current, Incoming, Noted, Shared};

/// Lines of its standard error that a failure shows.
const SAID: usize = 12;
/// Bytes of the end of its standard error in which they are looked for.
const SAID_BYTES: u64 = 8 << 10;
/// How long a process that has closed its standard output may take to end by itself, so that its status can be told.
const GRACE: Duration = Duration::from_secs(1);

/// How an adapter is started.
#[derive(Clone, Debug)]
pub struct AdapterCommand {
    /// What `sh -c` is given.
    pub command: String,
    pub role: Role,
    /// Gets its standard error (`adapter.log`), and the devices where there is no memory for them; made if missing, never removed here.
    pub folder: PathBuf,
    /// Until it has answered `hello`.
    pub start_limit: Duration,
    /// For each later request.
    pub request_limit: Duration,
}

/// A running adapter. It ends when the last clone is dropped.
#[derive(Clone)]
pub struct AdapterProcess(Arc<Inner>);

struct Inner {
    shared: Arc<Shared>,
    command: AdapterCommand,
    hello: OnceLock<Hello>,
    devices: Devices,
    /// Whose options it has, by the number of a driver or store.
    options_of: Mutex<u64>,
    reaped: Mutex<Receiver<()>>,
    pid: u32,
}

impl Drop for Inner {
    fn drop(&mut self) {
        self.shared.end(AdapterFailure::new(How::Died, "was ended"));
        // A process that was killed is gone within milliseconds, unless its kernel is stuck: then it goes on without us.
        let _ = self.reaped.get_mut().map(|reaped| reaped.recv_timeout(GRACE));
    }
}

/// Whom a request's questions and notes are for.
#[derive(Clone, Copy)]
pub(super) enum Listener<'a> {
    Nobody,
    Backup(&'a dyn BackupControl),
    Restore(&'a dyn RestoreControl),
}

impl AdapterProcess {
    /// Starts the command and greets it.
    pub async fn start(command: AdapterCommand) -> Result<AdapterProcess, AdapterFailure> {
        let cannot = |what: String| AdapterFailure::new(How::Died, what);
        std::fs::create_dir_all(&command.folder)
            .map_err(|error| cannot(format!("has no folder {}: {error}", command.folder.display())))?;
        let mut child = spawn(&command).map_err(|error| cannot(format!("could not be started: {error}")))?;
        let (Some(stdin), Some(stdout)) = (child.stdin.take(), child.stdout.take()) else {
            return Err(cannot("has no standard input and output".to_owned()));
        };
        let pid = child.id();
        let (to_adapter, lines) = channel();
        let (reaped, gone) = channel();
        let shared = Arc::new(Shared::new(Pid::from_child(&child), to_adapter));
        let unwanted = running::add(&shared).err();
        let log = log_of(&command.folder);
        let reader = Arc::clone(&shared);
        thread("adapter-out", move || write_lines(stdin, &lines));
        thread("adapter-in", move || {
            listen(stdout, child, &reader, &log);
            // Nobody waits for it while the adapter is in use.
            let _ = reaped.send(());
        });
        if let Some(failure) = unwanted {
            return Err(failure);
        }
        let folder = command.folder.display().to_string();
        let devices = Devices::new(pid, &command.folder);
        let hello = Op::Hello { protocol: PROTOCOL, role: command.role, folder };
        let limit = command.start_limit;
        let inner = Inner {
            shared,
            command,
            hello: OnceLock::new(),
            devices,
            options_of: Mutex::new(0),
            reaped: gone.into(),
            pid,
        };
        let process = AdapterProcess(Arc::new(inner));
        let answer = process.converse(&hello, Listener::Nobody, limit).await;
        process.greeted(answer)?;
        Ok(process)
    }

    /// As [`AdapterProcess::start`], outside of every runtime.
    pub fn start_blocking(command: AdapterCommand) -> Result<AdapterProcess, AdapterFailure> {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build();
        let broken = |error| AdapterFailure::new(How::Died, format!("could not be waited for: {error}"));
        runtime.map_err(broken)?.block_on(AdapterProcess::start(command))
    }

    fn greeted(&self, answer: Result<Value, Error>) -> Result<(), AdapterFailure> {
        let wrong = |what: String| self.fail(How::Protocol, what);
        let answer = match answer {
            Ok(answer) => answer,
            Err(error) => {
                return Err(match self.failure() {
                    Some(failure) => failure,
                    None => wrong(format!("answered hello with \"{error}\"")),
                });
            }
        };
        let version = answer["protocol"].clone();
        if version != PROTOCOL {
            return Err(wrong(format!("speaks version {version} of the protocol, the harness {PROTOCOL}")));
        }
        let hello = serde_json::from_value(answer)
            .map_err(|error| wrong(format!("answered hello with what is no greeting ({error})")))?;
        // It is greeted once.
        let _ = self.0.hello.set(hello);
        Ok(())
    }

    /// What it said of itself.
    pub fn hello(&self) -> &Hello {
        static NOTHING: Hello =
            Hello { protocol: PROTOCOL, name: String::new(), version: String::new(), capabilities: Vec::new() };
        self.0.hello.get().unwrap_or(&NOTHING)
    }

    /// Of the shell that runs the command; its children are in the process group of this number.
    pub fn pid(&self) -> u32 {
        self.0.pid
    }

    /// Why it is of no use any more, if so. To be asked after every case: a driver call shows it as an `internal` error.
    pub fn failure(&self) -> Option<AdapterFailure> {
        self.0.shared.failure()
    }

    /// Whether it works on a request, if only on one that nobody waits for any more.
    pub fn is_busy(&self) -> bool {
        self.0.shared.busy_with().is_some()
    }

    /// Ends it at once, as a crash of its machine would.
    pub fn kill(&self) {
        self.0.shared.end(AdapterFailure::new(How::Died, "was killed"));
    }

    /// Forgets all notifications: nobody will ask for them any more.
    pub fn forget_notifications(&self) {
        self.0.shared.forget_notes();
    }

    /// Every notification that it forwarded, in order.
    pub fn notifications(&self) -> Vec<Noted> {
        self.0.shared.notes()
    }

    /// The notifications of a backup that came while no `backup` request of it was under way.
    pub fn late_notifications(&self, backup: &str) -> Vec<Noted> {
        self.notifications().into_iter().filter(|noted| noted.late && noted.backup == backup).collect()
    }

    /// Where devices are.
    pub(super) fn devices(&self) -> &Path {
        self.0.devices.path()
    }

    /// Where its log is.
    pub fn folder(&self) -> &Path {
        &self.0.command.folder
    }

    /// Ends it for a reason that came to light outside of the protocol's own rules.
    pub fn fail(&self, how: How, what: String) -> AdapterFailure {
        let said = last_lines(&log_of(self.folder()));
        self.0.shared.end(AdapterFailure { said, ..AdapterFailure::new(how, what) });
        self.failure().expect("it has just been ended")
    }

    /// A request with the usual limit.
    pub(super) async fn call(&self, op: &Op, listener: Listener<'_>) -> Result<Value, Error> {
        self.converse(op, listener, self.0.command.request_limit).await
    }

    /// A request of somebody who cannot wait as a task does. Nothing else goes on in the thread until it is answered.
    pub(super) fn call_blocking(&self, op: &Op) -> Result<Value, Error> {
        if let Some(other) = self.0.shared.busy_with() {
            return Err(Error::new(Kind::Internal, format!("the adapter is busy with {other}")));
        }
        let limit = self.0.command.request_limit;
        block_on(self.talk(op, Listener::Nobody), limit)
            .unwrap_or_else(|| Err(self.hung(op, limit).into()))
            .map_err(|error| error.during(op.name()))
    }

    /// A number for one more driver or store behind this process.
    pub(super) fn number() -> u64 {
        static LAST: AtomicU64 = AtomicU64::new(0);
        LAST.fetch_add(1, Ordering::Relaxed) + 1
    }

    /// Whether the adapter has the options of the driver or store with this number.
    pub(super) fn has_options_of(&self, number: u64) -> bool {
        *self.0.options_of.lock().expect("no panic while the lock is held") == number
    }

    /// Notes whose options it was given last.
    pub(super) fn given_options_of(&self, number: u64) {
        *self.0.options_of.lock().expect("no panic while the lock is held") = number;
    }

    async fn converse(&self, op: &Op, listener: Listener<'_>, limit: Duration) -> Result<Value, Error> {
        let answer = timeout(limit, self.talk(op, listener)).await;
        answer.unwrap_or_else(|_| Err(self.hung(op, limit).into()))
    }

    fn hung(&self, op: &Op, limit: Duration) -> AdapterFailure {
        // Somebody may have given up waiting for the request under way: that one hangs.
        let op = self.0.shared.busy_with().unwrap_or(op.name());
        self.fail(How::Hung, format!("did not answer {op} within {} s", limit.as_secs_f64()))
    }

    fn gone(&self) -> Error {
        self.failure().unwrap_or_else(|| AdapterFailure::new(How::Died, "has ended")).into()
    }

    async fn talk(&self, op: &Op, listener: Listener<'_>) -> Result<Value, Error> {
        let turn = Arc::clone(&self.0.shared.turn).acquire_owned().await.map_err(|_| self.gone())?;
        let mut incoming = self.begin(op, turn)?;
        // What the service's side said no to, which then is why the operation ended.
        let mut refused: Option<Error> = None;
        while let Some(message) = incoming.recv().await {
            let heard = match message {
                Incoming::Answer(result) => {
                    return match (result, refused) {
                        (Err(_), Some(error)) => Err(error),
                        (result, _) => result.map_err(Error::from),
                    };
                }
                Incoming::Event(event) => self.hear(event, listener).await,
                Incoming::Ask(ask, question) => self.be_asked(ask, question, listener).await,
            };
            if let Err(error) = heard {
                refused.get_or_insert(error);
            }
        }
        Err(self.gone())
    }

    fn begin(&self, op: &Op, turn: OwnedSemaphorePermit) -> Result<UnboundedReceiver<Incoming>, Error> {
        let (to, incoming) = unbounded_channel();
        if self.failure().is_some() {
            return Err(self.gone());
        }
        let current = |id| Current { id, op: op.name(), about: op.about().map(str::to_owned), to, turn };
        self.0.shared.begin(|id| request_line(id, op), current);
        Ok(incoming)
    }

    async fn hear(&self, event: Event, listener: Listener<'_>) -> Result<(), Error> {
        match (event, listener) {
            (Event::Notification { event_type, payload, .. }, Listener::Backup(control)) if event_type == PROGRESS => {
                match payload.get("backup_percent").and_then(Value::as_f64) {
                    Some(percent) => control.progress(percent).await,
                    None => Err(self
                        .fail(How::Protocol, format!("sent {PROGRESS} without a number \"backup_percent\""))
                        .into()),
                }
            }
            (Event::Warning { finding, .. }, Listener::Restore(control)) => {
                control.warn(&finding);
                Ok(())
            }
            _ => Ok(()),
        }
    }

    async fn be_asked(&self, ask: u64, question: Question, listener: Listener<'_>) -> Result<(), Error> {
        let cancelled = matches!(question, Question::Cancelled { .. });
        let result = match (question, listener) {
            (Question::Cancelled { .. }, Listener::Backup(control)) => control.check_cancelled().await,
            (Question::Cancelled { .. }, Listener::Restore(control)) => control.check_cancelled().await,
            (Question::SaveLocation { container, service_metadata, .. }, Listener::Backup(control)) => {
                control.save_location(&container, &service_metadata).await
            }
            (Question::VolumeMeta { volume_meta, .. }, Listener::Restore(control)) => {
                control.volume_meta(volume_meta.as_deref()).await
            }
            (question, _) => {
                let what = format!("asked {question:?} during a request that has no such question");
                return Err(self.fail(How::Protocol, what).into());
            }
        };
        match &result {
            // Whatever stands against going on ends the operation as a cancel does.
            _ if cancelled => self.0.shared.answer(ask, Ok(Value::Bool(result.is_err()))),
            Ok(()) => self.0.shared.answer(ask, Ok(Value::Bool(true))),
            Err(error) => self.0.shared.answer(ask, Err(error)),
        }
        result
    }
}

fn spawn(command: &AdapterCommand) -> std::io::Result<Child> {
    let log = std::fs::File::create(log_of(&command.folder))?;
    let mut shell = Command::new("sh");
    shell.arg("-c").arg(&command.command).process_group(0);
    shell.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(log).spawn()
}

fn log_of(folder: &Path) -> PathBuf {
    folder.join("adapter.log")
}

fn last_lines(log: &Path) -> Vec<String> {
    let read = || {
        let mut file = std::fs::File::open(log)?;
        let len = file.metadata()?.len();
        file.seek(SeekFrom::Start(len.saturating_sub(SAID_BYTES)))?;
        let mut end = Vec::new();
        file.read_to_end(&mut end).map(|_| end)
    };
    // A log that cannot be read says nothing.
    let end: Vec<u8> = read().unwrap_or_else(|_: std::io::Error| Vec::new());
    let text = String::from_utf8_lossy(&end);
    let lines: Vec<&str> = text.lines().filter(|line| !line.trim().is_empty()).collect();
    lines[lines.len().saturating_sub(SAID)..].iter().map(|line| (*line).to_owned()).collect()
}

/// Starts a thread that lives as long as the adapter's pipes.
fn thread(name: &str, work: impl FnOnce() + Send + 'static) {
    std::thread::Builder::new().name(name.to_owned()).spawn(work).expect("a thread can be started");
}

fn write_lines(mut stdin: ChildStdin, lines: &Receiver<String>) {
    for line in lines {
        if stdin.write_all(format!("{line}\n").as_bytes()).and_then(|()| stdin.flush()).is_err() {
            return;
        }
    }
}

/// Acts on the adapter's lines until it ends or says something wrong; then ends what is left of it.
fn listen(stdout: ChildStdout, mut child: Child, shared: &Shared, log: &Path) {
    let mut stdout = BufReader::new(stdout);
    let mut failure = loop {
        let taken = next_message(&mut stdout).and_then(|message| match message {
            Some((message, len)) => shared.take(message, len).map(|()| true),
            None => Ok(false),
        });
        match taken {
            Ok(true) => {}
            Ok(false) => break AdapterFailure::new(How::Died, ended(&child)),
            Err(failure) => break failure,
        }
    };
    failure.said = last_lines(log);
    shared.end(failure);
    // It has been killed: this returns soon.
    let _ = child.wait();
    shared.reaped();
}

/// The next line, read, and its length in bytes; none at the end.
fn next_message(stdout: &mut BufReader<ChildStdout>) -> Result<Option<(FromAdapter, usize)>, AdapterFailure> {
    use std::io::BufRead as _;
    let mut line = Vec::new();
    // A pipe that breaks is an end like another.
    let read = stdout.take(LINE_MAX as u64).read_until(b'\n', &mut line).unwrap_or_default();
    if read == 0 {
        return Ok(None);
    }
    let wrong = |what: String| AdapterFailure::new(How::Protocol, what);
    if read == LINE_MAX && !line.ends_with(b"\n") {
        return Err(wrong(format!("sent a line of more than {LINE_MAX} bytes")));
    }
    let text = String::from_utf8_lossy(&line);
    let parsed = FromAdapter::parse(&text).map(|message| Some((message, read)));
    parsed.map_err(|why| wrong(format!("sent the line \"{}\", {why}", shown(&text))))
}

/// The beginning of a line, fit for a message.
fn shown(line: &str) -> String {
    let start: String = line.trim_end().chars().take(80).collect();
    start.escape_debug().to_string()
}

/// How a process whose standard output has ended has ended itself; it stays to be waited for.
fn ended(child: &Child) -> String {
    let began = now();
    while began.elapsed() < GRACE {
        let options = WaitIdOptions::EXITED | WaitIdOptions::NOHANG | WaitIdOptions::NOWAIT;
        match waitid(WaitId::Pid(Pid::from_child(child)), options) {
            Ok(Some(status)) => {
                return match (status.exit_status(), status.terminating_signal()) {
                    (Some(code), _) => format!("ended with exit code {code}"),
                    (_, Some(signal)) => format!("was ended by signal {signal}"),
                    _ => "ended".to_owned(),
                };
            }
            Ok(None) => std::thread::park_timeout(Duration::from_millis(5)),
            Err(_) => break,
        }
    }
    "closed its standard output".to_owned()
}

#[expect(clippy::disallowed_methods, reason = "threads outside of every runtime have no other clock")]
fn now() -> Instant {
    Instant::now()
}

struct Unpark(std::thread::Thread);

impl Wake for Unpark {
    fn wake(self: Arc<Self>) {
        self.0.unpark();
    }
}

/// Runs a future in this thread; none if it takes longer than `limit`.
fn block_on<T>(future: impl Future<Output = T>, limit: Duration) -> Option<T> {
    // A task's share of polls would be used up in here, where nobody renews it.
    let mut future = pin!(tokio::task::unconstrained(future));
    let waker = Waker::from(Arc::new(Unpark(std::thread::current())));
    let began = now();
    loop {
        if let Poll::Ready(done) = future.as_mut().poll(&mut Context::from_waker(&waker)) {
            return Some(done);
        }
        std::thread::park_timeout(limit.checked_sub(began.elapsed())?);
    }
}
