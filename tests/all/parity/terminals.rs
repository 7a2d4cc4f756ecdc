//! Terminals, beside strace: each call that opens one, passes it on, and relays it.

use crate::bundle::Bundle;
use crate::parity::{bundle_words, check, command, run, under_strace, watch};
use crate::screen::{Seat, came, console};
use crate::strace::Reach;
use crate::{Failed, Outcome, area, ensure};
use libtest_mimic::Trial;
use serde_json::json;
use std::fs;

pub fn cases() -> Vec<Trial> {
    area(
        "parity",
        &[
            ("terminal_in_the_foreground", || run(with_terminal()?)),
            ("terminal_at_a_terminal", at_a_terminal),
            ("terminal_by_a_console_socket", console_socket),
        ],
    )
}

fn with_terminal() -> Result<Bundle, Failed> {
    let mut bundle = Bundle::shell("stty size; sleep 0.2; echo shown; exit 3")?;
    bundle.set("/process/terminal", json!(true))?;
    bundle.set("/process/user/uid", json!(1000))?;
    let size = json!({"height": 20, "width": 70});
    bundle.set("/process/consoleSize", size)?;
    Ok(bundle)
}

/// The caller has a terminal too, which is raw for a while and changes its size; `run` and `exec`.
fn at_a_terminal() -> Outcome {
    let bundle = with_terminal()?;
    let here = bundle.path("").to_string_lossy().into_owned();
    let ours = bundle.path("ours").to_string_lossy().into_owned();
    let own = ["--trace=strace", "--trace-file", &ours];
    let words = [&own[..], &bundle_words(&bundle, &here, "run")?].concat();
    let listing = bundle.path("strace");
    let seat = Seat::take(&bundle, &under_strace(&bundle, &listing, &words)?)?;
    seat.screen.resize(34, 112)?;
    seat.leave(3)?;
    let pair = (fs::read_to_string(&listing)?, fs::read_to_string(&ours)?);
    ensure!(pair.1.contains("TCSETS"), "no terminal: {}", pair.1);
    check(&pair, &ours, Reach::Complete)?;
    bundle.clean()?;

    let bundle = Bundle::shell("sleep 1000")?;
    bundle.bundled(&["run", "-d"])?.ok()?;
    let ours = bundle.path("ours").to_string_lossy().into_owned();
    let own = ["--trace=strace", "--trace-file", &ours];
    let words = [&own[..], &["exec", "-t", &bundle.id, "true"]].concat();
    let listing = bundle.path("strace");
    Seat::take(&bundle, &under_strace(&bundle, &listing, &words)?)?.leave(0)?;
    let pair = (fs::read_to_string(&listing)?, fs::read_to_string(&ours)?);
    check(&pair, &ours, Reach::Complete)?;
    bundle.call(&["delete", "--force", &bundle.id])?.ok()?;
    bundle.clean()
}

fn console_socket() -> Outcome {
    let bundle = with_terminal()?;
    bundle.write_config()?;
    let here = bundle.path("").to_string_lossy().into_owned();
    let socket = bundle.path("console");
    let listener = console(&socket)?;
    let socket = socket.to_string_lossy();
    let words = ["create", "--console-socket", &socket, "--bundle", &here, &bundle.id];
    let mut created = watch(&bundle, "create", &words)?;
    created.returned()?;
    let mut screen = came(listener)?;
    command(&bundle, "start", &["start", &bundle.id])?;
    screen.until("20 70\r\nshown\r\n")?;
    bundle.until("stopped")?;
    command(&bundle, "delete", &["delete", &bundle.id])?;
    let pair = created.end(&bundle, 0)?;
    check(&pair, "create.ours", Reach::StillRunning)?;
    bundle.clean()
}
