//! Little room: each of the caller's limits (setrlimit(2)) at its least useful values, and a state root without room. The
//! work is done, or one line says which limit it is, and nothing is left.

use crate::bundle::{Bundle, Done, runtime, tool};
use crate::cgroup::{end, start};
use crate::exec::box_of_sleep;
use crate::{Failed, Outcome, area, ensure, same};
use libtest_mimic::Trial;
use std::process::Command;

pub fn cases() -> Vec<Trial> {
    area(
        "little_room",
        &[
            ("a_small_stack", stack),
            ("a_small_stack_and_a_deep_document", deep),
            ("few_open_files_for_a_new_container", files_new),
            ("few_open_files_for_one_that_runs", files_running),
            ("what_costs_nothing", harmless),
            ("little_memory_of_its_own", addresses),
            ("small_files", small_files),
            ("a_full_state_root", full),
            ("no_inodes_on_the_state_root", no_inodes),
        ],
    )
}

/// A command of the runtime under one limit, as prlimit(1) takes it.
fn limited(bundle: &Bundle, limit: &str, words: &[&str]) -> Result<Done, Failed> {
    let mut command = Command::new(tool("prlimit")?);
    command.arg(limit).arg("--").arg(runtime());
    command.arg("--root").arg(bundle.state_root()).args(words);
    command.env_clear().current_dir("/");
    bundle.finish(command)
}

/// `WORDS --bundle HERE ID` under one limit.
pub fn limited_bundled(bundle: &Bundle, limit: &str, words: &[&str]) -> Result<Done, Failed> {
    bundle.write_config()?;
    let here = bundle.path("").to_string_lossy().into_owned();
    limited(bundle, limit, &[words, &["--bundle", &here, &bundle.id]].concat())
}

/// It did its work, or it failed with one line that names the limit.
fn done_or_named(what: &str, done: &Done, limit: &str) -> Outcome {
    if done.status == 0 {
        return Ok(());
    }
    ensure!(matches!(done.status, 1 | 255), "{what}: neither a success nor a failure: {done:?}");
    same(&format!("lines of {what}"), done.messages(), 1)?;
    ensure!(
        // A limit that the configuration asks for can be more than may be had under the caller's.
        done.err.contains(limit) || done.err.contains("set RLIMIT_NOFILE"),
        "{what}: `{limit}` is not named: {done:?}"
    );
    Ok(())
}

/// The kernel itself needs two pages of it at execve, and the container's program some more.
fn stack() -> Outcome {
    for kib in [16, 32, 64] {
        let limit = format!("--stack={}", kib << 10);
        let bundle = box_of_sleep()?;
        limited_bundled(&bundle, &limit, &["plan"])?;
        limited_bundled(&bundle, &limit, &["create"])?.ok()?;
        for words in [
            &["state", &bundle.id][..],
            &["start", &bundle.id],
            &["list"],
            &["pause", &bundle.id],
            &["resume", &bundle.id],
            &["trace", &bundle.id],
            &["delete", "--force", &bundle.id],
        ] {
            limited(&bundle, &limit, words)?.ok()?;
        }
        bundle.clean()?;
    }
    let bundle = Bundle::plain()?;
    limited_bundled(&bundle, "--stack=32768", &["run"])?.ok()?;
    bundle.clean()
}

/// As deep as the parser goes, and deeper: a document is refused by a line.
fn deep() -> Outcome {
    let bundle = Bundle::plain()?;
    let here = bundle.path("").to_string_lossy().into_owned();
    let text = bundle.config.to_string();
    for (open, close) in [("[", "]"), ("{\"a\":", "}"), ("[{\"a\":", "}]")] {
        for depth in [50, 100, 120, 126, 127, 128, 100_000] {
            for place in ["annotations", "hooks", "x"] {
                let (open, close) = (open.repeat(depth), close.repeat(depth));
                let config = format!("{{\"{place}\":{open}1{close},{}", &text[1..]);
                std::fs::write(bundle.path("config.json"), config)?;
                let words = ["plan", "--bundle", &here];
                let done = limited(&bundle, "--stack=32768", &words)?;
                let refused = done.status == 1 && done.messages() == 1;
                ensure!(refused || done.status == 0, "{place}, {depth} deep: status {}: {}", done.status, done.err);
            }
        }
    }
    bundle.clean()
}

fn files_new() -> Outcome {
    for limit in 0..24 {
        for command in ["run", "create"] {
            let bundle = Bundle::plain()?;
            let option = format!("--nofile={limit}");
            let done = limited_bundled(&bundle, &option, &[command])?;
            done_or_named(&format!("{command} {option}"), &done, "ulimit -n")?;
            if command == "create" && done.status == 0 {
                bundle.call(&["delete", "--force", &bundle.id])?.ok()?;
            }
            bundle.clean()?;
        }
    }
    Ok(())
}

/// Each command of a container that runs: what fails leaves it as it was.
fn files_running() -> Outcome {
    let mut bundle = box_of_sleep()?;
    bundle.remove("/process/rlimits")?; // they would raise the limit that is tried
    start(&bundle)?;
    for limit in 0..18 {
        let option = format!("--nofile={limit}");
        for words in [
            &["state", &bundle.id][..],
            &["list"],
            &["ps", &bundle.id],
            &["events", "--stats", &bundle.id],
            &["kill", &bundle.id, "0"],
            &["exec", &bundle.id, "true"],
            &["pause", &bundle.id],
        ] {
            let done = limited(&bundle, &option, words)?;
            done_or_named(&format!("{words:?} {option}"), &done, "ulimit -n")?;
            let paused = words[0] == "pause" && done.status == 0;
            let wanted = if paused { "paused" } else { "running" };
            same(&format!("status after {words:?}"), bundle.status()?.as_str(), wanted)?;
            if paused {
                bundle.call(&["resume", &bundle.id])?.ok()?;
            }
        }
    }
    end(bundle)
}

/// None of these stands in the way of root.
fn harmless() -> Outcome {
    for limit in [
        "--memlock=0",
        "--nproc=0",
        "--nproc=1",
        "--core=0",
        "--sigpending=0",
        "--msgqueue=0",
        "--locks=0",
        "--nice=0",
        "--rtprio=0",
    ] {
        let bundle = Bundle::plain()?;
        limited_bundled(&bundle, limit, &["run"])?.ok()?;
        bundle.clean()?;
    }
    Ok(())
}

/// RLIMIT_AS and RLIMIT_DATA. Below these the kernel itself kills the program at execve: its file is not mapped. A file that is
/// larger than scripts/test allows, since it is built in less time, has as many addresses more.
fn addresses() -> Outcome {
    let more = std::fs::metadata(runtime())?.len().saturating_sub(275 * 1024 * 1024 / 100);
    let addresses = [5_000_000, 5_242_880, 8_388_608].map(|bytes| format!("--as={}", bytes + more));
    for limit in addresses.iter().map(String::as_str).chain(["--data=2097152"]) {
        let bundle = box_of_sleep()?;
        for words in [&["create"][..], &["start"], &["exec", "true"], &["pause"], &["resume"]] {
            let done = match words {
                ["create"] => limited_bundled(&bundle, limit, words)?,
                [first, rest @ ..] => limited(&bundle, limit, &[&[first, bundle.id.as_str()], rest].concat())?,
                [] => continue,
            };
            done_or_named(&format!("{words:?} {limit}"), &done, "ulimit -")?;
        }
        limited(&bundle, limit, &["delete", "--force", &bundle.id])?.ok()?;
        bundle.clean()?;
    }
    Ok(())
}

/// SIGXFSZ ends nobody: the recorder goes on in memory, and what has to be written says which limit forbids it.
fn small_files() -> Outcome {
    for bytes in [0, 1, 4096, 100_000, 1 << 20] {
        let limit = format!("--fsize={bytes}");
        let bundle = box_of_sleep()?;
        let done = limited_bundled(&bundle, &limit, &["create"])?;
        match bytes < 4096 {
            // The line on stderr, which is a file here, has no room either.
            true => ensure!(matches!(done.status, 0 | 1), "{limit}: {done:?}"),
            false => done_or_named(&format!("create {limit}"), &done, "ulimit -f")?,
        }
        if done.status != 0 {
            bundle.nothing_left()?;
            bundle.bundled(&["create"])?.ok()?;
        }
        let id = bundle.id.as_str();
        for words in [
            &["start", id][..],
            &["exec", id, "true"],
            &["pause", id],
            &["resume", id],
            &["kill", id, "KILL"],
            &["delete", "--force", id],
        ] {
            let done = limited(&bundle, &limit, words)?;
            ensure!(done.status == 0, "{words:?} {limit}: {done:?}");
        }
        bundle.clean()?;
    }
    Ok(())
}

/// A tmpfs at the state root, filled when the container is made.
fn on_tmpfs(option: &str, fill: fn(&Bundle) -> Outcome) -> Outcome {
    let bundle = box_of_sleep()?;
    let root = bundle.state_root();
    std::fs::create_dir_all(&root)?;
    let some = Some("tmpfs");
    nix::mount::mount(some, &root, some, nix::mount::MsFlags::empty(), Some(option))?;
    let id = bundle.id.as_str();
    let tried = (|| -> Outcome {
        bundle.bundled(&["create"])?.ok()?;
        fill(&bundle)?;
        for words in [
            &["start", id][..],
            &["state", id],
            &["exec", id, "true"],
            &["pause", id],
            &["resume", id],
            &["ps", id],
            &["kill", id, "KILL"],
        ] {
            let done = bundle.call(words)?;
            ensure!(done.status == 0, "{words:?}: {done:?}");
        }
        bundle.until("stopped")?;
        let done = bundle.call(&["delete", id])?;
        same("status of delete", done.status, 0)
    })();
    bundle.call(&["delete", "--force", id])?;
    nix::mount::umount(&root)?;
    tried?;
    bundle.clean()
}

fn full() -> Outcome {
    on_tmpfs("size=8m", |bundle| {
        let rest = vec![0u8; 8 << 20];
        // The write that finds no room any more is the last.
        let _ = std::fs::write(bundle.state_root().join("rest"), rest);
        Ok(())
    })
}

fn no_inodes() -> Outcome {
    on_tmpfs("nr_inodes=40", |bundle| {
        let rest = |n: usize| bundle.state_root().join(format!("rest{n}"));
        while_made((0..).map(rest))
    })
}

/// Makes files until the file system has no more of them.
fn while_made(names: impl Iterator<Item = std::path::PathBuf>) -> Outcome {
    for name in names {
        if std::fs::File::create(name).is_err() {
            break;
        }
    }
    Ok(())
}
