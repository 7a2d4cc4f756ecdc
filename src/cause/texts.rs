//! The words for what a look has found. texts.txt says how its entries are written. May touch: text.

use crate::outcome::{middle, visible};
use crate::packed::packed;

fn texts() -> &'static str {
    packed!("cause/texts.txt")
}

/// Bytes of a value in a cause, which is the first line of a message. A cure has values whole, since people copy them.
const SHORT: usize = 72;

/// The cause and the cure of this name. Empty: there is none.
pub fn filled(name: &str, values: &[&str]) -> (String, String) {
    let values: Vec<String> = values.iter().map(|value| visible(value).into_owned()).collect();
    let short: Vec<String> = values.iter().map(|value| middle(value, SHORT)).collect();
    let (cause, cure) = (part(name, "cause"), part(name, "try"));
    (holes(&cause, &short), holes(&cure, &values))
}

/// One part of an entry, in one line.
fn part(name: &str, part: &str) -> String {
    let mut lines = texts().lines().skip_while(|line| *line != name).skip(1);
    let mut lines = lines.by_ref().take_while(|line| line.starts_with("  "));
    let first = lines.find_map(|line| line.trim_start().strip_prefix(part)?.strip_prefix(": ")).unwrap_or_default();
    let more = lines.map_while(|line| line.strip_prefix("    "));
    more.fold(first.into(), |text, more| text + " " + more)
}

/// A text with values in place of `{0}`, `{1}` ... What a value has in braces stays.
pub fn holes(text: &str, values: &[String]) -> String {
    let mut out = String::new();
    let mut rest = text;
    while let Some((before, after)) = rest.split_once('{') {
        out.push_str(before);
        let hole =
            after.split_once('}').and_then(|(number, after)| Some((values.get(number.parse::<usize>().ok()?)?, after)));
        match hole {
            Some((value, after)) => {
                out.push_str(value);
                rest = after;
            }
            None => {
                out.push('{');
                rest = after;
            }
        }
    }
    out + rest
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs;
    use std::path::Path;

    /// The texts of the source files below a folder.
    fn sources(folder: &Path, all: &mut String) {
        for entry in fs::read_dir(folder).into_iter().flatten().flatten() {
            match entry.path() {
                path if path.is_dir() => sources(&path, all),
                path if path.extension().is_some_and(|end| end == "rs") => {
                    let text = fs::read_to_string(path).unwrap_or_default();
                    all.push_str(text.split("#[cfg(test)]").next().unwrap_or_default());
                }
                _ => {}
            }
        }
    }

    #[test]
    fn each_cause_is_used_and_each_name_is_known() {
        let mut code = String::new();
        sources(&Path::new(env!("CARGO_MANIFEST_DIR")).join("src"), &mut code);
        let names: Vec<&str> =
            texts().lines().filter(|line| !line.starts_with([' ', '#']) && !line.is_empty()).collect();
        for name in &names {
            let (cause, cure) = (part(name, "cause"), part(name, "try"));
            assert!(!cause.is_empty() && !cure.is_empty(), "{name} lacks a part");
            assert!(cause.len() <= 150 && !cause.ends_with('.') && !cure.ends_with('.'), "{name}: {cause}: {cure}");
            assert!(code.contains(&format!("\"{name}\"")), "{name} is not used");
            assert_eq!(names.iter().filter(|other| *other == name).count(), 1, "{name} stands there twice");
        }
        for call in code.split("Found::new(").skip(1) {
            let Some(name) = call.trim_start().strip_prefix('"').and_then(|rest| rest.split('"').next()) else {
                continue;
            };
            assert!(names.contains(&name), "{name} has no entry");
        }
    }

    #[test]
    fn a_value_fills_its_hole_alone() {
        let values = ["a{1}".into(), "b".into()];
        assert_eq!(holes("{0} and {1}, {2} and {x", &values), "a{1} and b, {2} and {x");
        assert_eq!(middle("/a/long/path/of/many/parts", 13), "/a/lo...parts");
    }
}
