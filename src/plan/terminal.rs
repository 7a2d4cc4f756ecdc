//! config.json's `process.terminal`: a pseudoterminal out of the container's own devpts for the program, and its other
//! side for the caller (config.md, "process"). May touch: types.
//!
//! ```text
//!   --console-socket   host ── connect ──── clone3 ─► init ── opens both sides ── sends one ──► the listener
//!   in the foreground  host ── socketpair ─ clone3 ─► init ── the same ──► host, which relays from and to its own
//! ```

use super::builder::Builder;
use super::devices;
use super::mark::Mark;
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
        let why = "this process relays between the terminal and the caller's";
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
            return no("is true, and no command stays to relay it: --console-socket says where its other side goes");
        }
        (true, Some(socket), false) => (
            Terminal::Connect { path: c("", socket)? },
            "the listener gets the terminal's other side, to which nothing inside leads",
        ),
        (true, None, true) => {
            (Terminal::Pair, "init opens the terminal, and this process needs its other side to relay it")
        }
    };
    let mark = Mark::ConsoleSocket.when(b.wish.console.is_some());
    b.marked(mark, |b| b.host(Host::Console, AT, op, why));
    Ok(())
}

/// Init: the terminal. `create` opens it below the rootfs, and binds it on /dev/console there.
fn open(b: &mut Builder) -> Result<(), Problem> {
    let size = b.spec.process.window()?;
    let base = (!b.is_exec()).then_some(Slot::ROOTFS);
    let op = Terminal::Open { base, rows: size.height, columns: size.width, relayed: b.wish.attached };
    let why = "from the container's own devpts, so that no terminal of the host is ever inside";
    b.init(Init::Terminal, AT, op, why);
    if base.is_some() {
        let op = Terminal::Console { name: c"console".into(), make: !devices::lent(b) };
        let why = "with a terminal there is a /dev/console (config-linux.md, \"Default Devices\")";
        b.init(Init::Terminal, AT, op, why);
    }
    let why = "the other side takes what is typed, and gives what is shown";
    b.init(Init::Terminal, AT, Terminal::Send, why);
    let op = Terminal::Use { uid: b.spec.process.user.uid };
    let why = "the terminal becomes the standard streams, and the session's, so that Ctrl-C reaches the program";
    b.init(Init::Terminal, AT, op, why);
    Ok(())
}

/// Init: without a terminal. Root may open any pipe, and without a change of user nothing changes.
fn streams(b: &mut Builder) {
    let uid = b.spec.process.user.uid;
    let (from, why) = match uid {
        0 => ("", "the caller's /dev/null lies on a file system of the host, and may be open in one direction only"),
        _ => ("/process/user/uid", "/dev/stdout is a link to the pipe, and only its owner may open it again"),
    };
    b.init(Init::Streams, from, Terminal::Streams { uid }, why);
}
