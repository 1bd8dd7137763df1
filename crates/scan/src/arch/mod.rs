//! The widest instructions this processor has: the crate's only `unsafe`.
//!
//! Finders are written once, as plain loops over words. The compiler makes
//! vector code of them for whatever the function they are inlined into may use,
//! so a [`Work`] is compiled once for each set of instructions, and the best one
//! is chosen when it runs. Without AVX2, x86-64 cannot even compare 64-bit words
//! in vectors. NEON needs no choice: every 64-bit Arm processor has it.
//!
//! # Contract
//!
//! A function compiled for instructions is called only after the processor was
//! asked for all of them.
#![allow(
    unsafe_code,
    reason = "calling code that is compiled for more than the target's baseline"
)]

/// A loop over words. Everything it calls that matters must be
/// `#[inline(always)]`, or it is compiled for the baseline.
pub(crate) trait Work {
    type Output;

    fn run(self) -> Self::Output;
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
    work.run()
}

#[cfg(target_arch = "x86_64")]
mod x86_64 {
    use super::Work;

    /// The standard library asks the processor once and remembers.
    #[inline]
    pub(super) fn has_avx2() -> bool {
        is_x86_feature_detected!("avx2")
    }

    #[inline]
    pub(super) fn has_avx512() -> bool {
        is_x86_feature_detected!("avx512f")
            && is_x86_feature_detected!("avx512bw")
            && is_x86_feature_detected!("avx512dq")
            && is_x86_feature_detected!("avx512vl")
    }

    #[target_feature(enable = "avx2")]
    pub(super) fn avx2<W: Work>(work: W) -> W::Output {
        work.run()
    }

    #[target_feature(enable = "avx512f,avx512bw,avx512dq,avx512vl")]
    pub(super) fn avx512<W: Work>(work: W) -> W::Output {
        work.run()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    struct Sum<'a>(&'a [u64]);

    impl Work for Sum<'_> {
        type Output = u64;

        #[inline(always)]
        fn run(self) -> u64 {
            self.0.iter().fold(0, |sum, word| sum.wrapping_add(*word))
        }
    }

    /// Every way that this processor can go gives what the baseline gives.
    #[test]
    fn all_instructions_give_the_same() {
        let words: Vec<u64> = (0..1001_u64)
            .map(|n| n.wrapping_mul(0x9e37_79b9_7f4a_7c15))
            .collect();
        let baseline = Sum(&words).run();
        assert_eq!(widest(Sum(&words)), baseline);
        #[cfg(target_arch = "x86_64")]
        {
            if x86_64::has_avx2() {
                // SAFETY: just asked.
                assert_eq!(unsafe { x86_64::avx2(Sum(&words)) }, baseline);
            }
            if x86_64::has_avx512() {
                // SAFETY: just asked.
                assert_eq!(unsafe { x86_64::avx512(Sum(&words)) }, baseline);
            }
        }
    }
}
