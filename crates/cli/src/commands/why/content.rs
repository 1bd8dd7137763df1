//! What lies in the page.

use super::Why;
use super::elsewhere::Elsewhere;
use super::facts::PatternAt;
use crate::render;
use pagehound_model::{Finding, Pattern};
use pagehound_vmcore::{Fault, PageCache, PhysAddr, hex};

/// Bytes of the page that are shown where they are asked for.
pub(super) const SHOWN: usize = 64;

impl Why<'_> {
    /// The page's bytes.
    pub(super) fn bytes(&self, phys: PhysAddr) -> Result<Vec<u8>, Fault> {
        let mut bytes = vec![0; self.kernel.dump.memory.page_size()];
        let cache = PageCache::new(self.kernel.dump.memory.as_ref(), 1);
        cache.read(phys, &mut bytes)?;
        Ok(bytes)
    }

    /// What of the finding's patterns lies in the page.
    pub(super) fn patterns(
        &self,
        phys: PhysAddr,
        bytes: &[u8],
        finding: Option<&Finding>,
        elsewhere: &mut Elsewhere<'_>,
    ) -> Vec<PatternAt> {
        let patterns = finding.map_or(&[][..], |finding| &finding.patterns);
        // Patterns are of the unit's first page.
        let first = self.pages().map.head(self.pfn) == self.pfn;
        let has = |pattern: &&Pattern| first && lies_in(pattern, bytes);
        let mut all = Vec::new();
        for pattern in patterns.iter().filter(has) {
            let at = PhysAddr(phys.0.saturating_add(pattern.offset));
            elsewhere.pattern(at, pattern.bytes().len());
            all.push(PatternAt {
                offset: pattern.offset,
                hex: pattern.hex.clone(),
                share: pattern.share,
            });
        }
        all
    }
}

/// The begin of a page, sixteen bytes a line.
pub(super) fn shown(bytes: &[u8]) -> Vec<String> {
    let lines = bytes.chunks(16).take(SHOWN / 16).enumerate();
    let line = |(number, line): (usize, &[u8])| {
        let text = render::ascii(line);
        let offset = number * 16;
        format!("{offset:03x}: {:<47}   {text}", hex(line, " "))
    };
    lines.map(line).collect()
}

/// Whether the pattern's bytes lie at its place in `page`.
pub(super) fn lies_in(pattern: &Pattern, page: &[u8]) -> bool {
    let offset = usize::try_from(pattern.offset).ok();
    let there = offset
        .and_then(|offset| page.get(offset..))
        .unwrap_or_default();
    let bytes = pattern.bytes();
    let fits = |(wanted, byte): (&Option<u8>, &u8)| wanted.is_none_or(|wanted| wanted == *byte);
    there.len() >= bytes.len() && bytes.iter().zip(there).all(fits)
}
