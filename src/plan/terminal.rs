//! config.json's `process.terminal`: a pseudoterminal out of the container's own devpts for the program, and its other side
//! for whoever called (config.md, "process"). May touch: types and tables.
//!
//! ```text
//!   --console-socket   host ── connect ──── clone3 ─► init ── opens both sides ── sends one ──► who listens there
//!   in the foreground  host ── socketpair ─ clone3 ─► init ── the same ──► host, which relays from and to its own
//! ```

use super::create::{path, problem};
use super::op::Terminal;
use super::{Builder, Slot, Step, c, devices};
use crate::spec::Problem;

const AT: &str = "/process/terminal";

fn wanted(b: &Builder) -> bool {
    b.spec.process.terminal == Some(true)
}

/// Host, before the clone: where init will send the terminal's other side.
pub fn before(b: &mut Builder, step: Step) -> Result<(), Problem> {
    let no = |text: &str| Err(problem(AT, text));
    let (op, why) = match (wanted(b), b.wish.console, b.wish.attached) {
        (false, None, _) => return Ok(()),
        (false, Some(_), _) => {
            return no("is not true: there is nothing to send to --console-socket");
        }
        (true, Some(_), true) => {
            return no("is relayed in the foreground: leave out --console-socket, or use --detach");
        }
        (true, None, false) => {
            return no("is true, and nobody stays to relay it: --console-socket says where its other side goes");
        }
        (true, Some(socket), false) => (
            Terminal::Connect { path: path("", socket)? },
            "whoever listens there gets the terminal's other side; inside there is no way to it",
        ),
        (true, None, true) => (Terminal::Pair, "init opens the terminal, and this process has to get its other side"),
    };
    b.from = AT.into();
    b.host(step, op, why);
    Ok(())
}

/// Init: the terminal. `base`: see [`Terminal::Open`]; below it there is a /dev to put the console into.
pub fn open(b: &mut Builder, base: Option<Slot>) -> Result<(), Problem> {
    if !wanted(b) {
        return Ok(());
    }
    let size = b.spec.process.window()?;
    b.from = AT.into();
    let op = Terminal::Open { base, rows: size.height, columns: size.width, relayed: b.wish.attached };
    b.init(op, "out of the container's own devpts: no terminal of the host's is ever inside");
    if base.is_some() {
        let name = c("console").map_err(|p| problem(AT, p))?;
        let make = !devices::lent(b);
        b.init(
            Terminal::Console { name, make },
            "/dev/console is set up if terminal is true (config-linux.md, \"Default Devices\")",
        );
    }
    b.init(Terminal::Send, "what is typed goes in there, and what is shown comes out");
    let uid = b.spec.process.user.uid;
    b.init(
        Terminal::Use { uid },
        "standard input, output and error, and what Ctrl-C at it means: the session's own terminal",
    );
    Ok(())
}

/// Init: without a terminal. Root may open any pipe, and without a change of user nothing changes.
pub fn streams(b: &mut Builder) {
    let uid = b.spec.process.user.uid;
    if wanted(b) {
        return;
    }
    let (from, why) = match uid {
        0 => ("", "the caller's may be open for one direction only, and lies on a file system of the host's"),
        _ => ("/process/user/uid", "/dev/stdout is a link to the pipe, and opening it takes the right to"),
    };
    b.from = from.into();
    b.init(Terminal::Streams { uid }, why);
}

/// Host, behind the clone: in the foreground, the terminal's other side.
pub fn after(b: &mut Builder, step: Step) {
    if !wanted(b) || !b.wish.attached {
        return;
    }
    b.from = AT.into();
    b.host(step, Terminal::Take, "from here on this process stands between the terminal and the caller's");
}
