//! Words side by side.

/// 64 bytes of memory, as registers hold them; every method works on each word
/// by itself.
///
/// Everything is inlined into code compiled for the instructions it uses.
pub(crate) trait Vector: Copy {
    /// The bytes, words little-endian.
    fn load(block: &[u8; 64]) -> Self;

    /// One 64-bit word, eight times.
    fn splat(word: u64) -> Self;

    fn and(self, other: Self) -> Self;

    fn or(self, other: Self) -> Self;

    /// All bits of a word are set where the two words are equal.
    fn equal16(self, other: Self) -> Self;

    /// See [`equal16`](Self::equal16).
    fn equal32(self, other: Self) -> Self;

    /// See [`equal16`](Self::equal16).
    fn equal64(self, other: Self) -> Self;

    /// 64-bit words, wrapping.
    fn minus(self, other: Self) -> Self;

    /// All bits of a 64-bit word are set where it is below the other, both signed.
    fn below(self, other: Self) -> Self;

    /// Whether any bit is set.
    fn any(self) -> bool;
}

/// Without instructions of its own: what the compiler makes of it.
#[derive(Clone, Copy)]
pub(crate) struct Plain([u64; 8]);

impl Plain {
    #[inline(always)]
    fn with(self, other: Self, f: impl Fn(u64, u64) -> u64) -> Self {
        Plain(std::array::from_fn(|lane| {
            let word = |of: &[u64; 8]| of.get(lane).copied().unwrap_or(0);
            f(word(&self.0), word(&other.0))
        }))
    }

    /// Compares words of `BITS` bits.
    #[inline(always)]
    fn equal<const BITS: u32>(self, other: Self) -> Self {
        self.with(other, |a, b| {
            let ones = u64::MAX >> (64 - BITS);
            (0..64).step_by(BITS as usize).fold(0, |mask, shift| {
                let differ = (a ^ b) >> shift & ones != 0;
                mask | if differ { 0 } else { ones << shift }
            })
        })
    }
}

impl Vector for Plain {
    #[inline(always)]
    fn load(block: &[u8; 64]) -> Self {
        let mut words = [0; 8];
        for (word, bytes) in words.iter_mut().zip(block.as_chunks::<8>().0) {
            *word = u64::from_le_bytes(*bytes);
        }
        Plain(words)
    }

    #[inline(always)]
    fn splat(word: u64) -> Self {
        Plain([word; 8])
    }

    #[inline(always)]
    fn and(self, other: Self) -> Self {
        self.with(other, |a, b| a & b)
    }

    #[inline(always)]
    fn or(self, other: Self) -> Self {
        self.with(other, |a, b| a | b)
    }

    #[inline(always)]
    fn equal16(self, other: Self) -> Self {
        self.equal::<16>(other)
    }

    #[inline(always)]
    fn equal32(self, other: Self) -> Self {
        self.equal::<32>(other)
    }

    #[inline(always)]
    fn equal64(self, other: Self) -> Self {
        self.equal::<64>(other)
    }

    #[inline(always)]
    fn minus(self, other: Self) -> Self {
        self.with(other, u64::wrapping_sub)
    }

    #[inline(always)]
    fn below(self, other: Self) -> Self {
        self.with(other, |a, b| {
            let below = a.cast_signed() < b.cast_signed();
            if below { u64::MAX } else { 0 }
        })
    }

    #[inline(always)]
    fn any(self) -> bool {
        self.0.iter().fold(0, |all, word| all | word) != 0
    }
}

#[cfg(target_arch = "x86_64")]
mod x86_64 {
    use std::arch::x86_64::{
        __m256i, _mm256_and_si256, _mm256_cmpeq_epi16, _mm256_cmpeq_epi32, _mm256_cmpeq_epi64,
        _mm256_cmpgt_epi64, _mm256_loadu_si256, _mm256_or_si256, _mm256_set1_epi64x,
        _mm256_sub_epi64, _mm256_testz_si256,
    };

    use super::Vector;

    /// Registers of AVX2. Values exist only in code that is compiled for it, so
    /// every call of an instruction below runs on a processor that has it.
    #[derive(Clone, Copy)]
    pub(crate) struct Avx2(__m256i, __m256i);

    macro_rules! each {
        ($instruction:ident, $a:expr, $b:expr) => {
            // SAFETY: see `Avx2`.
            unsafe { Avx2($instruction($a.0, $b.0), $instruction($a.1, $b.1)) }
        };
    }

    impl Vector for Avx2 {
        #[inline(always)]
        fn load(block: &[u8; 64]) -> Self {
            let (low, high) = block.split_at(32);
            // SAFETY: see `Avx2`; each half has 32 bytes, and needs no alignment.
            unsafe {
                Avx2(
                    _mm256_loadu_si256(low.as_ptr().cast()),
                    _mm256_loadu_si256(high.as_ptr().cast()),
                )
            }
        }

        #[inline(always)]
        fn splat(word: u64) -> Self {
            // SAFETY: see `Avx2`.
            let words = unsafe { _mm256_set1_epi64x(word.cast_signed()) };
            Avx2(words, words)
        }

        #[inline(always)]
        fn and(self, other: Self) -> Self {
            each!(_mm256_and_si256, self, other)
        }

        #[inline(always)]
        fn or(self, other: Self) -> Self {
            each!(_mm256_or_si256, self, other)
        }

        #[inline(always)]
        fn equal16(self, other: Self) -> Self {
            each!(_mm256_cmpeq_epi16, self, other)
        }

        #[inline(always)]
        fn equal32(self, other: Self) -> Self {
            each!(_mm256_cmpeq_epi32, self, other)
        }

        #[inline(always)]
        fn equal64(self, other: Self) -> Self {
            each!(_mm256_cmpeq_epi64, self, other)
        }

        #[inline(always)]
        fn minus(self, other: Self) -> Self {
            each!(_mm256_sub_epi64, self, other)
        }

        #[inline(always)]
        fn below(self, other: Self) -> Self {
            each!(_mm256_cmpgt_epi64, other, self)
        }

        #[inline(always)]
        fn any(self) -> bool {
            // SAFETY: see `Avx2`.
            unsafe {
                let all = _mm256_or_si256(self.0, self.1);
                _mm256_testz_si256(all, all) == 0
            }
        }
    }
}
#[cfg(target_arch = "x86_64")]
pub(crate) use x86_64::Avx2;
