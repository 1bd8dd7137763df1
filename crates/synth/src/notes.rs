//! ELF notes.

use crate::bytes::{put, put_u32};

/// An ELF note of an image.
#[derive(Clone)]
pub(crate) struct Note {
    pub(crate) name: String,
    pub(crate) kind: u32,
    pub(crate) desc: Vec<u8>,
}

impl Note {
    /// The note's bytes, both parts padded to 4.
    pub(crate) fn bytes(&self) -> Vec<u8> {
        let mut out = Vec::new();
        put_u32(&mut out, 0, self.name.len() as u32 + 1);
        put_u32(&mut out, 4, self.desc.len() as u32);
        put_u32(&mut out, 8, self.kind);
        put(&mut out, 12, self.name.as_bytes());
        out.push(0);
        out.resize(out.len().next_multiple_of(4), 0);
        out.extend_from_slice(&self.desc);
        out.resize(out.len().next_multiple_of(4), 0);
        out
    }

    /// Where the descriptor lies in [`Note::bytes`].
    pub(crate) fn desc_at(&self) -> usize {
        12 + (self.name.len() + 1).next_multiple_of(4)
    }
}
