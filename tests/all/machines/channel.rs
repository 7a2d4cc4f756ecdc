//! The guest's end of the channel: a machine whose /init speaks frames with a host that these cases are.

use crate::bundle::{Running, patiently, tool};
use crate::frames::{self, BEGIN, CLOSE, END, FETCH, HANGUP, Host, INPUT, PUT, SIGNAL, SIZE};
use crate::machine::{self, QEMU, Tree, kernel};
use crate::{Failed, Outcome, ensure, same};
use libtest_mimic::Trial;
use serde_json::json;
use std::path::PathBuf;
use std::process::{Command, Stdio};
use std::time::Duration;

pub fn cases() -> Vec<Trial> {
    machine::cases_with(
        "channel",
        &["virtio_console", "virtio_pci", "vsock_loopback"],
        &[
            ("sessions_of_all_kinds", sessions),
            ("credit_and_many_sessions", credit),
            ("garbage_closes_it", garbage),
            ("vsock_from_inside", vsock),
            ("a_port_for_each_container", ports),
        ],
    )
}

/// Where QEMU listens for the host.
fn socket(tree: &Tree) -> PathBuf {
    tree.bundle.path("channel")
}

/// A machine with a port for the channel, that runs until the host ends it.
fn start(tree: &Tree, append: &str) -> Result<Running, Failed> {
    start_with(tree, &[], &format!("nk.channel=virtio {append}"))
}

/// The same with more words for QEMU.
fn start_with(tree: &Tree, words: &[&str], append: &str) -> Result<Running, Failed> {
    let image = tree.pack()?;
    let mut command = Command::new(tool(QEMU)?);
    command
        .args("-M q35 -accel tcg -cpu max -m 192 -nodefaults -display none -no-reboot -serial stdio".split(' '))
        .arg("-chardev")
        .arg(format!("socket,id=channel,path={},server=on,wait=off", socket(tree).display()))
        .args(["-device", "virtio-serial-pci", "-device", "virtserialport,chardev=channel,name=nano-sandbox"])
        .args(words)
        .arg("-kernel")
        .arg(kernel())
        .arg("-initrd")
        .arg(image)
        .arg("-append")
        .arg(format!("console=ttyS0 panic=-1 quiet no_timer_check {append}"))
        .stdin(Stdio::null());
    tree.bundle.start(command)
}

fn tree() -> Result<Tree, Failed> {
    let tree = Tree::new()?;
    tree.modules(&["virtio_pci", "virtio_console"])?;
    Ok(tree)
}

/// The machine ends at END, and QEMU with it.
fn end(tree: &Tree, mut host: Host, machine: Running) -> Outcome {
    host.say(0, END, &0u32.to_le_bytes())?;
    let done = tree.bundle.wait(machine)?;
    ensure!(done.status == 0, "{done:?}");
    Ok(())
}

fn sessions() -> Outcome {
    let mut tree = tree()?;
    tree.add("bundle", json!(["sh", "-c", "cat; echo wrong >&2; exit 7"]))?;
    tree.add("stays", json!(["sh", "-c", "trap 'exit 9' TERM; echo there; while :; do sleep 0.1; done"]))?;
    tree.bundle.set("/process/terminal", json!(true))?;
    tree.add(
        "screen",
        json!(["sh", "-c", "busybox stty size; read x; busybox stty size; echo $x; test -t 2; exit $?"]),
    )?;
    let machine = start(&tree, "")?;
    let mut host = Host::connect(&socket(&tree))?;

    // Input, output and error, byte for byte.
    host.begin(1, None, &["run", "--bundle=/bundle", "--", "one"])?;
    let bytes: Vec<u8> = (0..=255).cycle().take(50_000).collect();
    host.say(1, INPUT, &bytes)?;
    host.until("credit for the input", |host| host.of(1).taken == 50_000)?;
    host.say(1, INPUT, b"")?;
    let heard = host.end_of(1)?;
    ensure!(heard.out == bytes, "{} bytes came back", heard.out.len());
    same("error", String::from_utf8_lossy(&heard.err).as_ref(), "wrong\n")?;
    same("ends", (heard.closed, heard.exit), ([true; 2], Some(7)))?;

    // A terminal, its size, and the change of it.
    host.begin(2, Some((24, 91)), &["run", "--bundle=/screen", "--", "two"])?;
    host.until("the first size", |host| host.of(2).text().contains("24 91"))?;
    host.say(2, SIZE, &[33u16.to_le_bytes(), 77u16.to_le_bytes()].concat())?;
    host.say(2, INPUT, b"typed\r")?;
    let heard = host.end_of(2)?;
    ensure!(heard.text().contains("33 77") && heard.text().contains("typed"), "{}", heard.text());
    same("a terminal's ends", (heard.closed, heard.err.len(), heard.exit), ([true, false], 0, Some(0)))?;

    // A signal; and commands for a container beside the session that has made it.
    host.begin(3, None, &["run", "--bundle=/stays", "--", "three"])?;
    host.until("its first words", |host| host.of(3).text() == "there\n")?;
    let process = json!({"args": ["cat", "/proc/1/comm"], "cwd": "/", "env": ["PATH=/bin"]}).to_string();
    let (first, second) = process.split_at(9);
    host.say(4, PUT, &[b"process.json\0", first.as_bytes()].concat())?;
    host.say(4, PUT, &[b"process.json\0", second.as_bytes()].concat())?;
    let heard = host.run(4, &["exec", "--process=process.json", "three"])?;
    same("exec", (heard.text().as_str(), heard.exit), ("sh\n", Some(0)))?;
    let listed = host.run(4, &["list", "-q"])?;
    same("list", listed.text().as_str(), "three\n")?;
    host.say(3, SIGNAL, &15i32.to_le_bytes())?;
    same("its end", host.end_of(3)?.exit, Some(9))?;
    let wrong = host.run(4, &["state", "nobody"])?;
    same("a command that fails", wrong.exit, Some(1))?;
    ensure!(String::from_utf8_lossy(&wrong.err).contains("nobody"), "{wrong:?}");

    // Traces are fetched, and nothing else.
    for (path, wanted) in [("/run/nano-sandbox/.traces", 0), ("/run/nano-sandbox/nothing", 2), ("/init", 13)] {
        host.say(5, FETCH, &[path.as_bytes(), b"\0"].concat())?;
        let heard = host.end_of(5)?;
        same(path, (heard.exit, heard.closed[0]), (Some(wanted), true))?;
        ensure!((wanted == 0) != heard.out.is_empty(), "{path}: {heard:?}");
    }
    host.say(5, FETCH, b"/run/nano-sandbox/../../init\0")?;
    ensure!(host.end_of(5)?.exit != Some(0), "a way out of the state root");
    same("notes", host.notes.len(), 0)?;
    end(&tree, host, machine)
}

/// A reader that stops blocks its own session alone; and many sessions leave nothing in the machine.
fn credit() -> Outcome {
    let mut tree = tree()?;
    tree.add("bundle", json!(["sh", "-c", "while :; do echo yes; done"]))?;
    tree.bundle.capable(&json!(["CAP_SYS_PTRACE", "CAP_DAC_OVERRIDE"]))?;
    let look = "ls /proc/1/fd | wc -l; grep VmRSS /proc/1/status | tr -dc 0-9; echo; ps -o stat | grep -c Z; ls /nk";
    tree.add("look", json!(["busybox", "sh", "-c", look]))?;
    tree.without_namespace("look", "pid")?;
    let machine = start(&tree, "")?;
    let mut host = Host::connect(&socket(&tree))?;
    host.generous = false;
    host.begin(1, None, &["run", "--bundle=/bundle", "--", "one"])?;
    host.until("all that the credit allows", |host| host.of(1).out.len() == 262_144)?;
    let before = host.run(2, &["--version"])?;
    ensure!(before.text().starts_with("nk-runtime version"), "{before:?}");
    host.listen_for(Duration::from_millis(300))?;
    same("not one byte more", host.of(1).out.len(), 262_144)?;
    host.credit(1, 1, 1000)?;
    host.until("the bytes of the credit", |host| host.of(1).out.len() == 263_144)?;
    // No one reads it any more.
    host.say(1, CLOSE, &1u32.to_le_bytes())?;
    host.until("its end", |host| host.of(1).closed[0])?;
    host.say(1, HANGUP, b"")?;
    ensure!(host.end_of(1)?.exit.is_some(), "no end");

    host.generous = true;
    let seen = |host: &mut Host| -> Result<Vec<u64>, Failed> {
        let heard = host.run(3, &["run", "--bundle=/look", "--", "look"])?;
        ensure!(heard.exit == Some(0) || heard.exit == Some(1), "{heard:?}");
        Ok(heard.text().split_whitespace().filter_map(|word| word.parse().ok()).collect())
    };
    host.run(2, &["--version"])?;
    let before = seen(&mut host)?;
    for round in 0..120 {
        // Three at a time, so that slots and numbers come in different orders.
        for number in 10..13 {
            host.say(number, PUT, b"a\0bytes")?;
            host.begin(number, (number == 12).then_some((9, 9)), &["--version"])?;
        }
        for number in [12, 10, 11] {
            let heard = host.end_of(number)?;
            ensure!(heard.exit == Some(0), "round {round}: {heard:?}");
        }
    }
    let after = seen(&mut host)?;
    ensure!(before.len() >= 3 && after.len() >= 3, "{before:?} {after:?}");
    same("descriptors", after[0], before[0])?;
    ensure!(after[1] < before[1] + 512, "memory in KiB: {before:?}, then {after:?}");
    same("zombies", after[2], before[2])?;
    end(&tree, host, machine)
}

fn garbage() -> Outcome {
    let mut tree = tree()?;
    tree.add("bundle", json!(["sh", "-c", "while :; do sleep 1; done"]))?;
    let machine = start(&tree, "nk.bundle=/bundle")?;
    for (bytes, said) in [
        (frames::frame(1, 99, b""), "unknown kind 99"),
        (frames::frame(1, BEGIN, b"short"), "payload that does not fit"),
        (frames::frame(1, INPUT, b"")[..8].iter().copied().chain([0xff; 4]).collect(), "is the limit"),
        (b"GET / HTTP/1.1\r\nHost: machine\r\n\r\n".to_vec(), "is the limit"),
    ] {
        let mut host = Host::connect(&socket(&tree))?;
        host.begin(1, None, &["run", "--bundle=/bundle", "--", "two"])?;
        host.raw(&bytes)?;
        host.until("the note", |host| !host.notes.is_empty())?;
        ensure!(host.notes[0].contains(said), "{said}: {:?}", host.notes);
    }
    // More input than there is credit for.
    let mut host = Host::connect(&socket(&tree))?;
    host.begin(1, None, &["run", "--bundle=/bundle", "--", "three"])?;
    for _ in 0..6 {
        host.say(1, INPUT, &[0; 65536])?;
    }
    host.until("the note", |host| !host.notes.is_empty())?;
    ensure!(host.notes[0].contains("credit"), "{:?}", host.notes);
    drop(host);
    // The container that runs by the words goes on, and the next host is heard.
    let mut host = Host::connect(&socket(&tree))?;
    // It may not be made yet: all this happens while it begins.
    patiently("the container", || Ok(host.run(1, &["list", "-q"])?.text().lines().any(|id| id == "bundle")))?;
    end(&tree, host, machine)?;

    // Without such a container the machine ends when its host is gone.
    let tree = self::tree()?;
    let machine = start(&tree, "")?;
    drop(Host::connect(&socket(&tree))?);
    let done = tree.bundle.wait(machine)?;
    ensure!(done.status == 0, "{done:?}");
    Ok(())
}

/// Without a hypervisor's vsock: the host is a container of the machine itself.
fn vsock() -> Outcome {
    let mut tree = Tree::new()?;
    tree.modules(&["vsock_loopback"])?;
    let source = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/programs/vsock.c");
    let built =
        Command::new(tool("gcc")?).args(["-static", "-o"]).arg(tree.bundle.rootfs("vsock")).arg(source).status()?;
    ensure!(built.success(), "gcc: {built}");
    let version = [frames::hello(5), vec![]].concat();
    let hello = frames::frame(0, 1, &version);
    let wrong = [hello.clone(), frames::frame(4, 12345, b"")].concat();
    let right = [hello, frames::frame(9, BEGIN, &frames::begin(None, &["--version"]))].concat();
    std::fs::write(tree.bundle.rootfs("wrong"), wrong)?;
    std::fs::write(tree.bundle.rootfs("right"), right)?;
    let script = "/vsock 1024 /wrong | busybox strings; echo between; /vsock 1024 /right | busybox strings; echo done";
    tree.add("bundle", json!(["sh", "-c", script]))?;
    let ended = tree.boot("nk.bundle=/bundle nk.channel=vsock:1024 nk.status=/dev/ttyS1")?;
    same("status", ended.status.as_str(), "0")?;
    ended.has("the channel is closed: the host has sent a frame of the unknown kind 12345")?;
    ended.has("nk-runtime version")?;
    ended.has("done")
}

/// Virtio ports with the ids as names: output as it is, without a console's CR and without an id.
fn ports() -> Outcome {
    let mut tree = tree()?;
    tree.add("bundles/a", json!(["sh", "-c", "echo of a; printf 'no end'"]))?;
    tree.add("bundles/b", json!(["sh", "-c", "echo of b"]))?;
    let file = tree.bundle.path("a.out");
    let chardev = format!("file,id=a,path={}", file.display());
    let words = ["-chardev", &chardev, "-device", "virtserialport,chardev=a,name=a"];
    let machine = start_with(&tree, &words, "")?;
    let done = tree.bundle.wait(machine)?;
    same("a's port", std::fs::read_to_string(file)?.as_str(), "of a\nno end")?;
    ensure!(done.out.contains("b: of b") && !done.out.contains("of a"), "{done:?}");
    Ok(())
}
