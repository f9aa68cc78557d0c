//! The file that stands for a volume's device while an adapter reads or writes it.

use std::fs::{File, OpenOptions};
use std::io::{self, ErrorKind};
use std::ops::Range;
use std::os::unix::fs::FileExt as _;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};

use bytes::Bytes;
use clinker_drivers::{Device, Error, Kind, Result};
use rustix::fs::{SeekFrom, seek};

/// Bytes copied at once.
const PIECE: u64 = 1 << 20;
/// Bytes in which differences are told.
const SECTOR: usize = 512;

/// A file with a device's bytes; removed in the end.
pub(super) struct DeviceFile {
    path: PathBuf,
    file: File,
    len: u64,
    /// Whether holes of the file tell what was never written.
    tells_holes: bool,
}

impl Drop for DeviceFile {
    fn drop(&mut self) {
        // One that stays is in the adapter's folder, which its owner removes.
        let _ = std::fs::remove_file(&self.path);
    }
}

impl DeviceFile {
    /// A file of the device's length that is all holes.
    pub fn empty(folder: &Path, len: u64) -> Result<DeviceFile> {
        static NUMBER: AtomicU64 = AtomicU64::new(0);
        let path = folder.join(format!("device-{}.img", NUMBER.fetch_add(1, Ordering::Relaxed)));
        let path = std::path::absolute(&path).map_err(broken("find the device file"))?;
        let options = OpenOptions::new().read(true).write(true).create(true).truncate(true).open(&path);
        let file = options.map_err(broken("create the device file"))?;
        file.set_len(len).map_err(broken("size the device file"))?;
        let tells_holes = next_data(&file, 0).is_ok_and(|data| data.is_none());
        Ok(DeviceFile { path, file, len, tells_holes })
    }

    /// A file with the device's bytes.
    pub async fn copy_of(folder: &Path, device: &dyn Device) -> Result<DeviceFile> {
        let copy = DeviceFile::empty(folder, device.len())?;
        for at in pieces(0..copy.len) {
            let data = device.read_at(at.start, (at.end - at.start) as usize).await?;
            copy.file.write_all_at(&data, at.start).map_err(broken("write the device file"))?;
        }
        Ok(copy)
    }

    pub fn path(&self) -> String {
        self.path.display().to_string()
    }

    /// Writes to the device what a restore wrote to the file: for a new volume every extent, zeros included; else what
    /// differs, as it cannot be seen that the same was written again.
    pub async fn apply(&self, device: &dyn Device, volume_is_new: bool) -> Result<()> {
        // The driver may have replaced the file instead of writing to it.
        let file = File::open(&self.path).map_err(broken("open the device file"))?;
        let written = file.metadata().map_err(broken("read the device file"))?.len();
        for extent in self.extents(&file, written.min(self.len), volume_is_new)? {
            for at in pieces(extent) {
                let data = read(&file, &at).map_err(broken("read the device file"))?;
                let before = device.read_at(at.start, data.len()).await?;
                let told = volume_is_new && self.tells_holes;
                let runs = if told { std::iter::once(0..data.len()).collect() } else { differing(&before, &data) };
                for run in runs {
                    device.write_at(at.start + run.start as u64, data.slice(run)).await?;
                }
            }
        }
        if written > self.len {
            let what = format!("the driver wrote up to byte {written} of a device of {} bytes", self.len);
            return Err(Error::new(Kind::InvalidVolume, what));
        }
        device.flush().await
    }

    /// Where the file has data.
    fn extents(&self, file: &File, end: u64, volume_is_new: bool) -> Result<Vec<Range<u64>>> {
        if !(volume_is_new && self.tells_holes) {
            return Ok(std::iter::once(0..end).collect());
        }
        let mut extents = Vec::new();
        let mut at = 0;
        while let Some(start) = next_data(file, at).map_err(broken("find data in the device file"))? {
            let hole = seek(file, SeekFrom::Hole(start)).map_err(|error| broken("find a hole")(error.into()))?;
            if start >= end {
                break;
            }
            extents.push(start..hole.min(end));
            at = hole;
        }
        Ok(extents)
    }
}

/// Where data begins at or after `at`; none if there is only a hole left.
fn next_data(file: &File, at: u64) -> io::Result<Option<u64>> {
    match seek(file, SeekFrom::Data(at)) {
        Ok(start) => Ok(Some(start)),
        Err(rustix::io::Errno::NXIO) => Ok(None),
        Err(error) => Err(error.into()),
    }
}

fn pieces(range: Range<u64>) -> impl Iterator<Item = Range<u64>> {
    let end = range.end;
    (range.start..end).step_by(PIECE as usize).map(move |start| start..end.min(start + PIECE))
}

fn read(file: &File, at: &Range<u64>) -> io::Result<Bytes> {
    let mut data = vec![0; (at.end - at.start) as usize];
    match file.read_exact_at(&mut data, at.start) {
        Ok(()) => Ok(data.into()),
        // It has become shorter meanwhile: what is not there was not written.
        Err(error) if error.kind() == ErrorKind::UnexpectedEof => Ok(Bytes::new()),
        Err(error) => Err(error),
    }
}

/// The runs of sectors of `after` that differ from `before`, which is of the same length.
fn differing(before: &[u8], after: &[u8]) -> Vec<Range<usize>> {
    let mut runs: Vec<Range<usize>> = Vec::new();
    let sectors = before.chunks(SECTOR).zip(after.chunks(SECTOR)).enumerate();
    for (number, (_, after)) in sectors.filter(|(_, (before, after))| before != after) {
        let at = number * SECTOR;
        match runs.last_mut() {
            Some(run) if run.end == at => run.end = at + after.len(),
            _ => runs.push(at..at + after.len()),
        }
    }
    runs
}

fn broken(what: &'static str) -> impl Fn(io::Error) -> Error {
    move |error| Error::new(Kind::Internal, format!("cannot {what}")).with_source(error)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_sectors_that_differ_are_written() {
        let check = |changed: &[usize], expected: &[(usize, usize)]| {
            let before = vec![0; 3 * SECTOR + 100];
            let mut after = before.clone();
            changed.iter().for_each(|at| after[*at] = 1);
            let found: Vec<_> = differing(&before, &after).into_iter().map(|run| (run.start, run.end)).collect();
            assert_eq!(found, expected, "{changed:?}");
        };
        check(&[], &[]);
        check(&[3], &[(0, 512)]);
        check(&[3, 600], &[(0, 1024)]);
        check(&[3, 1100, 1635], &[(0, 512), (1024, 1636)]);
    }

    #[test]
    fn pieces_tile_a_range() {
        let check = |range: Range<u64>, expected: &[(u64, u64)]| {
            assert_eq!(pieces(range).map(|piece| (piece.start, piece.end)).collect::<Vec<_>>(), expected);
        };
        check(0..0, &[]);
        check(0..5, &[(0, 5)]);
        check(3..PIECE + 4, &[(3, PIECE + 3), (PIECE + 3, PIECE + 4)]);
    }
}
