//! The runtime's own file cannot be written by what it runs (CVE-2019-5736): the program of the container is the runtime
//! itself, by `/proc/self/exe`, or by a script or a link that names it.

use crate::bundle::{Bundle, runtime};
use crate::users::{as_user, of_user};
use crate::{Outcome, area, ensure};
use libtest_mimic::Trial;
use serde_json::json;
use std::fs;
use std::os::fd::AsRawFd;
use std::os::unix::fs::{OpenOptionsExt, PermissionsExt, symlink};

pub fn cases() -> Vec<Trial> {
    area(
        "sealed",
        &[
            ("nobody_writes_through_proc_exe", || attack("/proc/self/exe")),
            ("nobody_writes_through_a_script", || attack("/script")),
            ("nobody_writes_through_a_link", || attack("/link")),
            ("a_process_of_the_container_while_it_waits", waiting),
            ("a_process_that_joins_a_container", joining),
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
