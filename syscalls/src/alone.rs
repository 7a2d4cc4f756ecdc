//! A value that a whole process shares, without a lock: the program has one thread.

use core::cell::UnsafeCell;
use core::sync::atomic::{AtomicBool, Ordering::*};

/// A static that can change.
pub struct Alone<T> {
    /// Some code has the value at this moment.
    taken: AtomicBool,
    value: UnsafeCell<T>,
}

// SAFETY: `taken` gives the value to one caller at a time.
unsafe impl<T: Send> Sync for Alone<T> {}

impl<T> Alone<T> {
    pub const fn new(value: T) -> Alone<T> {
        Alone { taken: AtomicBool::new(false), value: UnsafeCell::new(value) }
    }

    /// Gives the value to `act`. `None`: `act` is called while another call of this has the value, and gets nothing.
    pub fn with<R>(&self, act: impl FnOnce(&mut T) -> R) -> Option<R> {
        if self.taken.swap(true, Acquire) {
            return None;
        }
        // SAFETY: until `taken` is given back, no other call comes so far.
        let result = act(unsafe { &mut *self.value.get() });
        self.taken.store(false, Release);
        Some(result)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_value_is_given_once_at_a_time() {
        let alone = Alone::new(1);
        assert_eq!(alone.with(|value| (core::mem::replace(value, 2), alone.with(|_| ()))), Some((1, None)));
        assert_eq!(alone.with(|value| *value), Some(2));
    }
}
