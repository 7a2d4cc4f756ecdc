//! config.json's `process.terminal`: a pseudoterminal out of the container's own devpts for the program, and its other side
//! for whoever called (config.md, "process"). May touch: types and tables.
//!
//! ```text
//!   --console-socket   host ── connect ──── clone3 ─► init ── opens both sides ── sends one ──► who listens there
//!   in the foreground  host ── socketpair ─ clone3 ─► init ── the same ──► host, which relays from and to its own
//! ```

use super::builder::Builder;
use super::devices;
use super::op::{Slot, Terminal};
use super::order::{Host, Init};
use super::text::{c, problem};
use crate::spec::Problem;

const AT: &str = "/process/terminal";

pub fn plan(b: &mut Builder) -> Result<(), Problem> {
    let wanted = b.spec.process.terminal == Some(true);
    connect(b, wanted)?;
    if !wanted {
        streams(b);
        return Ok(());
    }
    open(b)?;
    if b.wish.attached {
        let why = "from here on this process stands between the terminal and the caller's";
        b.host(Host::Terminal, AT, Terminal::Take, why);
    }
    Ok(())
}

/// Host, before the clone: where init will send the terminal's other side.
fn connect(b: &mut Builder, wanted: bool) -> Result<(), Problem> {
    let no = |text: &str| Err(problem(AT, text));
    let (op, why) = match (wanted, b.wish.console, b.wish.attached) {
        (false, None, _) => return Ok(()),
        (false, Some(_), _) => return no("is not true: there is nothing to send to --console-socket"),
        (true, Some(_), true) => {
            return no("is relayed in the foreground: leave out --console-socket, or use --detach");
        }
        (true, None, false) => {
            return no("is true, and nobody stays to relay it: --console-socket says where its other side goes");
        }
        (true, Some(socket), false) => (
            Terminal::Connect { path: c("", socket)? },
            "whoever listens there gets the terminal's other side; inside there is no way to it",
        ),
        (true, None, true) => (Terminal::Pair, "init opens the terminal, and this process has to get its other side"),
    };
    b.host(Host::Console, AT, op, why);
    Ok(())
}

/// Init: the terminal. `create` opens it below the rootfs, and binds it on /dev/console there.
fn open(b: &mut Builder) -> Result<(), Problem> {
    let size = b.spec.process.window()?;
    let base = (!b.is_exec()).then_some(Slot::ROOTFS);
    let op = Terminal::Open { base, rows: size.height, columns: size.width, relayed: b.wish.attached };
    let why = "out of the container's own devpts: no terminal of the host's is ever inside";
    b.init(Init::Terminal, AT, op, why);
    if base.is_some() {
        let op = Terminal::Console { name: c"console".into(), make: !devices::lent(b) };
        let why = "/dev/console is set up if terminal is true (config-linux.md, \"Default Devices\")";
        b.init(Init::Terminal, AT, op, why);
    }
    let why = "what is typed goes in there, and what is shown comes out";
    b.init(Init::Terminal, AT, Terminal::Send, why);
    let op = Terminal::Use { uid: b.spec.process.user.uid };
    let why = "standard input, output and error, and what Ctrl-C at it means: the session's own terminal";
    b.init(Init::Terminal, AT, op, why);
    Ok(())
}

/// Init: without a terminal. Root may open any pipe, and without a change of user nothing changes.
fn streams(b: &mut Builder) {
    let uid = b.spec.process.user.uid;
    let (from, why) = match uid {
        0 => ("", "the caller's may be open for one direction only, and lies on a file system of the host's"),
        _ => ("/process/user/uid", "/dev/stdout is a link to the pipe, and opening it takes the right to"),
    };
    b.init(Init::Streams, from, Terminal::Streams { uid }, why);
}
