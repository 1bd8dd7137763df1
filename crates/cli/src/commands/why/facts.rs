//! What `why` says of a page: gathered once, printed as text or as JSON.

use super::elsewhere::Line;
use serde::Serialize;

/// What `why --json` prints. Addresses and words are hex without a prefix.
#[derive(Serialize)]
pub(super) struct Facts {
    pub(super) schema: &'static str,
    pub(super) pfn: u64,
    pub(super) physical: String,
    /// In the kernel's direct map.
    #[serde(rename = "virtual")]
    pub(super) virt: Option<String>,
    pub(super) class: &'static str,
    /// The slab cache, or whose vmalloc area it is.
    pub(super) class_detail: Option<String>,
    pub(super) unit: Unit,
    /// Address of the struct page.
    pub(super) page_struct_at: String,
    /// None where it cannot be read.
    pub(super) page_struct: Option<PageStruct>,
    pub(super) state: &'static str,
    pub(super) finding: Option<FindingRef>,
    /// From the page to its holder; empty where the class says who has it.
    pub(super) held_by: Vec<Link>,
    /// Who allocated it, where the kernel keeps records; of each a stack.
    pub(super) origin: Vec<Origin>,
    pub(super) named_by: Named,
    /// What was searched before the finding's pages were called lost.
    pub(super) checked: Vec<String>,
    /// What the finding's pages have in common and this one has.
    pub(super) patterns: Vec<PatternAt>,
    /// Its first bytes as hex, only with `--show-content`.
    pub(super) content: Option<Vec<String>>,
    /// Why its bytes cannot be read.
    pub(super) unreadable: Option<String>,
    /// Lines for other tools, each with the member above that it shows.
    pub(super) reproduce: Vec<Line>,
}

/// Pages that are allocated and freed as one.
#[derive(Serialize)]
pub(super) struct Unit {
    pub(super) first: u64,
    pub(super) pages: u64,
    pub(super) compound: bool,
}

/// Words of the struct page.
#[derive(Serialize)]
pub(super) struct PageStruct {
    pub(super) refcount: i32,
    pub(super) mapcount_word: String,
    pub(super) flags: String,
    pub(super) mapping: String,
    pub(super) index: String,
    pub(super) private: String,
    pub(super) lru: [String; 2],
}

/// The finding that the page is of.
#[derive(Serialize)]
pub(super) struct FindingRef {
    pub(super) id: u32,
    pub(super) pages: u64,
    pub(super) title: String,
}

/// A step from the page to its holder.
#[derive(Serialize, Default)]
pub(super) struct Link {
    pub(super) text: String,
    /// The page that is named, if it is one.
    pub(super) names: Option<u64>,
    /// The page that names it or holds it.
    pub(super) from: Option<u64>,
    /// Physical address of the word that names it.
    pub(super) word_at: Option<String>,
    /// Address of a structure on the way.
    pub(super) object_at: Option<String>,
    /// Slab cache of that structure, or who has the word.
    pub(super) lies_in: Option<String>,
}

impl Link {
    pub(super) fn new(text: impl Into<String>) -> Link {
        Link {
            text: text.into(),
            ..Link::default()
        }
    }
}

/// A record of the kernel on the page's allocation.
#[derive(Serialize)]
pub(super) struct Origin {
    pub(super) text: String,
    /// The innermost first.
    pub(super) stack: Vec<String>,
}

/// Words that name the unit.
#[derive(Serialize)]
pub(super) struct Named {
    pub(super) searched_bytes: u64,
    pub(super) counting: u64,
    pub(super) barred: u64,
    /// Those that count first; thousands at most.
    pub(super) words: Vec<Word>,
}

#[derive(Serialize)]
pub(super) struct Word {
    /// Physical address.
    pub(super) at: String,
    pub(super) word: String,
    pub(super) lies_in: String,
    /// Why it does not count.
    pub(super) barred: Option<&'static str>,
}

/// A pattern that the page has.
#[derive(Serialize)]
pub(super) struct PatternAt {
    pub(super) offset: u64,
    /// Hex pairs, `??` where it varies.
    pub(super) hex: String,
    pub(super) share: f64,
}
