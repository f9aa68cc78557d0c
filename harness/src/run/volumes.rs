//! The volume host: devices with their contents, and the port through which managers attach them.
//!
//! Requests cross the network as JSON lines; device bytes do not, and reading them costs no virtual time.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard};

use async_trait::async_trait;
use bytes::Bytes;
use clinker_drivers::{Device, Error, Kind, Result};
use clinker_env::{BoxStream, Env};
use clinker_manager::volumes::{Attachment, Purpose, Temporary, Volumes};
use clinker_manager::wire::Lines;
use clinker_model::fault::When;
use clinker_model::plan::PlannedVolume;
use clinker_model::scenario::Content;
use clinker_model::{Entry, Journal};
use clinker_world::{Gate, SimJournal};
use rand_chacha::ChaCha8Rng;
use rand_chacha::rand_core::{Rng, SeedableRng};
use serde::{Deserialize, Serialize};
use xxhash_rust::xxh3::{xxh3_64_with_seed, xxh3_128};

/// Where the volume service listens.
const PORT: u16 = 3260;
/// Its host.
pub(super) const HOST: &str = "volume";

/// The committed file-system image (a small ext4 with files in it), compressed with zstd.
const IMAGE: &[u8] = include_bytes!("../../../drivers/tests/data/before.img.zst");

/// All devices; they outlive every process.
pub(super) struct Devices {
    journal: Arc<SimJournal>,
    seed: u64,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    devices: BTreeMap<String, Arc<SimDevice>>,
    /// By host, volume, backup and purpose.
    attached: BTreeMap<String, Attachment>,
    /// Length of the source of each backup, by backup id.
    source_len: BTreeMap<String, u64>,
    writes: u64,
}

impl Devices {
    pub fn new(seed: u64, volumes: &[PlannedVolume], journal: Arc<SimJournal>) -> Devices {
        let devices = volumes.iter().map(|volume| (volume.id.clone(), Arc::new(SimDevice::filled(seed, volume))));
        let state = State { devices: devices.collect(), ..State::default() };
        Devices { journal, seed, state: Mutex::new(state) }
    }

    /// A new, zeroed device.
    pub fn create(&self, volume_id: &str, len: u64) {
        let device = Arc::new(SimDevice::new(vec![0; usize_of(len)]));
        self.state().devices.insert(volume_id.to_owned(), device);
    }

    /// A copy of a device as it is now, under another id; one that is there stays.
    pub fn copy(&self, volume_id: &str, copy_id: &str) -> std::result::Result<(), String> {
        let mut state = self.state();
        if state.devices.contains_key(copy_id) {
            return Ok(());
        }
        let bytes = state.devices.get(volume_id).ok_or("no such volume")?.bytes().clone();
        state.devices.insert(copy_id.to_owned(), Arc::new(SimDevice::new(bytes)));
        Ok(())
    }

    /// The volume's user writes seeded bytes; a different draw each time.
    pub fn scribble(&self, volume_id: &str, offset: u64, len: u64) -> std::result::Result<(), String> {
        let mut state = self.state();
        state.writes += 1;
        let draw = xxh3_64_with_seed(&state.writes.to_le_bytes(), self.seed);
        let device = state.devices.get(volume_id).ok_or("no such volume")?;
        let mut bytes = device.bytes();
        device.changed();
        let (start, end) = (usize_of(offset), usize_of(offset.saturating_add(len)));
        let total = bytes.len();
        let range =
            bytes.get_mut(start..end).ok_or_else(|| format!("bytes {start}..{end} are beyond its end, {total}"))?;
        ChaCha8Rng::seed_from_u64(draw).fill_bytes(range);
        Ok(())
    }

    /// A backup that was made before the run, of a device that is no more.
    pub fn note_made(&self, volume_id: &str, backup_id: &str, bytes: Vec<u8>) {
        let (len, digest) = SimDevice::new(bytes).digest(u64::MAX);
        self.state().source_len.insert(backup_id.to_owned(), len);
        self.record(volume_id, "attach", Some(backup_id), len, digest);
    }

    /// Records the contents of every device as they are at the end.
    pub fn record_final(&self) {
        let devices: Vec<_> = self.state().devices.clone().into_iter().collect();
        for (id, device) in devices {
            let (len, digest) = device.digest(u64::MAX);
            self.record(&id, "final", None, len, digest);
        }
        let attached: Vec<_> = self.state().attached.values().cloned().collect();
        for Attachment { volume_id, backup_id, host, purpose, copy_id: _ } in attached {
            let entry = Entry::Attached { volume_id, backup_id, to: host, purpose: purpose.as_str().to_owned() };
            self.journal.record(HOST, entry);
        }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().expect("no panic while the lock is held")
    }

    fn record(&self, volume_id: &str, moment: &str, backup_id: Option<&str>, len: u64, digest: String) {
        let entry = Entry::Device {
            volume_id: volume_id.to_owned(),
            moment: moment.to_owned(),
            backup_id: backup_id.map(str::to_owned),
            len,
            digest,
        };
        self.journal.record(HOST, entry);
    }

    fn attach(&self, attachment: &Attachment) -> Answer {
        let Some(device) = self.state().devices.get(device_of(attachment)).cloned() else {
            return Answer::Refused(format!("volume {} has no device", attachment.volume_id));
        };
        self.state().attached.insert(key(attachment), attachment.clone());
        if attachment.purpose == Purpose::Backup {
            let (len, digest) = device.digest(u64::MAX);
            self.state().source_len.insert(attachment.backup_id.clone(), len);
            self.record(&attachment.volume_id, "attach", Some(&attachment.backup_id), len, digest);
        }
        Answer::Done
    }

    fn detach(&self, attachment: &Attachment) -> Answer {
        if self.state().attached.remove(&key(attachment)).is_none() || attachment.purpose == Purpose::Backup {
            return Answer::Done;
        }
        let device = self.state().devices.get(&attachment.volume_id).cloned();
        let len = self.state().source_len.get(&attachment.backup_id).copied();
        if let (Some(device), Some(len)) = (device, len) {
            let (len, digest) = device.digest(len);
            self.record(&attachment.volume_id, "detach", Some(&attachment.backup_id), len, digest);
        }
        Answer::Done
    }

    /// The process of the volume host.
    pub async fn serve(self: Arc<Self>, env: Env) -> std::io::Result<()> {
        let mut listener = env.net.listen(PORT).await?;
        loop {
            let stream = listener.accept().await?;
            env.tasks.spawn(Arc::clone(&self).answer(stream));
        }
    }

    async fn answer(self: Arc<Self>, stream: BoxStream) {
        let mut lines = Lines::over(stream, "volume client");
        while let Ok(Some(request)) = lines.receive::<Request>().await {
            let answer = match request {
                Request::Attach(attachment) => self.attach(&attachment),
                Request::Detach(attachment) => self.detach(&attachment),
                Request::List { host } => {
                    let state = self.state();
                    Answer::Attached(state.attached.values().filter(|one| one.host == host).cloned().collect())
                }
                Request::Copy(copy) => match self.copy(&copy.volume_id, &copy.id) {
                    Ok(()) => Answer::Done,
                    Err(why) => Answer::Refused(why),
                },
                Request::Remove(copy) => {
                    self.state().devices.remove(&copy.id);
                    Answer::Done
                }
            };
            if lines.send(&answer).await.is_err() {
                return;
            }
        }
    }
}

/// The id of the device that is attached.
fn device_of(attachment: &Attachment) -> &str {
    attachment.copy_id.as_deref().unwrap_or(&attachment.volume_id)
}

fn key(attachment: &Attachment) -> String {
    let Attachment { volume_id, backup_id, host, purpose, copy_id: _ } = attachment;
    format!("{host} {volume_id} {backup_id} {purpose:?}")
}

fn usize_of(bytes: u64) -> usize {
    usize::try_from(bytes).unwrap_or(usize::MAX)
}

#[derive(Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
enum Request {
    Attach(Attachment),
    Detach(Attachment),
    List { host: String },
    Copy(Temporary),
    Remove(Temporary),
}

#[derive(Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
enum Answer {
    Done,
    Attached(Vec<Attachment>),
    Refused(String),
}

/// The manager's port to the volume host. Points `volumes.attach` and `volumes.detach`.
pub(super) struct VolumeClient {
    pub env: Env,
    pub devices: Arc<Devices>,
    pub gate: Gate,
}

impl VolumeClient {
    /// What the answer lists, if the request asks for a list.
    async fn ask(&self, request: Request) -> Result<Vec<Attachment>> {
        let mut lines = Lines::connect(&self.env, HOST, PORT, "volume").await?;
        match lines.ask(&request).await? {
            Answer::Done => Ok(Vec::new()),
            Answer::Attached(attachments) => Ok(attachments),
            Answer::Refused(why) => Err(Error::new(Kind::InvalidVolume, why)),
        }
    }
}

#[async_trait]
impl Volumes for VolumeClient {
    async fn attach(&self, attachment: &Attachment) -> Result<Arc<dyn Device>> {
        self.gate.pass("volumes.attach", When::Before).await;
        let answer = self.ask(Request::Attach(attachment.clone())).await;
        self.gate.pass("volumes.attach", When::After).await;
        answer?;
        let device = self.devices.state().devices.get(device_of(attachment)).cloned();
        device.map(|device| device as Arc<dyn Device>).ok_or_else(|| Error::new(Kind::Internal, "the device vanished"))
    }

    async fn detach(&self, attachment: &Attachment) -> Result<()> {
        self.gate.pass("volumes.detach", When::Before).await;
        let answer = self.ask(Request::Detach(attachment.clone())).await;
        self.gate.pass("volumes.detach", When::After).await;
        answer.map(drop)
    }

    async fn attachments(&self, host: &str) -> Result<Vec<Attachment>> {
        self.ask(Request::List { host: host.to_owned() }).await
    }

    async fn create_temporary(&self, copy: &Temporary) -> Result<()> {
        self.gate.pass("volumes.create_temporary", When::Before).await;
        let answer = self.ask(Request::Copy(copy.clone())).await;
        self.gate.pass("volumes.create_temporary", When::After).await;
        answer.map(drop)
    }

    async fn delete_temporary(&self, copy: &Temporary) -> Result<()> {
        self.gate.pass("volumes.delete_temporary", When::Before).await;
        let answer = self.ask(Request::Remove(copy.clone())).await;
        self.gate.pass("volumes.delete_temporary", When::After).await;
        answer.map(drop)
    }
}

/// A volume's device, in memory.
struct SimDevice {
    bytes: Mutex<Vec<u8>>,
    /// Digests of the first so many bytes, until they change.
    digests: Mutex<BTreeMap<usize, String>>,
}

impl SimDevice {
    fn new(bytes: Vec<u8>) -> SimDevice {
        SimDevice { bytes: Mutex::new(bytes), digests: Mutex::default() }
    }

    fn filled(seed: u64, volume: &PlannedVolume) -> SimDevice {
        let len = usize_of(volume.size.0);
        let mut rng = ChaCha8Rng::seed_from_u64(xxh3_64_with_seed(volume.name.as_bytes(), seed));
        let mut bytes = vec![0; len];
        match volume.content {
            Content::Random => rng.fill_bytes(&mut bytes),
            Content::Zeros => {}
            Content::Text => {
                for line in bytes.chunks_mut(32) {
                    let text = format!("clinker line {:018}\n", rng.next_u64() % 1000);
                    line.copy_from_slice(&text.as_bytes()[..line.len()]);
                }
            }
            Content::Image => {
                let image = zstd::decode_all(IMAGE).expect("the committed image is zstd");
                let common = len.min(image.len());
                bytes[..common].copy_from_slice(&image[..common]);
            }
        }
        SimDevice::new(bytes)
    }

    /// Length and digest of the first `len` bytes (at most all).
    fn digest(&self, len: u64) -> (u64, String) {
        let bytes = self.bytes();
        let part = &bytes[..usize_of(len).min(bytes.len())];
        let mut digests = self.digests.lock().expect("no panic while the lock is held");
        let digest = digests.entry(part.len()).or_insert_with(|| format!("{:032x}", xxh3_128(part)));
        (part.len() as u64, digest.clone())
    }

    fn bytes(&self) -> MutexGuard<'_, Vec<u8>> {
        self.bytes.lock().expect("no panic while the lock is held")
    }

    fn changed(&self) {
        self.digests.lock().expect("no panic while the lock is held").clear();
    }
}

#[async_trait]
impl Device for SimDevice {
    fn len(&self) -> u64 {
        self.bytes().len() as u64
    }

    async fn read_at(&self, offset: u64, len: usize) -> Result<Bytes> {
        let bytes = self.bytes();
        let start = usize_of(offset).min(bytes.len());
        let end = start.saturating_add(len).min(bytes.len());
        Ok(Bytes::copy_from_slice(&bytes[start..end]))
    }

    async fn write_at(&self, offset: u64, data: Bytes) -> Result<()> {
        let mut bytes = self.bytes();
        self.changed();
        let start = usize_of(offset);
        match bytes.get_mut(start..start.saturating_add(data.len())) {
            Some(range) => range.copy_from_slice(&data),
            None => {
                let what = format!("{} bytes at {offset} do not fit into {} bytes", data.len(), bytes.len());
                return Err(Error::new(Kind::InvalidVolume, what));
            }
        }
        Ok(())
    }

    async fn flush(&self) -> Result<()> {
        Ok(())
    }
}
