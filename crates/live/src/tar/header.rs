//! The header block of an entry.

use super::numbers::number;

/// Everything in a tar archive comes in blocks of so many bytes.
pub(super) const BLOCK: usize = 512;

/// One block.
pub(super) type Block = [u8; BLOCK];

/// What a header says by itself; extended headers before it say more.
pub(super) struct Header {
    pub(super) kind: u8,
    /// Name as it is written; no text if it is no UTF-8.
    pub(super) name: Option<String>,
    /// Target of a link.
    pub(super) target: Option<String>,
    /// Bytes that follow; none if that is no number.
    pub(super) size: Option<u64>,
    /// Seconds since 1970; none before that.
    pub(super) modified: Option<u64>,
    /// Whether a block of GNU tar's map of holes follows.
    pub(super) more_map: bool,
}

/// Why a block is no header.
pub(super) struct WrongSum {
    /// The sum of its bytes.
    pub(super) found: u64,
    /// What it says the sum is.
    pub(super) said: Option<u64>,
}

impl Header {
    /// What `block` says.
    pub(super) fn of(block: &Block) -> Result<Header, WrongSum> {
        check_sum(block)?;
        let ustar = &block[257..263] == b"ustar\0";
        let gnu = &block[257..265] == b"ustar  \0";
        let name = text(&block[..100]);
        // GNU tar has times and holes where ustar has the name's begin.
        let prefix = ustar.then(|| text(&block[345..500])).flatten();
        let name = match prefix {
            Some(prefix) if !prefix.is_empty() => name.map(|name| format!("{prefix}/{name}")),
            _ => name,
        };
        let kind = block[156];
        Ok(Header {
            kind,
            name,
            target: text(&block[157..257]),
            size: number(&block[124..136]),
            modified: number(&block[136..148]),
            more_map: gnu && kind == b'S' && block[482] != 0,
        })
    }
}

/// Whether a block of a map of holes says that another follows.
pub(super) fn more_map(block: &Block) -> bool {
    block[504] != 0
}

/// The sum is of all bytes, its own taken for spaces; old programs took bytes for signed.
fn check_sum(block: &Block) -> Result<(), WrongSum> {
    let said = number(&block[148..156]);
    let bytes = || {
        let bytes = block.iter().enumerate();
        bytes.map(|(at, &byte)| if (148..156).contains(&at) { b' ' } else { byte })
    };
    let found: u64 = bytes().map(u64::from).sum();
    let signed: i64 = bytes().map(|byte| i64::from(byte.cast_signed())).sum();
    let right = said.is_some_and(|said| said == found || i64::try_from(said) == Ok(signed));
    right.then_some(()).ok_or(WrongSum { found, said })
}

/// The text before the first NUL.
fn text(field: &[u8]) -> Option<String> {
    let text = field.split(|&byte| byte == 0).next()?;
    String::from_utf8(text.to_vec()).ok()
}
