//! The runtime's own file cannot be written by what it runs (CVE-2019-5736): the program of the container is the runtime
//! itself, by `/proc/self/exe`, or by a script or a link that names it.

use crate::bundle::{Bundle, patiently, runtime};
use crate::cgroup::{end, start};
use crate::exec::box_of_sleep;
use crate::strace::traced_in_time;
use crate::users::{as_user, of_user};
use crate::{Failed, Outcome, area, ensure, same};
use libtest_mimic::Trial;
use serde_json::json;
use std::fs;
use std::os::fd::AsRawFd;
use std::os::unix::fs::{MetadataExt, OpenOptionsExt, PermissionsExt, symlink};
use std::path::PathBuf;

pub fn cases() -> Vec<Trial> {
    area(
        "sealed",
        &[
            ("nobody_writes_through_proc_exe", || attack("/proc/self/exe")),
            ("nobody_writes_through_a_script", || attack("/script")),
            ("nobody_writes_through_a_link", || attack("/link")),
            ("a_process_of_the_container_while_it_waits", waiting),
            ("a_process_that_joins_a_container", joining),
            ("exec_goes_on_from_a_file_that_cannot_be_written", exchanged),
            ("exec_begins_again_where_it_cannot_go_on", refused),
            ("where_mounts_may_not_be_copied", copied),
            ("the_trace_is_whole", whole),
            ("it_ends_where_it_was_executed_by_a_link", alone),
        ],
    )
}

/// Another container with the same processes waits for the runtime's process, and tries to write its program.
const SNIFF: &str = "for i in 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16 17 18 19 20; do for p in /proc/[0-9]*; do \
                     [ $p = /proc/1 ] && continue; if echo x >> $p/exe; then echo written; fi; done; sleep 0.05; done 2> /said; \
                     cat /said | sort | uniq -c | sort -rn";

fn attack(program: &str) -> Outcome {
    let binary = fs::read(runtime())?;
    let mut spy = Bundle::shell(SNIFF)?;
    spy.set("/root/readonly", json!(false))?;
    // The program lives long: it is the runtime, asked to follow a trace that never ends.
    spy.set("/process/args", json!(["sh", "-c", "sleep 100"]))?;
    spy.bundled(&["run", "--detach"])?.ok()?;
    let pid = spy.state()?["pid"].as_i64().unwrap_or(0);
    let mut bundle = Bundle::plain()?;
    symlink("/proc/self/exe", bundle.rootfs("link"))?;
    fs::write(bundle.rootfs("script"), "#!/proc/self/exe\n")?;
    fs::set_permissions(bundle.rootfs("script"), fs::Permissions::from_mode(0o755))?;
    bundle.set("/linux/namespaces/0", json!({"type": "pid", "path": format!("/proc/{pid}/ns/pid")}))?;
    // `inside` reads and ends; what counts is what its file can be opened for.
    bundle.set("/process/args", json!([program, "version"]))?;
    bundle.bundled(&["create"])?.ok()?;
    let waiting = bundle.state()?["pid"].as_i64().unwrap_or(0);
    let exe = format!("/proc/{waiting}/exe");
    // A handle such as an attacker would keep until nobody executes the file any more.
    let handle = fs::OpenOptions::new().read(true).custom_flags(nix::libc::O_PATH).open(&exe)?;
    let flags = nix::sys::statvfs::fstatvfs(&handle)?.flags();
    ensure!(flags.contains(nix::sys::statvfs::FsFlags::ST_RDONLY), "init's program is on a mount with {flags:?}");
    bundle.call(&["start", &bundle.id])?;
    bundle.call(&["delete", "--force", &bundle.id])?.ok()?;
    let again = format!("/proc/self/fd/{}", handle.as_raw_fd());
    let refused = fs::OpenOptions::new().append(true).open(&again);
    let known = [Some(nix::libc::EROFS), Some(nix::libc::ETXTBSY)];
    ensure!(
        refused.as_ref().is_err_and(|e| known.contains(&e.raw_os_error())),
        "the runtime's file can be opened: {refused:?}"
    );
    ensure!(fs::read(runtime())? == binary, "the runtime's file was changed");
    spy.call(&["delete", "--force", &spy.id])?.ok()?;
    bundle.clean()
}

/// A process that shares the pid namespace looks for every program that it can write.
fn waiting() -> Outcome {
    let mut spy = Bundle::shell(SNIFF)?;
    spy.set("/root/readonly", json!(false))?;
    for set in ["bounding", "effective", "permitted"] {
        spy.set(&format!("/process/capabilities/{set}"), json!(["CAP_SYS_PTRACE", "CAP_DAC_OVERRIDE", "CAP_KILL"]))?;
    }
    let out = spy.path("out");
    spy.bundled(&["create"])?.ok()?;
    let pid = spy.state()?["pid"].as_i64().unwrap_or(0);
    let mut bundle = Bundle::plain()?;
    bundle.set("/linux/namespaces/0", json!({"type": "pid", "path": format!("/proc/{pid}/ns/pid")}))?;
    bundle.set("/process/args", json!(["/proc/self/exe", "trace", "--follow", "nobody"]))?;
    bundle.bundled(&["create"])?.ok()?;
    spy.call(&["start", &spy.id])?.ok()?;
    bundle.call(&["start", &bundle.id])?;
    spy.until("stopped")?;
    let _ = out;
    bundle.call(&["delete", "--force", &bundle.id])?.ok()?;
    let said = fs::read_to_string(spy.rootfs("said")).unwrap_or_default();
    ensure!(!said.contains("written"), "{said}");
    spy.call(&["delete", "--force", &spy.id])?.ok()?;
    bundle.clean()
}

/// The container looks at each process that joins it, and may trace whom it sees.
fn joining() -> Outcome {
    let binary = fs::read(runtime())?;
    let mut spy = Bundle::shell(SNIFF)?;
    spy.set("/root/readonly", json!(false))?;
    for set in ["bounding", "effective", "permitted"] {
        spy.set(&format!("/process/capabilities/{set}"), json!(["CAP_SYS_PTRACE", "CAP_DAC_OVERRIDE", "CAP_KILL"]))?;
    }
    symlink("/proc/self/exe", spy.rootfs("link"))?;
    spy.bundled(&["create"])?.ok()?;
    spy.call(&["start", &spy.id])?.ok()?;
    while spy.status()? == "running" {
        spy.call(&["exec", &spy.id, "true"])?;
        for program in ["/proc/self/exe", "/link"] {
            spy.call(&["exec", &spy.id, program, "version"])?;
        }
    }
    let said = fs::read_to_string(spy.rootfs("said")).unwrap_or_default();
    ensure!(!said.contains("written"), "{said}");
    ensure!(fs::read(runtime())? == binary, "the runtime's file was changed");
    spy.call(&["delete", "--force", &spy.id])?.ok()?;
    spy.clean()
}

/// The command itself, while its program runs: no link of procfs leads to a file of the runtime's that can be written.
fn exchanged() -> Outcome {
    let bundle = box_of_sleep()?;
    start(&bundle)?;
    let words = ["exec", &bundle.id, "sleep", "1000"];
    let running = bundle.start(bundle.command(&words)?)?;
    let here = PathBuf::from(format!("/proc/{}", running.child.id()));
    patiently("the program", || {
        let trace = bundle.call(&["trace", &bundle.id, "--format", "strace"])?.ok()?.out;
        Ok(trace.contains("execve(\"/bin/sleep\""))
    })?;
    let own = fs::metadata(runtime())?;
    let mut links = vec![here.join("exe")];
    for folder in ["map_files", "fd"] {
        links.extend(fs::read_dir(here.join(folder))?.flatten().map(|entry| entry.path()));
    }
    let mut seen = 0;
    for link in links {
        let Ok(handle) = fs::OpenOptions::new().read(true).custom_flags(nix::libc::O_PATH).open(&link) else {
            continue; // it was closed meanwhile
        };
        let found = handle.metadata()?;
        if (found.dev(), found.ino()) == (own.dev(), own.ino()) {
            seen += 1;
            let flags = nix::sys::statvfs::fstatvfs(&handle)?.flags();
            ensure!(
                flags.contains(nix::sys::statvfs::FsFlags::ST_RDONLY),
                "{} leads to a mount with {flags:?}",
                link.display()
            );
        }
    }
    ensure!(seen >= 2, "only {seen} links lead to the runtime's file");
    let line = fs::read_to_string(here.join("cmdline"))?;
    ensure!(line.ends_with(&format!("{}\0", words.join("\0"))), "what ps shows: {line:?}");
    bundle.call(&["kill", "--all", &bundle.id, "KILL"])?.ok()?;
    same("status", bundle.wait(running)?.status, 137)?;
    end(bundle)
}

/// A kernel that keeps the file of a process as it is (no CONFIG_CHECKPOINT_RESTORE), or that does not map it again.
fn refused() -> Outcome {
    let bundle = box_of_sleep()?;
    start(&bundle)?;
    let calls = |option: Option<&str>| -> Result<String, Failed> {
        let listing = bundle.path("strace");
        let inner = bundle.command(&["exec", &bundle.id, "sh", "-c", "exit 7"])?;
        let done = bundle.finish(traced_in_time(&inner, &listing, option)?)?;
        same(&format!("{option:?}: {done:?}"), done.status, 7)?;
        Ok(fs::read_to_string(&listing)?)
    };
    let plain = calls(None)?;
    let went_on = plain.lines().any(|line| line.contains("PR_SET_MM_MAP") && line.ends_with("= 0"));
    ensure!(went_on != plain.contains("execveat("), "neither, or both: {plain}");
    // In the process that joins, the second prctl is another: that one is made to fail by `injection`.
    for option in ["mremap:error=ENOMEM", "mmap:error=EACCES:when=2", "mprotect:error=ENOMEM:when=2"] {
        let text = calls(Some(&format!("--inject={option}")))?;
        ensure!(text.contains("(INJECTED)") && text.contains("execveat("), "{option}: {text}");
    }
    end(bundle)
}

/// An ordinary user whose own file it is: a sealed copy.
fn copied() -> Outcome {
    let mut bundle = of_user(Bundle::plain()?)?;
    // Where a hook runs inside, somebody could be watching.
    bundle.set("/hooks", json!({"startContainer": [{"path": "/bin/true"}]}))?;
    let here = bundle.path("").to_string_lossy().into_owned();
    let words = ["--trace=strace", "run", "--bundle", &here, &bundle.id];
    let done = as_user(&bundle, &words)?;
    ensure!(done.status == 0, "{done:?}");
    for word in ["memfd_create(\"nk-runtime\"", "F_SEAL_WRITE", "execveat("] {
        ensure!(done.err.contains(word), "`{word}` should be in: {}", done.err);
    }
    bundle.clean()
}

fn whole() -> Outcome {
    let mut bundle = Bundle::plain()?;
    bundle.set("/hooks", json!({"startContainer": [{"path": "/bin/true"}]}))?;
    bundle.bundled(&["run"])?.ok()?;
    let trace = bundle.call(&["trace", &bundle.id, "--format", "strace"])?.ok()?.out;
    let name = |line: &str| line.split_whitespace().nth(1).and_then(|word| word.split('(').next()).map(String::from);
    let names: Vec<String> = trace.lines().filter_map(name).collect();
    let at = names.iter().position(|name| name == "execveat").ok_or("no execveat in the trace")?;
    ensure!(
        names[0] == "getpid" && names[at - 2..=at + 1] == ["open_tree", "mount_setattr", "execveat", "getpid"],
        "the trace begins with {:?}",
        &names[..=at + 1]
    );
    bundle.clean()
}

/// Alone in its pid namespace, what the program of an image could do is done by the runtime's own code: nothing.
fn alone() -> Outcome {
    for program in ["/proc/self/exe", "/link", "/script", "/proc/1/exe"] {
        let mut bundle = Bundle::plain()?;
        symlink("/proc/self/exe", bundle.rootfs("link"))?;
        fs::write(bundle.rootfs("script"), "#!/proc/self/exe run\n")?;
        fs::set_permissions(bundle.rootfs("script"), fs::Permissions::from_mode(0o755))?;
        bundle.set("/process/args", json!([program, "run", "x"]))?;
        // As one that was sealed would have it.
        bundle.set("/process/env/-", json!("NK_SEALED=0:00"))?;
        let done = bundle.bundled(&["run"])?;
        let words = done.err.contains("not executed by its name");
        // The script's name is an argument too many.
        ensure!(done.status == 1 && (words || program == "/script"), "{program}: {done:?}");
        bundle.clean()?;
    }
    Ok(())
}
