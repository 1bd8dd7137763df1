//! The finders on memory that lies ready: what a search costs besides reading.
//!
//! Nearly all words of real memory match nothing, so nearly none do here.

use std::hint::black_box;

use criterion::{BenchmarkId, Criterion, Throughput, criterion_group, criterion_main};
use pagehound_scan::{Pattern, PatternSet, Width, words_in_ranges};
use pagehound_vmcore::Pfn;

const PAGE: usize = 4096;
/// More than the caches close to a core hold.
const PAGES: usize = 4096;

/// Words as kernels have them: a third zeroes, some pointers, the rest noise.
fn memory() -> Vec<u8> {
    let mut noise = 1_u64;
    let words = (0..PAGES * PAGE / 8).map(|index| {
        noise = noise.wrapping_mul(0x5851_f42d_4c95_7f2d).wrapping_add(1);
        match (index / 16) % 6 {
            0 | 1 => 0,
            2 => 0xffff_8880_0000_0000 | noise >> 30,
            _ => noise,
        }
    });
    words.flat_map(u64::to_le_bytes).collect()
}

fn patterns(c: &mut Criterion) {
    let memory = memory();
    let mut group = c.benchmark_group("patterns");
    group.throughput(Throughput::Bytes(memory.len() as u64));
    for (name, patterns) in sets() {
        let Ok(set) = PatternSet::compile(&patterns, None, PAGE) else {
            continue;
        };
        group.bench_function(BenchmarkId::from_parameter(name), |bencher| {
            let mut found = Vec::new();
            bencher.iter(|| {
                found.clear();
                for (page, pfn) in memory.chunks_exact(PAGE).zip(0..) {
                    set.find(black_box(page), Pfn(pfn), &mut found);
                }
                found.len()
            });
        });
    }
    group.finish();
}

fn sets() -> Vec<(&'static str, Vec<Pattern>)> {
    let mac = Pattern::parse_mac("24:6e:96:43:3e:38");
    let text = Pattern::text("RINGBUF2");
    vec![
        ("one word of 64 bits", words(1, Width::W64)),
        ("five words of 64 bits", words(5, Width::W64)),
        ("200 words of 64 bits", words(200, Width::W64)),
        ("one word of 32 bits", words(1, Width::W32)),
        ("one word of 16 bits", words(1, Width::W16)),
        ("a MAC address", mac.into_iter().collect()),
        ("text", text.into_iter().collect()),
        (
            "a regular expression",
            vec![Pattern::Regex("eth[0-9]+: link up".into())],
        ),
    ]
}

/// `count` values; of 64 bits only the lower six bytes matter.
fn words(count: u64, width: Width) -> Vec<Pattern> {
    let mask = match width {
        Width::W64 => 0xffff << 48,
        Width::W32 | Width::W16 => 0,
    };
    (0..count)
        .map(|index| Pattern::Value {
            value: (0x383e_4396_6e24 + (index << 40)) & width.max(),
            mask,
            width,
        })
        .collect()
}

/// The census's primitive: words that point into known regions.
fn ranges(c: &mut Criterion) {
    let memory = memory();
    let mut group = c.benchmark_group("words_in_ranges");
    group.throughput(Throughput::Bytes(memory.len() as u64));
    for count in [1, 2, 4, 8] {
        let ranges: Vec<_> = (0..count)
            .map(|index| {
                let start = 0xffff_ea00_0000_0000_u64 + (index << 36);
                start..start + (1 << 30)
            })
            .collect();
        group.bench_function(BenchmarkId::from_parameter(count), |bencher| {
            bencher.iter(|| {
                let mut found = 0;
                for page in memory.chunks_exact(PAGE) {
                    words_in_ranges(black_box(page), &ranges, |_, _| found += 1);
                }
                found
            });
        });
    }
    group.finish();
}

/// What any finder has to do at least.
fn reading(c: &mut Criterion) {
    let memory = memory();
    let mut group = c.benchmark_group("reading");
    group.throughput(Throughput::Bytes(memory.len() as u64));
    group.bench_function("sum of all words", |bencher| {
        bencher.iter(|| {
            let words = black_box(&memory).as_chunks().0;
            words.iter().fold(0_u64, |sum, word| {
                sum.wrapping_add(u64::from_le_bytes(*word))
            })
        });
    });
    group.finish();
}

criterion_group!(benches, reading, patterns, ranges);
criterion_main!(benches);
