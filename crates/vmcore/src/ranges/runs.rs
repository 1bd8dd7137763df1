//! From ranges of bytes to runs of pages.

use crate::PageState;
use crate::intervals::Piece;

/// Frames `start..end`, alike.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct Run {
    pub(super) start: u64,
    pub(super) end: u64,
    pub(super) kind: Kind,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Kind {
    /// The run's bytes lie in the file in one piece, beginning here.
    Whole(u64),
    /// One page, of which several pieces, or only a part, lie in the file.
    Partly,
    /// At least a part of each page lies beyond the end of the file.
    CutOff,
    /// Left out.
    Excluded,
}

impl Kind {
    /// What the run's pages are.
    pub(super) fn state(self) -> PageState {
        match self {
            Self::Whole(_) | Self::Partly => PageState::Present,
            Self::CutOff => PageState::Unreadable,
            Self::Excluded => PageState::Excluded,
        }
    }
}

/// The pages that `pieces` touch, ascending. A file of `file_len` bytes holds
/// the pieces, or was meant to.
pub(super) fn data_runs(pieces: &[Piece], file_len: u64, shift: u32) -> Vec<Run> {
    let page = 1u64 << shift;
    let mut runs: Vec<Run> = Vec::with_capacity(pieces.len());
    let mut push = |start: u64, end: u64, kind: Kind| {
        let mut start = start;
        // Pieces share the page in whose middle they meet, and stored bytes
        // the page in whose middle the file ends.
        if let Some(last) = runs.last_mut().filter(|last| last.end > start) {
            if kind == Kind::CutOff && last.kind == Kind::Partly {
                last.kind = kind;
            }
            start = last.end;
        }
        if start < end {
            runs.push(Run { start, end, kind });
        }
    };
    for piece in pieces {
        let readable = (piece.end - piece.start).min(file_len.saturating_sub(piece.at));
        let cut = piece.start + readable;
        let cut_off = cut < piece.end;
        let first = piece.start >> shift;
        let whole = piece.start.div_ceil(page);
        let whole_end = cut >> shift;
        let end = piece.end.div_ceil(page);
        if first < whole {
            push(first, whole, Kind::Partly);
        }
        if whole < whole_end {
            push(
                whole,
                whole_end,
                Kind::Whole(piece.at + ((whole << shift) - piece.start)),
            );
        }
        let rest = whole_end.max(first);
        if cut_off {
            push(rest, end, Kind::CutOff);
        } else if whole_end >= whole {
            push(whole_end, end, Kind::Partly);
        }
    }
    runs
}

/// `data` with the pages in `known` that it does not have.
pub(super) fn with_excluded(data: &[Run], known: &[Piece], shift: u32) -> Vec<Run> {
    let page = 1u64 << shift;
    let mut runs = Vec::with_capacity(data.len() + known.len());
    let mut stored = data.iter().copied().peekable();
    let mut pos = 0;
    for piece in known {
        let end = piece.end.div_ceil(page);
        pos = pos.max(piece.start >> shift);
        while pos < end {
            let next = stored.next_if(|run| run.start < end);
            let gap_end = next.map_or(end, |run| run.start.max(pos));
            if pos < gap_end {
                runs.push(Run {
                    start: pos,
                    end: gap_end,
                    kind: Kind::Excluded,
                });
            }
            pos = gap_end;
            if let Some(run) = next {
                runs.push(run);
                pos = run.end;
            }
        }
    }
    runs
}
