//! What differs between two texts that are nearly alike, as `wdiff` shows it: `[-old-]` and `{+new+}`. May touch: text.

/// Longer texts are compared from both ends alone: the table of all pairs of words grows with the square.
const MOST: usize = 200;

/// Words with the blanks after them, and marks between words.
fn parts(text: &str) -> Vec<&str> {
    const MARKS: [char; 6] = [',', '(', ')', '|', '"', ';'];
    let mut parts = Vec::new();
    for word in text.split_inclusive(' ') {
        for part in word.split_inclusive(MARKS) {
            let end = part.len() - usize::from(part.ends_with(MARKS));
            let (word, mark) = part.split_at(end);
            parts.extend([word, mark].into_iter().filter(|part| !part.is_empty()));
        }
    }
    parts
}

/// Whether two parts are the same. A text's last word has no blank.
fn same(x: &str, y: &str) -> bool {
    x.trim_end() == y.trim_end()
}

fn longer<'a>(x: &'a str, y: &'a str) -> &'a str {
    if x.len() > y.len() { x } else { y }
}

/// Both texts as one.
pub fn merged(old: &str, new: &str) -> String {
    let (a, b) = (parts(old), parts(new));
    let alike = |(x, y): &(&&str, &&str)| same(x, y);
    let before = a.iter().zip(&b).take_while(alike).count();
    let mut out: String = a.iter().zip(&b).take(before).map(|(x, y)| longer(x, y)).collect();
    let (a, b) = (&a[before..], &b[before..]);
    let after = a.iter().rev().zip(b.iter().rev()).take_while(alike).count();
    let (a, end) = a.split_at(a.len() - after);
    let b = &b[..b.len() - after];
    let (mut gone, mut come) = (String::new(), String::new());
    for (side, part) in steps(a, b) {
        match side {
            Some(0) => gone.push_str(part),
            Some(_) => come.push_str(part),
            None => {
                mark(&mut gone, &mut come, &mut out);
                out.push_str(part);
            }
        }
    }
    mark(&mut gone, &mut come, &mut out);
    out.push_str(&end.concat());
    out
}

/// Writes what has gone and what has come. A blank that both end with stays outside.
fn mark(gone: &mut String, come: &mut String, out: &mut String) {
    let ends = |text: &str| text.is_empty() || text.ends_with(' ');
    let blank = ends(gone) && ends(come) && !(gone.is_empty() && come.is_empty());
    for (text, open, close) in [(gone, "[-", "-]"), (come, "{+", "+}")] {
        if !text.is_empty() {
            let text = core::mem::take(text);
            out.push_str(&format!("{open}{}{close}", if blank { text.trim_end() } else { &text }));
        }
    }
    if blank {
        out.push(' ');
    }
}

/// The parts in their order: of the first side (0), of the second (1), or of both.
fn steps<'a>(a: &[&'a str], b: &[&'a str]) -> Vec<(Option<usize>, &'a str)> {
    let mut steps = Vec::with_capacity(a.len() + b.len());
    let (mut i, mut j) = (0, 0);
    if a.len() <= MOST && b.len() <= MOST {
        // How many parts both have in common from here on, for each pair of places.
        let wide = b.len() + 1;
        let mut common = vec![0u16; (a.len() + 1) * wide];
        for i in (0..a.len()).rev() {
            for j in (0..b.len()).rev() {
                let (right, down) = (common[i * wide + j + 1], common[(i + 1) * wide + j]);
                common[i * wide + j] =
                    if same(a[i], b[j]) { common[(i + 1) * wide + j + 1] + 1 } else { right.max(down) };
            }
        }
        while i < a.len() && j < b.len() {
            if same(a[i], b[j]) {
                steps.push((None, longer(a[i], b[j])));
                (i, j) = (i + 1, j + 1);
            } else if common[(i + 1) * wide + j] >= common[i * wide + j + 1] {
                steps.push((Some(0), a[i]));
                i += 1;
            } else {
                steps.push((Some(1), b[j]));
                j += 1;
            }
        }
    }
    steps.extend(a[i..].iter().map(|part| (Some(0), *part)));
    steps.extend(b[j..].iter().map(|part| (Some(1), *part)));
    steps
}

#[cfg(test)]
mod tests {
    use super::merged;

    #[test]
    fn the_words_that_differ_are_marked() {
        for (old, new, wanted) in [
            ("set memory.max to 1", "set memory.max to 2", "set memory.max to [-1-]{+2+}"),
            ("mount x on /y (ro,nodev)", "mount x on /y (ro,nosuid,nodev)", "mount x on /y (ro,{+nosuid,+}nodev)"),
            ("mount x (ro,noexec)", "mount x (ro)", "mount x (ro[-,noexec-])"),
            ("all but A B C", "all but A C D", "all but A [-B-] C {+D+}"),
            ("all but A B", "all but B", "all but [-A-] B"),
            ("a b", "a b", "a b"),
            ("", "x", "{+x+}"),
        ] {
            assert_eq!(merged(old, new), wanted);
        }
    }
}
