//! Lists in order. The library's sorts take 4 KiB for each type of list; this one takes 300 bytes. May touch: nothing.

use core::cmp::min;

/// Sorts a list by a heap: what is alike comes in any order. `before`: whether the first of two comes before the second.
pub fn by<T>(list: &mut [T], before: impl Fn(&T, &T) -> bool) {
    let len = list.len();
    // First the heap is made, whose root is the last of all; then each root in turn goes to the end.
    for i in (0..len + len / 2).rev() {
        let mut at = i.saturating_sub(len);
        if i < len {
            list.swap(0, i);
            at = 0;
        }
        let heap = &mut list[..min(i, len)];
        loop {
            let mut child = 2 * at + 1;
            if child >= heap.len() {
                break;
            }
            if child + 1 < heap.len() && before(&heap[child], &heap[child + 1]) {
                child += 1;
            }
            if !before(&heap[at], &heap[child]) {
                break;
            }
            heap.swap(at, child);
            at = child;
        }
    }
}

/// Sorts a list by the order of its type.
pub fn sort<T: Ord>(list: &mut [T]) {
    by(list, |a, b| a < b);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lists_of_all_lengths_are_in_order() {
        let mut state = 1u32;
        for len in (0..40).chain([1000]) {
            for most in [1, 3, 1 << 20] {
                let mut next = || {
                    state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
                    (state >> 8) % most
                };
                let mut list: Vec<u32> = (0..len).map(|_| next()).collect();
                let mut wanted = list.clone();
                wanted.sort_unstable();
                sort(&mut list);
                assert_eq!(list, wanted);
                by(&mut list, |a, b| a > b);
                wanted.reverse();
                assert_eq!(list, wanted);
            }
        }
    }
}
