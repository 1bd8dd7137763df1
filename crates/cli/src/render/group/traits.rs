//! Every trait with its table, and what passes for a cause but is none.

use super::{against, names, p, part, points};
use crate::render::Detail;
use crate::render::number::thousands;
use crate::render::page::{BAD, DOUBT, FAINT, LABEL, PLAIN, Page};
use crate::render::table::{self, Column, Kind, Row};
use pagehound_compare::{Association, GroupComparison, Standing};
use std::io;

/// Traits with a row, unless all are asked for.
const ROWS: usize = 10;

/// Traits that only go along, with the tables that show it.
pub(super) fn explained(
    group: &GroupComparison,
    detail: Detail,
    page: &mut Page,
) -> io::Result<()> {
    let explained = group.associations.iter().enumerate();
    let explained: Vec<(usize, &Association)> = explained
        .filter(|(_, of)| of.standing == Standing::Explained)
        .collect();
    if explained.is_empty() {
        return Ok(());
    }
    page.gap()?;
    page.line(LABEL, "Goes along with it, but does not matter by itself")?;
    let told = match detail {
        Detail::All => explained.len(),
        Detail::Usual => explained.len().min(ROWS / 2),
    };
    for (index, of) in explained.iter().take(told) {
        let by = of.explained_by.first().copied();
        let pair = group.adjusted.iter();
        let mut pair = pair.filter(|pair| pair.of == *index && Some(pair.by) == by);
        let within = pair
            .next()
            .zip(by.and_then(|by| group.associations.get(by)));
        let within = within.map(|(pair, by)| {
            let [with, without] = pair.strata;
            format!(
                "; but of hosts with {} {} leak with it and {} without, of the others {} and {}",
                names(by, Detail::Usual),
                part(with.with, ""),
                part(with.without, ""),
                part(without.with, ""),
                part(without.without, "")
            )
        });
        page.paragraph(
            2,
            PLAIN,
            &format!(
                "{}: {}{}",
                names(of, detail),
                against(of),
                within.unwrap_or_default()
            ),
        )?;
    }
    if explained.len() > told {
        let more = thousands((explained.len() - told) as u64);
        page.line(FAINT, &format!("  {more} more: see --all"))?;
    }
    Ok(())
}

/// Every trait with its table.
pub(super) fn table(group: &GroupComparison, detail: Detail, page: &mut Page) -> io::Result<()> {
    if group.associations.is_empty() {
        return Ok(());
    }
    let told = match detail {
        Detail::All => group.associations.len(),
        Detail::Usual => group.associations.len().min(ROWS),
    };
    let right = |heading| Column {
        heading,
        kind: Kind::Right { label: 24 },
    };
    let columns = [
        Column {
            heading: "Trait",
            kind: Kind::Label { least: 30 },
        },
        right("leak with"),
        right("without"),
        right("more of 100 (95 %)"),
        right("p corrected"),
        right(""),
    ];
    let rows = group.associations.iter().take(told);
    let rows: Vec<Row> = rows.map(|of| row(of, detail)).collect();
    page.gap()?;
    table::print(&columns, &rows, page)?;
    if group.associations.len() > told {
        let more = thousands((group.associations.len() - told) as u64);
        page.line(FAINT, &format!("  {more} more: see --all"))?;
    }
    Ok(())
}

fn row(of: &Association, detail: Detail) -> Row {
    let (style, standing) = match of.standing {
        Standing::Cohort => (BAD, "cohort"),
        Standing::Inseparable => (DOUBT, "or this"),
        Standing::Explained => (PLAIN, "explained"),
        Standing::Chance => (PLAIN, ""),
    };
    Row {
        style,
        cells: vec![
            format!("  {}", table::cut(&names(of, detail), 50)),
            part(of.with, ""),
            part(of.without, ""),
            points(of.difference),
            p(of.p_corrected),
            standing.to_owned(),
        ],
    }
}
