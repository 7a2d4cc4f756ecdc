//! The lanes that ask: where each stands, and which has its turn. A lane goes on until it waits for another; then that one has
//! its turn. While a stop is shown no lane gets an answer. May touch: plan types, system calls, the recorder.

use crate::host::patience;
use crate::outcome::Lane;
use crate::perform::step::{Asked, END, GO, LANES, OVER, SLATE_END, has_time};
use crate::plan::op::{Op, Process, Seccomp, Sync};
use crate::plan::{Line, Plan};
use core::sync::atomic::Ordering::*;
use syscalls::record::{self, Record};
use syscalls::room::slate;
use syscalls::{At, Fd, PollFd, Result, Why};

/// How long a lane may take for a line, in milliseconds, before another lane that has asked gets its turn.
const TURN: u64 = 300;
/// How often the slate is looked at, once init asks there.
const GLANCE: u64 = 2;
/// So often a stop waits that long for the other lanes to come to a place where they wait.
const MOMENTS: usize = 10;

/// Where a lane stands.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Stand {
    NotBegun,
    /// It has asked whether it may carry out this line.
    Asks(u16),
    /// It carries out this line.
    In(u16),
}

pub struct Lanes<'a> {
    plan: &'a Plan,
    asked: Asked,
    pub stands: [Stand; 3],
    /// Whose turn it is: a place in [`LANES`].
    pub turn: usize,
    /// A handle on init, once it asks on the slate; and whether it is stopped there.
    init: Option<Fd>,
    frozen: bool,
    /// The runtime wants no more questions, or has ended.
    pub over: bool,
}

/// What a wait has brought.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Came {
    Nothing,
    /// The first of the other descriptors can be read, or the second.
    First,
    Second,
}

impl<'a> Lanes<'a> {
    pub fn new(plan: &'a Plan, asked: Asked) -> Lanes<'a> {
        let stands = [Stand::NotBegun; 3];
        Lanes { plan, asked, stands, turn: 0, init: None, frozen: false, over: false }
    }

    pub fn runtime(&self) -> &Fd {
        &self.asked.runtime
    }

    pub fn runtime_pid(&self) -> i32 {
        self.asked.runtime_pid
    }

    pub fn line(&self, number: u16) -> Option<&'a Line> {
        self.plan.line(number)
    }

    /// The next line that a lane asks about, once that lane has its turn. `None`: there is none any more.
    pub fn next(&mut self) -> Result<Option<u16>> {
        loop {
            if self.over {
                return Ok(None);
            }
            if let Stand::Asks(line) = self.stands[self.turn] {
                return Ok(Some(line));
            }
            let other = self.stands.iter().position(|stand| matches!(stand, Stand::Asks(_)));
            let limit = other.map(|_| if self.rests(self.turn) { 0 } else { TURN });
            let came = self.wait(limit, [patience::NONE; 2])?;
            if let (Some(other), None) = (other, came) {
                self.turn = other;
            }
        }
    }

    /// Gives the other lanes a moment to come to where they wait, so that a stop shows them there.
    pub fn settle(&mut self) {
        for _ in 0..MOMENTS {
            let rest = (0..LANES.len()).all(|place| self.rests(place));
            if rest || self.wait(Some(GLANCE), [patience::NONE; 2]).is_err() {
                return;
            }
        }
    }

    /// Whether a lane goes no further by itself: it asks, waits for another one, or has ended.
    fn rests(&self, place: usize) -> bool {
        match self.stands[place] {
            Stand::NotBegun => self.pid(place).is_none(),
            Stand::Asks(_) => true,
            Stand::In(number) => {
                let (lines, first) = self.plan.lane(LANES[place]);
                let last = usize::from(number) + 1 == lines.len() + usize::from(first);
                last || self.line(number).is_some_and(awaits)
            }
        }
    }

    /// Waits until a lane asks or one of these descriptors can be read; what the lanes ask is noted. `None`: the time was over.
    pub fn wait(&mut self, limit: Option<u64>, others: [At; 2]) -> Result<Option<Came>> {
        let mut left = limit;
        loop {
            if self.look_at_slate() {
                return Ok(Some(Came::Nothing));
            }
            let piece = match (self.slate_is_used(), left) {
                (true, left) => Some(left.unwrap_or(GLANCE).min(GLANCE)),
                (false, left) => left,
            };
            let row = |fd: At| PollFd { fd: fd.raw(), events: libc::POLLIN, revents: 0 };
            let [host, bridge, init] = [0, 1, 2].map(|at| row(self.asked.ends[at].at()));
            let mut fds = [row(others[0]), row(others[1]), host, bridge, init, row(self.asked.runtime.at())];
            let why = Why("a lane asks, a key is typed, the window changes, or the runtime ends");
            if syscalls::ppoll(&mut fds, piece, why)? == 0 {
                left = left.map(|left| left - piece.unwrap_or(0).min(left));
                if left == Some(0) {
                    return Ok(None);
                }
                continue;
            }
            self.over |= fds[5].revents != 0;
            for place in 0..3 {
                if fds[2 + place].revents != 0 {
                    self.hear(place)?;
                }
            }
            return Ok(Some(match (fds[0].revents, fds[1].revents) {
                (0, 0) => Came::Nothing,
                (0, _) => Came::Second,
                _ => Came::First,
            }));
        }
    }

    fn hear(&mut self, place: usize) -> Result<()> {
        let mut word = [0; 2];
        let len = syscalls::read(self.asked.ends[place].at(), &mut word, Why("a lane asks about this line"))?;
        match u16::from_ne_bytes(word) {
            // All copies of the lane's end are closed.
            OVER => self.over = true,
            _ if len != 2 => self.over = true,
            line => self.stands[place] = Stand::Asks(line),
        }
        Ok(())
    }

    /// Whether init has its seccomp filter, and asks on the slate.
    fn slate_is_used(&self) -> bool {
        let Stand::In(number) = self.stands[2] else { return false };
        if self.frozen || self.line(number).is_some_and(is_last) {
            return false;
        }
        let (lines, first) = self.plan.lane(Lane::Init);
        let so_far = usize::from(number - first) + 1;
        lines.iter().take(so_far).any(|line| matches!(line.op, Op::Seccomp(Seccomp::Load { .. })))
    }

    fn look_at_slate(&mut self) -> bool {
        match slate().asked.load(Acquire) {
            0 | SLATE_END => false,
            line if self.stands[2] == Stand::Asks(line as u16) => false,
            line => {
                self.stands[2] = Stand::Asks(line as u16);
                true
            }
        }
    }

    /// Lets a lane carry out the line that it asks about, or ends it.
    pub fn answer(&mut self, place: usize, go: bool) {
        let Stand::Asks(line) = self.stands[place] else { return };
        self.stands[place] = Stand::In(line);
        if place == 2 && slate().asked.load(Acquire) == u32::from(line) {
            slate().asked.store(if go { 0 } else { SLATE_END }, Release);
            self.thaw();
            return;
        }
        let why = Why("the person's answer");
        let answer = if go { GO } else { END };
        // A lane that has ended meanwhile needs none.
        let _ = syscalls::write(self.asked.ends[place].at(), &[answer], why);
    }

    /// While a stop is shown, init shall not spin on the slate: it is stopped by a signal.
    pub fn freeze(&mut self) {
        let spins = slate().asked.load(Acquire) != 0
            || matches!(self.stands[2], Stand::In(line) if self.line(line).is_some_and(offers));
        if !spins || self.frozen {
            return;
        }
        if self.init.is_none() {
            let why = Why("a handle on init, to stop it while a person reads");
            self.init = self.pid(2).and_then(|pid| syscalls::pidfd_open(pid, why).ok());
        }
        if let Some(init) = &self.init {
            let why = Why("init may make no call that its filter could refuse, and would spin until the answer");
            self.frozen = syscalls::pidfd_send_signal(init.at(), libc::SIGSTOP, why).is_ok();
        }
    }

    /// Lets init go on after [`Lanes::freeze`].
    pub fn thaw(&mut self) {
        if let Some(init) = self.init.as_ref().filter(|_| self.frozen) {
            let _ = syscalls::pidfd_send_signal(init.at(), libc::SIGCONT, Why("the person has answered"));
            self.frozen = false;
        }
    }

    /// The stepper ends. Where the runtime was killed, the other lanes see the end of their channels, and init, if it asks on the
    /// slate, is told there.
    pub fn leave(&mut self) {
        if has_time() {
            slate().asked.store(SLATE_END, Release);
        }
        self.thaw();
    }

    /// The process of a lane, as this process sees it. `None`: it is not known yet.
    pub fn pid(&self, place: usize) -> Option<i32> {
        let pid = match LANES[place] {
            Lane::Host => self.asked.runtime_pid,
            Lane::Init => record::head().child.load(Acquire),
            _ => bridge(),
        };
        (pid != 0).then_some(pid)
    }
}

/// The bridge's process: its records have its number among the helpers.
fn bridge() -> i32 {
    let bytes = record::bytes();
    let own = record::offsets(bytes).filter_map(|at| Record::read(bytes, at)).find(|r| r.lane == Lane::Bridge as u8);
    let place = own.map_or(0, |own| (-1 - own.pid) as usize);
    record::head().helpers.get(place).map_or(0, |pid| pid.load(Acquire))
}

/// Whether a line waits for another lane.
pub fn awaits(line: &Line) -> bool {
    use Sync::*;
    match &line.op {
        Op::Sync(op) => matches!(
            op,
            AwaitMapped
                | AwaitPlaced
                | AwaitInit
                | AwaitMounted
                | AwaitHooked
                | AskNetDevices
                | AwaitAsk
                | AwaitReady
                | AwaitGo
                | AwaitStart
                | AwaitExec
        ),
        Op::Seccomp(Seccomp::PassListener { .. }) => true,
        _ => offers(line),
    }
}

/// Whether init spins in this line until the host has taken the listener of its filter.
fn offers(line: &Line) -> bool {
    matches!(line.op, Op::Seccomp(Seccomp::Load { listener: true, .. }))
}

/// Whether init becomes the program in this line.
pub fn is_last(line: &Line) -> bool {
    matches!(line.op, Op::Process(Process::Execve { .. }))
}
