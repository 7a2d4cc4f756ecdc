//! Both sides as a page for a browser: a table, with strace's line, ours, and why. May touch: nothing.

use super::page::{SIGNS, ours, sign, summary, theirs, why};
use super::{Beside, Row};
use crate::outcome::visible;
use crate::packed::packed;
use crate::plan::show::lane_name;
use crate::trace::Screen;

/// The page. It loads nothing.
pub fn table(beside: &Beside, title: &str) -> String {
    let mut counts = String::new();
    summary(beside, Screen { width: 120, color: false }, "in the table below", &mut counts);
    let rows: String = beside.rows.iter().map(|one| row(beside, one)).collect();
    let page = packed!("beside/table.html");
    let parts = [("TITLE", escaped(title)), ("COUNTS", escaped(&counts)), ("SIGNS", escaped(SIGNS)), ("ROWS", rows)];
    let mut out = String::new();
    let mut rest = page;
    while let Some((before, after)) = rest.split_once("{{") {
        let (name, after) = after.split_once("}}").unwrap_or((after, ""));
        out.push_str(before);
        out.push_str(parts.iter().find(|(known, _)| *known == name).map_or("", |(_, text)| text));
        rest = after;
    }
    out + rest
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

/// A text that is no markup.
fn escaped(text: &str) -> String {
    let lines: Vec<String> = text.lines().map(|line| visible(line).into_owned()).collect();
    lines.join("\n").replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;").replace('"', "&quot;")
}
