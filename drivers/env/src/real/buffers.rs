//! Buffers of large reads, used again: a fresh one costs the kernel's clearing of every page, and an allocator may keep what
//! was freed, so that a process would hold more than its buffers.

use std::io;
use std::sync::{Arc, Mutex};

use bytes::Bytes;

/// Shorter reads have buffers of their own.
const LARGE: usize = 1 << 20;
/// Free buffers that are kept, bytes.
const FREE_MAX: usize = 128 << 20;

/// The buffers of one reader.
#[derive(Debug, Default)]
pub struct Buffers {
    free: Mutex<Vec<Vec<u8>>>,
}

impl Buffers {
    /// The bytes that `read` puts at the beginning of a buffer of `len`, as many as it tells.
    pub fn read(
        self: &Arc<Buffers>,
        len: usize,
        read: impl FnOnce(&mut [u8]) -> io::Result<usize>,
    ) -> io::Result<Bytes> {
        if len < LARGE {
            let mut data = vec![0; len];
            let held = read(&mut data)?;
            data.truncate(held);
            return Ok(data.into());
        }
        let mut buffer = Buffer { data: self.take(len), held: 0, buffers: Arc::clone(self) };
        buffer.held = read(&mut buffer.data[..len])?.min(len);
        Ok(Bytes::from_owner(buffer))
    }

    /// The shortest free buffer that is long enough, but not much longer, or a new one.
    fn take(&self, len: usize) -> Vec<u8> {
        let mut free = self.free.lock().unwrap_or_else(|poisoned| poisoned.into_inner());
        let fitting = free.iter().enumerate().filter(|(_, buffer)| (len..=2 * len).contains(&buffer.len()));
        match fitting.min_by_key(|(_, buffer)| buffer.len()).map(|(at, _)| at) {
            Some(at) => free.swap_remove(at),
            None => vec![0; len],
        }
    }

    fn give_back(&self, buffer: Vec<u8>) {
        let mut free = self.free.lock().unwrap_or_else(|poisoned| poisoned.into_inner());
        free.push(buffer);
        // The oldest goes: it may be of a length that nobody asks for any more.
        while free.iter().map(Vec::len).sum::<usize>() > FREE_MAX {
            free.remove(0);
        }
    }
}

/// A buffer in use.
struct Buffer {
    data: Vec<u8>,
    held: usize,
    buffers: Arc<Buffers>,
}

impl AsRef<[u8]> for Buffer {
    fn as_ref(&self) -> &[u8] {
        &self.data[..self.held]
    }
}

impl Drop for Buffer {
    fn drop(&mut self) {
        self.buffers.give_back(std::mem::take(&mut self.data));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(buffers: &Arc<Buffers>, len: usize, byte: u8) -> Bytes {
        let fill = |data: &mut [u8]| {
            data.fill(byte);
            Ok(data.len())
        };
        buffers.read(len, fill).expect("it reads")
    }

    #[test]
    fn a_buffer_is_used_again_when_nobody_has_it_any_more() {
        let buffers = Arc::new(Buffers::default());
        let first = read(&buffers, LARGE, 1);
        let (place, part) = (first.as_ptr(), first.slice(5..10));
        drop(first);
        let second = read(&buffers, LARGE, 2);
        assert_ne!(second.as_ptr(), place, "a part keeps all of it");
        assert_eq!(part, [1; 5].as_slice());
        drop(part);
        let longer = read(&buffers, LARGE + 7, 3);
        assert_ne!(longer.as_ptr(), place, "it is too short");
        let third = buffers.read(LARGE, |data| Ok(data.len() - 7)).expect("it reads");
        assert_eq!((third.as_ptr(), third.len()), (place, LARGE - 7));
    }

    #[test]
    fn what_fails_gives_its_buffer_back_and_what_is_too_much_is_freed() {
        let buffers = Arc::new(Buffers::default());
        buffers.read(LARGE, |_| Err(io::ErrorKind::Other.into())).expect_err("it fails");
        assert_eq!(buffers.free.lock().expect("nobody panicked").len(), 1);
        let many: Vec<Bytes> = (0..3).map(|n| read(&buffers, FREE_MAX / 2, n)).collect();
        drop(many);
        let free: usize = buffers.free.lock().expect("nobody panicked").iter().map(Vec::len).sum();
        assert_eq!(free, FREE_MAX);
    }
}
