//! How two reports belong together.

use super::result::{Relation, Relative};
use crate::moment::{Moment, agree, name};
use jiff::Timestamp;
use pagehound_model::Report;

/// Whether `a` and `b` are of one host, and the time between them.
pub(crate) fn of(a: &Report, b: &Report) -> Relation {
    let time = |report: &Report| {
        let text = report.host.captured_at.as_deref()?;
        text.parse::<Timestamp>().ok().map(Timestamp::as_second)
    };
    let seconds = time(b).zip(time(a)).and_then(|(b, a)| b.checked_sub(a));
    let boots = (&a.host.boot_id, &b.host.boot_id);
    let names = (name(a), name(b));
    let relative = match (boots, names) {
        ((Some(one), Some(other)), _) if one == other => Relative::SameBoot,
        (_, (Some(one), Some(other))) if one == other => Relative::SameHost,
        (_, (Some(_), Some(_))) => Relative::Others,
        // One of them redacted, for example.
        ((one, other), _)
            if agree(one.as_ref(), other.as_ref()) && Moment::of(a) == Moment::of(b) =>
        {
            Relative::SameBoot
        }
        _ => Relative::Unknown,
    };
    Relation { relative, seconds }
}

/// Whether many hosts are called that: those that nobody gave a name.
pub(crate) fn is_generic(name: &str) -> bool {
    let first = name.split('.').next().unwrap_or_default();
    matches!(first, "" | "(none)" | "localhost" | "unknown")
}
