//! `check`: it sees beforehand what would fail, says nothing fails where nothing does, and makes nothing.

pub mod floor;

use crate::bundle::{Bundle, Done, runtime, tool};
use crate::diagnosis::{says, situations};
use crate::users::{as_user, of_user};
use crate::{Failed, Outcome, area, ensure, real, same};
use libtest_mimic::Trial;
use serde_json::{Value, json};
use std::fs::{self, Permissions};
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::Path;
use std::process::Command;

pub fn cases() -> Vec<Trial> {
    area(
        "check",
        &[
            ("a_bundle_that_runs", good),
            ("what_a_look_can_see_is_seen", seen),
            ("programs_that_cannot_be_executed", programs),
            ("what_a_failure_says_is_said_before", agreeing),
            ("the_working_directory_is_entered_as_root", cwd),
            ("it_makes_nothing", makes_nothing),
            ("what_an_ordinary_user_lacks_is_seen", of_users),
            ("what_an_outer_container_hides_is_seen", nested),
            ("the_situations_that_people_report", situations::beforehand),
            ("each_bundle_as_it_runs", bundles),
            ("each_real_configuration_as_it_runs", reals),
            ("the_machine_alone", machine),
            ("fits_into_its_columns", columns),
        ],
    )
}

/// Checks a bundle, and says which rows would fail: place, cause and cure.
fn failing(done: &Done) -> Result<Vec<[String; 3]>, Failed> {
    let document: Value = serde_json::from_str(&done.out).map_err(|error| format!("{error}: {done:?}"))?;
    let rows = document["checks"].as_array().ok_or("no list of checks")?;
    let text = |row: &Value, key: &str| row[key].as_str().unwrap_or_default().to_owned();
    let fails = rows.iter().filter(|row| row["verdict"] == "fails");
    let all: Vec<[String; 3]> = fails.map(|row| ["place", "what", "try"].map(|key| text(row, key))).collect();
    same("status", done.status, i32::from(!all.is_empty()))?;
    ensure!(all.iter().all(|[_, _, cure]| !cure.is_empty()), "no cure: {all:?}");
    Ok(all)
}

fn check(bundle: &Bundle) -> Result<Vec<[String; 3]>, Failed> {
    failing(&bundle.bundled(&["check", "--format", "json"])?)
}

/// One row would fail: at this place, for this cause, with this cure.
fn one(bundle: Bundle, [place, cause, cure]: [&str; 3]) -> Outcome {
    let all = check(&bundle)?;
    fits(&all, [place, cause, cure])?;
    bundle.clean()
}

fn fits(all: &[[String; 3]], [place, cause, cure]: [&str; 3]) -> Outcome {
    let [[at, what, how]] = all else {
        return Err(format!("one failing row wanted, at {place}: {cause}: {all:?}").into());
    };
    same("place", at.as_str(), place)?;
    ensure!(what.contains(cause), "`{cause}` wanted: {what}");
    ensure!(how.contains(cure), "`{cure}` wanted: {how}");
    Ok(())
}

fn good() -> Outcome {
    let bundle = Bundle::plain()?;
    same("rows that would fail", check(&bundle)?, Vec::new())?;
    ensure!(!bundle.state_root().exists(), "a state root was made");
    bundle.clean()
}

fn put(bundle: &Bundle, path: &str, bytes: impl AsRef<[u8]>, mode: u32) -> Outcome {
    let path = bundle.rootfs(path);
    fs::create_dir_all(path.parent().ok_or("no parent")?)?;
    fs::write(&path, bytes)?;
    Ok(fs::set_permissions(path, Permissions::from_mode(mode))?)
}

/// A bundle with the program `/x`, which has these bytes.
fn program(bytes: impl AsRef<[u8]>, mode: u32) -> Result<Bundle, Failed> {
    let mut bundle = Bundle::plain()?;
    bundle.set("/process/args", json!(["/x"]))?;
    put(&bundle, "x", bytes, mode)?;
    Ok(bundle)
}

fn with(changes: &[(&str, Value)]) -> Result<Bundle, Failed> {
    let mut bundle = Bundle::plain()?;
    for (pointer, value) in changes {
        bundle.set(pointer, value.clone())?;
    }
    Ok(bundle)
}

fn seen() -> Outcome {
    let mount = |target: &str, kind: &str, source: &str, options: &[&str]| json!({"destination": target, "type": kind, "source": source, "options": options});
    let noexec = with(&[
        ("/mounts/-", mount("/srv", "bind", "/usr", &["bind", "noexec"])),
        ("/process/args", json!(["/srv/x"])),
    ])?;
    one(noexec, ["/mounts/7/options", "noexec", "take `noexec` out"])?;
    let missing = mount("/data", "bind", "/srv/nosuch", &["rbind"]);
    let last = |bundle: &Bundle| bundle.config["mounts"].as_array().map_or(0, |all| all.len() - 1);
    let bundle = with(&[("/mounts/-", missing)])?;
    let place = format!("/mounts/{}", last(&bundle));
    one(bundle, [&place, "/srv/nosuch", "make it"])?;
    let file = with(&[("/mounts/-", mount("/etc/passwd", "bind", "/etc", &["rbind"]))])?;
    let place = format!("/mounts/{}", last(&file));
    one(file, [&place, "/etc/passwd", "a file on a file"])?;
    let odd = with(&[("/mounts/-", mount("/t", "tmpfs", "t", &["bogus=1"]))])?;
    let place = format!("/mounts/{}", last(&odd));
    one(odd, [&place, "bogus", ""])?;

    let linked = Bundle::plain()?;
    fs::remove_dir(linked.rootfs("proc"))?;
    symlink("/tmp", linked.rootfs("proc"))?;
    one(linked, ["/mounts/0", "/proc", ""])?;

    let limit = json!([{"type": "RLIMIT_NOFILE", "soft": 1u64 << 40, "hard": 1u64 << 40}]);
    one(with(&[("/process/rlimits", limit)])?, ["/process/rlimits/0", "", ""])?;
    one(with(&[("/linux/cgroupsPath", json!("/a/../../b"))])?, ["/linux/cgroupsPath", "..", ""])?;
    let map = |inside: u32| json!({"containerID": inside, "hostID": 100000, "size": 10});
    let maps = json!([map(0), map(5)]);
    let overlap = with(&[
        ("/linux/namespaces/-", json!({"type": "user"})),
        ("/linux/uidMappings", maps.clone()),
        ("/linux/gidMappings", maps),
    ])?;
    one(overlap, ["/linux/uidMappings/1", "overlaps /linux/uidMappings/0", "ids of its own"])?;
    let mut names = Bundle::plain()?;
    let spaces = names.config["linux"]["namespaces"].as_array().cloned().unwrap_or_default();
    let others: Vec<Value> = spaces.into_iter().filter(|one| one["type"] != "uts").collect();
    names.set("/linux/namespaces", json!(others))?;
    one(names, ["/hostname", "uts", "linux.namespaces"])?;

    let hook = |path: &str| json!([{"path": path}]);
    one(with(&[("/hooks", json!({"poststop": hook("/srv/nohook")}))])?, ["/hooks/poststop/0", "/srv/nohook", ""])?;
    one(
        with(&[("/hooks", json!({"createRuntime": hook("/srv/nohook")}))])?,
        ["/hooks/createRuntime/0", "/srv/nohook", ""],
    )?;
    one(with(&[("/linux/sysctl", json!({"net.ipv4.nosuch": "1"}))])?, ["/linux/sysctl/net.ipv4.nosuch", "nosuch", ""])?;
    one(with(&[("/root/path", json!("/srv/norootfs"))])?, ["/root/path", "/srv/norootfs", ""])?;
    one(
        with(&[("/linux/namespaces/1/path", json!("/run/netns/none"))])?,
        ["/linux/namespaces/1/path", "/run/netns/none", ""],
    )
}

/// What the situations do not have of programs: most of them are looked at by the same look as after a failure.
fn programs() -> Outcome {
    let args = "/process/args/0";
    one(program("", 0o755)?, [args, "empty", ""])?;
    one(with(&[("/process/args/0", json!("nosuch"))])?, [args, "nosuch", ""])?;
    let begin = |bytes: &[u8]| {
        Ok::<_, Failed>(with(&[])?).and_then(|bundle| put(&bundle, "../data/x", bytes, 0o755).map(|()| bundle))
    };
    // A bind brings it, or hides what the rootfs has: the image is not looked at.
    for (bytes, cause, cure) in [
        (&b"MZ"[..], "/data/x is a Windows program", "a program for Linux"),
        (b"", "/data/x is an empty file", "copy the program again"),
        (b"#!/nosuch\n", "/data/x wants the interpreter /nosuch", "install /nosuch"),
    ] {
        let mut bundle = begin(bytes)?;
        put(&bundle, "data/x", "#!/bin/sh\n", 0o755)?;
        let source = bundle.path("data").to_string_lossy().into_owned();
        bundle.set(
            "/mounts/-",
            json!({"destination": "/data", "type": "bind", "source": source, "options": ["rbind"]}),
        )?;
        bundle.set(args, json!("/data/x"))?;
        one(bundle, [args, cause, cure])?;
    }
    for (kind, options, cause) in
        [("bind", json!(["rbind"]), "which has no such file"), ("tmpfs", json!([]), "mounts a new tmpfs at /data")]
    {
        let mut bundle = begin(b"")?;
        put(&bundle, "data/y", "#!/bin/sh\n", 0o755)?;
        let source = bundle.path("data").to_string_lossy().into_owned();
        bundle.set("/mounts/-", json!({"destination": "/data", "type": kind, "source": source, "options": options}))?;
        bundle.set(args, json!("/data/y"))?;
        let last = bundle.config["mounts"].as_array().map_or(0, |all| all.len() - 1);
        says(&bundle, "/data/y is not there: ", "a mount hides what the image has")?;
        one(bundle, [&format!("/mounts/{last}"), cause, "a mount hides what the image has at its place"])?;
    }
    // Mounts elsewhere, as engines have them, decide nothing.
    let mut other = program("", 0o755)?;
    other.set(
        "/mounts/-",
        json!({"destination": "/etc/passwd", "type": "bind", "source": "/etc/passwd", "options": ["bind"]}),
    )?;
    one(other, [args, "/x is an empty file", ""])?;
    // A bind of the host's directory may bring it, so the rootfs alone does not decide.
    let mut brought = program(fs::read(tool("true")?)?, 0o755)?;
    same("rows that would fail", check(&brought)?.len(), 1)?;
    // The loader lies there.
    let place = if cfg!(target_arch = "x86_64") { "/lib64" } else { "/lib" };
    let lib = json!({"destination": place, "type": "bind", "source": place, "options": ["rbind", "ro"]});
    brought.set("/mounts/-", lib)?;
    same("rows that would fail", check(&brought)?, Vec::new())?;
    ensure!(brought.bundled(&["check"])?.out.contains("unsure"), "it is not unsure");
    brought.clean()?;
    // So may a hook.
    let mut hooked = program("", 0o755)?;
    hooked.set("/hooks", json!({"createContainer": [{"path": tool("true")?.to_string_lossy()}]}))?;
    same("rows that would fail", check(&hooked)?, Vec::new())?;
    ensure!(hooked.bundled(&["check"])?.out.contains("but a hook of this bundle may bring it"), "it is not unsure");
    hooked.clean()
}

/// `run` fails at once, and says what `check` has said.
fn agreeing() -> Outcome {
    let mount = |target: &str, kind: &str, source: &str, options: &[&str]| json!({"destination": target, "type": kind, "source": source, "options": options});
    let profile = |default: &str, action: &str| json!({"defaultAction": default, "syscalls": [{"names": ["execve"], "action": action}]});
    let (last, text) = ("/mounts/-", "echo\n");
    let host = tempfile::tempdir()?;
    let hook = |name: &str, bytes: &str| -> Result<(String, Value), Failed> {
        let path = host.path().join(name);
        fs::write(&path, bytes)?;
        fs::set_permissions(&path, Permissions::from_mode(0o755))?;
        let path = path.to_string_lossy().into_owned();
        Ok((path.clone(), json!({"createRuntime": [{"path": path}]})))
    };
    let (text, script) = (hook("text", text)?, hook("script", "#!/nosuch\n")?);
    let wants = format!("{} wants the interpreter /nosuch, which is not on this machine", script.0);
    for (pointer, value, cause, cure) in [
        (
            last,
            mount("/t", "ext4", "/etc/passwd", &[]),
            "/etc/passwd is a file, and ext4 lies on a block device",
            "losetup",
        ),
        (last, mount("/t", "nosuchfs", "t", &[]), "this kernel has no file system nosuchfs", "modprobe nosuchfs"),
        (
            last,
            mount("/proc/no", "tmpfs", "t", &[]),
            "the mount point /proc/no does not exist, and the proc at",
            "outside of /proc",
        ),
        (
            last,
            mount("/sys/no", "tmpfs", "t", &[]),
            "the mount point /sys/no does not exist, and the sysfs at",
            "outside of /sys",
        ),
        ("/hooks", text.1, &format!("{} is a text", text.0), "begin it with `#!/bin/sh`"),
        ("/hooks", script.1, &wants, "install /nosuch"),
        (
            "/linux/sysctl",
            json!({"net.ipv4.ip_forward": "yes"}),
            "net.ipv4.ip_forward does not take yes; on the host it is",
            "",
        ),
        (
            "/linux/seccomp",
            profile("SCMP_ACT_ALLOW", "SCMP_ACT_ERRNO"),
            "the seccomp profile answers execve with EPERM (config.json /linux/seccomp/syscalls/0)",
            "allow execve",
        ),
        (
            "/linux/seccomp",
            json!({"defaultAction": "SCMP_ACT_ERRNO", "defaultErrnoRet": 13}),
            "the seccomp profile answers execve with EACCES (config.json /linux/seccomp/defaultAction)",
            "allow execve",
        ),
        (
            "/linux/netDevices",
            json!({"nosuch0": {}}),
            "the host has no network interface nosuch0: it has ",
            "ip link add",
        ),
        ("/linux/intelRdt", json!({"closID": "x"}), "no resctrl file system is mounted", "mount -t resctrl"),
        ("/process/args/2", json!("x".repeat(140_000)), "the argument has 140001 bytes", "put the value into a file"),
    ] {
        if pointer == "/linux/intelRdt" && Path::new("/sys/fs/resctrl/schemata").exists() {
            continue;
        }
        let bundle = with(&[(pointer, value)])?;
        says(&bundle, cause, cure)?;
        bundle.clean()?;
    }
    // A rule with conditions may let this execve pass, and a set of many rules decides for each call.
    let rules = json!([{"names": ["execve"], "action": "SCMP_ACT_ERRNO", "args": [{"index": 0, "value": 0, "op": "SCMP_CMP_EQ"}]}]);
    let bundle = with(&[("/linux/seccomp", json!({"defaultAction": "SCMP_ACT_ALLOW", "syscalls": rules}))])?;
    bundle.bundled(&["run"])?.ok()?;
    bundle.clean()
}

/// The first process enters it before it becomes the program's user.
fn cwd() -> Outcome {
    let mut bundle = Bundle::plain()?;
    fs::create_dir(bundle.rootfs("closed"))?;
    fs::set_permissions(bundle.rootfs("closed"), Permissions::from_mode(0o700))?;
    bundle.set("/process/cwd", json!("/closed"))?;
    bundle.set("/process/user", json!({"uid": 1000, "gid": 1000}))?;
    bundle.set("/process/capabilities", json!({}))?;
    bundle.bundled(&["run"])?.ok()?;
    bundle.clean()
}

/// It opens files to read them, and asks the kernel what it knows. It changes nothing.
fn makes_nothing() -> Outcome {
    let mut bundle = Bundle::plain()?;
    bundle.set("/mounts/-", json!({"destination": "/t", "type": "tmpfs", "source": "t", "options": ["size=1m"]}))?;
    bundle.set("/linux/sysctl", json!({"net.ipv4.ip_forward": "1"}))?;
    bundle.set("/linux/resources/pids", json!({"limit": 5}))?;
    bundle.set("/hooks", json!({"createRuntime": [{"path": tool("true")?.to_string_lossy()}]}))?;
    bundle.write_config()?;
    let listing = bundle.path("listing");
    let mut command = Command::new(tool("strace")?);
    command.args(["-f", "-o"]).arg(&listing).arg(runtime()).arg("--root").arg(bundle.state_root());
    command.args(["check", "--bundle", &here(&bundle), &bundle.id]);
    bundle.finish(command)?;
    let listing = fs::read_to_string(&listing)?;
    let calls = listing.lines().filter_map(|line| line.split_once(' ')?.1.trim_start().split_once('('));
    let changes = calls.filter(|(name, rest)| match *name {
        "open" | "openat" | "openat2" => {
            ["O_WRONLY", "O_RDWR", "O_CREAT", "O_TRUNC"].iter().any(|flag| rest.contains(flag))
        }
        "write" => !rest.starts_with("1, "),
        "mount_setattr" => !rest.contains("attr_set=0, attr_clr=0, propagation=0"),
        "fsconfig" => rest.contains("CMD"),
        name => CHANGING.split(' ').any(|one| one == name),
    });
    same("calls that change something", changes.collect::<Vec<_>>(), Vec::new())?;
    ensure!(!bundle.state_root().exists(), "a state root was made");
    bundle.clean()
}

const CHANGING: &str = "clone clone3 fork vfork unshare setns mount move_mount fsmount umount2 pivot_root chroot mkdir mkdirat mknod \
                        mknodat rename renameat renameat2 link linkat symlink symlinkat unlink unlinkat rmdir chmod fchmod fchmodat \
                        chown fchown fchownat truncate ftruncate bpf sethostname setuid setgid setgroups capset kill tgkill \
                        pidfd_send_signal socket connect keyctl add_key pwrite64 writev sendmsg sendto";

/// What only an ordinary user lacks: ids of /etc/subuid, and cgroups.
fn of_users() -> Outcome {
    let check = |bundle: &Bundle| failing(&as_user(bundle, &["check", "--format", "json", "--bundle", &here(bundle)])?);
    let fine = of_user(Bundle::plain()?)?;
    same("rows that would fail", check(&fine)?, Vec::new())?;
    fine.clean()?;
    let mut ids = of_user(Bundle::plain()?)?;
    let maps = json!([{"containerID": 0, "hostID": 7_000_000, "size": 65536}]);
    ids.set("/linux/uidMappings", maps.clone())?;
    ids.set("/linux/gidMappings", maps)?;
    let found = check(&ids)?;
    ensure!(
        found.iter().any(|[at, _, cure]| at.starts_with("/linux/uidMappings") && cure.contains("subuid")),
        "{found:?}"
    );
    ids.clean()?;
    let mut group = of_user(Bundle::plain()?)?;
    group.set("/linux/resources/pids", json!({"limit": 5}))?;
    let found = check(&group)?;
    ensure!(found.iter().any(|[at, _, cure]| at.starts_with("/linux/") && cure.contains("elegat")), "{found:?}");
    group.clean()?;
    let mut lacks = of_user(Bundle::plain()?)?;
    let spaces = lacks.config["linux"]["namespaces"].as_array().cloned().unwrap_or_default();
    lacks
        .set("/linux/namespaces", json!(spaces.into_iter().filter(|one| one["type"] != "user").collect::<Vec<_>>()))?;
    lacks.remove("/linux/uidMappings")?;
    lacks.remove("/linux/gidMappings")?;
    fits(&check(&lacks)?, ["/linux/namespaces", "not root", "spec --rootless"])?;
    lacks.clean()
}

fn here(bundle: &Bundle) -> String {
    bundle.path("").to_string_lossy().into_owned()
}

/// In namespaces of another container: what the kernel refuses there.
fn nested() -> Outcome {
    for (before, kind, cause) in [
        ("mount -t tmpfs t /proc/acpi 2>/dev/null || mount -t tmpfs t /proc/fs", "user", "mask"),
        ("echo 0 >/proc/sys/user/max_user_namespaces", "user", "user namespace"),
        ("mount --bind $1 $1; mount -o remount,bind,ro $1", "", "read-only"),
    ] {
        let mut bundle = Bundle::plain()?;
        if kind == "user" {
            bundle.set("/linux/namespaces/-", json!({"type": "user"}))?;
            for list in ["uidMappings", "gidMappings"] {
                bundle.set(&format!("/linux/{list}"), json!([{"containerID": 0, "hostID": 0, "size": 1}]))?;
            }
            bundle.set("/mounts", json!([{"destination": "/proc", "type": "proc", "source": "proc"}]))?;
        } else {
            bundle.set("/mounts/-", json!({"destination": "/not/there", "type": "tmpfs", "source": "t"}))?;
        }
        bundle.write_config()?;
        let mut command = Command::new(tool("unshare")?);
        command.args(["--user", "--map-root-user", "--mount", "--pid", "--fork", "--mount-proc", "/bin/sh", "-c"]);
        command.arg(format!("{before}; shift; exec \"$@\"")).arg("sh").arg(bundle.rootfs("")).arg(runtime());
        command.arg("--root").arg(bundle.state_root()).args(["check", "--format", "json", "--bundle", &here(&bundle)]);
        let done = bundle.finish(command)?;
        let found = failing(&done)?;
        ensure!(found.iter().any(|[_, what, _]| what.contains(cause)), "`{cause}` wanted: {found:?}: {done:?}");
        bundle.clean()?;
    }
    Ok(())
}

/// Makes a container, lets its program begin, and takes it away: whether the runtime could.
fn works(bundle: &Bundle, words: &[&str]) -> Result<(bool, String), Failed> {
    let id = bundle.id.as_str();
    let made = bundle.call(&[&["create"], words, &[id]].concat())?;
    let begun = if made.status == 0 { bundle.call(&["start", id])? } else { made };
    bundle.call(&["delete", "--force", id])?;
    Ok((begun.status == 0, begun.err))
}

/// What `check` says is what happens.
fn agrees(bundle: &Bundle, name: &str, words: &[&str]) -> Outcome {
    let checked = failing(&bundle.call(&[&["check", "--format", "json"], words, &[&bundle.id]].concat())?)?;
    let (works, said) = works(bundle, words)?;
    ensure!(checked.is_empty() == works, "{name}: check says {checked:?}, and it works: {works}: {said}");
    Ok(())
}

fn bundles() -> Outcome {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("bundles");
    let mut count = 0;
    for entry in fs::read_dir(folder)? {
        let path = entry?.path();
        let mut bundle = Bundle::plain()?;
        let mut config: Value = serde_json::from_str(&fs::read_to_string(path.join("config.json"))?)?;
        // Without a console socket `create` makes no terminal.
        config["process"]["terminal"] = json!(false);
        bundle.config = config;
        bundle.write_config()?;
        let (path, config) = (path.to_string_lossy(), bundle.path("config.json"));
        agrees(&bundle, &path, &["--bundle", &path, "--config", &config.to_string_lossy()])?;
        bundle.clean()?;
        count += 1;
    }
    ensure!(count > 10, "{count} bundles");
    Ok(())
}

fn reals() -> Outcome {
    for (name, _) in real::REAL {
        // As it is, and with what belongs to another machine's engine left out.
        for stripped in [false, true] {
            let mut bundle = Bundle::plain()?;
            let (args, root) = (bundle.config["process"]["args"].clone(), bundle.config["root"]["path"].clone());
            bundle.config = real::config(name)?;
            bundle.set("/process/terminal", json!(false))?;
            if stripped {
                bundle.set("/process/args", args)?;
                bundle.set("/root/path", root)?;
                let mounts = bundle.config["mounts"].as_array().cloned().unwrap_or_default();
                let own = mounts.into_iter().filter(|mount| mount["type"] != "bind");
                bundle.set("/mounts", json!(own.collect::<Vec<_>>()))?;
            }
            bundle.write_config()?;
            agrees(&bundle, name, &["--bundle", &here(&bundle)])?;
            bundle.clean()?;
        }
    }
    Ok(())
}

fn machine() -> Outcome {
    let bundle = Bundle::plain()?;
    let mut command = bundle.command(&["check"])?;
    command.current_dir(bundle.rootfs(""));
    let done = bundle.finish(command)?.ok()?;
    ensure!(done.out.contains("only this machine was looked at"), "{done:?}");
    ensure!(done.out.contains("host kernel") && !done.out.contains("/process"), "{done:?}");
    bundle.call(&["check", "--bundle", "/srv/nobundle"])?.refused("config.json")?;
    bundle.clean()
}

fn columns() -> Outcome {
    let bundle = with(&[("/root/path", json!("/srv/norootfs")), ("/linux/sysctl", json!({"net.ipv4.nosuch": "1"}))])?;
    let text = bundle.bundled(&["check"])?.out;
    ensure!(text.lines().all(|line| line.chars().count() <= 80), "{text}");
    ensure!(text.ends_with("2 would fail; 0 unsure\n"), "{text}");
    bundle.clean()
}
