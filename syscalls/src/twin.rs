//! A child of clone3 that shares this process's memory until its execve (CLONE_VM of clone(2)). It walks on a stack of its
//! own, and has its own copy of what this crate changes: which of the two a process uses, its stack tells.

use crate::arch;
use crate::hot::Hot;
use crate::start::{STACK, Stack};
use core::ptr;

static mut CHILD: Stack = Stack([0; STACK]);

#[inline(always)]
fn stack() -> usize {
    &raw const CHILD as usize
}

/// Whether the caller is such a child.
#[inline(always)]
pub(crate) fn is_child() -> bool {
    arch::stack_pointer().wrapping_sub(stack()) < STACK
}

/// Where a child begins: on its stack, in a function that gets one pointer and does not return.
pub(crate) struct Begin {
    pub function: unsafe extern "C" fn(*mut u8) -> !,
    pub argument: *mut u8,
}

/// The lowest byte of the child's stack, and how long it is, as clone3(2) takes them.
pub(crate) fn place() -> (u64, u64) {
    (stack() as u64, STACK as u64)
}

/// The child's state begins as a copy of this process's.
pub(crate) fn copy_state(from: &Hot, to: &Hot) {
    // SAFETY: a Hot is all atomics, and no process uses the copy yet.
    unsafe { ptr::copy_nonoverlapping(ptr::from_ref(from), ptr::from_ref(to).cast_mut(), 1) };
}
