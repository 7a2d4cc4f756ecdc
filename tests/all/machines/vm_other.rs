//! `run --mode vm --guest FILE`: machines of another architecture than this one. No program of theirs runs here, but for this
//! runtime's own file, which scripts/cross has built: it is the container's program, too.

use crate::bundle::{Bundle, patiently, runtime};
use crate::machine::{OTHERS, Other, kernels};
use crate::{Failed, Outcome, area, ensure, same};
use libtest_mimic::Trial;
use serde_json::json;
use std::fs;
use std::process::{Command, Stdio};

pub fn cases() -> Vec<Trial> {
    let trial = |name: &str, other: &'static Other, case: fn(&Other) -> Outcome| {
        let trial = Trial::test(format!("vm_other::{name}_{}", other.arch), move || case(other));
        trial.with_ignored_flag(!other.is_there())
    };
    let mut all: Vec<Trial> = OTHERS.iter().map(|other| trial("what_runs_on", other, whole)).collect();
    all.extend(OTHERS.iter().map(|other| trial("by_the_serial_line_on", other, serial)));
    all.extend(area("vm_other", &[("what_is_no_guest_is_refused", refused)]));
    all
}

/// A bundle with the program of that machine as its only file.
fn bundle(other: &Other, words: &[&str]) -> Result<Bundle, Failed> {
    let mut bundle = Bundle::plain()?;
    fs::remove_dir_all(bundle.rootfs("bin"))?;
    fs::copy(other.program(), bundle.rootfs("nk-runtime"))?;
    let words: Vec<&str> = [&["/nk-runtime"], words].concat();
    bundle.set("/process/args", json!(words))?;
    Ok(bundle)
}

fn command(bundle: &Bundle, other: &Other, words: &[&str]) -> Result<Command, Failed> {
    bundle.write_config()?;
    let text = |path: std::path::PathBuf| path.to_string_lossy().into_owned();
    let (guest, kernel, here) =
        (text(other.program()), text(kernels(other.arch).join("vmlinux")), text(bundle.path("")));
    let named = ["run", "--mode", "vm", "--guest", &guest, "--kernel", &kernel, "--bundle", here.trim_end_matches('/')];
    let mut command = bundle.command(&[&named, words, &[&bundle.id]].concat())?;
    command.env_remove("NK_VM_ACCEL").stdin(Stdio::null());
    Ok(command)
}

/// Output, standard error and status; then exec, state, kill and the trace, whose calls have this machine's names.
fn whole(other: &Other) -> Outcome {
    let once = bundle(other, &["inside"])?;
    let done = once.finish(command(&once, other, &["--keep"])?)?;
    same("status", done.status, 0)?;
    ensure!(done.out.contains("pid 1, parent 0"), "{done:?}");
    same("standard error", done.err.as_str(), "")?;
    let trace = once.call(&["trace", "--format", "strace", &once.id])?.ok()?.out;
    let last =
        trace.lines().filter(|line| line.contains("execve(\"/nk-runtime\", [\"/nk-runtime\", \"inside\"]")).count();
    ensure!(last == 1, "{trace}");
    for call in ["pivot_root(", "O_PATH|O_DIRECTORY", "st_mode=S_IFDIR|0755", "clone3({flags=CLONE_"] {
        ensure!(trace.contains(call), "no {call} in the trace:\n{trace}");
    }
    once.call(&["delete", &once.id])?.ok()?;
    once.clean()?;

    // It waits for the end of its input.
    let waits = bundle(other, &["mounts", "add", "x", "-"])?;
    let mut own = command(&waits, other, &[])?;
    own.stdin(Stdio::piped());
    let mut running = waits.start(own)?;
    let id = waits.id.clone();
    patiently("the machine", || Ok(waits.state().is_ok_and(|state| state["status"] == "running")))?;
    let done = waits.call(&["exec", &id, "/nk-runtime", "explain", "pivot_root"])?;
    ensure!(done.status == 0 && done.out.contains("pivot_root"), "{done:?}: {:?}", running.said());
    let done = waits.call(&["exec", &id, "/nk-runtime", "nosuch"])?;
    ensure!(done.status == 1 && done.err.contains("no command `nosuch`"), "{done:?}");
    let names = waits.call(&["ps", &id])?.ok()?.out;
    ensure!(names.contains("mounts add x -"), "{names}");
    // While it runs, its trace comes out of the machine, too.
    let trace = waits.call(&["trace", "--format", "strace", &id])?.ok()?.out;
    ensure!(trace.contains("pivot_root(") && !trace.contains("?("), "{trace}");
    drop(running.child.stdin.take());
    let done = waits.wait(running)?;
    ensure!(done.status == 1 && done.err.contains("EOF while parsing"), "{done:?}");
    waits.clean()
}

fn serial(other: &Other) -> Outcome {
    let bundle = bundle(other, &["explain", "nosuch"])?;
    let done = bundle.finish(command(&bundle, other, &["--serial"])?)?;
    ensure!(done.status == 1 && done.out.contains("nosuch"), "{done:?}");
    bundle.clean()
}

fn refused() -> Outcome {
    let bundle = Bundle::plain()?;
    bundle.write_config()?;
    let here = bundle.path("").to_string_lossy().into_owned();
    // The header of an ELF file for this machine's number.
    let file = |name: &str, number: u16, loader: bool| -> Result<String, Failed> {
        let mut bytes = vec![0u8; 256];
        bytes[..6].copy_from_slice(b"\x7fELF\x02\x01");
        bytes[18..20].copy_from_slice(&number.to_le_bytes());
        (bytes[32], bytes[56], bytes[64]) = (64, 1, if loader { 3 } else { 1 });
        fs::write(bundle.path(name), bytes)?;
        Ok(bundle.path(name).to_string_lossy().into_owned())
    };
    let foreign = if cfg!(target_arch = "aarch64") { (243, "riscv64") } else { (183, "aarch64") };
    let other = file("other", foreign.0, false)?;
    let loaded = file("loaded", foreign.0, true)?;
    let mips = file("mips", 8, false)?;
    let script = bundle.path("config.json").to_string_lossy().into_owned();
    let own = runtime().to_string_lossy().into_owned();
    let rows: &[(&[&str], String)] = &[
        (&["--guest", "/no/such"], "read --guest /no/such".into()),
        (&["--guest", "/"], "read --guest /".into()),
        (&["--guest", &script], "it is no program for Linux on a machine of 64 bits".into()),
        (&["--guest", &mips], "it is for machines of the number 8".into()),
        (&["--guest", &loaded], "it needs a loader, which the machine lacks".into()),
        (&["--guest", &other, "--accel", "kvm"], "--accel kvm: KVM is for".into()),
        (&["--guest", &other, "--qemu", "/bin/sh"], format!("a machine of {} needs a kernel of its own", foreign.1)),
        (&["--guest", &own, "--kernel", "/etc/passwd", "--qemu", "/bin/sh"], "/etc/passwd is no Linux kernel".into()),
    ];
    for (words, said) in rows {
        let tail = ["--bundle", here.as_str(), &bundle.id];
        let mut command = bundle.command(&[&["run", "--mode", "vm"], *words, &tail].concat())?;
        command.env_remove("NK_KERNEL").env_remove("NK_VM_ACCEL");
        bundle.finish(command)?.refused(said)?;
        bundle.nothing_left()?;
    }
    let tail = ["--bundle", here.as_str(), &bundle.id];
    let mut command =
        bundle.command(&[&["run", "--mode", "vm", "--guest", &other, "--qemu", "/bin/sh"][..], &tail].concat())?;
    command.env_remove("NK_KERNEL").env("NK_VM_ACCEL", "kvm");
    bundle.finish(command)?.refused("NK_VM_ACCEL=kvm: KVM is for")?;
    bundle.call(&[&["run", "--guest", &other][..], &tail].concat())?.refused("--guest is for --mode vm alone")?;
    bundle.clean()
}
