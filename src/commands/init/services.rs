//! The bundles of a machine that has several, or one that starts again: each is a child that runs one container. They begin in
//! order: the next one when the container before is there. May touch: everything below.

use super::child::{self, Child, Start};
use super::lines::{Console, Lines};
use super::ports;
use super::words::{Restart, Wish};
use crate::host::input::c;
use crate::outcome::Error;
use alloc::ffi::CString;
use syscalls::{At, AtFlags, Ended, Fd, OpenFlags, PollFd, Why};

/// Milliseconds before a container starts again: this at first, then twice as many each time, up to the most.
const PAUSE: u64 = 100;
const LONGEST: u64 = 10_000;
/// A container that has run for so long begins with the first pause again.
const HEALTHY: u64 = 10_000;
/// Milliseconds between two looks whether a container is there.
const LOOK: u64 = 20;
/// So many bytes at most are shown after the end of a container: processes that it has left may write for ever.
const LAST: usize = 1 << 20;

/// How far a service is.
enum State {
    /// It has not begun yet.
    Next,
    /// The container is not there yet.
    Begins(Child),
    Runs(Child),
    /// It begins again at this time.
    Again(u64),
    /// The runtime was killed: what it has left is removed first.
    Clears(Child),
    Over,
}

struct Service {
    id: String,
    words: Vec<CString>,
    clear: Vec<CString>,
    /// A file that is there when the container is.
    made: CString,
    /// The device for its input and output, if it has one of its own.
    port: Option<CString>,
    lines: Lines,
    pipe: Option<Fd>,
    state: State,
    began: u64,
    pause: u64,
}

pub struct Services {
    all: Vec<Service>,
    restart: Restart,
    /// None of them begins any more.
    ending: bool,
    /// Standard input of those that have no console.
    null: Option<Fd>,
    /// The first status that is not 0, and the container that ended with it.
    first: Option<(String, i32)>,
    /// The bundle's place among all, if a container could not be made.
    pub failed: Option<usize>,
}

/// Milliseconds since the machine began.
pub fn now() -> u64 {
    syscalls::clock_ns(libc::CLOCK_MONOTONIC) / 1_000_000
}

impl Services {
    /// `bundles`: the id and the directory of each.
    pub fn of(bundles: &[(String, String)], wish: &Wish) -> Result<Services, Error> {
        if bundles.len() > 1 {
            ports::settle();
        }
        let all = bundles.iter().map(|(id, directory)| Service::of(id, directory, wish));
        let all = all.collect::<Result<Vec<_>, Error>>()?;
        let why = Why("of several containers none has the console as its input");
        let null = (all.len() > 1).then(|| syscalls::openat(At::CWD, c"/dev/null", OpenFlags::O_RDWR, why));
        let null = null.transpose().map_err(|failed| crate::outcome::at("open /dev/null", failed))?;
        Ok(Services { all, restart: wish.restart, ending: false, null, first: None, failed: None })
    }

    fn several(&self) -> bool {
        self.null.is_some()
    }

    /// Whether each line of their output gets the id.
    fn tells(&self) -> bool {
        self.several() || self.restart != Restart::No
    }

    /// Begins what can begin now. Returns the milliseconds until the next look.
    pub fn go_on(&mut self, console: &mut Console) -> Option<u64> {
        let time = now();
        let mut look: Option<u64> = None;
        for place in 0..self.all.len() {
            let Some(service) = self.all.get_mut(place) else { break };
            service.look();
            let begins = match service.state {
                State::Next => !self.ending,
                State::Again(when) => !self.ending && when <= time,
                _ => false,
            };
            if self.ending && matches!(service.state, State::Next | State::Again(_)) {
                service.state = State::Over;
            }
            if begins {
                let streams = self.null.as_ref().map(Fd::at);
                if let Err(text) = service.begin(streams, time) {
                    console.say(&text);
                    service.state = State::Over;
                    self.first.get_or_insert((service.id.clone(), 1));
                }
            }
            let wait = match service.state {
                State::Begins(_) => LOOK,
                State::Again(when) => when.saturating_sub(time).max(1),
                _ => continue,
            };
            look = Some(look.map_or(wait, |look| look.min(wait)));
            // Those after it wait for their first start until it is there.
            if matches!(service.state, State::Begins(_)) && !begins_again(service) {
                break;
            }
        }
        look
    }

    /// The service that has this child.
    pub fn find(&self, pid: i32) -> Option<usize> {
        self.all.iter().position(|service| service.child().is_some_and(|child| child.pid == pid))
    }

    /// A child has ended: waits for it, and decides what follows.
    pub fn ended(&mut self, place: usize, console: &mut Console) {
        let (several, tells) = (self.several(), self.tells());
        let Some(service) = self.all.get_mut(place) else { return };
        service.look();
        let Some(ended) = service.wait() else { return };
        let time = now();
        let there = match core::mem::replace(&mut service.state, State::Over) {
            State::Clears(_) => {
                service.state = State::Again(time + service.pause);
                return;
            }
            State::Begins(_) => false,
            _ => true,
        };
        service.show_the_rest(console);
        let status = ended.status();
        let again = there
            && !self.ending
            && match self.restart {
                Restart::No => false,
                Restart::OnFailure => status != 0,
                Restart::Always => true,
            };
        if again {
            if time.saturating_sub(service.began) >= HEALTHY {
                service.pause = 0;
            }
            service.pause = (service.pause * 2).clamp(PAUSE, LONGEST);
            let (whole, part) = (service.pause / 1000, service.pause % 1000 / 100);
            console.say(&format!("{}: exit status {status}; it starts again in {whole}.{part} s", service.id));
            service.state = State::Again(time + service.pause);
            if matches!(ended, Ended::Killed { .. }) {
                service.clear(console.at());
            }
            return;
        }
        if !there {
            self.failed.get_or_insert(place);
        }
        if tells {
            let why = if there { "" } else { ", and its container could not be made" };
            console.say(&format!("{}: exit status {status}{why}", service.id));
        }
        if status != 0 && self.first.is_none() {
            self.first = Some((if several { service.id.clone() } else { String::new() }, status));
        }
    }

    /// From now on none begins, and all get this signal.
    pub fn end(&mut self, signal: i32) {
        self.ending = true;
        self.signal(signal);
    }

    /// Passes a signal on to all.
    pub fn signal(&self, signal: i32) {
        let why = Why("a signal for the machine is meant for all that it runs");
        for child in self.all.iter().filter_map(Service::child) {
            let _ = child.signal(signal, why);
        }
    }

    pub fn are_over(&self) -> bool {
        self.all.iter().all(|service| matches!(service.state, State::Over))
    }

    /// The first status that is not 0, and the id of several that has ended with it.
    pub fn status(&self) -> (i32, &str) {
        self.first.as_ref().map_or((0, ""), |(id, status)| (*status, id))
    }

    /// The pipes with output.
    pub fn pipes(&self) -> impl Iterator<Item = (usize, At)> {
        self.all.iter().enumerate().filter_map(|(place, service)| Some((place, service.pipe.as_ref()?.at())))
    }

    /// A pipe has output, or has ended.
    pub fn read(&mut self, place: usize, console: &mut Console) {
        if let Some(service) = self.all.get_mut(place) {
            service.read(console);
        }
    }
}

/// Whether the service has run before.
fn begins_again(service: &Service) -> bool {
    service.pause > 0
}

impl Service {
    fn of(id: &str, directory: &str, wish: &Wish) -> Result<Service, Error> {
        let made = format!("{}/{id}.pid", super::files::PLACE);
        let run = ["run".to_string(), format!("--bundle={directory}"), format!("--pid-file={made}")];
        let clear = ["delete", "--force", "--", id].map(String::from);
        let of = |words: &mut dyn Iterator<Item = &String>| {
            let words: Option<Vec<CString>> = child::words(words.map(|word| word.as_bytes()));
            words.ok_or_else(|| Error::Usage("nk.bundle: a name holds a NUL byte".into()))
        };
        let last = ["--".to_string(), id.to_string()];
        Ok(Service {
            id: id.into(),
            words: of(&mut wish.options.iter().chain(&run).chain(&last))?,
            clear: of(&mut clear.iter())?,
            made: c(&made)?,
            port: ports::named(id),
            lines: Lines::of(id),
            pipe: None,
            state: State::Next,
            began: 0,
            pause: 0,
        })
    }

    fn child(&self) -> Option<&Child> {
        match &self.state {
            State::Begins(child) | State::Runs(child) | State::Clears(child) => Some(child),
            _ => None,
        }
    }

    /// Looks whether the container is there.
    fn look(&mut self) {
        if !matches!(self.state, State::Begins(_)) {
            return;
        }
        let why = Why("`run` has written this file when the container is there: the next one may begin");
        if syscalls::newfstatat(At::CWD, &self.made, AtFlags::NONE, why).is_ok()
            && let State::Begins(child) = core::mem::replace(&mut self.state, State::Over)
        {
            self.state = State::Runs(child);
        }
    }

    /// Begins. `null`: its input, if its output is not the console as it is.
    fn begin(&mut self, null: Option<At>, time: u64) -> Result<(), String> {
        let failed = |id: &str, failed: syscalls::Failed| {
            format!("{id}: cannot be started: {}", failed.errno.text().to_lowercase())
        };
        let _ = syscalls::unlinkat(At::CWD, &self.made, AtFlags::NONE, Why("the container is not there yet"));
        let mut open = None;
        if let Some(port) = &self.port {
            let flags = OpenFlags::O_RDWR | OpenFlags::O_NOCTTY;
            let why = Why("the host has made a port of this container's name: its input and output");
            open = Some(syscalls::openat(At::CWD, port, flags, why).map_err(|f| failed(&self.id, f))?);
        }
        let mut other = None;
        let streams = match (&open, null) {
            (Some(port), _) => [port.at(); 3],
            (None, None) => [At::STDIN, At::STDOUT, At::STDERR],
            (None, Some(null)) => {
                let (read, write) =
                    syscalls::pipe2(Why("each line of its output gets its name")).map_err(|f| failed(&self.id, f))?;
                self.pipe = Some(read);
                let at = write.at();
                other = Some(write);
                [null, at, at]
            }
        };
        let started = self.start(&self.words, streams).map_err(|f| failed(&self.id, f));
        drop((open, other));
        self.began = time;
        self.state = State::Begins(started.inspect_err(|_| self.pipe = None)?);
        Ok(())
    }

    fn start(&self, words: &[CString], streams: [At; 3]) -> syscalls::Result<Child> {
        let program = child::itself();
        Child::start(&Start { program, words, streams, terminal: false, root: None, place: None })
    }

    /// The runtime was killed before it could remove the container.
    fn clear(&mut self, console: At) {
        if let Ok(child) = self.start(&self.clear, [At::STDIN, console, console]) {
            self.state = State::Clears(child);
        }
    }

    /// How its child has ended.
    fn wait(&self) -> Option<Ended> {
        let why = Why("the status that the container ended with");
        syscalls::waitid_pidfd(self.child()?.process.at(), syscalls::WaitFlags::WNOHANG, why).ok().flatten()
    }

    /// Reads once. Returns how many bytes there were.
    fn read(&mut self, console: &mut Console) -> usize {
        let Some(pipe) = &self.pipe else { return 0 };
        let mut bytes = [0; 4096];
        let len = syscalls::read(pipe.at(), &mut bytes, Why("output of a container")).unwrap_or(0);
        self.lines.take(bytes.get(..len).unwrap_or(&[]), console);
        if len == 0 {
            self.pipe = None;
            self.lines.end(console);
        }
        len
    }

    /// Reads what the pipe still holds after the container's end.
    fn show_the_rest(&mut self, console: &mut Console) {
        let mut shown = 0;
        while let Some(pipe) = &self.pipe
            && shown < LAST
        {
            let mut fds = [PollFd { fd: pipe.at().raw(), events: libc::POLLIN, revents: 0 }];
            let ready = syscalls::ppoll(&mut fds, Some(0), Why("the kernel may still keep output of the container"));
            if ready != Ok(1) {
                break;
            }
            shown += self.read(console).max(1);
        }
        self.pipe = None;
        self.lines.end(console);
    }
}
