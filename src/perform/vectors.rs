//! Room for execve's vectors of pointers, made before the clone: after it nothing is allocated. May touch: types.

use crate::entry::seal;
use crate::plan::{Hook, Strings};
use alloc::ffi::CString;
use core::ffi::{CStr, c_char};
use syscalls::Vector;

pub struct Room {
    argv: Vec<*const c_char>,
    envp: Vec<*const c_char>,
}

impl Room {
    pub fn new(args: usize, entries: usize) -> Room {
        // One more for the NULL, and one for HOME.
        let room = |len: usize| vec![core::ptr::null(); len + 2];
        Room { argv: room(args), envp: room(entries) }
    }

    /// As much as the largest of these needs.
    pub fn of<'a>(hooks: impl Iterator<Item = &'a Hook>) -> Room {
        let (mut args, mut entries) = (0, 0);
        for hook in hooks {
            args = args.max(hook.argv.len());
            entries = entries.max(match &hook.envp {
                Some(own) => own.len(),
                None => seal::environment().count(),
            });
        }
        Room::new(args, entries)
    }

    /// The vectors of these strings, as many as there is room for.
    pub fn fill<'a, 'b: 'a>(
        &'a mut self,
        argv: &'a [CString],
        envp: impl Iterator<Item = &'b CStr>,
    ) -> (Vector<'a>, Vector<'a>) {
        let argv = argv.iter().map(CString::as_c_str);
        (Vector::new(argv, &mut self.argv), Vector::new(envp, &mut self.envp))
    }

    /// The same, where the environment is one piece of memory. `home` comes after it.
    pub fn fill_block<'a>(
        &'a mut self,
        argv: &'a [CString],
        envp: &'a Strings,
        home: Option<&'a CStr>,
    ) -> (Vector<'a>, Vector<'a>) {
        let argv = argv.iter().map(CString::as_c_str);
        (Vector::new(argv, &mut self.argv), Vector::of_block(envp.block(), home, &mut self.envp))
    }
}
