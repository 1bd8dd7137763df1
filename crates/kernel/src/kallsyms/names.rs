//! Names: each is a length and that many bytes, each byte stands for a token.

/// KSYM_NAME_LEN (512 from 6.1, 128 before) and the type letter.
const MAX_NAME: usize = 513;
/// Room for a name while it grows; one that does not fit is too long.
const ROOM: usize = 2 * MAX_NAME;
/// Ten times what the largest kernels carry.
pub(super) const MAX_SYMBOLS: usize = 1 << 21;
/// All names decoded; the largest kernels have some 10 MiB.
const MAX_TEXT: usize = 64 << 20;
/// kallsyms_markers holds the offset of every 256th name.
const MARKER_STEP: usize = 256;
/// Bytes of kallsyms_token_index: 256 offsets of 16 bits.
pub(super) const TOKEN_INDEX: usize = 512;

/// What each of the 256 bytes stands for.
pub(super) struct Tokens {
    table: Vec<u8>,
    tokens: Vec<Token>,
}

#[derive(Clone, Copy)]
struct Token {
    start: u16,
    len: u16,
    /// The first bytes, so that nearly every token is one move of known size.
    head: [u8; HEAD],
}

/// Kernels' tokens are seldom longer.
const HEAD: usize = 16;

impl Tokens {
    /// `table` may be longer than the tokens. The index must begin at 0, rise, and
    /// name the byte after the NUL of the token before; other tables of the kernel
    /// look alike until this is checked.
    pub(super) fn new(table: &[u8], index: &[u8]) -> Option<Tokens> {
        let mut tokens = Vec::with_capacity(256);
        let mut expected = 0;
        for entry in index.get(..TOKEN_INDEX)?.chunks_exact(2) {
            let start = u16::from_le_bytes(entry.try_into().ok()?);
            if usize::from(start) != expected {
                return None;
            }
            let rest = table.get(expected..)?;
            let token = rest.get(..memchr::memchr(0, rest)?)?;
            if token.len() > MAX_NAME || !token.iter().all(u8::is_ascii_graphic) {
                return None;
            }
            let mut head = [0; HEAD];
            head.iter_mut()
                .zip(token)
                .for_each(|(to, &from)| *to = from);
            tokens.push(Token {
                start,
                len: token.len() as u16,
                head,
            });
            expected += token.len() + 1;
        }
        Some(Tokens {
            table: table.get(..expected)?.to_vec(),
            tokens,
        })
    }

    /// First character of what a byte stands for, if it stands for anything.
    fn first(&self, byte: u8) -> Option<u8> {
        let token = self.tokens.get(usize::from(byte))?;
        token.head.first().copied().filter(|_| token.len > 0)
    }

    /// Writes the name that `bytes` stand for into `name`, and returns its length.
    fn expand(&self, bytes: &[u8], name: &mut [u8; ROOM]) -> Option<usize> {
        let mut at = 0;
        for &byte in bytes {
            let token = self.tokens.get(usize::from(byte))?;
            let len = usize::from(token.len);
            if len <= HEAD {
                // What is written behind the token, the next one overwrites.
                name.get_mut(at..at + HEAD)?.copy_from_slice(&token.head);
            } else {
                let start = usize::from(token.start);
                name.get_mut(at..at + len)?
                    .copy_from_slice(self.table.get(start..start + len)?);
            }
            at += len;
        }
        Some(at).filter(|&len| len <= MAX_NAME)
    }
}

/// How the length before a name is written. Nothing in the dump says which.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum LengthForm {
    /// One byte, up to 255.
    OneByte,
    /// Bit 7 set: seven bits, and the next byte above them (6.1, 73bbb94466fd).
    TwoBytes,
}

impl LengthForm {
    pub(super) const BOTH: [LengthForm; 2] = [LengthForm::TwoBytes, LengthForm::OneByte];

    /// The name at `at` as tokens, and where the next one begins.
    fn split(self, names: &[u8], at: usize) -> Option<(&[u8], usize)> {
        let low = usize::from(*names.get(at)?);
        let (len, start) = match self {
            LengthForm::TwoBytes if low & 0x80 != 0 => {
                let high = usize::from(*names.get(at + 1)?);
                ((low & 0x7f) | high << 7, at + 2)
            }
            _ => (low, at + 1),
        };
        let end = start.checked_add(len)?;
        Some((names.get(start..end).filter(|name| !name.is_empty())?, end))
    }
}

/// Type letters as of nm: `?` is one that it cannot tell, such as of a section
/// that is empty (`__nosave_begin` without hibernation).
fn is_kind(letter: u8) -> bool {
    letter.is_ascii_alphabetic() || letter == b'?'
}

/// Walks `count` names at the begin of `names`, which lies at address `base`, and
/// compares with the markers that follow them. `budget` counts names down.
pub(super) fn matches_markers(
    names: &[u8],
    base: u64,
    count: usize,
    form: LengthForm,
    tokens: &Tokens,
    budget: &mut u64,
) -> bool {
    let mut marks = Vec::new();
    let mut at = 0;
    for i in 0..count {
        if i % MARKER_STEP == 0 {
            marks.push(at as u64);
        }
        let Some(left) = budget.checked_sub(1) else {
            return false;
        };
        *budget = left;
        let Some((name, next)) = form.split(names, at) else {
            return false;
        };
        let letter = name.iter().find_map(|&byte| tokens.first(byte));
        if !letter.is_some_and(is_kind) {
            return false;
        }
        at = next;
    }
    // u64 markers up to 4.19, u32 since; aligned to 8 up to 6.19, to 4 since.
    [(4, 4), (4, 8), (8, 8)].iter().any(|&(width, align)| {
        let Some(end) = base
            .checked_add(at as u64)
            .and_then(|e| e.checked_next_multiple_of(align))
        else {
            return false;
        };
        let markers = names.get((end - base) as usize..).unwrap_or_default();
        markers.len() >= marks.len() * width
            && markers
                .chunks_exact(width)
                .zip(&marks)
                .all(|(bytes, &mark)| le(bytes) == mark)
    })
}

fn le(bytes: &[u8]) -> u64 {
    bytes
        .iter()
        .rev()
        .fold(0, |value, &byte| value << 8 | u64::from(byte))
}

/// All names in one buffer, each after its type letter.
pub(super) struct Names {
    text: String,
    /// Where each begins, and where the last ends.
    starts: Vec<u32>,
}

impl Names {
    /// Decodes `count` names; `None` if one is empty, too long or not printable ASCII.
    pub(super) fn decode(
        names: &[u8],
        count: usize,
        form: LengthForm,
        tokens: &Tokens,
    ) -> Option<Names> {
        let mut text = Vec::with_capacity(names.len().saturating_mul(2).min(MAX_TEXT));
        let mut starts = Vec::with_capacity(count.min(MAX_SYMBOLS) + 1);
        let mut room = [0; ROOM];
        let mut at = 0;
        for _ in 0..count {
            starts.push(text.len() as u32);
            let (bytes, next) = form.split(names, at)?;
            let len = tokens.expand(bytes, &mut room)?;
            let name = room.get(..len).filter(|name| name.len() >= 2)?;
            if !is_kind(*name.first()?) || text.len() + len > MAX_TEXT {
                return None;
            }
            text.extend_from_slice(name);
            at = next;
        }
        starts.push(text.len() as u32);
        text.shrink_to_fit();
        Some(Names {
            text: String::from_utf8(text).ok()?,
            starts,
        })
    }

    /// Type letters and names that are known already; those that are no names, or beyond
    /// what a kernel has, are left out, and told by a false.
    pub(super) fn gather<'n>(symbols: impl Iterator<Item = (u8, &'n [u8])>) -> (Names, Vec<bool>) {
        let mut text = String::new();
        let mut starts = vec![0];
        let taken = symbols.map(|(kind, name)| {
            let is_name = !name.is_empty()
                && name.len() < MAX_NAME
                && name.iter().all(u8::is_ascii_graphic)
                && is_kind(kind);
            let fits = starts.len() <= MAX_SYMBOLS && text.len() + name.len() < MAX_TEXT;
            let name = std::str::from_utf8(name).ok();
            let Some(name) = name.filter(|_| is_name && fits) else {
                return false;
            };
            text.push(char::from(kind));
            text.push_str(name);
            starts.push(text.len() as u32);
            true
        });
        let taken = taken.collect();
        (Names { text, starts }, taken)
    }

    pub(super) fn len(&self) -> usize {
        self.starts.len().saturating_sub(1)
    }

    /// Type letter and name.
    pub(super) fn get(&self, index: usize) -> (u8, &str) {
        let span =
            || Some(*self.starts.get(index)? as usize..*self.starts.get(index + 1)? as usize);
        let whole = span()
            .and_then(|span| self.text.get(span))
            .unwrap_or_default();
        (
            whole.bytes().next().unwrap_or_default(),
            whole.get(1..).unwrap_or_default(),
        )
    }

    /// Indices of the symbols with this name, without an index of names.
    pub(super) fn positions<'a>(&'a self, name: &'a str) -> impl Iterator<Item = usize> + 'a {
        (0..self.len()).filter(move |&i| self.get(i).1 == name)
    }
}
