//! PID 1 as a supervisor: the containers that it has started, the sessions of the channel, signals, and children of others that
//! have ended, in one loop. Nothing in it waits for anything else. May touch: everything below.

use super::channel::{Brought, Channel};
use super::lines::Console;
use super::services::{Services, now};
use super::sessions::{Gate, Sessions};
use crate::outcome::{Doing, Error};
use syscalls::{At, Disposition, Fd, PollFd, Prctl, SigSet, Taken, Why};

/// Milliseconds from one way to end all to the next, harder one.
const PATIENCE: u64 = 5000;
/// Milliseconds that the last words may take.
const LAST: u64 = 2000;

/// Which descriptor is ready.
#[derive(Clone, Copy)]
enum Row {
    Signals,
    Console,
    Service(usize),
    Session(usize, Gate),
    Channel,
}

/// How far the end is: the signal that all got, and when the next one comes.
struct Ending {
    signal: i32,
    next: u64,
}

pub struct Supervisor {
    pub services: Services,
    sessions: Sessions,
    channel: Option<Channel>,
    pub console: Console,
    signals: Fd,
    ending: Option<Ending>,
    /// Containers run by the words alone: the machine ends with the last.
    named: bool,
    rows: Vec<Row>,
    table: Vec<PollFd>,
}

impl Supervisor {
    pub fn new(services: Services, channel: Option<Channel>) -> Result<Supervisor, Error> {
        let why = Why("signals are read when this process comes to it; none is lost");
        syscalls::rt_sigaction(libc::SIGCHLD, Disposition::Default, why).doing("be PID 1")?;
        crate::say::out::ignore_sigpipe();
        let private = Why("a container in this pid namespace must not trace PID 1 or open its descriptors");
        syscalls::prctl(Prctl::PR_SET_DUMPABLE, 0, private).doing("be PID 1")?;
        syscalls::rt_sigprocmask(SigSet::HELD, why).doing("be PID 1")?;
        Ok(Supervisor {
            named: !services.are_over(),
            services,
            sessions: Sessions::default(),
            channel,
            console: Console::open(),
            signals: syscalls::signalfd4(SigSet::ALL, why).doing("be PID 1")?,
            ending: None,
            rows: Vec::with_capacity(64),
            table: Vec::with_capacity(64),
        })
    }

    /// Runs until all is over.
    pub fn run(&mut self) -> Result<(), Error> {
        loop {
            // What is allocated for one event is given back at once: a machine may run for years.
            let mark = syscalls::mark();
            let limit = self.go_on();
            if self.is_over() {
                break;
            }
            self.wait(limit)?;
            for place in 0..self.rows.len() {
                self.carry(place)?;
            }
            mark.release();
        }
        self.last_words()
    }

    fn is_over(&self) -> bool {
        self.ending.is_some() && self.services.are_over() && self.sessions.are_none()
    }

    /// Does what is due. Returns the milliseconds until something is due.
    fn go_on(&mut self) -> Option<u64> {
        let services = self.services.go_on(&mut self.console);
        let sessions = match &mut self.channel {
            Some(channel) => self.sessions.go_on(now(), &mut channel.outgoing),
            None => None,
        };
        if self.named && self.services.are_over() && self.ending.is_none() {
            self.end(libc::SIGTERM);
        }
        let ending = self.go_on_ending();
        [services, sessions, ending].into_iter().flatten().min()
    }

    /// All get this signal, and none begins any more.
    fn end(&mut self, signal: i32) {
        self.services.end(signal);
        if let Some(channel) = &mut self.channel {
            self.sessions.hang_up_all(false, now(), &mut channel.outgoing);
        }
        self.ending = Some(Ending { signal, next: now() + PATIENCE });
    }

    /// What has not ended in time gets a harder signal.
    fn go_on_ending(&mut self) -> Option<u64> {
        let time = now();
        let ending = self.ending.as_mut()?;
        if ending.next > time {
            return Some(ending.next - time);
        }
        ending.next = time + PATIENCE;
        ending.signal = if ending.signal == libc::SIGINT { libc::SIGTERM } else { libc::SIGKILL };
        let why = Why("what runs in this machine has not ended in time");
        match ending.signal {
            libc::SIGTERM => self.services.signal(libc::SIGTERM),
            // All processes: if the runtime alone were killed, its container would go on.
            _ => drop(syscalls::kill(-1, libc::SIGKILL, why)),
        }
        Some(PATIENCE)
    }

    /// Waits for something to do.
    fn wait(&mut self, limit: Option<u64>) -> Result<(), Error> {
        self.rows.clear();
        self.table.clear();
        let (rows, table) = (&mut self.rows, &mut self.table);
        let mut add = |row, fd: At, events| {
            rows.push(row);
            table.push(PollFd { fd: fd.raw(), events, revents: 0 });
        };
        add(Row::Signals, self.signals.at(), libc::POLLIN);
        if !self.console.is_empty() {
            add(Row::Console, self.console.at(), libc::POLLOUT);
        }
        if !self.console.is_full() {
            self.services.pipes().for_each(|(place, pipe)| add(Row::Service(place), pipe, libc::POLLIN));
        }
        let mut limit = limit;
        if let Some(channel) = &self.channel {
            let full = channel.is_full();
            // Bytes go on before new frames change what the rows mean.
            self.sessions.gates(full, |slot, gate, at, events| add(Row::Session(slot, gate), at, events));
            let look = channel.gates(now(), |at, events| add(Row::Channel, at, events));
            limit = [limit, look].into_iter().flatten().min();
            if self.sessions.hurry(full) {
                limit = Some(0);
            }
        }
        let why = Why("a signal, a child's end, output, or a frame of the host");
        syscalls::ppoll(&mut self.table, limit, why).doing("wait for what happens in this machine").map(drop)
    }

    /// Acts on a row of the table.
    fn carry(&mut self, place: usize) -> Result<(), Error> {
        let (Some(row), Some(polled)) = (self.rows.get(place).copied(), self.table.get(place)) else {
            return Ok(());
        };
        let events = polled.revents;
        match (row, &mut self.channel) {
            (Row::Session(slot, gate), Some(channel)) => {
                self.sessions.carry(slot, gate, events, now(), &mut channel.outgoing);
            }
            _ if events == 0 => {}
            (Row::Signals, _) => self.signal()?,
            (Row::Console, _) => self.console.show(),
            (Row::Service(place), _) => self.services.read(place, &mut self.console),
            (Row::Channel, Some(channel)) => {
                let end = match channel.carry(events, &mut self.sessions) {
                    Brought::Nothing => false,
                    Brought::End => true,
                    Brought::Closed => channel.is_port() && !self.named,
                };
                if end && self.ending.is_none() {
                    self.end(libc::SIGTERM);
                }
            }
            _ => {}
        }
        Ok(())
    }

    fn signal(&mut self) -> Result<(), Error> {
        let mut info = [0; 128];
        let why = Why("the signal decides what to do");
        syscalls::read(self.signals.at(), &mut info, why).doing("take a signal")?;
        match Taken::of(&info).signal {
            libc::SIGCHLD => self.reap(),
            // The kernel sends these for what this process itself has done.
            libc::SIGURG | libc::SIGPIPE | libc::SIGXFSZ | libc::SIGWINCH => {}
            // Ctrl-Alt-Del, a halt that someone asks for, and a power supply that fails.
            signal @ (libc::SIGINT | libc::SIGTERM | libc::SIGPWR) => {
                let signal = if signal == libc::SIGPWR { libc::SIGTERM } else { signal };
                match self.ending.is_some() {
                    true => self.services.signal(signal),
                    false => self.end(signal),
                }
            }
            signal => self.services.signal(signal),
        }
        Ok(())
    }

    /// Waits for all children that have ended, also those that the kernel has given to PID 1.
    fn reap(&mut self) {
        let why = Why("a child that has ended stays a zombie until PID 1 has waited for it");
        while let Ok(Some(pid)) = syscalls::waitid_any_ended(why) {
            if let Some(place) = self.services.find(pid) {
                self.services.ended(place, &mut self.console);
            } else if !self.sessions.ended(pid) {
                let _ = syscalls::waitid_pid(pid, why);
            }
        }
    }

    /// Writes what is not written yet, as far as the others take it.
    fn last_words(&mut self) -> Result<(), Error> {
        let until = now() + LAST;
        while now() < until {
            let mut table = Vec::new();
            let mut add = |at: At| table.push(PollFd { fd: at.raw(), events: libc::POLLOUT, revents: 0 });
            if !self.console.is_empty() {
                self.console.show();
                add(self.console.at());
            }
            if let Some(channel) = &mut self.channel {
                channel.flush();
                channel.unsaid().into_iter().for_each(&mut add);
            }
            if table.is_empty() {
                break;
            }
            let why = Why("the last words of the machine take as long as the other side needs");
            syscalls::ppoll(&mut table, Some(LAST), why).doing("say the last words")?;
        }
        Ok(())
    }
}
