use super::*;
use proptest::prelude::*;

/// A run as it is added: kind, kind where it is counted, frames, whether it matters.
type Added = (u32, u32, u64, bool);

fn written(runs: &[Added], exactness: Exactness) -> Vec<u8> {
    let mut writer = MapWriter::new(exactness);
    for &(code, counted, frames, matters) in runs {
        writer.add(code, counted, frames, matters);
    }
    writer.finish()
}

fn parsed(runs: &[Added]) -> Vec<(u64, Stretch)> {
    let map = StretchMap::parse(written(runs, Exactness::FULL), 100).unwrap();
    map.stretches().collect()
}

fn run(code: u32, frames: u64) -> Stretch {
    Stretch::Run { code, frames }
}

#[test]
fn runs_go_on_over_blocks_and_few_are_kept() {
    let runs = [(1, 0, 700, false), (2, 0, 12, false), (1, 0, 2000, false)];
    let wanted = [(0, run(1, 700)), (700, run(2, 12)), (712, run(1, 2000))];
    assert_eq!(parsed(&runs), wanted);
}

/// Pages by turns: counted, unless there is one among them that matters.
#[test]
fn a_busy_block_is_counted_unless_a_page_in_it_matters() {
    let busy = |matters| {
        let turns = (0..256).flat_map(move |turn| {
            let at = turn == 100 && matters;
            [(1, 3, 1, false), (2, 4, 1, at)]
        });
        turns.collect::<Vec<Added>>()
    };
    let counted = Stretch::Mixed(vec![(3, 256), (4, 256)]);
    assert_eq!(parsed(&busy(false)), [(0, counted.clone())]);
    let exact = parsed(&busy(true));
    assert_eq!(exact.len(), 512);
    assert_eq!(exact[201], (201, run(2, 1)));
    let mut both = busy(false);
    both.extend(busy(true));
    let map = StretchMap::parse(written(&both, Exactness::FULL), 5).unwrap();
    assert_eq!((map.frames(), map.exact_frames()), (1024, 512));
    assert_eq!(map.at(511), Some((0, counted)));
    assert_eq!(map.at(512), Some((512, run(1, 1))));
    assert_eq!(map.at(1023), Some((1023, run(2, 1))));
    assert_eq!(map.at(1024), None);
}

#[test]
fn a_coarser_map_counts_the_same_frames() {
    let turns = (0..4096).flat_map(|_| [(1, 3, 1, true), (2, 4, 2, false)]);
    let turns: Vec<Added> = turns.collect();
    let map = StretchMap::parse(written(&turns, Exactness::FULL), 5).unwrap();
    assert_eq!(map.exact_frames(), map.frames());
    let counted = |code: u32| if code < 3 { code + 2 } else { code };
    let coarse = StretchMap::parse(map.coarser(4096, counted), 5).unwrap();
    let stretches: Vec<Stretch> = coarse.stretches().map(|(_, stretch)| stretch).collect();
    assert_eq!(stretches.len(), 3);
    assert!(coarse.bytes().len() < map.bytes().len() / 100);
    let mut sums = [0; 5];
    for stretch in stretches {
        let Stretch::Mixed(counts) = stretch else {
            panic!("{stretch:?}");
        };
        counts
            .iter()
            .for_each(|&(code, frames)| sums[code as usize] += frames);
    }
    assert_eq!(sums, [0, 0, 0, 4096, 8192]);
    // Once counted, always counted.
    let again = StretchMap::parse(coarse.coarser(1 << 15, counted), 5).unwrap();
    assert_eq!(
        again.at(0).unwrap().1,
        Stretch::Mixed(vec![(3, 4096), (4, 8192)])
    );
}

#[test]
fn bytes_that_are_no_map_are_refused() {
    let header = |frames: u64| [MAGIC.as_slice(), &frames.to_le_bytes()].concat();
    let with = |frames, stretches: &[u8]| {
        let bytes = [header(frames), stretches.to_vec()].concat();
        StretchMap::parse(bytes, 2)
            .map(|_| ())
            .map_err(|bad| (bad.at, bad.problem))
    };
    assert_eq!(with(7, &[1, 7]), Ok(()));
    assert_eq!(with(7, &[0, 2, 0, 3, 1, 4]), Ok(()));
    for (frames, stretches, at, problem) in [
        (0, &[][..], 8, "not a number of frames that a machine has"),
        (
            u64::MAX,
            &[1, 7],
            8,
            "not a number of frames that a machine has",
        ),
        (7, &[], 16, "the map ends before its frames do"),
        (7, &[1, 6], 18, "the map ends before its frames do"),
        (7, &[1, 8], 16, "more frames than the map has"),
        (7, &[1, 7, 1, 1], 18, "more frames than the map has"),
        (7, &[1, 0], 16, "a run of no frames"),
        (7, &[3, 7], 16, "a kind of pages that is not told"),
        (7, &[1], 16, "a number that is cut or too large"),
        (7, &[0, 0], 16, "a count of kinds that do not follow"),
        (
            7,
            &[0, 0xff, 0xff, 3, 1],
            16,
            "a count of kinds that do not follow",
        ),
        (7, &[0, 2, 1, 3, 0, 4], 16, "kinds that do not ascend"),
        (7, &[0, 2, 1, 3, 1, 4], 16, "kinds that do not ascend"),
    ] {
        assert_eq!(with(frames, stretches), Err((at, problem)), "{stretches:?}");
    }
    // Lengths that overflow when they are added.
    let most = [0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 1];
    let both = [&[0, 2, 0][..], &most, &[1], &most].concat();
    assert_eq!(with(7, &both), Err((16, "frames without end")));
    assert!(StretchMap::parse(b"PHMAP\0\0\x02".to_vec(), 2).is_err());
    assert!(StretchMap::parse(header(7)[..9].to_vec(), 2).is_err());
}

proptest! {
    /// Whatever is added, each frame is of its kind, or counted as it should be.
    #[test]
    fn what_is_added_is_there(
        runs in prop::collection::vec((0u32..4, 1u64..400, prop::bool::weighted(0.02)), 1..200)
    ) {
        let added: Vec<Added> = runs.iter().map(|&(code, frames, matters)| (code, 4 + code % 2, frames, matters)).collect();
        let map = StretchMap::parse(written(&added, Exactness::FULL), 6).unwrap();
        let frames: Vec<u32> = added.iter().flat_map(|run| vec![run.0; run.2 as usize]).collect();
        let mattering: Vec<bool> = added.iter().flat_map(|run| vec![run.3; run.2 as usize]).collect();
        prop_assert_eq!(map.frames(), frames.len() as u64);
        let mut end = 0;
        for (first, stretch) in map.stretches() {
            prop_assert_eq!(first, end);
            end += stretch.frames();
            let there = first as usize..end as usize;
            prop_assert_eq!(map.at(end - 1), Some((first, stretch.clone())));
            match stretch {
                Stretch::Run { code, .. } => prop_assert!(frames[there].iter().all(|&it| it == code)),
                Stretch::Mixed(counts) => {
                    prop_assert!(mattering[there.clone()].iter().all(|matters| !matters));
                    for (code, count) in counts {
                        let of = frames[there.clone()].iter().filter(|&&it| 4 + it % 2 == code);
                        prop_assert_eq!(of.count() as u64, count);
                    }
                }
            }
        }
        prop_assert_eq!(end, map.frames());
    }
}
