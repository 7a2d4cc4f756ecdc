//! Lists in order, and names in places. The library's sorts take 4 KiB for each type of list; this one takes 300 bytes. May
//! touch: nothing.

use core::borrow::Borrow;
use core::cmp::min;

/// Where the search for a name begins: the hash FNV-1a (www.isthe.com/chongo/tech/comp/fnv), but of four bytes at once, with the
/// last step of MurmurHash3 (github.com/aappleby/smhasher), by which the last bytes count in all bits.
pub const fn hash(name: &[u8]) -> u32 {
    let (mut hash, mut rest) = (0x811c_9dc5 ^ name.len() as u32, name);
    while let Some((word, after)) = rest.split_first_chunk() {
        hash = (hash ^ u32::from_le_bytes(*word)).wrapping_mul(0x0100_0193);
        rest = after;
    }
    while let [byte, after @ ..] = rest {
        hash = (hash ^ *byte as u32).wrapping_mul(0x0100_0193);
        rest = after;
    }
    hash = (hash ^ hash >> 16).wrapping_mul(0x85eb_ca6b);
    hash ^ hash >> 13
}

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

/// Values by their keys, in the order of the keys. The library's map takes 6 KiB for each type of values; this one takes
/// less than 1 KiB, and moves what comes after a new key.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Table<K, V>(Vec<(K, V)>);

impl<K, V> Default for Table<K, V> {
    fn default() -> Table<K, V> {
        Table(Vec::new())
    }
}

impl<K: Ord, V> Table<K, V> {
    /// The place of a key, or the one that it would have.
    fn place<Q: Ord + ?Sized>(&self, key: &Q) -> Result<usize, usize>
    where
        K: Borrow<Q>,
    {
        self.0.binary_search_by(|(known, _)| known.borrow().cmp(key))
    }

    pub fn get<Q: Ord + ?Sized>(&self, key: &Q) -> Option<&V>
    where
        K: Borrow<Q>,
    {
        self.place(key).ok().map(|place| &self.0[place].1)
    }

    pub fn get_mut<Q: Ord + ?Sized>(&mut self, key: &Q) -> Option<&mut V>
    where
        K: Borrow<Q>,
    {
        self.place(key).ok().map(|place| &mut self.0[place].1)
    }

    pub fn insert(&mut self, key: K, value: V) {
        match self.place(&key) {
            Ok(place) => self.0[place].1 = value,
            Err(place) => self.0.insert(place, (key, value)),
        }
    }

    pub fn remove<Q: Ord + ?Sized>(&mut self, key: &Q) -> Option<V>
    where
        K: Borrow<Q>,
    {
        self.place(key).ok().map(|place| self.0.remove(place).1)
    }

    pub fn iter(&self) -> core::slice::Iter<'_, (K, V)> {
        self.0.iter()
    }

    pub fn iter_mut(&mut self) -> core::slice::IterMut<'_, (K, V)> {
        self.0.iter_mut()
    }

    /// Keeps the pairs for which this is true.
    pub fn retain(&mut self, keep: impl Fn(&(K, V)) -> bool) {
        self.0.retain(keep);
    }

    pub fn len(&self) -> usize {
        self.0.len()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_table_holds_what_was_put_last() {
        let mut table = Table::default();
        for key in [3, 1, 2, 1, 5] {
            table.insert(key, key * table.len());
        }
        assert_eq!(table.iter().copied().collect::<Vec<_>>(), [(1, 3), (2, 4), (3, 0), (5, 15)]);
        assert_eq!(
            (table.remove(&2), table.remove(&4), table.get(&2), table.get(&5)),
            (Some(4), None, None, Some(&15))
        );
    }

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
