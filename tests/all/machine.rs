//! A machine of its own: QEMU without KVM, a kernel, an initramfs, two serial lines. Where QEMU or the kernel is not
//! there, the cases that need one are listed as ignored, and the word behind their area says what is missing.

use crate::bundle::{Bundle, Done, runtime, tool};
use crate::{Case, Failed, area, ensure};
use libtest_mimic::Trial;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

/// Debian's kernel starts with 86 MiB, and needs 80 to unpack itself.
pub const SMALL: u32 = 88;

/// The kernel: `NK_KERNEL`, or where scripts/kernel puts one.
pub fn kernel() -> PathBuf {
    let ours = Path::new(env!("CARGO_MANIFEST_DIR")).join("target/lab/vmlinuz");
    std::env::var_os("NK_KERNEL").map_or(ours, PathBuf::from)
}

pub const QEMU: &str = "qemu-system-x86_64";

/// The cases of an area that boots machines.
pub fn cases(name: &str, cases: &[Case]) -> Vec<Trial> {
    let missing = match (tool(QEMU), kernel().exists()) {
        (Err(_), _) => "without_qemu",
        (_, false) => "without_kernel",
        _ => return area(name, cases),
    };
    let all = area(&format!("{name}::{missing}"), cases);
    all.into_iter()
        .map(|trial| trial.with_ignored_flag(true))
        .collect()
}

/// What a machine has said.
pub struct Ended {
    /// The lines of its console.
    pub lines: Vec<String>,
    /// What came over the second serial line.
    pub status: String,
}

impl Ended {
    pub fn has(&self, words: &str) -> Result<(), Failed> {
        let found = self.lines.iter().any(|line| line.contains(words));
        ensure!(found, "the console should say `{words}`:\n{}", self.text());
        Ok(())
    }

    pub fn text(&self) -> String {
        self.lines.join("\n")
    }
}

/// Boots an initramfs and waits for the machine's end. microvm has no power switch: it ends by a restart.
pub fn boot(bundle: &Bundle, image: &Path, memory: u32, append: &str) -> Result<Ended, Failed> {
    let status = bundle.path("status");
    let mut command = Command::new(tool(QEMU)?);
    command
        .args("-M microvm,acpi=off,rtc=on -accel tcg -cpu max -nodefaults".split(' '))
        .args("-no-reboot -display none -serial stdio".split(' '))
        .args(["-m", &memory.to_string()])
        .arg("-chardev")
        .arg(format!("file,id=status,path={}", status.display()))
        .args(["-device", "isa-serial,chardev=status,index=1"])
        .arg("-kernel")
        .arg(kernel())
        .arg("-initrd")
        .arg(image)
        .arg("-append")
        .arg(format!(
            "console=ttyS0 panic=-1 reboot=t quiet nk.end=reboot {append}"
        ))
        .stdin(std::process::Stdio::null());
    let done = bundle.finish(command)?;
    ensure!(done.status == 0, "QEMU: {done:?}");
    Ok(Ended {
        lines: done
            .out
            .lines()
            .map(|line| line.trim_end().into())
            .collect(),
        status: fs::read_to_string(status)?.trim_end().into(),
    })
}

/// An initramfs with this bundle, by scripts/initramfs; `--demo`: with none.
pub fn image(bundle: &Bundle, what: &str) -> Result<PathBuf, Failed> {
    let image = bundle.path("image");
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("scripts/initramfs");
    let mut command = Command::new(script);
    command.arg(what).arg(&image).env("NK_RUNTIME", runtime());
    let done: Done = bundle.finish(command)?;
    done.ok()?;
    Ok(image)
}
