//! A comparison of plans as a document for programs. Lists of two have the first side's value, then the second's. May touch: types.

use super::config::Change;
use super::lines::Comparison;
use super::pairs::Kind;
use super::sections;
use super::text::{Row, rows};
use serde_json::{Value, json};

pub fn document(all: &Comparison) -> String {
    let change = |change: &Change| json!({"pointer": change.at, "member": change.member, "value": change.values});
    let difference = |(section, row): (usize, Row)| {
        let (kind, items, changes) = match row {
            Row::Line(pair) => {
                let changes = pair.changes.iter().map(|at| change(&all.changes[*at])).collect();
                (pair.kind, [0, 1].map(|side| all.item(pair, side)), changes)
            }
            Row::Loose(loose) => (Kind::Inside, [None, None], vec![change(loose)]),
        };
        json!({
            "section": sections::title(section),
            "kind": kind.name(),
            "line": items.map(|item| item.map(|item| item.number)),
            "words": items.map(|item| item.map(|item| item.words.as_str())),
            "pointer": items.map(|item| item.map(|item| item.line.from.as_str())),
            "why": items[1].or(items[0]).map_or("", |item| item.line.why.0),
            "config": changes,
        })
    };
    let differences: Vec<Value> = rows(all).into_iter().map(difference).collect();
    printed(&json!({"same": all.is_same(), "differences": differences}))
}

pub fn printed(document: &Value) -> String {
    serde_json::to_string_pretty(document).unwrap_or_default() + "\n"
}
