//! Named streams of random bytes. One subsystem drawing more never shifts another's draws.

/// A source of named random streams.
///
/// Names in use: `ids` (identifiers), `jitter` (retry delays), `hosts` (which service host is picked).
pub trait Rng: Send + Sync {
    /// Fills `dest` with the next bytes of the stream `name`.
    fn fill(&self, name: &str, dest: &mut [u8]);

    /// The next 64 bits of the stream `name`.
    fn next_u64(&self, name: &str) -> u64 {
        let mut bytes = [0; 8];
        self.fill(name, &mut bytes);
        u64::from_le_bytes(bytes)
    }

    /// A random (version 4, RFC 9562) UUID in text form, drawn from the stream `ids`.
    fn uuid(&self) -> String {
        let mut b = [0; 16];
        self.fill("ids", &mut b);
        b[6] = (b[6] & 0x0f) | 0x40;
        b[8] = (b[8] & 0x3f) | 0x80;
        let n = u128::from_be_bytes(b);
        format!(
            "{:08x}-{:04x}-{:04x}-{:04x}-{:012x}",
            (n >> 96) as u32,
            (n >> 80) as u16,
            (n >> 64) as u16,
            (n >> 48) as u16,
            n & 0xffff_ffff_ffff
        )
    }
}
