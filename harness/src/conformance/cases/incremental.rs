//! INC: increments and chains of them.

use clinker_drivers::Kind;
use rand_chacha::ChaCha8Rng;
use rand_chacha::rand_core::{Rng as _, SeedableRng};

use super::{Bench, CaseBody, case};
use crate::conformance::bench::device::{Volume, random};
use crate::conformance::bench::{Made, Order};
use crate::conformance::outcome::{Outcome, ensure, equal, refused};
use crate::loader::presets::{BLOCK, CHUNK};

pub(super) static CASES: &[CaseBody] = &[
    case("B-INC-001", |bench| Box::pin(no_change(bench))),
    case("B-INC-002", |bench| Box::pin(scattered_blocks(bench))),
    case("B-INC-003", |bench| Box::pin(chain_restore(bench))),
    case("B-INC-004", |bench| Box::pin(block_size_changed(bench))),
    case("B-INC-005", |bench| Box::pin(grown_volume(bench))),
    case("B-INC-006", |bench| Box::pin(parent_missing(bench))),
    case("B-INC-011", |bench| Box::pin(new_chain_after_leaf_delete(bench))),
];

const TAIL: u64 = 12_345;
/// A "GiB" of volume size.
const GIB: u64 = 1 << 20;

async fn no_change(bench: Bench) -> Outcome {
    let driver = bench.driver().await?;
    let volume = bench.volume(8 * CHUNK + TAIL);
    let full = bench.full(&*driver, &volume).await?;
    let made = bench.backup(&*driver, &volume, Order { parent: Some(&full), ..Order::default() }).await;
    equal("an increment without a change counts objects", &0, &made.result.as_ref().map_or(0, |u| u.object_count))?;
    let increment = made.stored()?;
    equal("an increment without a change stores data", &0, &bench.metadata(&increment)?.extents().count())?;
    equal("an increment without a change stores more than its documents", &2, &bench.objects_of(&increment.id).len())?;
    let (before, after) = (bench.hash_list(&full)?, bench.hash_list(&increment)?);
    ensure(before.sha256s == after.sha256s, "the hash list is not its parent's", "the same hashes", || {
        format!("{} hashes against {}", after.sha256s.len(), before.sha256s.len())
    })?;
    bench.holds(&[&full, &increment], &volume.bytes())?;
    bench.restores(&*driver, &[&full, &increment], &volume.bytes()).await.map(drop)
}

async fn scattered_blocks(bench: Bench) -> Outcome {
    let driver = bench.driver().await?;
    let volume = bench.volume(3 * CHUNK + TAIL);
    let full = bench.full(&*driver, &volume).await?;
    // One byte of block 1; 3 and 4 whole; 6 as it was; 15 and 16, which are of two chunks; the short last one.
    let per_chunk = CHUNK / BLOCK;
    let last = (3 * CHUNK + TAIL) / BLOCK;
    volume.edit(BLOCK + 17, &[volume.bytes()[BLOCK as usize + 17] ^ 1]);
    volume.edit(3 * BLOCK, &random(bench.seed(), 2 * BLOCK));
    volume.edit(6 * BLOCK, &volume.bytes()[6 * BLOCK as usize..7 * BLOCK as usize]);
    let (bytes, seam) = (volume.bytes(), CHUNK as usize - 1);
    volume.edit(CHUNK - 1, &[bytes[seam] ^ 1, bytes[seam + 1] ^ 1]);
    volume.edit(last * BLOCK, &random(bench.seed() ^ 2, TAIL % BLOCK));
    let increment = bench.increment(&*driver, &volume, &full).await?;
    let mut extents: Vec<(u64, u64)> =
        bench.metadata(&increment)?.extents().map(|(_, extent)| (extent.offset, extent.length)).collect();
    extents.sort_unstable();
    let expected = vec![
        (BLOCK, BLOCK),
        (3 * BLOCK, 2 * BLOCK),
        ((per_chunk - 1) * BLOCK, BLOCK),
        (per_chunk * BLOCK, BLOCK),
        (last * BLOCK, TAIL % BLOCK),
    ];
    equal("an increment holds other extents than the changed ones", &expected, &extents)?;
    bench.holds(&[&full, &increment], &volume.bytes())?;
    bench.restores(&*driver, &[&full, &increment], &volume.bytes()).await.map(drop)
}

/// Bounds of what a chain's user does to the volume.
const LINKS: usize = 5;
const EDITS_MAX: u64 = 6;

async fn chain_restore(bench: Bench) -> Outcome {
    let mut rng = ChaCha8Rng::seed_from_u64(bench.seed());
    let mut below = |limit: u64| rng.next_u64() % limit;
    let len = 2 * CHUNK + below(CHUNK) + 1;
    let volume = bench.volume(len);
    let (mut chain, mut images) = (Vec::new(), Vec::new());
    for link in 0..LINKS {
        let algorithm = ["none", "zlib", "bz2", "zstd"][below(4) as usize];
        let driver = bench.driver_with(&[("backup_compression_algorithm", algorithm)]).await?;
        if link > 0 {
            for _ in 0..below(EDITS_MAX + 1) {
                edit(&volume, len, &mut below);
            }
        }
        let made = bench.backup(&*driver, &volume, Order { parent: chain.last(), ..Order::default() }).await;
        chain.push(made.stored()?);
        images.push(volume.bytes());
    }
    let driver = bench.driver().await?;
    for (link, image) in images.iter().enumerate() {
        let upto: Vec<_> = chain[..=link].iter().collect();
        bench.holds(&upto, image)?;
        bench.restores(&*driver, &upto, image).await?;
    }
    Ok(())
}

/// Something random somewhere: bytes or zeros, from one byte up to two chunks.
fn edit(volume: &Volume, len: u64, below: &mut impl FnMut(u64) -> u64) {
    let start = below(len);
    let most = [BLOCK / 2, 3 * BLOCK, 2 * CHUNK][below(3) as usize];
    let length = (below(most) + 1).min(len - start);
    let bytes = if below(3) == 0 { vec![0; length as usize] } else { random(below(u64::MAX), length) };
    volume.edit(start, &bytes);
}

/// Fails unless an increment was refused with these kinds and words, and left nothing.
fn refused_whole(bench: &Bench, what: &str, made: Made, kinds: &[Kind], words: &[&str]) -> Outcome {
    let id = made.backup.id.clone();
    let text = refused(what, made.result, kinds)?.to_string();
    for word in words {
        ensure(text.contains(word), &format!("{what}: the error does not say why"), *word, || text.clone())?;
    }
    bench.holds_nothing_of(&id, &format!("{what} left objects"))
}

async fn block_size_changed(bench: Bench) -> Outcome {
    let driver = bench.driver().await?;
    let volume = bench.volume(3 * CHUNK + TAIL);
    let full = bench.full(&*driver, &volume).await?;
    volume.edit(0, b"changed");
    for block in [BLOCK / 2, 2 * BLOCK] {
        let other = bench.driver_with(&[(bench.candidate().preset.block_option, &block.to_string())]).await?;
        let (held, before) = (bench.everything(), bench.request_count());
        let made = bench.backup(&*other, &volume, Order { parent: Some(&full), ..Order::default() }).await;
        refused_whole(&bench, "an increment with another block size", made, &[Kind::InvalidBackup], &["full backup"])?;
        equal("a refused increment changed the store", &held, &bench.everything())?;
        let puts = bench.requests_since(before, "PUT", "");
        equal("a refused increment wrote", &Vec::new(), &puts)?;
    }
    // Another chunk size with the same blocks is fine.
    let other = bench.driver_with(&[(bench.candidate().preset.chunk_option, &(CHUNK / 4).to_string())]).await?;
    let increment = bench.increment(&*other, &volume, &full).await?;
    bench.restores(&*other, &[&full, &increment], &volume.bytes()).await.map(drop)
}

async fn grown_volume(bench: Bench) -> Outcome {
    let driver = bench.driver().await?;
    let volume = bench.volume(GIB);
    let full = bench.full(&*driver, &volume).await?;
    volume.resize(2 * GIB);
    let made = bench.backup(&*driver, &volume, Order { parent: Some(&full), ..Order::default() }).await;
    refused_whole(&bench, "an increment of a grown volume", made, &[Kind::InvalidBackup], &["full backup"])?;
    let full = bench.full(&*driver, &volume).await?;
    bench.holds(&[&full], &volume.bytes())?;
    volume.resize(GIB);
    volume.edit(GIB - 100, &[0x11; 100]);
    let shrunk = bench.increment(&*driver, &volume, &full).await?;
    bench.restores(&*driver, &[&full, &shrunk], &volume.bytes()).await.map(drop)
}

async fn parent_missing(bench: Bench) -> Outcome {
    let driver = bench.driver().await?;
    let volume = bench.volume(2 * CHUNK + TAIL);
    let full = bench.full(&*driver, &volume).await?;
    let lost = bench.lose(&full, "_sha256file").await?;
    volume.edit(0, b"changed");
    let name = format!("{}_sha256file", full.service_metadata.as_deref().unwrap_or_default());
    let made = bench.backup(&*driver, &volume, Order { parent: Some(&full), ..Order::default() }).await;
    let kinds = [Kind::NotFound, Kind::InvalidBackup];
    refused_whole(&bench, "an increment without its parent's hash list", made, &kinds, &[&name])?;
    bench.heal(&lost).await;
    // A parent that was never stored, or whose row has lost its location.
    let nowhere = clinker_drivers::Backup { container: None, service_metadata: None, ..full.clone() };
    let made = bench.backup(&*driver, &volume, Order { parent: Some(&nowhere), ..Order::default() }).await;
    refused_whole(&bench, "an increment upon a parent without a location", made, &kinds, &[&full.id])?;
    let again = bench.full(&*driver, &volume).await?;
    bench.holds(&[&again], &volume.bytes())?;
    bench.restores(&*driver, &[&again], &volume.bytes()).await.map(drop)
}

async fn new_chain_after_leaf_delete(bench: Bench) -> Outcome {
    let driver = bench.driver().await?;
    let volume = bench.volume(3 * CHUNK + TAIL);
    let full = bench.full(&*driver, &volume).await?;
    volume.edit(BLOCK, &random(1, BLOCK));
    let first = bench.increment(&*driver, &volume, &full).await?;
    let at_first = volume.bytes();
    volume.edit(CHUNK, &random(2, 3 * BLOCK));
    let leaf = bench.increment(&*driver, &volume, &first).await?;
    bench.delete(&*driver, &leaf).await?;
    bench.holds_nothing_of(&leaf.id, "a deleted increment left objects")?;
    volume.edit(2 * CHUNK + 5, &random(3, 9));
    let next = bench.increment(&*driver, &volume, &first).await?;
    bench.holds(&[&full, &first, &next], &volume.bytes())?;
    bench.restores(&*driver, &[&full, &first, &next], &volume.bytes()).await?;
    bench.delete(&*driver, &next).await?;
    bench.restores(&*driver, &[&full, &first], &at_first).await.map(drop)
}
