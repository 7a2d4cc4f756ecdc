//! Both sides as a page for a browser: a table, with strace's line, ours, and why. May touch: markup.

use super::page::{SIGNS, ours, sign, summary, theirs, why};
use super::{Beside, Row};
use crate::draw::markup::{escaped, with_words};
use crate::packed::packed;
use crate::plan::show::lane_name;
use crate::trace::Screen;

/// The page. It loads nothing.
pub fn table(beside: &Beside, title: &str) -> String {
    let mut counts = String::new();
    summary(beside, Screen { width: 120, color: false }, "in the table below", &mut counts);
    let rows: String = beside.rows.iter().map(|one| row(beside, one)).collect();
    let counts: Vec<String> = counts.lines().map(escaped).collect();
    let words = [
        ("{{TITLE}}", escaped(title)),
        ("{{COUNTS}}", counts.join("\n")),
        ("{{SIGNS}}", escaped(SIGNS)),
        ("{{ROWS}}", rows),
    ];
    with_words(packed!("beside/table.html"), &words.each_ref().map(|(name, text)| (*name, text.as_str())))
}

fn row(beside: &Beside, row: &Row) -> String {
    let number = row.theirs.map_or(String::new(), |call| format!("{}", beside.listing.lines[call.line].number));
    let cell = |text: Option<String>| escaped(&text.unwrap_or_default());
    let kind = if row.found.differs() { "differs" } else { "" };
    format!(
        "<tr class=\"{} {kind}\"><td>{number}<td>{}<td><code>{}</code><td>{}<td><code>{}</code><p>{}\n",
        lane_name(row.lane),
        lane_name(row.lane),
        cell(row.theirs.map(theirs)),
        sign(row.found),
        cell(ours(row)),
        cell(why(row, 0)),
    )
}
