//! How every page stands, accounted or not.

use pagehound_model::State;

/// How a page stands: what `pages` prints of it as its state.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum Standing {
    /// On a free list of the allocator.
    Free,
    /// In a counter of the kernel.
    Accounted,
    /// In no counter, but something points to it.
    Held,
    /// Looks lost, but the proof has a gap.
    Suspect,
    /// In no counter, and nothing points to it.
    Lost,
    /// Could not be decided.
    Unknown,
}

impl Standing {
    /// Each of them.
    pub const ALL: [Standing; 6] = [
        Standing::Free,
        Standing::Accounted,
        Standing::Held,
        Standing::Suspect,
        Standing::Lost,
        Standing::Unknown,
    ];

    /// Name on the command line and in `pages`.
    pub fn name(self) -> &'static str {
        match self {
            Standing::Free => "free",
            Standing::Accounted => "accounted",
            Standing::Held => "held",
            Standing::Suspect => "suspect",
            Standing::Lost => "lost",
            Standing::Unknown => "unknown",
        }
    }

    /// The one with this name.
    pub fn from_name(name: &str) -> Option<Standing> {
        Standing::ALL
            .into_iter()
            .find(|standing| standing.name() == name)
    }
}

impl From<State> for Standing {
    /// Of a page in a finding of this state.
    fn from(state: State) -> Standing {
        match state {
            State::Lost => Standing::Lost,
            State::Suspect => Standing::Suspect,
            State::Held => Standing::Held,
            State::Unknown => Standing::Unknown,
        }
    }
}
