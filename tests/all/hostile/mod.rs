//! Attacks, each made in a real container, and what must come of them: handles and identity here, paths of a hostile
//! rootfs in `hostile::paths`, odd files in `hostile::files`, state and input in `hostile::state`. This table says which case defends against which threat:
//!
//! ```text
//!   ptrace and fds of the runtime (CVE-2016-9962)        runtime_inside_cannot_be_looked_into
//!   leaked handles (CVE-2024-21626)                      cwd_through_.., program_through_.., interpreter_through_..,
//!                                                        callers::callers_descriptor_7_stays_outside
//!   closed standard streams                              callers::closed_descriptors_0_to_2
//!   pid reuse                                            another_process_of_that_number
//!   symlink exchange (CVE-2021-30465)                    exchange_of_a_mount_target, targets_behind_links,
//!                                                        mounts::a_link_in_the_target_stays_inside
//!   mkdir race (CVE-2024-45310)                          exchange_while_directories_are_made, names_that_are_too_long
//!   /dev is a link (CVE-2026-41579, CVE-2026-47766)      dev_of_the_image_.., mounts::dev_that_is_a_link_stays_inside
//!   /proc or /sys is a link (CVE-2019-19921, ...)        proc_and_sys_.., mounts::proc_that_is_a_link_is_refused
//!   procfs replaced (CVE-2019-16884, CVE-2025-52881)     exchange_of_proc, volume_over_proc_or_dev
//!   masked path (CVE-2025-31133)                         null_of_a_volume_is_fake, dev_of_the_image_holds_other_files
//!   files written into the rootfs (CVE-2025-24965)       files_and_devices_behind_links
//!   container id as a path                               ids_in_every_command, lifecycle::bad_ids_are_refused
//!   cgroupsPath as a path                                cgroup_paths, damaged_state
//!   special files in the image                           passwd_.., program_.., mount_target_is_no_file, config_is_..
//!   caller's keyring, groups                             config::session_keyring_is_new, callers_groups_stay_outside
//!   caller's capabilities (CVE-2022-29162, -27650)       callers_capabilities_stay_outside
//!   caller's signals                                     blocked_signals, callers::blocked_and_ignored_signals_..
//!   TIOCSTI (CVE-2017-5226)                              terminal_of_the_caller, config::first_process_leads_a_session
//!   no_new_privs lost                                    config::no_new_privileges
//!   mount propagation                                    rootfs_on_a_shared_mount, mounts::what_is_mounted_inside_..
//!   umask of devices, of state files                     config::device_modes_.., state_files_under_umask_0
//!   damaged state                                        damaged_state
//!   two creates at once                                  lifecycle::of_8_parallel_creates_one_wins
//!   refused create leaves nothing                        refused_create_leaves_no_cgroup, injection::, refusals::
//!   writable hierarchy without a namespace               cgroups_without_a_namespace_are_read_only
//!     (CVE-2023-25809)
//!   exec: handles, keyring, ptrace                       exec_through_.., exec_has_.., exec_cannot_..
//!   seccomp by-pass                                      seccomp::other_ways_into_the_kernel
//!   runtime's own file (CVE-2019-5736)                   sealed::
//!   console (CVE-2025-52565)                             terminals::
//! ```

pub mod exec;
pub mod files;
pub mod fuzz;
pub mod paths;
pub mod planted;
pub mod state;

use crate::bundle::{Bundle, runtime, tool};
use crate::lifecycle::bring_to;
use crate::{Failed, Outcome, area, ensure, same};
use libtest_mimic::Trial;
use nix::mount::{MntFlags, MsFlags, umount2};
use nix::pty::openpty;
use serde_json::{Value, json};
use std::fs;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::Path;
use std::process::{Command, Stdio};

pub fn cases() -> Vec<Trial> {
    area(
        "hostile",
        &[
            ("cwd_through_a_descriptor", cwd_through),
            ("program_through_a_descriptor", program_through),
            ("interpreter_through_a_descriptor", interpreter_through),
            ("runtime_inside_cannot_be_looked_into", looked_into),
            ("callers_capabilities_stay_outside", inherited_capabilities),
            ("blocked_signals_stay_outside", blocked_signals),
            ("terminal_of_the_caller_stays_outside", terminal),
            ("rootfs_on_a_shared_mount", shared_rootfs),
        ],
    )
}

/// More descriptors than any runtime process has open.
const DESCRIPTORS: std::ops::Range<u32> = 3..24;

/// `run` by a caller that leaves descriptor 7 open on a directory of the host.
fn with_descriptor_7(bundle: &Bundle) -> Result<crate::bundle::Done, Failed> {
    bundle.write_config()?;
    let mut command = Command::new("/bin/sh");
    command.args(["-c", "exec \"$0\" \"$@\" 7</"]).arg(runtime());
    command.arg("--root").arg(bundle.state_root()).arg("run");
    command.arg("--bundle").arg(bundle.path("")).arg(&bundle.id).current_dir("/");
    bundle.finish(command)
}

/// CVE-2024-21626: a working directory that is a descriptor of the caller's, or of the runtime's own.
fn cwd_through() -> Outcome {
    let mut bundle = Bundle::plain()?;
    bundle.set("/root/readonly", json!(false))?;
    for number in DESCRIPTORS {
        let link = bundle.rootfs("link");
        symlink(format!("/proc/self/fd/{number}"), &link)?;
        let here = format!("/proc/self/fd/{number}");
        for cwd in [here.clone(), format!("{here}/../.."), "/link".into()] {
            bundle.set("/process/cwd", json!(cwd))?;
            with_descriptor_7(&bundle)?.refused("/process/cwd")?;
            bundle.nothing_left()?;
        }
        fs::remove_file(link)?;
    }
    bundle.clean()
}

/// The same for the program's own path.
fn program_through() -> Outcome {
    let mut bundle = Bundle::plain()?;
    let busybox = tool("busybox")?;
    bundle.set("/process/args", json!([format!("/proc/self/fd/7{}", busybox.display()), "true"]))?;
    with_descriptor_7(&bundle)?.refused("/process/args")?;
    let path = format!("PATH=/proc/self/fd/7{}", busybox.with_file_name("").display());
    bundle.set("/process/env/0", json!(path))?;
    bundle.set("/process/args", json!(["busybox", "true"]))?;
    with_descriptor_7(&bundle)?.refused("/process/args")?;
    bundle.clean()
}

/// The kernel opens the interpreter of a script before it closes what is close-on-exec: an image needs no leak, it can
/// try what the runtime itself has open.
fn interpreter_through() -> Outcome {
    let mut bundle = Bundle::plain()?;
    fs::create_dir(bundle.path("outside"))?;
    crate::bundle::copy_program(tool("busybox")?, bundle.path("outside/escape"))?;
    let ways = ["../../outside", "../outside", "outside"];
    let script = bundle.rootfs("bin/program");
    bundle.set("/process/args", json!(["/bin/program"]))?;
    let host = bundle.path("outside").display().to_string();
    for number in DESCRIPTORS {
        for way in ways.iter().map(|way| format!("/{way}")).chain([host.clone()]) {
            let interpreter = format!("/proc/self/fd/{number}{way}/escape");
            fs::write(&script, format!("#!{interpreter} true\n"))?;
            fs::set_permissions(&script, fs::Permissions::from_mode(0o755))?;
            let done = with_descriptor_7(&bundle)?;
            ensure!(done.status == 1 && done.err.contains("execve"), "{interpreter}: {done:?}");
        }
        // Where init waits for `start` it holds other descriptors.
        let interpreter = format!("/proc/self/fd/{number}/../../outside/escape");
        fs::write(&script, format!("#!{interpreter} true\n"))?;
        bundle.bundled(&["create"])?.ok()?;
        bundle.call(&["start", &bundle.id])?.refused("execve")?;
        bundle.call(&["delete", "--force", &bundle.id])?.ok()?;
    }
    bundle.clean()
}

/// CVE-2016-9962: between its first step inside and execve the runtime is a process like others there, with the ids of
/// the container's user. A root without CAP_SYS_PTRACE is what a container has at the most.
fn looked_into() -> Outcome {
    for uid in [0, 1000] {
        let mut bundle = Bundle::reporter(&["--sleep"])?;
        bundle.set("/process/user", json!({"uid": uid, "gid": uid}))?;
        bring_to(&bundle, "created")?;
        let pid = bundle.state()?["pid"].to_string();
        let look = |what: &str| -> Result<bool, Failed> {
            let mut command = Command::new(tool("setpriv")?);
            let drop = "-sys_ptrace,-sys_admin,-perfmon,-dac_override,-dac_read_search";
            command.arg(format!("--bounding-set={drop}"));
            command.args([&format!("--reuid={uid}"), &format!("--regid={uid}")]);
            command.arg("--clear-groups").arg(tool("busybox")?);
            command.args(what.split(' ')).current_dir("/");
            Ok(bundle.finish(command)?.status == 0)
        };
        let looks = ["readlink /proc/P/fd/0", "cat /proc/P/environ", "ls /proc/P/root/"];
        for what in looks.map(|what| what.replace('P', &pid)) {
            ensure!(!look(&what)?, "user {uid} may `{what}` before execve");
        }
        // The program itself can be looked at: it is the runtime's state that forbade it.
        bundle.call(&["start", &bundle.id])?.ok()?;
        bundle.until("running")?;
        ensure!(look(&format!("readlink /proc/{pid}/fd/0"))?, "the test is blind");
        bundle.call(&["delete", "--force", &bundle.id])?.ok()?;
        bundle.clean()?;
    }
    Ok(())
}

/// What a caller has in its inheritable and ambient sets, the program must not get.
fn inherited_capabilities() -> Outcome {
    for (uid, absent) in [(0, false), (1000, false), (0, true), (1000, true)] {
        let mut bundle = Bundle::reporter(&[])?;
        bundle.set("/process/user", json!({"uid": uid, "gid": uid}))?;
        if absent {
            bundle.remove("/process/capabilities")?;
        }
        bundle.write_config()?;
        let here = bundle.path("").to_string_lossy().into_owned();
        let inner = bundle.command(&["run", "--bundle", &here, &bundle.id])?;
        let mut command = Command::new(tool("setpriv")?);
        command
            .args(["--inh-caps=+sys_admin,+net_raw", "--ambient-caps=+net_raw"])
            .arg(inner.get_program())
            .args(inner.get_args())
            .current_dir("/");
        let done = bundle.finish(command)?.ok()?;
        let report: Value = serde_json::from_str(&done.out)?;
        for key in ["CapInh", "CapAmb"] {
            let set = report["status"][key].as_str().unwrap_or("?");
            ensure!(
                set.bytes().all(|digit| digit == b'0'),
                "user {uid}, capabilities absent: {absent}: {key} is {set}"
            );
        }
        bundle.clean()?;
    }
    Ok(())
}

fn blocked_signals() -> Outcome {
    let bundle = Bundle::reporter(&[])?;
    bundle.write_config()?;
    let here = bundle.path("").to_string_lossy().into_owned();
    let inner = bundle.command(&["run", "--bundle", &here, &bundle.id])?;
    let mut command = Command::new(tool("env")?);
    command
        .args(["--block-signal=USR1,TERM,CHLD", "--ignore-signal=CHLD,TTOU"])
        .arg(inner.get_program())
        .args(inner.get_args())
        .current_dir("/");
    let report: Value = serde_json::from_str(&bundle.finish(command)?.ok()?.out)?;
    let set = |key: &str| u64::from_str_radix(report["status"][key].as_str().unwrap_or("?"), 16);
    // The reporter's own libc ignores SIGPIPE (bit 12) and nothing else.
    same("blocked and ignored inside", (set("SigBlk")?, set("SigIgn")? & !(1 << 12)), (0, 0))?;
    bundle.clean()
}

/// CVE-2017-5226: input pushed into the caller's terminal (TIOCSTI) is for processes of its session alone.
fn terminal() -> Outcome {
    let pty = openpty(None, None)?;
    let words = ["--open", "/dev/tty", "--probe", "/proc/self/stat"];
    let bundle = Bundle::reporter(&words)?;
    bundle.write_config()?;
    let on_terminal = |program: &Path, words: &[&str]| -> Result<String, Failed> {
        let mut command = Command::new(tool("setsid")?);
        command.args(["--ctty", "--wait"]).arg(program).args(words);
        command.current_dir("/").stdin(Stdio::from(pty.slave.try_clone()?));
        Ok(bundle.finish(command)?.ok()?.out)
    };
    // Behind the name in parentheses: state, parent, group, session, terminal.
    let terminal = |stat: &str| -> Option<i64> {
        let (_, fields) = stat.rsplit_once(") ")?;
        fields.split(' ').nth(4)?.parse().ok()
    };
    let outside = on_terminal(&tool("cat")?, &["/proc/self/stat"])?;
    ensure!(terminal(&outside) > Some(0), "no terminal to keep: {outside}");
    let (root, here) = (bundle.state_root(), bundle.path(""));
    let (root, here) = (root.to_string_lossy(), here.to_string_lossy());
    let words = ["--root", &root, "run", "--bundle", &here, &bundle.id];
    let report: Value = serde_json::from_str(&on_terminal(&runtime(), &words)?)?;
    let tried = &report["tried"];
    let stat = tried["probe"]["/proc/self/stat"]["read"].as_str();
    same("its terminal", terminal(stat.unwrap_or("")), Some(0))?;
    same("/dev/tty", &tried["open"]["/dev/tty"], &json!({ "error": "ENXIO" }))?;
    bundle.clean()
}

/// The rootfs is a mount that its peers see every change of.
fn shared_rootfs() -> Outcome {
    let mut bundle = Bundle::shell("mount -t tmpfs inside /tmp && mount -t tmpfs inside /below")?;
    let nothing: Option<&str> = None;
    let rootfs = bundle.rootfs("");
    let at = |flags, from: Option<&Path>, to: &Path| nix::mount::mount(from, to, nothing, flags, nothing);
    at(MsFlags::MS_BIND, Some(&rootfs), &rootfs)?;
    at(MsFlags::MS_SHARED, None, &rootfs)?;
    let below = bundle.rootfs("below");
    fs::create_dir(&below)?;
    at(MsFlags::MS_BIND, Some(&bundle.rootfs("etc")), &below)?;
    at(MsFlags::MS_SHARED, None, &below)?;
    for set in ["bounding", "permitted", "effective"] {
        let pointer = format!("/process/capabilities/{set}/-");
        bundle.set(&pointer, json!("CAP_SYS_ADMIN"))?;
    }
    let before = fs::read_to_string("/proc/thread-self/mountinfo")?;
    for words in [&["run"][..], &["run", "--no-pivot"][..]] {
        bundle.bundled(words)?.ok()?;
        let after = fs::read_to_string("/proc/thread-self/mountinfo")?;
        same("the host's mounts", &after, &before)?;
    }
    umount2(&below, MntFlags::MNT_DETACH)?;
    umount2(&rootfs, MntFlags::MNT_DETACH)?;
    bundle.clean()
}
