//! A comparison of traces as a page, and as a document for programs. May touch: types.

use super::calls::{Act, Calls, section};
use super::json::printed;
use super::page::{Page, pointers, several};
use super::pairs::{Kind, Pair};
use super::words::merged;
use crate::outcome::visible;
use crate::trace::{Screen, duration};
use serde_json::{Value, json};

const NOISE: &str = "Of one run each: less than twice as long, or less than 1 ms more (20 ms of a wait), is taken for noise, and is not told.";

/// So many calls of a section that only one trace has come to have a row each.
const FEW: usize = 3;

/// The page. Nothing, where both are the same. `each`: every call has a row, also where only one trace has come to a section.
pub fn page(all: &Calls, names: [&str; 2], each: bool, screen: Screen) -> String {
    let mut page = Page::new(screen);
    if all.is_same() && all.slow.is_empty() {
        return page.out;
    }
    page.head([0, 1].map(|side| format!("{}: {}", visible(names[side]), several(all.acts[side].len(), "call"))));
    let mut rest = all.pairs.as_slice();
    while let Some(first) = rest.first().and_then(|pair| all.either(pair)) {
        let name = section(first);
        let of_section = |pair: &&Pair| all.either(pair).is_some_and(|act| section(act) == name);
        let (pairs, after) = rest.split_at(rest.iter().take_while(of_section).count().max(1));
        let differ = pairs.iter().filter(|pair| pair.kind != Kind::Same);
        match lone(pairs).filter(|_| !each) {
            Some(kind) => in_one(&mut page, all, pairs, kind),
            None => differ.for_each(|pair| call(&mut page, all, pair)),
        }
        rest = after;
    }
    for pair in all.slow.iter().map(|at| &all.pairs[*at]) {
        if let (Some(act), Some([one, other])) = (all.either(pair), all.times(pair)) {
            page.section("times");
            page.row(
                '~',
                numbers(all, pair),
                &format!("{} -> {}: {}", duration(one), duration(other), said(act, false)),
            );
            page.why(NOISE);
        }
    }
    let count = |kind: Kind| all.pairs.iter().filter(|pair| pair.kind == kind).count();
    page.end(&format!(
        "{} only in the first, {} only in the second, {} changed, {} the same",
        several(count(Kind::Removed), "call"),
        count(Kind::Added),
        count(Kind::Changed),
        count(Kind::Same),
    ));
    page.out
}

/// The kind of all these pairs, if only one trace has come to this section. A few calls are shown each.
fn lone(pairs: &[Pair]) -> Option<Kind> {
    let kind = pairs.first()?.kind;
    let is_lone = matches!(kind, Kind::Removed | Kind::Added) && pairs.iter().all(|pair| pair.kind == kind);
    (is_lone && pairs.len() > FEW).then_some(kind)
}

/// One row for all calls of a section.
fn in_one(page: &mut Page, all: &Calls, pairs: &[Pair], kind: Kind) {
    let acts: Vec<&Act> = pairs.iter().filter_map(|pair| all.either(pair)).collect();
    let Some(first) = acts.first() else {
        return;
    };
    let mut names: Vec<&str> = Vec::new();
    for act in &acts {
        if !names.contains(&act.entry.r.name()) {
            names.push(act.entry.r.name());
        }
    }
    page.section(&section(first));
    let (sign, which) = if kind == Kind::Removed { ('-', "first") } else { ('+', "second") };
    let text = format!("{} that only the {which} has come to: {}", several(acts.len(), "call"), names.join(", "));
    page.row(sign, numbers(all, &pairs[0]), &text);
}

/// The row of a call, and its reason.
fn call(page: &mut Page, all: &Calls, pair: &Pair) {
    let Some(act) = all.either(pair) else {
        return;
    };
    page.section(&section(act));
    let acts = [0, 1].map(|side| all.act(pair, side));
    let (sign, mut text) = match acts {
        [Some(one), Some(other)] => {
            let results = one.steady.result != other.steady.result;
            ('~', merged(&said(one, results), &said(other, results)))
        }
        [Some(one), None] => ('-', said(one, false)),
        [None, other] => ('+', other.map_or(String::new(), |act| said(act, false))),
    };
    let from = pointers(acts.map(|act| act.map_or("", pointer)));
    if !from.is_empty() {
        text.push_str(&format!("  [{}]", visible(&from)));
    }
    page.row(sign, numbers(all, pair), &text);
    page.why(act.entry.r.why());
}

/// The call, and its result where it is asked for, or is no success.
fn said(act: &Act, result: bool) -> String {
    let text = match act.steady.result {
        "0" if !result => act.steady.call.clone(),
        result => format!("{} = {result}", act.steady.call),
    };
    visible(&text).into_owned()
}

fn pointer<'a>(act: &Act<'a>) -> &'a str {
    act.entry.piece.pointer(&act.entry.r)
}

/// The lines of the plans.
fn numbers(all: &Calls, pair: &Pair) -> [u16; 2] {
    [0, 1].map(|side| all.act(pair, side).map_or(0, |act| act.entry.r.line))
}

/// The document.
pub fn document(all: &Calls) -> String {
    let of = |pair: &Pair, value: &dyn Fn(&Act) -> Value| {
        json!([0, 1].map(|side| all.act(pair, side).map_or(Value::Null, value)))
    };
    let row = |pair: &Pair| {
        json!({
            "kind": pair.kind.name(),
            "section": all.either(pair).map(section),
            "line": of(pair, &|act| act.entry.r.line.into()),
            "call": of(pair, &|act| act.steady.call.as_str().into()),
            "result": of(pair, &|act| act.steady.result.into()),
            "pointer": of(pair, &|act| pointer(act).into()),
            "duration_ns": of(pair, &|act| act.entry.r.duration_ns.into()),
            "why": all.either(pair).map(|act| act.entry.r.why()),
        })
    };
    let differences: Vec<Value> = all.pairs.iter().filter(|pair| pair.kind != Kind::Same).map(row).collect();
    let times: Vec<Value> = all.slow.iter().map(|at| row(&all.pairs[*at])).collect();
    printed(&json!({"same": all.is_same(), "differences": differences, "times": times}))
}
