//! The kernels of the data path against the crates' own, on the same bytes in the same run: MiB per CPU second and ratios.
//!
//! `cargo bench -p clinker-benches --bench kernels [-- md5 | sha256 | zero | zlib | FILE]`; a file is measured as well.
//! A directory (`-- zlib DIR`) gets the samples as files, for other programs to be measured on.

use std::hint::black_box;
use std::io::Read as _;
use std::path::Path;

use ::md5::Md5;
use clinker_benches::data::{self, Sample};
use clinker_kernels::{md5, sha256, zero, zlib};
use cpu_time::ProcessTime;
use flate2::Compression;
use flate2::bufread::{ZlibDecoder, ZlibEncoder};
use libdeflater::{CompressionLvl, Compressor, Decompressor};
use sha2::{Digest as _, Sha256};

type Section = (&'static str, fn(&[Sample], u32));

const SECTIONS: &[Section] = &[("md5", md5s), ("sha256", sha256s), ("zero", zeros), ("zlib", zlibs)];

const BLOCK: usize = 32 << 10;
/// What is read of a volume at a time.
const STRIDE: usize = 256 << 10;

fn main() {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let measured = arguments.iter().any(|argument| argument == "--bench");
    let wanted = arguments.iter().filter(|argument| !argument.starts_with("--"));
    let (sections, files): (Vec<&String>, Vec<&String>) =
        wanted.partition(|wanted| SECTIONS.iter().any(|(name, _)| name == wanted));
    // Without `--bench` (cargo test) each section only shows that it runs.
    let (rounds, length) = if measured { (7, 16 << 20) } else { (1, 256 << 10) };
    let mut samples = data::samples(length);
    for file in files {
        if Path::new(file).is_dir() {
            for (name, data) in &samples {
                std::fs::write(Path::new(file).join(name), data).unwrap_or_else(|error| panic!("{file}: {error}"));
            }
            continue;
        }
        let data = std::fs::read(file).unwrap_or_else(|error| {
            panic!("{file} is neither a section (md5, sha256, zero, zlib) nor a file: {error}")
        });
        samples.push((file.clone(), data));
    }
    for (name, section) in SECTIONS {
        if sections.is_empty() || sections.iter().any(|wanted| wanted == name) {
            println!("== {name}");
            section(&samples, rounds);
        }
    }
}

/// One way to do the work: its name, and the work, which says how many bytes it made if that is of interest.
type Way<'a> = (String, Box<dyn FnMut() -> Option<usize> + 'a>);

fn way<'a, T>(name: impl Into<String>, mut work: impl FnMut() -> T + 'a) -> Way<'a> {
    let work = move || {
        black_box(work());
        None
    };
    (name.into(), Box::new(work))
}

fn packing<'a>(name: impl Into<String>, mut work: impl FnMut() -> usize + 'a) -> Way<'a> {
    (name.into(), Box::new(move || Some(work())))
}

/// Runs the ways in turn, round by round, and prints the least CPU time of each, as a ratio to the first.
fn compare(what: &str, bytes: usize, rounds: u32, mut ways: Vec<Way<'_>>) {
    let mut least = vec![(f64::INFINITY, None); ways.len()];
    for _ in 0..rounds {
        for ((least, made), (_, work)) in least.iter_mut().zip(&mut ways) {
            let start = ProcessTime::now();
            *made = black_box(work());
            *least = least.min(start.elapsed().as_secs_f64());
        }
    }
    println!("{what}");
    for ((name, _), (seconds, made)) in ways.iter().zip(&least) {
        let speed = bytes as f64 / f64::from(1 << 20) / seconds;
        let size = made.map(|made: usize| format!("  size {:.4}", made as f64 / bytes as f64)).unwrap_or_default();
        println!("  {name:<24} {speed:>8.0} MiB per CPU s  {:>6.2}x{size}", least[0].0 / seconds);
    }
}

/// Several buffers of the first sample: what they hold is all the same to MD5, unless it is zeros.
fn md5s(samples: &[Sample], rounds: u32) {
    let (name, data) = &samples[0];
    let mut ways = vec![way("crate md-5", || Md5::digest(data))];
    for buffers in [1, 2, 4, 8, 16, 32] {
        let parts: Vec<&[u8]> = data.chunks(data.len() / buffers).collect();
        ways.push(way(format!("{buffers} side by side"), move || md5::many(&parts)));
    }
    ways.push(way("8 in strides of 256 KiB", || {
        let parts: Vec<&[u8]> = data.chunks(data.len() / 8).collect();
        let mut messages = vec![md5::Md5::default(); parts.len()];
        for stride in 0..parts[0].len().div_ceil(STRIDE) {
            let strides: Vec<&[u8]> = parts.iter().map(|part| part.chunks(STRIDE).nth(stride).unwrap_or(&[])).collect();
            md5::feed(&mut messages, &strides);
        }
        md5::finish(messages)
    }));
    compare(&format!("{name}; this machine's width is {}", md5::width()), data.len(), rounds, ways);
}

fn sha256s(samples: &[Sample], rounds: u32) {
    for (name, data) in samples {
        let by_crate = || data.chunks(BLOCK).map(Sha256::digest).collect::<Vec<_>>();
        let ways = vec![way("crate sha2", by_crate), way("blocks", || sha256::blocks(data, BLOCK))];
        compare(&format!("{name}, blocks of 32 KiB"), data.len(), rounds, ways);
    }
}

fn zeros(samples: &[Sample], rounds: u32) {
    for (name, data) in samples.iter().filter(|(name, _)| name == "zeros") {
        let ways =
            vec![way("iter().all()", || data.iter().all(|byte| *byte == 0)), way("is_zero", || zero::is_zero(data))];
        compare(name, data.len(), rounds, ways);
    }
}

fn zlibs(samples: &[Sample], rounds: u32) {
    // The slow ones take seconds, and their spread is a few hundredths.
    let rounds = rounds.div_ceil(3);
    for (name, data) in samples {
        let mut ways = vec![
            packing("zlib-rs 6", || by_zlib_rs(data, 6)),
            packing("compress", || zlib::compress(data).len()),
            packing("Encoder, 256 KiB a time", || in_strides(data)),
        ];
        ways.extend([5, 7].map(|level| packing(format!("zlib-rs {level}"), move || by_zlib_rs(data, level))));
        ways.extend([4, 5, 6].map(|level| packing(format!("libdeflate {level}"), move || by_libdeflate(data, level))));
        compare(name, data.len(), rounds, ways);
        let packed = zlib::compress(data);
        let inflating = vec![
            way("inflate by zlib-rs", || by_zlib_rs_back(&packed, data.len())),
            way("inflate by libdeflate", || by_libdeflate_back(&packed, data.len())),
        ];
        compare(&format!("{name}, back"), data.len(), rounds, inflating);
    }
}

fn by_zlib_rs(data: &[u8], level: u32) -> usize {
    let mut packed = Vec::new();
    ZlibEncoder::new(data, Compression::new(level)).read_to_end(&mut packed).expect("from memory to memory");
    packed.len()
}

fn by_libdeflate(data: &[u8], level: i32) -> usize {
    let mut compressor = Compressor::new(CompressionLvl::new(level).expect("levels are 1 to 12"));
    let mut packed = vec![0; compressor.zlib_compress_bound(data.len())];
    compressor.zlib_compress(data, &mut packed).expect("the bound is its own")
}

fn by_zlib_rs_back(packed: &[u8], length: usize) -> Vec<u8> {
    let mut data = Vec::with_capacity(length + 1);
    ZlibDecoder::new(packed).read_to_end(&mut data).expect("it was packed just now");
    data
}

fn by_libdeflate_back(packed: &[u8], length: usize) -> Vec<u8> {
    let mut data = vec![0; length];
    Decompressor::new().zlib_decompress(packed, &mut data).expect("it was packed just now");
    data
}

fn in_strides(data: &[u8]) -> usize {
    let mut packed = Vec::new();
    let mut encoder = zlib::Encoder::new(&mut packed);
    data.chunks(STRIDE).for_each(|stride| encoder.write(stride, &mut packed));
    encoder.finish(&mut packed);
    packed.len()
}
