//! What calls make of the world, from listings as strace writes them.

use crate::listing::Listing;
use crate::sorted::Table;
use crate::world::tree::Branch;
use crate::world::words;
use crate::world::{Deed, Mount, World, milestones, rows};
use proptest::prelude::*;
use std::borrow::Cow;

/// The world after a listing.
fn after(text: &str) -> World {
    let mut world = World::default();
    deeds(&listed(text)).iter().for_each(|deed| drop(world.take(deed)));
    world
}

/// A listing that can be read.
fn listed(text: &str) -> Listing<'_> {
    let listing = Listing::of(&[(0, text)]);
    assert_eq!(listing.unread().next(), None);
    listing
}

fn deeds<'a>(listing: &'a Listing<'a>) -> Vec<Deed<'a>> {
    listing.calls.iter().map(Deed::listed).collect()
}

/// A fact of a process.
fn fact(world: &World, pid: i32, name: &str) -> String {
    world.facts(pid).into_iter().find(|[known, _]| known == name).map_or(String::new(), |[_, now]| now)
}

/// The mounts of a process, one a line.
fn tree(world: &World, pid: i32) -> Vec<String> {
    world.tree(pid).into_iter().map(|[path, what]| format!("{path} {what}")).collect()
}

#[test]
fn words_are_read_back() {
    assert_eq!(words::text(r#""a\n\"\\\x41\1012""#).as_deref(), Some("a\n\"\\AA2"));
    assert_eq!(words::text("NULL"), None);
    assert_eq!(words::text(r#""cut"..."#).as_deref(), Some("cut"));
    for (word, number) in
        [("3</dev/null>", 3), ("AT_FDCWD", -100), ("0x10", 16), ("022", 18), ("-1", -1), ("7 /* 8 */", 7)]
    {
        assert_eq!(words::number(word), Some(number), "{word}");
    }
    assert_eq!(words::member("{flags=A|B, how={deep=1}, list=[1, 2]}", "how"), Some("{deep=1}"));
    assert_eq!(words::member("{flags=A|B, last=7}", "last"), Some("7"));
    assert!(words::flag("{flags=A|B_C}", "B_C") && !words::flag("A|B_C", "B"));
}

#[test]
fn a_call_that_was_refused_changes_nothing() {
    let mut world = after("7 getpid() = 7");
    for line in [
        r#"openat(AT_FDCWD, "/a", O_RDONLY) = -1 ENOENT (No such file or directory)"#,
        r#"mount("proc", "/proc", "proc", 0, NULL) = -1 EPERM (Operation not permitted)"#,
        "unshare(CLONE_NEWNS) = -1 EPERM (Operation not permitted)",
        "setresuid(1, 1, 1) = -1 EINVAL (Invalid argument)",
        "close(0) = -1 EBADF (Bad file descriptor)",
        r#"execve("/a", ["a"], 0x0 /* 0 vars */) = ?"#,
    ] {
        let before = world.facts(7);
        let line = format!("7 {line}");
        let changes: Vec<_> = deeds(&listed(&line)).iter().flat_map(|deed| world.take(deed)).collect();
        assert_eq!((changes, world.facts(7)), (Vec::new(), before), "{line}");
    }
}

#[test]
fn descriptors_are_followed() {
    let world = after(
        r#"7 openat(AT_FDCWD, "/etc/../etc/passwd", O_RDONLY) = 3
        7 openat(AT_FDCWD, "/var", O_RDONLY|O_CLOEXEC|O_PATH) = 4
        7 openat(4</var>, "log", O_RDONLY) = 5
        7 dup3(5, 9, O_CLOEXEC) = 9
        7 fcntl(4, F_DUPFD, 20) = 20
        7 fcntl(5, F_SETFD, FD_CLOEXEC) = 0
        7 pipe2([10, 11], O_CLOEXEC) = 0
        7 socketpair(AF_UNIX, SOCK_STREAM, 0, [12, 13]) = 0
        7 memfd_create("text", 0) = 14
        7 recvmsg(12, {msg_iov=[{iov_base="x", iov_len=1}], msg_control=[{cmsg_type=SCM_RIGHTS, cmsg_data=[15, 16]}], msg_flags=0}, 0) = 1
        7 close_range(14, 15, 0) = 0
        7 pidfd_open(1, 0) = 17
        7 vfork() = 8
        8 close(3) = 0
        7 execve("/bin/true", ["true"], 0x0 /* 0 vars */) = 0"#,
    );
    let open = |pid| {
        world
            .files(pid)
            .into_iter()
            .flat_map(|files| files.iter())
            .map(|(fd, (_, object))| (*fd, object.name.to_string()))
            .collect::<Vec<_>>()
    };
    let named = |fd, name: &str| (fd, String::from(name));
    let standard = [named(0, "standard input"), named(1, "standard output"), named(2, "standard error")];
    let kept =
        [named(3, "/etc/passwd"), named(12, "channel"), named(13, "channel"), named(16, "received"), named(20, "/var")];
    assert_eq!(open(7), [&standard[..], &kept].concat());
    assert_eq!(open(8).len(), 13, "{:?}", open(8));
    assert!(!open(8).iter().any(|(fd, _)| *fd == 3));
}

#[test]
fn descriptors_go_with_messages() {
    let message = |fd: i32| {
        format!(
            "{{msg_iov=[], msg_control=[{{cmsg_len=20, cmsg_level=SOL_SOCKET, cmsg_type=SCM_RIGHTS, cmsg_data=[{fd}]}}]}}"
        )
    };
    let (sends, takes) =
        (format!("7 sendmsg(3, {}, 0) = 1", message(9)), format!("8 recvmsg(4, {}, 0) = 1", message(6)));
    let begin = r#"7 socketpair(AF_UNIX, SOCK_STREAM, 0, [3, 4]) = 0
        7 clone(child_stack=NULL, flags=CLONE_NEWNS|SIGCHLD) = 8
        7 openat(AT_FDCWD, "/srv/dir", O_PATH) = 9"#;
    let end = r#"8 mount("/proc/self/fd/6", "/data", NULL, MS_BIND, NULL) = 0"#;
    for middle in [[&sends, &takes], [&takes, &sends]] {
        let world = after(&[begin, middle[0], middle[1], end].join("\n"));
        assert_eq!(tree(&world, 8), ["/ the host's root", "  /data /srv/dir of the host"], "{middle:?}");
    }
}

#[test]
fn threads_share_descriptors_and_have_namespaces_of_their_own() {
    let world = after(
        r#"7 clone3({flags=CLONE_VM|CLONE_FS|CLONE_FILES|CLONE_THREAD, exit_signal=0} => {parent_tid=[8]}, 88) = 8
        8 openat(AT_FDCWD, "/a", O_RDONLY) = 3
        8 chdir("/srv") = 0
        8 unshare(CLONE_NEWNET) = 0
        7 close(0) = 0"#,
    );
    assert_eq!(fact(&world, 7, "descriptor 3"), "/a");
    assert_eq!(fact(&world, 8, "descriptor 0"), "");
    assert_eq!((fact(&world, 7, "cwd"), fact(&world, 7, "net namespace")), ("/srv".into(), "the host's".into()));
    assert_eq!(fact(&world, 8, "net namespace"), "its own");
}

#[test]
fn a_child_of_another_pid_namespace_is_known_by_its_own_number() {
    let world = after(
        r#"7 unshare(CLONE_NEWPID|CLONE_NEWUTS) = 0
        7 clone(child_stack=NULL, flags=SIGCHLD) = 30
        30 sethostname("inside", 6) = 0
        30 openat(AT_FDCWD, "/a", O_RDONLY) = 3
        30 clone(child_stack=NULL, flags=SIGCHLD) = 2
        31 close(3) = 0"#,
    );
    assert_eq!(fact(&world, 31, "uts namespace"), "its own, hostname inside");
    assert_eq!(
        (fact(&world, 7, "pid namespace"), fact(&world, 30, "pid namespace")),
        ("the host's".into(), "its own".into())
    );
    assert_eq!((fact(&world, 30, "descriptor 3"), fact(&world, 31, "descriptor 3")), ("/a".into(), "".into()));
}

#[test]
fn roots_are_changed_in_three_ways() {
    let pivot = r#"7 unshare(CLONE_NEWNS) = 0
        7 mount(NULL, "/", NULL, MS_REC|MS_PRIVATE, NULL) = 0
        7 mount("/srv/root", "/srv/root", NULL, MS_BIND|MS_REC, NULL) = 0
        7 mount("proc", "/srv/root/proc", "proc", MS_NOSUID, NULL) = 0
        7 chdir("/srv/root") = 0
        7 pivot_root(".", ".") = 0
        7 umount2(".", MNT_DETACH) = 0"#;
    let chroot = r#"7 unshare(CLONE_NEWNS) = 0
        7 mount("/srv/root", "/srv/root", NULL, MS_BIND|MS_REC, NULL) = 0
        7 mount("proc", "/srv/root/proc", "proc", MS_NOSUID, NULL) = 0
        7 chdir("/srv/root") = 0
        7 mount(".", "/", NULL, MS_MOVE, NULL) = 0
        7 chroot(".") = 0"#;
    let new_calls = r#"7 unshare(CLONE_NEWNS) = 0
        7 open_tree(AT_FDCWD, "/srv/root", OPEN_TREE_CLONE|OPEN_TREE_CLOEXEC|AT_RECURSIVE) = 3
        7 move_mount(3, "", AT_FDCWD, "/", MOVE_MOUNT_F_EMPTY_PATH) = 0
        7 fsopen("proc", FSOPEN_CLOEXEC) = 4
        7 fsconfig(4, FSCONFIG_CMD_CREATE, NULL, NULL, 0) = 0
        7 fsmount(4, FSMOUNT_CLOEXEC, MOUNT_ATTR_NOSUID) = 5
        7 move_mount(5, "", 3, "proc", MOVE_MOUNT_F_EMPTY_PATH) = 0
        7 fchdir(3) = 0
        7 pivot_root(".", ".") = 0
        7 umount2(".", MNT_DETACH) = 0"#;
    for listing in [pivot, chroot, new_calls] {
        let world = after(listing);
        assert_eq!(tree(&world, 7), ["/ /srv/root of the host, rbind", "  /proc proc nosuid"], "{listing}");
        assert_eq!(fact(&world, 7, "cwd"), "/", "{listing}");
    }
}

#[test]
fn a_mount_that_is_gone_is_named() {
    for (path, wanted) in [("/a", "the mount of tmpfs on /a is gone"), ("/a/b", "the mount of proc on /a/b is gone")] {
        let lines = r#"7 unshare(CLONE_NEWNS) = 0
        7 mount("tmpfs", "/a", "tmpfs", 0, NULL) = 0
        7 mount("proc", "/a/b", "proc", 0, NULL) = 0"#;
        let lines = format!("{lines}\n7 umount2(\"{path}\", MNT_DETACH) = 0");
        let mut world = World::default();
        let changes = deeds(&listed(&lines)).iter().map(|deed| world.take(deed)).last().unwrap_or_default();
        assert_eq!(changes.first().map(|change| change.words()).as_deref(), Some(wanted));
    }
}

#[test]
fn a_recursive_bind_takes_the_mounts_below() {
    let world = after(
        r#"7 unshare(CLONE_NEWNS) = 0
        7 mount("tmpfs", "/a", "tmpfs", 0, "size=1m") = 0
        7 mount("tmpfs", "/a/b", "tmpfs", MS_NOEXEC, NULL) = 0
        7 mount("sysfs", "/a/b/c", "sysfs", 0, NULL) = 0
        7 mount("/a/b", "/x", NULL, MS_BIND|MS_REC, NULL) = 0
        7 mount("/a", "/y", NULL, MS_BIND, NULL) = 0
        7 mount(NULL, "/x", NULL, MS_BIND|MS_REMOUNT|MS_RDONLY, NULL) = 0
        7 mount_setattr(AT_FDCWD, "/a", AT_RECURSIVE, {attr_set=MOUNT_ATTR_RDONLY, attr_clr=MOUNT_ATTR_NOEXEC, propagation=0, userns_fd=0}, 32) = 0
        7 umount2("/a/b/c", 0) = 0"#,
    );
    let wanted = [
        "/ the host's root",
        "  /a tmpfs ro, size=1m",
        "    /a/b tmpfs ro",
        "  /x tmpfs ro",
        "    /x/c sysfs",
        "  /y tmpfs, size=1m",
    ];
    assert_eq!(tree(&world, 7), wanted);
}

#[test]
fn a_path_through_proc_leads_to_the_open_file() {
    let world = after(
        r#"7 unshare(CLONE_NEWNS) = 0
        7 openat(AT_FDCWD, "/srv/dir", O_PATH|O_CLOEXEC) = 6
        7 mount("tmpfs", "/proc/self/fd/6", "tmpfs", 0, NULL) = 0
        7 mount("proc", "/srv/proc", "proc", 0, NULL) = 0
        7 chdir("/srv/proc") = 0
        7 mount("self/fd/6", "self/cwd/keys", NULL, MS_BIND, NULL) = 0"#,
    );
    let wanted =
        ["/ the host's root", "  /srv/dir tmpfs", "  /srv/proc proc", "    /srv/proc/keys /srv/dir of the host"];
    assert_eq!(tree(&world, 7), wanted);
}

#[test]
fn links_that_calls_have_told_are_followed() {
    let world = after(
        r#"7 unshare(CLONE_NEWNS) = 0
        7 symlink("/srv/new", "/link") = 0
        7 symlinkat("../circle", AT_FDCWD, "/circle") = 0
        7 readlinkat(AT_FDCWD, "/var/run", "../run", 4096) = 6
        7 mount("tmpfs", "/link/a", "tmpfs", 0, NULL) = 0
        7 mount("tmpfs", "/var/run/b", "tmpfs", 0, NULL) = 0
        7 openat(AT_FDCWD, "/link", O_PATH) = 3
        7 openat(AT_FDCWD, "/link", O_PATH|O_NOFOLLOW) = 4
        7 openat(AT_FDCWD, "/circle", O_PATH) = 5
        7 openat(AT_FDCWD, "/lib/x", O_PATH) = 6
        7 readlink("/proc/self/fd/6", "/usr/lib/x", 99) = 10"#,
    );
    assert_eq!(tree(&world, 7), ["/ the host's root", "  /run/b tmpfs", "  /srv/new/a tmpfs"]);
    let open = [3, 4, 5, 6].map(|fd| fact(&world, 7, &format!("descriptor {fd}")));
    assert_eq!(open, ["/srv/new", "/link", "/circle", "/usr/lib/x"]);
}

#[test]
fn capabilities_follow_the_user() {
    let drop = "7 geteuid() = 0\n7 prctl(PR_CAPBSET_DROP, CAP_SYS_ADMIN) = 0\n";
    let capset = "7 capset({version=_LINUX_CAPABILITY_VERSION_3, pid=0}, {effective=1<<CAP_KILL, \
        permitted=1<<CAP_KILL|1<<CAP_CHOWN, inheritable=1<<CAP_KILL}) = 0\n";
    let execve = "7 execve(\"/a\", [\"a\"], 0x0 /* 0 vars */) = 0\n";
    let sets = |listing: String| {
        let world = after(&listing);
        ["permitted", "effective", "ambient"].map(|set| fact(&world, 7, set))
    };
    let all = |lines: &[&str]| sets(lines.concat());
    // Root of a program without capabilities: what the bounding set leaves.
    assert_eq!(all(&[drop, execve]), ["all but SYS_ADMIN", "all but SYS_ADMIN", "none"]);
    // An ordinary user loses all of them, unless it keeps them, and then it has to raise them again.
    let user = "7 setresuid(5, 5, 5) = 0\n";
    assert_eq!(all(&[drop, user]), ["none", "none", "none"]);
    assert_eq!(all(&[drop, "7 prctl(PR_SET_KEEPCAPS, 1) = 0\n", user]), ["all", "none", "none"]);
    let kept = ["7 prctl(PR_SET_KEEPCAPS, 1) = 0\n", user, capset].concat();
    assert_eq!(all(&[drop, &kept]), ["CHOWN KILL", "KILL", "none"]);
    assert_eq!(all(&[drop, &kept, execve]), ["none", "none", "none"]);
    let raised = "7 prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_RAISE, CAP_KILL, 0, 0) = 0\n";
    assert_eq!(all(&[drop, &kept, raised, execve]), ["KILL", "KILL", "KILL"]);
    // With no_new_privs root gains nothing either.
    let none = "7 prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) = 0\n";
    assert_eq!(all(&[drop, capset, none, execve]), ["CHOWN KILL", "CHOWN KILL", "none"]);
}

#[test]
fn ids_are_those_of_the_user_namespace() {
    let by_write = r#"7 geteuid() = 1000
        7 getegid() = 100
        7 clone(child_stack=NULL, flags=CLONE_NEWUSER|SIGCHLD) = 8
        7 openat(AT_FDCWD, "/proc/8/uid_map", O_WRONLY) = 3
        7 write(3, "0 1000 1\n", 9) = 9
        7 openat(AT_FDCWD, "/proc/8/gid_map", O_WRONLY) = 4
        7 write(4, "5 100 1\n", 8) = 8"#;
    let by_helper = r#"7 geteuid() = 1000
        7 getegid() = 100
        7 clone(child_stack=NULL, flags=CLONE_NEWUSER|SIGCHLD) = 8
        7 vfork() = 9
        9 execve("/usr/bin/newuidmap", ["newuidmap", "8", "0", "1000", "1", "1", "100000", "10"], 0x0 /* 0 vars */) = 0
        7 vfork() = 10
        10 execve("/usr/bin/newgidmap", ["newgidmap", "8", "5", "100", "1"], 0x0 /* 0 vars */) = 0"#;
    for listing in [by_write, by_helper] {
        let world = after(listing);
        assert_eq!((fact(&world, 8, "user"), fact(&world, 8, "group")), ("0".into(), "5".into()), "{listing}");
        assert_eq!((fact(&world, 7, "user"), fact(&world, 8, "effective")), ("? 1000 ?".into(), "all".into()));
    }
}

#[test]
fn a_limit_can_be_that_of_another_process() {
    let world = after(
        "7 vfork() = 8\n7 prlimit64(8, RLIMIT_NOFILE, {rlim_cur=5, rlim_max=6}, NULL) = 0\n8 getpid() = 8\n7 getpid() = 7",
    );
    assert_eq!([fact(&world, 7, "RLIMIT_NOFILE"), fact(&world, 8, "RLIMIT_NOFILE")], ["", "5 6"]);
}

#[test]
fn namespaces_are_joined_by_file_and_by_process() {
    let world = after(
        r#"7 clone3({flags=CLONE_NEWNET|CLONE_NEWNS|CLONE_PIDFD, pidfd=0x1, exit_signal=SIGCHLD} => {pidfd=[5]}, 88) = 8
        8 mount("proc", "/proc", "proc", 0, NULL) = 0
        7 openat(AT_FDCWD, "/run/netns/blue", O_RDONLY|O_CLOEXEC) = 6
        7 openat(AT_FDCWD, "/proc/8/ns/net", O_RDONLY|O_CLOEXEC) = 4
        7 vfork() = 9
        9 setns(6, CLONE_NEWNET) = 0
        7 vfork() = 10
        10 setns(4, 0) = 0
        7 vfork() = 11
        11 setns(5, CLONE_NEWNET|CLONE_NEWNS) = 0
        7 vfork() = 12
        12 openat(AT_FDCWD, "/proc/self/ns/net", O_RDONLY) = 20
        12 setns(20, CLONE_NEWNET) = 0"#,
    );
    assert_eq!(fact(&world, 9, "net namespace"), "joined: /run/netns/blue");
    let number = |pid| world.process(pid).map(|process| process.spaces[3]);
    let same = [number(8) == number(10), number(8) == number(11), number(8) != number(7), number(12) == number(7)];
    assert_eq!(same, [true; 4]);
    assert_eq!(tree(&world, 11), ["/ the host's root", "  /proc proc"]);
}

#[test]
fn cgroups_are_followed() {
    let world = after(
        r#"7 mkdir("/sys/fs/cgroup/one", 0755) = 0
        7 mkdir("/sys/fs/cgroup/one/two", 0755) = 0
        7 openat(AT_FDCWD, "/sys/fs/cgroup/one", O_RDONLY|O_DIRECTORY) = 3
        7 openat(3, "pids.max", O_WRONLY) = 4
        7 write(4, "10\n", 3) = 3
        7 openat(3, "two/cgroup.procs", O_WRONLY) = 5
        7 clone(child_stack=NULL, flags=SIGCHLD) = 8
        7 write(5, "8", 1) = 1
        7 clone3({flags=CLONE_INTO_CGROUP, exit_signal=SIGCHLD, stack=NULL, stack_size=0, cgroup=3}, 88) = 9
        7 clone3({flags=CLONE_NEWCGROUP|CLONE_INTO_CGROUP, exit_signal=SIGCHLD, cgroup=3}, 88) = 10
        8 unshare(CLONE_NEWCGROUP) = 0"#,
    );
    for (pid, root) in [(8, "/one/two"), (10, "/one")] {
        let seen = fact(&world, pid, "cgroup namespace");
        assert!(seen.ends_with(&format!("root {root}")), "{pid}: {seen}");
    }
    assert_eq!((fact(&world, 8, "cgroup"), fact(&world, 9, "cgroup")), ("/one/two".into(), "/one".into()));
    let written =
        |files: &Table<String, String>| files.iter().map(|(file, now)| format!(" {file}={now}")).collect::<String>();
    let told: Vec<String> = world.cgroups().map(|(path, files)| format!("{path}{}", written(files))).collect();
    assert_eq!(told, ["/one pids.max=10", "/one/two"]);
}

#[test]
fn each_milestone_is_told() {
    let all: Vec<_> = milestones::all().collect();
    assert!(all.len() >= 14, "{}", all.len());
    for told in &all {
        assert_eq!(milestones::told(told.name), Some(*told));
        assert!(told.title.len() < 50 && told.why.len() > 40 && !told.why.contains('\n'), "{told:?}");
    }
}

#[test]
fn milestones_of_a_small_runtime() {
    let listing = r#"7 openat(AT_FDCWD, "/b/config.json", O_RDONLY) = 3
        7 close(3) = 0
        7 mkdir("/sys/fs/cgroup/c", 0755) = 0
        7 openat(AT_FDCWD, "/sys/fs/cgroup/c", O_RDONLY|O_DIRECTORY) = 3
        7 openat(3, "memory.max", O_WRONLY) = 4
        7 write(4, "1000000", 7) = 7
        7 clone3({flags=CLONE_NEWNS|CLONE_NEWPID|CLONE_NEWUSER|CLONE_INTO_CGROUP, exit_signal=SIGCHLD, cgroup=3}, 88) = 8
        7 openat(AT_FDCWD, "/proc/8/uid_map", O_WRONLY) = 5
        7 write(5, "0 1000 1", 8) = 8
        8 mount(NULL, "/", NULL, MS_REC|MS_SLAVE, NULL) = 0
        8 mount("/b/rootfs", "/b/rootfs", NULL, MS_BIND|MS_REC, NULL) = 0
        8 mount("tmpfs", "/b/temporary", "tmpfs", 0, NULL) = 0
        8 mount("proc", "/b/rootfs/proc", "proc", 0, NULL) = 0
        8 mount("tmpfs", "/b/rootfs/dev", "tmpfs", 0, NULL) = 0
        8 mknod("/b/rootfs/dev/null", S_IFCHR|0666, makedev(0x1, 0x3)) = 0
        8 chdir("/b/rootfs") = 0
        8 pivot_root(".", ".") = 0
        8 umount2(".", MNT_DETACH) = 0
        8 mount("/dev/null", "/proc/kcore", NULL, MS_BIND, NULL) = 0
        8 mount("/proc/sys", "/proc/sys", NULL, MS_BIND|MS_REC, NULL) = 0
        8 mount(NULL, "/proc/sys", NULL, MS_BIND|MS_REMOUNT|MS_RDONLY, NULL) = 0
        8 sethostname("name", 4) = 0
        8 prctl(PR_CAPBSET_DROP, CAP_SYS_ADMIN) = 0
        8 setresuid(0, 0, 0) = 0
        8 prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) = 0
        8 seccomp(SECCOMP_SET_MODE_FILTER, 0, {len=10, filter=0x1}) = 0
        8 execve("/bin/sh", ["sh"], 0x0 /* 0 vars */) = 0
        8 mount("tmpfs", "/tmp", "tmpfs", 0, NULL) = 0"#;
    let listing = listed(listing);
    let deeds = deeds(&listing);
    let found: Vec<&str> = milestones::milestones(&deeds).iter().map(|found| found.name).collect();
    let wanted = "config cgroup limits joined-cgroup namespaces mappings propagation rootfs proc dev devices root old-root \
        masks readonly hostname capabilities ids no-new-privs seccomp program";
    assert_eq!(found, wanted.split_whitespace().collect::<Vec<_>>());
    // Without a program they are those up to the end.
    let found: Vec<&str> = milestones::milestones(&deeds[..20]).iter().map(|found| found.name).collect();
    assert_eq!(found, wanted.split_whitespace().take(14).collect::<Vec<_>>());
}

/// What strace saw of a runtime, without calls that change nothing; and what the container's program saw.
macro_rules! listing {
    ($name:literal) => {
        (
            include_str!(concat!("../listings/", $name, ".txt")),
            include_str!(concat!("../listings/", $name, ".inside.txt")),
        )
    };
}

#[test]
fn other_runtimes_make_the_world_that_their_containers_see() {
    for (listing, inside) in
        [listing!("crun"), listing!("crun-user"), listing!("runc"), listing!("runc-user"), listing!("bwrap")]
    {
        let listing = listed(listing);
        let deeds = deeds(&listing);
        let mut world = World::default();
        deeds.iter().for_each(|deed| drop(world.take(deed)));
        let pid = deeds.last().map_or(0, |deed| deed.pid);
        let mut told: Vec<String> = world.branches(pid).iter().map(|branch| branch.path.clone()).collect();
        for line in inside.lines().filter_map(|line| line.strip_prefix("mount ")) {
            let words: Vec<&str> = line.split(' ').collect();
            let is = |branch: &&Branch| branch.path == words[0] && shows(world.mount(branch.id), &words);
            let all = world.branches(pid);
            assert!(all.iter().any(|branch| is(&branch)), "{line}\n{:#?}", tree(&world, pid));
            let place = told.iter().position(|path| path == words[0]);
            told.remove(place.unwrap_or_else(|| panic!("{line}")));
        }
        assert!(told.is_empty(), "{told:?}");
        rights_are_those_inside(&world, pid, inside);
    }
}

/// Whether a mount is the one of a line from inside: its type, root, options and propagation.
fn shows(mount: Option<&Mount>, words: &[&str]) -> bool {
    let (Some(mount), [_, kind, root, options, spreads]) = (mount, words) else { return false };
    let what = match mount.is_hosts() {
        true => mount.root.ends_with(root),
        false => (mount.kind.as_str(), mount.root.as_str()) == (kind, root),
    };
    let flags = ["ro", "nosuid", "nodev", "noexec"];
    let has = |flag: &str| options.split(',').any(|option| option == flag);
    let same = |flag: &&str| mount.flags.contains(flag) == has(flag) || mount.is_hosts() && has(flag);
    what && flags.iter().all(same) && (mount.is_hosts() || *spreads == "-")
}

fn rights_are_those_inside(world: &World, pid: i32, inside: &str) {
    let field = |name: &str| {
        let row = inside.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(' '));
        row.unwrap_or_else(|| panic!("{name}")).to_string()
    };
    let Some(process) = world.process(pid) else { panic!("{pid}") };
    let names = ["CapInh", "CapPrm", "CapEff", "CapBnd", "CapAmb"];
    let sets = names.map(|name| u64::from_str_radix(&field(name), 16).unwrap_or(u64::MAX));
    assert_eq!(process.rights.capabilities, sets);
    assert_eq!(process.rights.filters.to_string(), field("Seccomp_filters"));
    assert_eq!(u8::from(process.rights.no_new_privs).to_string(), field("NoNewPrivs"));
    let uid: Vec<String> = field("Uid").split(' ').map(String::from).collect();
    assert_eq!(process.rights.uids.map(|id| id.to_string())[..], uid[..3]);
    assert!(fact(world, pid, "uts namespace").ends_with(&format!("hostname {}", field("hostname"))));
    for kind in ["mnt", "pid", "net", "ipc", "uts"] {
        assert!(fact(world, pid, &format!("{kind} namespace")).starts_with("its own"), "{kind}");
    }
}

#[test]
fn milestones_of_other_runtimes_are_in_their_order() {
    let crun = "config keyring cgroup joined-cgroup namespaces device-limits propagation rootfs proc dev devpts mounts sysfs cgroupfs \
        devices masks readonly readonly-root root old-root hostname capabilities ids no-new-privs seccomp program";
    let runc = "config cgroup joined-cgroup namespaces keyring propagation rootfs proc dev devpts mounts sysfs cgroupfs \
        devices device-limits root old-root readonly-root hostname readonly masks no-new-privs capabilities ids seccomp program";
    let bwrap = "no-new-privs namespaces capabilities mappings propagation rootfs proc readonly dev devices devpts mounts \
        hostname root old-root program";
    let found = |(listing, _): (&str, &str)| {
        let listing = listed(listing);
        milestones::milestones(&deeds(&listing)).iter().map(|found| found.name).collect::<Vec<_>>().join(" ")
    };
    assert_eq!([found(listing!("crun")), found(listing!("runc")), found(listing!("bwrap"))], [crun, runc, bwrap]);
}

#[test]
fn text_fits_into_its_columns() {
    let pairs =
        [["a".into(), "one two three ".repeat(9)], ["n".repeat(70), "word".into()], ["b".into(), "\u{1b}x".into()]];
    let rows = rows(&pairs, 80);
    assert!(rows.iter().all(|row| row.chars().count() <= 80 && !row.contains('\u{1b}')), "{rows:?}");
    assert!(rows.len() > 5, "{rows:?}");
}

#[test]
fn what_grows_without_end_is_followed_up_to_a_limit() {
    let doubles = r#"7 mount("/", "/a", NULL, MS_BIND|MS_REC, NULL) = 0
        7 mount(NULL, "/", NULL, MS_REC|MS_SLAVE, NULL) = 0
        7 unshare(CLONE_NEWNS|CLONE_FILES) = 0
        7 mount("tmpfs", "/", "tmpfs", 0, NULL) = 0
        "#;
    let begun = std::time::Instant::now();
    let world = after(&doubles.repeat(3000));
    assert!(world.is_full() && tree(&world, 7).len() < 5000);
    assert!(begun.elapsed().as_secs() < 60, "{:?}", begun.elapsed());
}

const NAMES: &str = "clone clone3 vfork unshare setns execve exit_group open openat openat2 close close_range dup dup3 fcntl pipe2 \
    socketpair recvmsg pidfd_open bpf seccomp chdir chroot fchdir mkdirat mknodat symlinkat mount umount2 pivot_root open_tree \
    move_mount mount_setattr fsopen fsconfig fsmount write sethostname unlinkat setresuid setgroups capset prctl prlimit64";
const ARGS: &str = r#"0|1|3|7|AT_FDCWD|NULL|""|"/"|"."|".."|"/a"|"/a/b/.."|"/proc/self/fd/3"|"/proc/7/uid_map"|"/sys/fs/cgroup/a"|"0 0 1\n"|"8"|CLONE_NEWNS|CLONE_NEWUSER|CLONE_NEWPID|MS_BIND+MS_REC|MS_MOVE|MS_REMOUNT+MS_RDONLY|MS_PRIVATE+MS_REC|OPEN_TREE_CLONE+AT_RECURSIVE|RESOLVE_IN_ROOT|{flags=CLONE_NEWNS+CLONE_INTO_CGROUP, cgroup=3} => {pidfd=[9]}|[3, 4]|[|"\|{=|MNT_DETACH|"tmpfs"|PR_CAPBSET_DROP|CAP_KILL|F_DUPFD"#;

proptest! {
    #[test]
    fn no_calls_make_it_panic_or_loop(calls in proptest::collection::vec((0usize..50, proptest::collection::vec(0usize..50, 0..6), 0i64..12, 5i32..9), 0..120)) {
        let (names, args): (Vec<&str>, Vec<String>) =
            (NAMES.split_whitespace().collect(), ARGS.split('|').map(|arg| arg.replace('+', "|")).collect());
        let deeds: Vec<Deed> = calls.iter().map(|(name, given, result, pid)| Deed {
            pid: *pid,
            name: names[name % names.len()],
            args: given.iter().map(|i| Cow::Borrowed(args[i % args.len()].as_str())).collect(),
            result: *result,
            failed: None,
        }).collect();
        let mut world = World::default();
        for deed in &deeds {
            world.take(deed);
        }
        for pid in 5..9 {
            world.tree(pid);
            world.facts(pid);
        }
        milestones::milestones(&deeds);
        crate::draw::dot::of_deeds("x", &deeds);
    }
}

/// What a listing costs grows with the listing, and not with what it tells of.
#[test]
fn long_and_many_is_followed_up_to_a_limit() {
    let deep = "7 chdir(\"abcdefghij/abcdefghij/abcdefghij\") = 0\n".repeat(5000);
    let cwd = fact(&after(&deep), 7, "cwd");
    assert!(cwd.len() < libc::PATH_MAX as usize && cwd.contains("abcdefghij"), "{} bytes", cwd.len());
    let many = "7 mount(\"/a\", \"/b\", NULL, MS_BIND|MS_REC, NULL) = 0\n".repeat(20_000);
    assert!(after(&many).is_full());
}
