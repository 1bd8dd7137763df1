//! What is told of a page: a row of `pages`, and a kind of page in a capture.

use pagehound_hunt::{self as hunt, Standing};
use pagehound_kernel::Class;
use serde::de::Error;
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use std::borrow::Cow;

/// What is told of a page; runs are of pages equal in all of it.
#[derive(Clone, PartialEq, Eq, Hash, Debug, Serialize, Deserialize)]
pub(crate) struct PageFacts<'a> {
    #[serde(serialize_with = "class_name", deserialize_with = "class")]
    pub(crate) class: Class,
    /// log2 of the pages in its unit, rounded down; none where a capture does not tell.
    pub(crate) order: Option<u32>,
    /// Reference count of its unit; none where it cannot be read.
    pub(crate) refcount: Option<i32>,
    #[serde(serialize_with = "state_name", deserialize_with = "state")]
    pub(crate) state: Standing,
    /// Number of its finding.
    pub(crate) finding: Option<u32>,
    /// Who has it: kind, name, process. Pages that are lost have nobody.
    pub(crate) holder_kind: Option<Cow<'a, str>>,
    pub(crate) holder: Option<Cow<'a, str>>,
    pub(crate) holder_pid: Option<u32>,
    /// Who allocated it, where that was asked for and is on record.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) allocator: Option<String>,
}

impl<'a> From<hunt::PageFacts<'a>> for PageFacts<'a> {
    fn from(facts: hunt::PageFacts<'a>) -> PageFacts<'a> {
        let (holder_kind, holder, holder_pid) = match facts.holder {
            Some(holder) => (
                Some(Cow::Borrowed(holder.kind)),
                Some(holder.name),
                holder.pid,
            ),
            None => (None, None, None),
        };
        PageFacts {
            class: facts.class,
            order: Some(facts.order),
            refcount: facts.refcount,
            state: facts.state,
            finding: facts.finding,
            holder_kind,
            holder,
            holder_pid,
            allocator: None,
        }
    }
}

impl PageFacts<'_> {
    /// The same, of nobody's memory but its own.
    pub(crate) fn into_owned(self) -> PageFacts<'static> {
        let own = |name: Option<Cow<'_, str>>| name.map(|name| Cow::Owned(name.into_owned()));
        PageFacts {
            class: self.class,
            order: self.order,
            refcount: self.refcount,
            state: self.state,
            finding: self.finding,
            holder_kind: own(self.holder_kind),
            holder: own(self.holder),
            holder_pid: self.holder_pid,
            allocator: self.allocator,
        }
    }
}

fn class_name<S: Serializer>(class: &Class, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_str(class.name())
}

fn state_name<S: Serializer>(state: &Standing, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_str(state.name())
}

fn class<'d, D: Deserializer<'d>>(deserializer: D) -> Result<Class, D::Error> {
    let name = Cow::<str>::deserialize(deserializer)?;
    Class::from_name(&name).ok_or_else(|| D::Error::custom("no class of pages"))
}

fn state<'d, D: Deserializer<'d>>(deserializer: D) -> Result<Standing, D::Error> {
    let name = Cow::<str>::deserialize(deserializer)?;
    Standing::from_name(&name).ok_or_else(|| D::Error::custom("no state of pages"))
}
