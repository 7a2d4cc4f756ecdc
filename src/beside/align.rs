//! Which calls of one process belong together. May touch: its neighbours.

/// A pair, or a call that one side has alone.
pub type Pair = (Option<usize>, Option<usize>);

/// How far it is looked for the place at which both sides go on.
const FAR: usize = 256;

/// Pairs two lists of so many calls. `same`: whether two calls say the same; `alike`: whether they are of one name.
pub fn pairs(
    counts: [usize; 2],
    same: impl Fn(usize, usize) -> bool,
    alike: impl Fn(usize, usize) -> bool,
) -> Vec<Pair> {
    let [theirs, ours] = counts;
    let (mut i, mut j, mut far) = (0, 0, FAR);
    let mut all = Vec::new();
    let both = |i: usize, j: usize| i < theirs && j < ours && same(i, j);
    while i < theirs && j < ours {
        if same(i, j) {
            all.push((Some(i), Some(j)));
            (i, j, far) = (i + 1, j + 1, FAR);
            continue;
        }
        // One call with another argument or result; or else so many calls that one side has alone.
        let changed = alike(i, j) && (both(i + 1, j + 1) || i + 1 == theirs && j + 1 == ours);
        let ways = (1..=far).flat_map(|steps| (0..=steps).map(move |down| (down, steps - down)));
        let met = if changed { None } else { { ways }.find(|(down, right)| both(i + down, j + right)) };
        match met {
            Some((down, right)) => {
                alone(&mut all, i..i + down, j..j + right, &alike);
                (i, j) = (i + down, j + right);
            }
            // What follows the last call of ours is another program's.
            None if !changed && j + 1 == ours => {
                all.push((None, Some(j)));
                j += 1;
            }
            None => {
                alone(&mut all, i..i + 1, j..j + 1, &alike);
                (i, j) = (i + 1, j + 1);
                if !changed {
                    // Two lists that have little in common are not searched again and again.
                    far = (far / 2).max(8);
                }
            }
        }
    }
    alone(&mut all, i..theirs, j..ours, &alike);
    all
}

/// Calls between two places at which both sides agree: those of one name are pairs, in their order.
fn alone(
    all: &mut Vec<Pair>,
    theirs: core::ops::Range<usize>,
    ours: core::ops::Range<usize>,
    alike: &impl Fn(usize, usize) -> bool,
) {
    let mut next = ours.start;
    for i in theirs {
        match (next..ours.end.min(next + FAR)).find(|j| alike(i, *j)) {
            Some(j) => {
                all.extend((next..j).map(|j| (None, Some(j))));
                all.push((Some(i), Some(j)));
                next = j + 1;
            }
            None => all.push((Some(i), None)),
        }
    }
    all.extend((next..ours.end).map(|j| (None, Some(j))));
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Letters that are the same agree; those that differ in case are alike.
    fn paired(theirs: &str, ours: &str) -> String {
        let (a, b) = (theirs.as_bytes(), ours.as_bytes());
        let alike = |i: usize, j: usize| a[i].eq_ignore_ascii_case(&b[j]);
        let all = pairs([a.len(), b.len()], |i, j| a[i] == b[j], alike);
        let letter = |text: &[u8], at: Option<usize>| at.map_or('-', |at| char::from(text[at]));
        all.into_iter().map(|(i, j)| format!("{}{} ", letter(a, i), letter(b, j))).collect()
    }

    #[test]
    fn calls_are_paired() {
        for (theirs, ours, wanted) in [
            ("abc", "abc", "aa bb cc "),
            ("ac", "abc", "aa -b cc "),
            ("abc", "ac", "aa b- cc "),
            ("aBc", "abc", "aa Bb cc "),
            ("abC", "abc", "aa bb Cc "),
            ("aaab", "aab", "aa aa a- bb "),
            ("axyd", "abcd", "aa x- y- -b -c dd "),
            ("axBd", "abcd", "aa x- Bb -c dd "),
            ("axyz", "ab", "aa -b x- y- z- "),
            ("", "ab", "-a -b "),
            ("ab", "", "a- b- "),
        ] {
            assert_eq!(paired(theirs, ours), wanted, "{theirs} {ours}");
        }
        let long = "abc".repeat(500);
        assert_eq!(paired(&long, &long[1..]).matches('-').count(), 1);
    }
}
