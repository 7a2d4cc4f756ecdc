//! The program as PID 1 with several bundles, restarts, settings in the image, and a rescue shell.

use crate::machine::{self, Ended, Tree};
use crate::{Outcome, ensure, same};
use libtest_mimic::Trial;
use serde_json::{Value, json};

pub fn cases() -> Vec<Trial> {
    machine::cases(
        "several",
        &[
            ("order_and_names_of_lines", order),
            ("on_failure_until_it_succeeds", on_failure),
            ("always_until_the_machine_is_told_to_end", always),
            ("settings_of_the_image", settings),
            ("a_shell_if_a_word_is_wrong", rescue),
            ("a_shell_if_a_container_cannot_be_made", not_made),
            ("what_does_not_end_is_ended", stubborn),
        ],
    )
}

/// The lines of the console that are not the kernel's.
fn ours(ended: &Ended) -> Vec<&str> {
    ended.lines.iter().map(String::as_str).filter(|line| !line.is_empty() && !line.starts_with('[')).collect()
}

fn script(text: &str) -> Value {
    json!(["sh", "-c", text])
}

/// What follows the name of a container, line by line.
fn of<'a>(ended: &'a Ended, id: &str) -> Vec<&'a str> {
    let before = format!("{id}: ");
    ours(ended).into_iter().filter_map(|line| line.strip_prefix(&before)).collect()
}

/// Three of them: the next begins when the one before is there, and each line has its name, also one that is long or does
/// not end.
fn order() -> Outcome {
    let mut tree = Tree::new()?;
    tree.add("bundles/zz", script("echo last; exit 0"))?;
    tree.add("bundles/aa", script("echo first; echo wrong >&2; printf 'no end'; exit 3"))?;
    tree.add("bundles/mm", script("dd if=/dev/zero bs=5000 count=1 2>/dev/null; echo; echo after; exit 4"))?;
    let ended = tree.boot("nk.status=/dev/ttyS1")?;
    same("status", ended.status.as_str(), "3")?;
    same("aa", of(&ended, "aa"), vec!["first", "wrong", "no end"])?;
    same("zz", of(&ended, "zz"), vec!["last"])?;
    let long: Vec<usize> = of(&ended, "mm").iter().map(|line| line.len()).collect();
    same("mm", long, vec![4096, 904, 5])?;
    for line in ["aa: exit status 3", "mm: exit status 4", "zz: exit status 0"] {
        ended.has(&format!("nk-runtime: {line}"))?;
    }
    ended.has("nk-runtime: the first that ended with another status than 0: aa")
}

/// A program that fails twice. The pauses grow.
fn on_failure() -> Outcome {
    let mut tree = Tree::new()?;
    let text = "n=$(cat /tmp/n 2>/dev/null); echo \"${n}.\" >/tmp/n; echo try $n; test \"$n\" = ..";
    tree.add("bundle", script(text))?;
    let ended = tree.boot("nk.restart=on-failure nk.status=/dev/ttyS1")?;
    same("status", ended.status.as_str(), "0")?;
    let wanted = vec![
        "try",
        "nk-runtime: bundle: exit status 1; it starts again in 0.1 s",
        "try .",
        "nk-runtime: bundle: exit status 1; it starts again in 0.2 s",
        "try ..",
        "nk-runtime: bundle: exit status 0",
    ];
    same("console", ours(&ended), wanted)
}

/// One is killed and starts again, until the other has the machine ended as Ctrl-Alt-Del would.
fn always() -> Outcome {
    let mut tree = Tree::new()?;
    tree.add("a", script("echo alive; kill -9 $$"))?;
    let text = "sleep 2; trap 'echo told; exit 0' INT; kill -INT 1; while :; do sleep 0.1; done";
    tree.add("b", script(text))?;
    // The kernel keeps such a signal from the first process of a pid namespace; and the other reaches PID 1 of the machine.
    tree.without_namespace("a", "pid")?;
    tree.without_namespace("b", "pid")?;
    let ended = tree.boot("nk.bundle=/a,/b nk.restart=always nk.status=/dev/ttyS1")?;
    ended.has("nk-runtime: a: exit status 137; it starts again in 0.1 s")?;
    ended.has("nk-runtime: a: exit status 137; it starts again in 0.4 s")?;
    ensure!(of(&ended, "a").len() >= 3, "it should start at least three times:\n{}", ended.text());
    same("b", of(&ended, "b"), vec!["told"])?;
    ended.has("nk-runtime: b: exit status 0")
}

/// The file has words; the command line wins.
fn settings() -> Outcome {
    let mut tree = Tree::new()?;
    tree.add("a", script("echo of a; exit 6"))?;
    tree.add("b", script("echo of b; exit 7"))?;
    tree.file("etc/nk-runtime.conf", "# what runs\n\nnk.bundle=/a\nnk.id=named so\n  nk.status=/dev/ttyS1\n")?;
    let ended = tree.boot("nk.id=other nk.bundle=/b")?;
    same("status", ended.status.as_str(), "7")?;
    ended.has("of b")?;
    tree.file("etc/nk-runtime.conf", "nk.status=/dev/ttyS1\nnk.bundel=/a\n")?;
    let ended = tree.boot("")?;
    ended.has("/etc/nk-runtime.conf: nk.bundel: there is no such word")
}

/// The shell reads what the console has: here a script, in place of a person.
fn shell(tree: &mut Tree, place: &str) -> Outcome {
    let sh = "#!/bin/busybox sh\necho in the rescue shell; test -e /proc/self/stat && echo with proc\n";
    let path = tree.path(&format!("{place}/rootfs/bin/sh"));
    std::fs::remove_file(&path)?;
    std::fs::write(&path, sh)?;
    std::fs::set_permissions(&path, std::os::unix::fs::PermissionsExt::from_mode(0o755))?;
    Ok(())
}

fn rescue() -> Outcome {
    let mut tree = Tree::new()?;
    tree.add("bundle", script("true"))?;
    shell(&mut tree, "bundle")?;
    let ended = tree.boot("nk.rescue nk.restart=sometimes")?;
    ended.has("nk.restart: write no, on-failure or always")?;
    ended.has("in the rescue shell")?;
    std::fs::remove_file(tree.path("bundle/rootfs/bin/sh"))?;
    let ended = tree.boot("nk.rescue nk.status=/dev/nothing")?;
    ended.has("cannot open /dev/nothing, which nk.status names")?;
    ended.has("nk-runtime: nk.rescue: no shell: neither a bundle nor the initramfs has /bin/sh")?;
    ended.has("nk-runtime: exit status 1")
}

fn not_made() -> Outcome {
    let mut tree = Tree::new()?;
    tree.add("bundle", json!(["/nowhere"]))?;
    shell(&mut tree, "bundle")?;
    let ended = tree.boot("nk.rescue")?;
    ended.has("/nowhere")?;
    ended.has("nk-runtime: a rescue shell in /bundle/rootfs; when it ends, the machine ends")?;
    ended.has("in the rescue shell")?;
    ended.has("with proc")?;
    ended.has("nk-runtime: exit status 1")
}

/// A container that takes no signal ends nevertheless, and one that was told to end has its time.
fn stubborn() -> Outcome {
    let mut tree = Tree::new()?;
    tree.add("bundles/a", script("trap '' INT TERM; while :; do sleep 1; done"))?;
    tree.add("bundles/b", script("sleep 3; trap 'echo ends; exit 5' TERM; kill -TERM 1; while :; do sleep 0.1; done"))?;
    tree.without_namespace("bundles/b", "pid")?;
    let ended = tree.boot("nk.status=/dev/ttyS1")?;
    same("b", of(&ended, "b"), vec!["ends"])?;
    same("status", ended.status.as_str(), "5")?;
    ended.has("nk-runtime: the first that ended with another status than 0: b")
}
