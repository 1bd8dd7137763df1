//! Tables as wide as there is room for.

use super::page::{LABEL, Page};
use anstyle::Style;
use std::io;

/// Blanks between columns.
const GAP: usize = 2;

/// Least width in which the text of a last column is worth wrapping.
const REST: usize = 20;

/// A column: its heading, and how it takes part when room is scarce.
pub(crate) struct Column {
    pub(crate) heading: &'static str,
    pub(crate) kind: Kind,
}

/// How a column is written.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    /// The first column: `least` wide where there is room, cut to what the
    /// columns that are shown leave it where there is none.
    Label { least: usize },
    /// At the right of its column. Shown where the label has `label` columns
    /// left, else left out with all that follow.
    Right { label: usize },
    /// The same, at the left.
    Left { label: usize },
    /// Text at the end of the line, wrapped; left out where it has no room.
    Rest,
}

/// A row: a cell a column.
pub(crate) struct Row {
    pub(crate) style: Style,
    pub(crate) cells: Vec<String>,
}

/// Writes headings and rows.
pub(crate) fn print(columns: &[Column], rows: &[Row], page: &mut Page) -> io::Result<()> {
    let widths = fit(columns, rows, page.width());
    let headings = columns.iter().map(|column| column.heading.to_owned());
    line(columns, &widths, LABEL, &headings.collect::<Vec<_>>(), page)?;
    rows.iter()
        .try_for_each(|row| line(columns, &widths, row.style, &row.cells, page))
}

/// Writes rows only.
pub(super) fn rows(columns: &[Column], rows: &[Row], page: &mut Page) -> io::Result<()> {
    let widths = fit(columns, rows, page.width());
    rows.iter()
        .try_for_each(|row| line(columns, &widths, row.style, &row.cells, page))
}

/// The width of each column that is shown.
fn fit(columns: &[Column], rows: &[Row], room: usize) -> Vec<usize> {
    let natural = |index: usize, column: &Column| {
        let cells = rows.iter().filter_map(|row| row.cells.get(index));
        let lengths = cells.map(|cell| cell.chars().count());
        let heading = column.heading.chars().count();
        lengths.chain([heading]).max().unwrap_or(0)
    };
    let mut widths: Vec<usize> = Vec::new();
    // What is left of the line behind the label.
    let mut left = room;
    for (index, column) in columns.iter().enumerate() {
        let natural = natural(index, column);
        match column.kind {
            Kind::Label { least } => widths.push(natural.max(least)),
            Kind::Right { label } | Kind::Left { label } => {
                if left < label + GAP + natural {
                    break;
                }
                left -= GAP + natural;
                widths.push(natural);
            }
            Kind::Rest => {
                let label = widths.first().copied().unwrap_or(0);
                let rest = left.saturating_sub(label + GAP);
                if rest >= REST.min(natural) {
                    widths.push(rest.min(natural));
                }
            }
        }
    }
    if let Some(label) = widths.first_mut() {
        *label = (*label).min(left);
    }
    widths
}

fn line(
    columns: &[Column],
    widths: &[usize],
    style: Style,
    cells: &[String],
    page: &mut Page,
) -> io::Result<()> {
    let mut text = String::new();
    let mut more = Vec::new();
    let mut at = 0;
    for ((column, &width), cell) in columns.iter().zip(widths).zip(cells) {
        match column.kind {
            Kind::Label { .. } => text += &format!("{:<width$}", cut(cell, width)),
            Kind::Right { .. } => text += &format!("{:GAP$}{cell:>width$}", ""),
            Kind::Left { .. } => text += &format!("{:GAP$}{cell:<width$}", ""),
            Kind::Rest => {
                let mut lines = super::page::wrap(cell, width).into_iter();
                at = text.chars().count() + GAP;
                text += &format!("{:GAP$}{}", "", lines.next().unwrap_or_default());
                more = lines.collect();
            }
        }
    }
    page.line(style, &text)?;
    more.iter()
        .try_for_each(|text| page.line(style, &format!("{:at$}{text}", "")))
}

/// `text` in at most `width` columns.
pub(super) fn cut(text: &str, width: usize) -> String {
    if text.chars().count() <= width {
        return text.to_owned();
    }
    let kept = text.chars().take(width.saturating_sub(1));
    kept.chain(['…']).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::render::page::PLAIN;

    fn text(width: usize) -> Vec<String> {
        let columns = [
            Column {
                heading: "What",
                kind: Kind::Label { least: 0 },
            },
            Column {
                heading: "pages",
                kind: Kind::Right { label: 10 },
            },
            Column {
                heading: "count",
                kind: Kind::Right { label: 25 },
            },
            Column {
                heading: "name",
                kind: Kind::Rest,
            },
        ];
        let row = |cells: [&str; 4]| Row {
            style: PLAIN,
            cells: cells.map(str::to_owned).to_vec(),
        };
        let rows = [
            row(["free", "1,234,567", "1", "NR_FREE_PAGES"]),
            row([
                "kernel stacks of all the threads",
                "1",
                "",
                "NR_ONE less NR_TWO less NR_THREE",
            ]),
        ];
        let mut bytes = Vec::new();
        print(&columns, &rows, &mut Page::new(&mut bytes, width)).unwrap();
        let text = anstream::adapter::strip_bytes(&bytes).into_vec();
        let text = String::from_utf8(text).unwrap();
        text.lines().map(str::to_owned).collect()
    }

    #[test]
    fn with_room_everything_is_on_its_line() {
        let wide = text(120);
        assert_eq!(wide.len(), 3);
        assert!(
            wide[2].ends_with("  NR_ONE less NR_TWO less NR_THREE"),
            "{wide:?}"
        );
        assert_eq!(wide[0].find("name"), wide[1].find("NR_FREE"));
    }

    #[test]
    fn the_last_column_wraps() {
        let lines = text(77);
        assert_eq!(lines.len(), 4, "{lines:?}");
        let column = lines[0].find("name").unwrap();
        assert_eq!(lines[3].find("NR_THREE"), Some(column));
        assert!(lines.iter().all(|line| line.chars().count() <= 77));
    }

    #[test]
    fn without_room_columns_go_and_labels_are_cut() {
        let lines = text(50);
        assert!(lines[0].ends_with("pages  count"), "{lines:?}");
        assert!(lines[2].starts_with("kernel stacks of all the threads  "));
        let lines = text(40);
        assert!(lines[0].ends_with("  pages"), "{lines:?}");
        assert_eq!(lines[2], "kernel stacks of all the thr…          1");
        assert!(lines.iter().all(|line| line.chars().count() <= 40));
    }
}
