//! The widest instructions this processor has: the crate's only `unsafe`.
//!
//! Finders are written once, over any [`Vector`]. A [`Work`] is compiled once for
//! each set of instructions, and the best one is chosen when it runs. Compilers
//! left to make vectors of plain loops do so for one wanted word and fail for five.
//!
//! # Contract
//!
//! A function compiled for instructions is called only after the processor was
//! asked for all of them, and only in it are there vectors of their kind.
#![allow(
    unsafe_code,
    reason = "calling code that is compiled for more than the target's baseline"
)]

mod vector;

pub(crate) use vector::Vector;

/// A loop over words. Everything it calls that matters must be
/// `#[inline(always)]`, or it is compiled for the baseline.
pub(crate) trait Work {
    type Output;

    fn run<V: Vector>(self) -> Self::Output;
}

/// Runs `work` with the widest instructions there are.
#[inline]
pub(crate) fn widest<W: Work>(work: W) -> W::Output {
    #[cfg(target_arch = "x86_64")]
    {
        if x86_64::has_avx512() {
            // SAFETY: the processor has what `avx512` is compiled for.
            return unsafe { x86_64::avx512(work) };
        }
        if x86_64::has_avx2() {
            // SAFETY: the processor has what `avx2` is compiled for.
            return unsafe { x86_64::avx2(work) };
        }
    }
    work.run::<vector::Plain>()
}

#[cfg(target_arch = "x86_64")]
mod x86_64 {
    use super::Work;
    use super::vector::Avx2;

    /// The standard library asks the processor once and remembers.
    #[inline]
    pub(super) fn has_avx2() -> bool {
        is_x86_feature_detected!("avx2")
    }

    #[inline]
    pub(super) fn has_avx512() -> bool {
        has_avx2()
            && is_x86_feature_detected!("avx512f")
            && is_x86_feature_detected!("avx512bw")
            && is_x86_feature_detected!("avx512dq")
            && is_x86_feature_detected!("avx512vl")
    }

    #[target_feature(enable = "avx2")]
    pub(super) fn avx2<W: Work>(work: W) -> W::Output {
        work.run::<Avx2>()
    }

    /// With registers of AVX2, which do not lower the clock of processors that
    /// have wider ones; AVX-512 gives twice as many of them, and one instruction
    /// for two steps of logic.
    #[target_feature(enable = "avx2,avx512f,avx512bw,avx512dq,avx512vl")]
    pub(super) fn avx512<W: Work>(work: W) -> W::Output {
        work.run::<Avx2>()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// What every method gives for two blocks.
    struct All<'a>(&'a [u8; 64], &'a [u8; 64], u64);

    impl Work for All<'_> {
        type Output = Vec<[bool; 3]>;

        #[inline(always)]
        fn run<V: Vector>(self) -> Self::Output {
            let (a, b, word) = (V::load(self.0), V::load(self.1), V::splat(self.2));
            let results = [
                a.and(b),
                a.or(b),
                a.equal16(b),
                a.equal32(b),
                a.equal64(b),
                a.minus(b),
                a.below(b),
            ];
            // A vector is known by the words it has in common with others.
            let told = |v: V| [v.any(), v.equal64(word).any(), v.minus(a).any()];
            results.into_iter().map(told).collect()
        }
    }

    fn words(block: &[u8; 64]) -> Vec<u64> {
        let (words, _) = block.as_chunks::<8>();
        words.iter().map(|word| u64::from_le_bytes(*word)).collect()
    }

    /// The same by the definition of each method.
    fn defined(a: &[u8; 64], b: &[u8; 64], word: u64) -> Vec<[bool; 3]> {
        let (a, b) = (words(a), words(b));
        let part = |bits: usize, a: u64, b: u64| -> u64 {
            let ones = if bits == 64 {
                u64::MAX
            } else {
                (1 << bits) - 1
            };
            (0..64)
                .step_by(bits)
                .filter(|shift| a >> shift & ones == b >> shift & ones)
                .map(|shift| ones << shift)
                .sum()
        };
        let methods: [&dyn Fn(u64, u64) -> u64; 7] = [
            &|a, b| a & b,
            &|a, b| a | b,
            &|a, b| part(16, a, b),
            &|a, b| part(32, a, b),
            &|a, b| part(64, a, b),
            &|a, b| a.wrapping_sub(b),
            &|a, b| if (a as i64) < b as i64 { u64::MAX } else { 0 },
        ];
        let told = |method: &&dyn Fn(u64, u64) -> u64| {
            let result: Vec<u64> = a.iter().zip(&b).map(|(&a, &b)| method(a, b)).collect();
            let differs = result.iter().zip(&a).any(|(result, a)| result != a);
            [
                result.iter().any(|&word| word != 0),
                result.contains(&word),
                differs,
            ]
        };
        methods.iter().map(told).collect()
    }

    fn block() -> impl Strategy<Value = [u8; 64]> {
        let byte = prop::sample::select(vec![0u8, 0, 1, 0x7f, 0x80, 0xff]);
        prop::collection::vec(byte, 64).prop_map(|bytes| *bytes.first_chunk().unwrap())
    }

    proptest! {
        /// Every way that this processor can go gives what the definition gives.
        #[test]
        fn all_instructions_give_the_same(
            a in block(),
            mut b in block(),
            same in prop::collection::vec(0usize..64, 0..64),
        ) {
            for at in same {
                b[at] = a[at];
            }
            for word in words(&a).into_iter().chain([0, u64::MAX]) {
                let want = defined(&a, &b, word);
                let work = || All(&a, &b, word);
                prop_assert_eq!(&work().run::<vector::Plain>(), &want);
                prop_assert_eq!(&widest(work()), &want);
                #[cfg(target_arch = "x86_64")]
                {
                    if x86_64::has_avx2() {
                        // SAFETY: just asked.
                        prop_assert_eq!(&unsafe { x86_64::avx2(work()) }, &want);
                    }
                    if x86_64::has_avx512() {
                        // SAFETY: just asked.
                        prop_assert_eq!(&unsafe { x86_64::avx512(work()) }, &want);
                    }
                }
            }
        }
    }
}
