//! `--guest FILE`: nk-runtime for the machine, if that is to be of another architecture than this one. The file says which one.
//! May touch: system calls.

use super::arch::{ALL, Arch, OWN};
use super::kernel::{HEAD, number};
use super::needs::missing;
use crate::host::input::c;
use crate::outcome::{Doing, Error};
use syscalls::{At, Fd, OpenFlags, Why};

/// The program that is the machine's `/init`; none: this one.
pub struct Guest {
    pub arch: &'static Arch,
    pub file: Option<Fd>,
}

impl Guest {
    pub fn of(named: Option<&str>) -> Result<Guest, Error> {
        let Some(path) = named else {
            return Ok(Guest { arch: &OWN, file: None });
        };
        let doing = || format!("read --guest {path}");
        let why = Why("the machine's first process is this program, built for the machine");
        let file = syscalls::openat(At::CWD, &c(path)?, OpenFlags::O_NONBLOCK, why).doing(doing())?;
        let mut head = [0u8; HEAD];
        let len = syscalls::pread64(file.at(), &mut head, 0, why).doing(doing())?;
        let arch =
            arch_of(head.get(..len).unwrap_or(&[])).map_err(|what| missing(&format!("--guest {path}: {what}")))?;
        Ok(Guest { arch, file: Some(file) })
    }

    /// Whether the machine's processor is not this machine's, so that KVM is no help.
    pub fn is_foreign(&self) -> bool {
        *self.arch != OWN
    }
}

/// The architecture of a program (elf(5)) that can be `/init`.
fn arch_of(head: &[u8]) -> Result<&'static Arch, String> {
    const PT_INTERP: u64 = 3;
    static KNOWN: [Arch; 3] = ALL;
    if !head.starts_with(b"\x7fELF\x02\x01") {
        return Err("it is no program for Linux on a machine of 64 bits: name a file of nk-runtime".into());
    }
    let machine = number(head, 18, 2).unwrap_or(0);
    let Some(arch) = KNOWN.iter().find(|arch| u64::from(arch.number) == machine) else {
        return Err(format!(
            "it is for machines of the number {machine} (elf(5)), and not for x86_64, aarch64 or riscv64"
        ));
    };
    let (first, count) = (number(head, 32, 8).unwrap_or(0), number(head, 56, 2).unwrap_or(0));
    let kind = |i: u64| usize::try_from(first.checked_add(i * 56)?).ok().and_then(|at| number(head, at, 4));
    if (0..count).any(|i| kind(i) == Some(PT_INTERP)) {
        return Err("it needs a loader, which the machine lacks: nk-runtime is one static file".into());
    }
    match arch.number == 62 && *arch != OWN {
        // Its clock (`lacks_clock`) is known on the same processor alone.
        true => Err("machines of x86_64 start on x86_64 alone".into()),
        false => Ok(arch),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_program_says_for_which_machine_it_is() {
        let mut head = [0u8; 256];
        head[..6].copy_from_slice(b"\x7fELF\x02\x01");
        for arch in &ALL {
            head[18..20].copy_from_slice(&arch.number.to_le_bytes());
            let found = arch_of(&head);
            match arch.number == 62 && *arch != OWN {
                true => assert!(found.is_err()),
                false => assert_eq!(found, Ok(arch)),
            }
        }
        // PT_INTERP; then an unknown machine; then no program.
        head[18..20].copy_from_slice(&OWN.number.to_le_bytes());
        (head[32], head[56], head[64]) = (64, 1, 3);
        assert!(arch_of(&head).is_err_and(|what| what.contains("loader")));
        head[18] = 8;
        assert!(arch_of(&head).is_err_and(|what| what.contains("number 8")));
        assert!(arch_of(&head[..4]).is_err() && arch_of(b"#!/bin/sh").is_err() && arch_of(b"").is_err());
        // Headers beyond the bytes.
        head[18..20].copy_from_slice(&OWN.number.to_le_bytes());
        head[32..40].fill(0xff);
        assert!(arch_of(&head).is_ok());
    }
}
