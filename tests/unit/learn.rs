//! The lessons as data: each has all its parts, each check is one that can be judged, each solution fits its bundle.

use crate::explain::{Book, kind};
use crate::learn::check::{Facts, asks, holds};
use crate::learn::{How, LESSONS, edit, find, rootless};
use crate::spec;

/// The columns of a terminal.
const WIDE: usize = 80;

#[test]
fn each_lesson_has_all_its_parts() {
    for lesson in LESSONS {
        let name = lesson.name;
        assert!(!lesson.title().is_empty() && lesson.title().len() <= 46, "{name}: {}", lesson.title());
        assert!(lesson.about().starts_with("In the end "), "{name} does not begin with its end state");
        let (_, text) = lesson.about().split_once("\n\n").unwrap_or_default();
        assert!((4..=8).contains(&text.lines().count()), "{name}: {} lines of text", text.lines().count());
        if lesson.how() == How::Demo {
            continue;
        }
        for part in ["look", "task", "solution"] {
            assert!(lesson.section(part).is_some_and(|text| !text.is_empty()), "{name} has no {part}");
        }
        let checks = lesson.checks();
        assert!(checks.len() > 1 && checks[0].wanted == "status 0", "{name} does not check the status first");
        for check in checks {
            assert!(holds(check.wanted, &Facts::default()).is_some(), "{name}: `{}` is no check", check.wanted);
            assert!(check.otherwise.len() > 20, "{name}: nothing is said where `{}` fails", check.wanted);
        }
        // A program can say anything. What really was done is what the kernel, the plan or the trace say.
        let real = lesson
            .checks()
            .into_iter()
            .any(|check| asks(check.wanted, &["own", "plan", "trace", "refused", "inspect", "line", "says"]));
        assert!(real, "{name} checks nothing but the status");
    }
}

#[test]
fn lines_of_lessons_fit_a_terminal() {
    for lesson in LESSONS {
        let sections = ["look", "task", "passed"].into_iter().filter_map(|name| lesson.section(name));
        for line in sections.chain([lesson.about()]).flat_map(str::lines) {
            assert!(line.chars().count() <= WIDE, "{}: {line}", lesson.name);
        }
    }
}

#[test]
fn what_a_lesson_names_is_explained() {
    let book = Book::read();
    for lesson in LESSONS {
        let look = lesson.section("look").unwrap_or("").lines();
        for name in look.filter_map(|line| line.strip_prefix("  nk-runtime explain ")) {
            let found = !book.find(name).is_empty() || !book.related(name).is_empty() || kind(name).is_some();
            assert!(found, "{}: explain {name}", lesson.name);
        }
    }
}

#[test]
fn solutions_fit_their_bundles() {
    for lesson in LESSONS.iter().filter(|lesson| lesson.how() != How::Demo) {
        let name = lesson.name;
        let (file, begin) = lesson.begins_with();
        let (why, edits) = lesson.solution(false);
        let solved = edit::apply(begin, &edits).unwrap_or_default();
        assert!(!why.is_empty() && solved != begin, "{name}: the solution changes nothing");
        assert!(serde_json::from_str::<spec::Value>(&solved).is_ok(), "{name}: {solved}");
        assert!(spec::parse(lesson.config.as_bytes()).is_ok(), "{name}");
        if file == "config.json" {
            assert!(spec::parse(solved.as_bytes()).is_ok(), "{name}: {solved}");
        }
        if lesson.needs("root") {
            continue;
        }
        let user = rootless(lesson.config, 1000, 1000).unwrap_or_default();
        assert!(spec::parse(user.as_bytes()).is_ok(), "{name}: {user}");
        let begin = if file == "config.json" { user.as_str() } else { begin };
        assert!(edit::apply(begin, &lesson.solution(true).1).is_some(), "{name}, without root");
    }
}

#[test]
fn names_and_numbers_find_lessons() {
    for (number, lesson) in LESSONS.iter().enumerate() {
        for word in [lesson.name, &number.to_string()] {
            assert_eq!(find(word).map(|(number, found)| (number, found.name)), Some((number, lesson.name)));
        }
    }
    assert!(find("no such").is_none() && find("99").is_none());
}
