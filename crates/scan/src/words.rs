//! Masked words, many at once.

use crate::arch::{Vector, Work, widest};

/// Up to so many wanted values under one mask, comparing with each is faster than
/// a table.
const MANY: usize = 8;

/// A naturally aligned little-endian word of a dump.
pub(crate) trait Word: Copy + Ord + std::ops::BitAnd<Output = Self> {
    const BYTES: usize;

    /// The lower bits of `value`.
    fn narrow(value: u64) -> Self;

    fn widen(self) -> u64;

    /// The word at the start of `bytes`; zero where bytes are missing.
    fn load(bytes: &[u8]) -> Self;

    /// The word as often as 64 bits hold it.
    fn repeat(self) -> u64;

    /// Where the words of two vectors are equal.
    fn equal<V: Vector>(a: V, b: V) -> V;
}

macro_rules! word {
    ($type:ty, $equal:ident) => {
        impl Word for $type {
            const BYTES: usize = size_of::<$type>();

            fn narrow(value: u64) -> Self {
                value as $type
            }

            fn widen(self) -> u64 {
                u64::from(self)
            }

            fn load(bytes: &[u8]) -> Self {
                bytes
                    .first_chunk()
                    .map_or(0, |bytes| <$type>::from_le_bytes(*bytes))
            }

            fn repeat(self) -> u64 {
                u64::from(self) * (u64::MAX / u64::from(<$type>::MAX))
            }

            #[inline(always)]
            fn equal<V: Vector>(a: V, b: V) -> V {
                a.$equal(b)
            }
        }
    };
}
word!(u16, equal16);
word!(u32, equal32);
word!(u64, equal64);

/// The words of one size that are looked for.
#[derive(Debug, Default)]
pub(crate) struct Needles<W> {
    groups: Vec<Group<W>>,
}

/// Words under one mask: those with `word & keep` among `wants`.
#[derive(Debug)]
struct Group<W> {
    keep: W,
    /// Wanted values and the indices of their patterns, sorted.
    wants: Vec<(W, u32)>,
    /// For many values: a bit is set for each of them, by [`slot`].
    table: Option<Box<[u64; 1024]>>,
}

/// Word and bit of a value in the table of 65,536 bits.
#[inline(always)]
fn slot(value: u64) -> (usize, u32) {
    let hash = value.wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 48;
    (usize::from((hash >> 6) as u16), (hash & 63) as u32)
}

impl<W: Word> Needles<W> {
    pub(crate) fn is_empty(&self) -> bool {
        self.groups.is_empty()
    }

    /// Adds the words that equal `value` in the bits not set in `mask`.
    pub(crate) fn add(&mut self, value: u64, mask: u64, pattern: u32) {
        let keep = W::narrow(!mask);
        let want = W::narrow(value) & keep;
        let group = match self.groups.iter_mut().position(|group| group.keep == keep) {
            Some(index) => self.groups.get_mut(index),
            None => {
                self.groups.push(Group {
                    keep,
                    wants: Vec::new(),
                    table: None,
                });
                self.groups.last_mut()
            }
        };
        if let Some(group) = group {
            group.add(want, pattern);
        }
    }

    /// Calls `f(offset, pattern, word)` for every aligned word of `page` and
    /// every pattern it matches; by rising offset for each mask.
    pub(crate) fn find(&self, page: &[u8], f: impl FnMut(usize, u32, W)) {
        widest(Find {
            groups: &self.groups,
            page,
            f,
        });
    }

    /// As [`find`](Self::find), looking only at the word at `offset`.
    pub(crate) fn find_at(&self, page: &[u8], offset: usize, mut f: impl FnMut(usize, u32, W)) {
        let word = page.get(offset..).and_then(|rest| rest.get(..W::BYTES));
        if let Some(word) = word {
            for group in &self.groups {
                group.check(word, offset, &mut f);
            }
        }
    }
}

/// See [`Needles::find`].
struct Find<'a, W, F> {
    groups: &'a [Group<W>],
    page: &'a [u8],
    f: F,
}

impl<W: Word, F: FnMut(usize, u32, W)> Work for Find<'_, W, F> {
    type Output = ();

    #[inline(always)]
    fn run<V: Vector>(mut self) {
        let (page, f) = (self.page, &mut self.f);
        for group in self.groups {
            match (&group.table, group.wants.len()) {
                (Some(table), _) => group.look_up(table, page, f),
                (None, ..=1) => group.compare::<V, 1>(page, f),
                (None, 2) => group.compare::<V, 2>(page, f),
                (None, 3) => group.compare::<V, 3>(page, f),
                (None, 4) => group.compare::<V, 4>(page, f),
                (None, 5) => group.compare::<V, 5>(page, f),
                (None, 6) => group.compare::<V, 6>(page, f),
                (None, _) => group.compare::<V, MANY>(page, f),
            }
        }
    }
}

impl<W: Word> Group<W> {
    fn add(&mut self, want: W, pattern: u32) {
        let at = self.wants.partition_point(|known| *known < (want, pattern));
        self.wants.insert(at, (want, pattern));
        if self.wants.len() <= MANY {
            return;
        }
        let table = self.table.get_or_insert_with(|| Box::new([0; 1024]));
        for (want, _) in &self.wants {
            let (index, bit) = slot(want.widen());
            if let Some(bits) = table.get_mut(index) {
                *bits |= 1 << bit;
            }
        }
    }

    /// Compares with each of at most `N` wanted values, which stay in registers,
    /// and looks closer at the blocks that hold one: nearly all hold none.
    #[inline(always)]
    fn compare<V: Vector, const N: usize>(&self, page: &[u8], f: &mut impl FnMut(usize, u32, W)) {
        let Some(&(last, _)) = self.wants.last() else {
            return;
        };
        let mut wants = [V::splat(last.repeat()); N];
        for (to, &(want, _)) in wants.iter_mut().zip(&self.wants) {
            *to = V::splat(want.repeat());
        }
        let keep = V::splat(self.keep.repeat());
        let (blocks, rest) = page.as_chunks::<64>();
        let mut offset = 0;
        for block in blocks {
            let words = V::load(block).and(keep);
            let mut hits = V::splat(0);
            for want in &wants {
                hits = hits.or(W::equal(words, *want));
            }
            if hits.any() {
                self.check(block, offset, f);
            }
            offset += 64;
        }
        self.check(rest, offset, f);
    }

    /// As [`compare`](Self::compare), for any number of wanted values.
    #[inline(always)]
    fn look_up(&self, table: &[u64; 1024], page: &[u8], f: &mut impl FnMut(usize, u32, W)) {
        let (blocks, rest) = page.as_chunks::<64>();
        let mut offset = 0;
        for block in blocks {
            let mut hits = 0;
            for word in block.chunks_exact(W::BYTES) {
                let (index, bit) = slot((W::load(word) & self.keep).widen());
                hits |= table.get(index).map_or(0, |bits| bits >> bit & 1);
            }
            if hits != 0 {
                self.check(block, offset, f);
            }
            offset += 64;
        }
        self.check(rest, offset, f);
    }

    #[inline(never)]
    fn check(&self, bytes: &[u8], first: usize, f: &mut impl FnMut(usize, u32, W)) {
        for (index, word) in bytes.chunks_exact(W::BYTES).enumerate() {
            let word = W::load(word);
            let value = word & self.keep;
            let from = self.wants.partition_point(|(want, _)| *want < value);
            let wants = self.wants.get(from..).unwrap_or_default();
            for (_, pattern) in wants.iter().take_while(|(want, _)| *want == value) {
                f(first + index * W::BYTES, *pattern, word);
            }
        }
    }
}
