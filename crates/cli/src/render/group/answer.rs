//! The answer in a sentence.

use super::{against, names};
use crate::render::Detail;
use crate::render::number::{count, thousands};
use crate::render::page::{BAD, DOUBT, GOOD};
use anstyle::Style;
use pagehound_compare::{Conclusion, GroupComparison, Standing};

pub(super) fn answer(group: &GroupComparison) -> (Style, &'static str, String) {
    match group.conclusion {
        Conclusion::Cohort => {
            let cohort = group.associations.iter();
            let cohort = cohort.filter(|of| of.standing == Standing::Cohort);
            let told: Vec<String> = cohort
                .map(|of| format!("{}: {}", names(of, Detail::Usual), against(of)))
                .collect();
            (BAD, "COHORT", told.join("; and "))
        }
        Conclusion::None => (
            GOOD,
            "NO COHORT",
            "no driver, firmware, module or kernel is more frequent among the hosts that leak than \
             chance allows"
                .to_owned(),
        ),
        Conclusion::TooFew => (
            DOUBT,
            "TOO FEW TO TELL",
            format!(
                "with {}, {} of them leaking, even a trait that all of these have and no other \
                 would pass for chance",
                count(group.hosts, "host"),
                thousands(group.leaking)
            ),
        ),
        Conclusion::AllAlike => (
            DOUBT,
            "NOTHING TO COMPARE",
            alike(group),
        ),
    }
}

fn alike(group: &GroupComparison) -> String {
    let hosts = count(group.hosts, "host");
    let so = match &group.signature {
        Some(part) => format!(" with findings of `{part}`"),
        None => String::new(),
    };
    match (group.hosts, group.leaking) {
        (0, _) => "of no host it is proved whether it leaks".to_owned(),
        (1, 0) => format!("the one host with a proved answer does not leak{so}"),
        (1, _) => format!("the one host with a proved answer leaks{so}"),
        (_, 0) => format!("none of the {hosts} leaks{so}: add reports of some that do"),
        _ => format!("all {hosts} leak{so}: add reports of some that do not"),
    }
}
