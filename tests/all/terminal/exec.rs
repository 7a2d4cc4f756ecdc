//! `exec` with a terminal: in the foreground, sent through a console socket, and in a container whose root has made /dev/pts
//! something else.

use crate::bundle::Bundle;
use crate::cgroup::{end, script};
use crate::exec::failed;
use crate::namespaces::in_user_namespace;
use crate::screen::{Seat, came, console};
use crate::{Failed, Outcome, area, ensure};
use libtest_mimic::Trial;
use serde_json::{Value, json};
use std::fs;
use std::time::Duration;

pub fn cases() -> Vec<Trial> {
    area(
        "terminals",
        &[
            ("exec_in_the_foreground", || exec_foreground(script("sleep 1000")?)),
            ("exec_in_a_user_namespace", || exec_foreground(in_user_namespace(script("sleep 1000")?)?)),
            ("exec_with_a_console_socket", exec_detached),
            ("exec_of_a_process_from_a_file", exec_file),
            ("exec_of_nothing_at_a_terminal_is_a_shell", exec_shell),
            ("exec_does_not_trust_dev_pts", hostile_exec),
        ],
    )
}

/// A container to exec in.
pub fn sleeper() -> Result<Bundle, Failed> {
    let bundle = script("sleep 1000")?;
    bundle.bundled(&["run", "-d"])?.ok()?;
    Ok(bundle)
}

fn exec_foreground(bundle: Bundle) -> Outcome {
    bundle.bundled(&["run", "-d"])?.ok()?;
    let words = ["exec", "-t", "-e", "PS1=ready> ", &bundle.id, "sh"];
    let mut seat = Seat::take(&bundle, &bundle.command(&words)?)?;
    seat.screen.until("ready> ")?;
    seat.screen.keys("stty size; tty; ls /dev/console\r")?;
    seat.screen.until("33 111\r\n/dev/pts/0\r\n")?;
    seat.screen.until("No such file")?;
    seat.screen.keys("sleep 1000\r")?;
    seat.screen.until("sleep 1000\r\n")?;
    std::thread::sleep(Duration::from_millis(300));
    seat.screen.keys("\x03")?;
    seat.screen.until("ready> ")?;
    seat.screen.keys("exit $?\r")?;
    seat.leave(130)?;
    end(bundle)
}

fn exec_detached() -> Outcome {
    let bundle = sleeper()?;
    let path = bundle.path("console");
    let listener = console(&path)?;
    let socket = path.to_string_lossy();
    let words = ["exec", "-d", "--tty", "--console-socket", &socket, &bundle.id, "sh", "-c", "tty; read x; echo $x"];
    bundle.call(&words)?.ok()?;
    let mut screen = came(listener)?;
    screen.until("/dev/pts/0\r\n")?;
    screen.keys("word\r")?;
    screen.until("word\r\nword\r\n")?;
    screen.end()?;
    end(bundle)
}

/// As engines call it.
fn exec_file() -> Outcome {
    let bundle = sleeper()?;
    let mut process: Value = bundle.config["process"].clone();
    process["terminal"] = json!(true);
    process["consoleSize"] = json!({"height": 7, "width": 8});
    process["args"] = json!(["sh", "-c", "stty size; exit 6"]);
    let file = bundle.path("process.json");
    fs::write(&file, process.to_string())?;
    let path = bundle.path("console");
    let listener = console(&path)?;
    let (file, socket) = (file.to_string_lossy(), path.to_string_lossy());
    let words = ["exec", "--process", &file, "--console-socket", &socket, "--detach", "--tty", &bundle.id];
    bundle.call(&words)?.ok()?;
    came(listener)?.until("7 8\r\n")?;
    let done = bundle.call(&["exec", "--process", &file, &bundle.id])?;
    ensure!(done.status == 6 && done.out == "7 8\n", "{done:?}");
    end(bundle)
}

fn exec_shell() -> Outcome {
    let bundle = sleeper()?;
    let mut seat = Seat::take(&bundle, &bundle.command(&["exec", &bundle.id])?)?;
    seat.screen.until("# ")?;
    seat.screen.keys("tty; exit 9\r")?;
    seat.screen.until("/dev/pts/0\r\n")?;
    seat.leave(9)?;
    end(bundle)
}

/// Root inside has put something else there meanwhile.
fn hostile_exec() -> Outcome {
    let mut bundle = script("mount -t tmpfs x /dev/pts && mkfifo /dev/pts/ptmx && echo > /tmp/ready; sleep 1000")?;
    for set in ["bounding", "permitted", "effective"] {
        bundle.set(&format!("/process/capabilities/{set}/-"), json!("CAP_SYS_ADMIN"))?;
    }
    crate::cgroup::ready(&bundle)?;
    failed(bundle.call(&["exec", "-t", &bundle.id, "true"])?, "is no devpts")?;
    end(bundle)?;
    let mut bundle =
        script("mkfifo /tmp/fifo; mount -o bind /tmp/fifo /dev/pts/ptmx && echo > /tmp/ready; sleep 1000")?;
    for set in ["bounding", "permitted", "effective"] {
        bundle.set(&format!("/process/capabilities/{set}/-"), json!("CAP_SYS_ADMIN"))?;
    }
    crate::cgroup::ready(&bundle)?;
    failed(bundle.call(&["exec", "-t", &bundle.id, "true"])?, "EXDEV")?;
    end(bundle)
}
