//! The texts of looks: each is used, and each name is known.

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
    let names: Vec<&str> = texts().lines().filter(|line| !line.starts_with([' ', '#']) && !line.is_empty()).collect();
    for name in &names {
        let (cause, cure) = (part(texts(), name, "cause"), part(texts(), name, "try"));
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
