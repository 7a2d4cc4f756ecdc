//! `run` and its machine: from the first frame until QEMU has ended. One loop waits for all: signals, the channel, the console, this
//! command's own input and output, other commands. May touch: everything below.

use super::clients::Clients;
use super::console::Console;
use super::link::{Link, row};
use super::local::{self, Local, SESSION};
use super::returned::{self, Clocks};
use crate::frames::{Begin, Damage, Hello, MACHINE, Stream, ToGuest, ToHost, VERSION};
use crate::host::environment;
use crate::outcome::{Doing, Error};
use crate::say::tell;
use crate::state::{self, Saved};
use crate::vm;
use syscalls::flags::signal_name;
use syscalls::{At, AtFlags, Ended, Fd, PollFd, SigSet, Taken, WaitFlags, Why};

const DOING: &str = "speak with the machine";
/// So long a machine may take until it speaks, in seconds: without KVM, on a busy host, a boot takes half a minute.
const PATIENCE: u64 = 180;
/// The same with KVM, which boots in a second or two, or hangs.
const FAST: u64 = 60;
/// So long other commands have for their last words, in milliseconds.
const LAST_WORDS: u64 = 1_000;
/// So long the machine has for each of its last steps: to give its records, and to end.
const LAST_STEP: u64 = 20_000;
/// Bytes of a file of records, at most.
const LONGEST: usize = 8 << 20;

/// What a machine begins with.
pub struct Started<'a> {
    pub qemu: &'a Fd,
    /// The channel, and the console.
    pub channel: Fd,
    pub console: Fd,
    /// What the kernel says is shown.
    pub verbose: bool,
    /// The machine's processor is the host's own (KVM).
    pub fast: bool,
}

/// What runs in it.
pub struct Wish<'a> {
    pub saved: &'a Saved,
    /// The directory of its state.
    pub dir: At,
    /// The words of session 1, each ended by NUL.
    pub words: &'a [u8],
    /// The program's terminal: its size if the caller has none.
    pub terminal: Option<[u16; 2]>,
}

pub struct Machine<'a> {
    qemu: &'a Fd,
    signals: Fd,
    link: Link,
    console: Console,
    local: Option<Local>,
    clients: Option<Clients>,
    clocks: Clocks,
    /// The last line that the machine had to say.
    note: String,
    ended: Option<Ended>,
    /// A signal that asks to end has come while no program runs.
    stopped_by: Option<i32>,
    /// So long the machine may take until it speaks, in seconds.
    patience: u64,
    silent: bool,
}

fn now() -> u64 {
    syscalls::clock_ns(libc::CLOCK_MONOTONIC)
}

impl<'a> Machine<'a> {
    pub fn new(started: Started<'a>) -> Result<Machine<'a>, Error> {
        let why = Why("one ppoll shall wait for signals together with the machine");
        let signals = syscalls::signalfd4(SigSet::ALL, why).doing(DOING)?;
        let most = if started.fast { FAST } else { u64::MAX };
        let patience = match environment("NK_VM_PATIENCE").filter(|word| !word.is_empty()).map(str::parse::<u64>) {
            None => PATIENCE,
            Some(Ok(seconds)) => seconds,
            Some(Err(_)) => return Err(Error::Usage("NK_VM_PATIENCE: write a number of seconds".into())),
        };
        Ok(Machine {
            qemu: started.qemu,
            signals,
            link: Link::new(started.channel),
            console: Console::new(started.console, started.verbose),
            local: None,
            clients: None,
            clocks: Clocks::default(),
            note: String::new(),
            ended: None,
            stopped_by: None,
            patience: patience.min(most),
            silent: false,
        })
    }

    /// Runs the container, and returns its program's status. After an error the caller ends QEMU.
    pub fn run(&mut self, wish: &Wish) -> Result<i32, Error> {
        self.boots()?;
        let clients = Clients::listen(wish.dir).doing("listen for other commands of the container")?;
        self.clients = Some(clients);
        tell::words("runs", &[&wish.saved.pid.to_string()]);
        let (status, lost) = self.runs(wish)?;
        tell::words("ended", &[&status.to_string()]);
        self.leaves(wish)?;
        lost.map_or(Ok(status), Err)
    }

    /// QEMU has ended, and was waited for.
    pub fn has_ended(&self) -> bool {
        self.ended.is_some()
    }

    /// The seconds for which the machine has said nothing at all, if that has ended it.
    pub fn was_silent(&self) -> Option<u64> {
        self.silent.then_some(self.patience)
    }

    /// The status of a QEMU that was killed by a signal after the machine had begun to speak.
    pub fn killed(&self) -> Option<i32> {
        let killed = self.ended.filter(|ended| matches!(ended, Ended::Killed { .. }));
        killed.filter(|_| self.clocks.answers > 1).map(Ended::status)
    }

    /// Until the machine has said HELLO twice: the first may have waited for long, and tells nothing of the clocks.
    fn boots(&mut self) -> Result<(), Error> {
        let patience = self.patience;
        self.hello();
        if !self.until(|machine| machine.clocks.answers > 0, Some(patience.saturating_mul(1000)))? {
            if let Some(signal) = self.stopped_by {
                return Err(vm::cut_short(signal));
            }
            self.silent = !self.is_lost();
            return Err(match self.is_lost() {
                true => self.failure(),
                false => Error::State(format!(
                    "the machine has said nothing for {patience} s, so it was ended{}; try: NK_VM_PATIENCE=SECONDS to wait longer",
                    self.told()
                )),
            });
        }
        self.hello();
        match self.until(|machine| machine.clocks.answers > 1, Some(LAST_STEP))? {
            true => Ok(()),
            false => Err(self.failure()),
        }
    }

    fn hello(&mut self) {
        ToGuest::Hello(Hello { version: VERSION, clock: now() }).put(MACHINE, &mut self.link.out);
    }

    /// The program's status, and why some of its output is lost.
    fn runs(&mut self, wish: &Wish) -> Result<(i32, Option<Error>), Error> {
        let size = wish.terminal.map(|usual| local::size().unwrap_or(usual));
        let long = || Error::State("the words for the machine do not fit into a frame".into());
        let begin = Begin::new(size, wish.words).ok_or_else(long)?;
        ToGuest::Begin(begin).put(SESSION, &mut self.link.out);
        self.local = Some(Local::standard(wish.terminal.is_some()));
        let over = |machine: &Machine| machine.local.as_ref().is_none_or(Local::is_over);
        self.until(over, None)?;
        let local = self.local.take();
        let lost = local.as_ref().and_then(|local| local.status().err());
        match local.and_then(|local| local.exit) {
            Some(status) => Ok((status, lost)),
            None => Err(self.failure()),
        }
    }

    /// Other commands end, the records come out, and the machine ends.
    fn leaves(&mut self, wish: &Wish) -> Result<(), Error> {
        self.until(|machine| machine.clients.as_ref().is_none_or(Clients::is_empty), Some(LAST_WORDS))?;
        let why = Why("no other command can ask this machine for anything any more");
        let _ = syscalls::unlinkat(wish.dir, state::CHANNEL, AtFlags::NONE, why);
        if let Some(mut clients) = self.clients.take() {
            clients.close(&mut self.link.out);
            self.clients = Some(clients);
        }
        if state::traces::limit() > 0 {
            let records = self.records(&wish.saved.id)?;
            state::recorder::keep_machines(wish.dir, &records);
        }
        ToGuest::End(0).put(MACHINE, &mut self.link.out);
        // If the machine does not end by itself the caller ends it: all that it had to give is here.
        self.until(|machine| machine.is_lost(), Some(LAST_STEP))?;
        if self.is_lost() { self.ending() } else { Ok(()) }
    }

    /// The records of the container in the machine. What does not come is left out.
    fn records(&mut self, id: &str) -> Result<Vec<u8>, Error> {
        let mut all = Vec::new();
        let listing = self.fetch(returned::KEPT)?;
        for path in returned::kept(&listing, id) {
            let file = self.fetch(&path)?;
            all.extend(returned::as_the_hosts(file, self.clocks.ahead()));
        }
        Ok(all)
    }

    fn fetch(&mut self, path: &str) -> Result<Vec<u8>, Error> {
        self.local = Some(Local::kept());
        ToGuest::Fetch(path.as_bytes()).put(SESSION, &mut self.link.out);
        let got = |machine: &Machine| machine.local.as_ref().map_or(&[][..], |local| local.output(Stream::Out)).len();
        let over = |machine: &Machine| machine.local.as_ref().is_none_or(Local::is_over);
        let enough = |machine: &Machine| {
            let bytes = machine.local.as_ref().map_or(&[][..], |local| local.output(Stream::Out));
            over(machine) || returned::is_enough(bytes) || bytes.len() > LONGEST
        };
        self.until(enough, Some(LAST_STEP))?;
        if !over(self) {
            // The rest of a file of records is empty.
            ToGuest::Hangup.put(SESSION, &mut self.link.out);
            self.until(over, Some(LAST_STEP))?;
        }
        let whole = got(self) <= LONGEST;
        let local = self.local.take().filter(|local| whole && local.is_over());
        Ok(local.map_or(Vec::new(), |local| local.output(Stream::Out).to_vec()))
    }

    /// Waits. False: the time is over, or the machine is lost, or a signal asks to end.
    fn until(&mut self, done: impl Fn(&Machine) -> bool, limit: Option<u64>) -> Result<bool, Error> {
        let begun = now();
        loop {
            if done(self) {
                return Ok(true);
            }
            let writing = self.local.as_ref().is_some_and(|local| local.exit.is_some() && !local.is_over());
            if self.stopped_by.is_some() || (self.is_lost() && !writing) {
                return Ok(false);
            }
            let passed = (now() - begun) / 1_000_000;
            let left = limit.map(|limit| limit.saturating_sub(passed));
            if left == Some(0) {
                return Ok(false);
            }
            self.turn(left)?;
        }
    }

    /// Nothing more can come from the machine.
    fn is_lost(&self) -> bool {
        self.link.closed
    }

    /// Waits once, and carries what can be carried.
    fn turn(&mut self, left: Option<u64>) -> Result<(), Error> {
        let full = self.link.is_full();
        let mut table: Vec<PollFd> = Vec::with_capacity(8);
        table.push(row(Some(self.signals.at()), libc::POLLIN));
        table.push(self.link.row(true));
        table.push(self.console.row());
        table.extend(self.local.as_ref().map_or([row(None, 0); 3], |local| local.rows(full)));
        if let Some(clients) = &self.clients {
            clients.rows(full, &mut table);
        }
        let gone = (self.ended.is_some() && !self.link.closed).then_some(0);
        let limit = [left, gone].into_iter().flatten().min();
        let why =
            Why("a signal, a frame of the machine's, what its kernel says, input, room for output, another command");
        let passed = syscalls::ppoll(&mut table, limit, why).doing(DOING)? == 0;
        let ready = |place: usize| table.get(place).map_or(0, |row: &PollFd| row.revents);
        self.console.carry(ready(2));
        if ready(0) != 0 {
            self.signal()?;
        }
        self.link.carry(ready(1)).doing(DOING)?;
        self.hear().map_err(|damage| self.broken(damage))?;
        if let Some(local) = &mut self.local {
            local.carry([ready(3), ready(4), ready(5)], &mut self.link.out);
        }
        let clock = self.clocks.machines(now());
        if let Some(clients) = &mut self.clients {
            clients.carry(table.get(6..).unwrap_or(&[]), clock, &mut self.link.out);
        }
        // QEMU has ended, and another process may hold its side of the channel open.
        self.link.closed |= passed && gone.is_some();
        Ok(())
    }

    /// Takes all whole frames.
    fn hear(&mut self) -> Result<(), Damage> {
        let Link { incoming, out, .. } = &mut self.link;
        while let Some(frame) = incoming.next()? {
            match (ToHost::read(frame)?, &mut self.local, &mut self.clients) {
                (ToHost::Hello(hello, asked), ..) => self.clocks.answered(hello, asked, now())?,
                (ToHost::Note(text), ..) => {
                    self.note = String::from_utf8_lossy(text.get(..512).unwrap_or(text)).escape_debug().collect();
                }
                (said, Some(local), _) if frame.session == SESSION => local.take(said, out)?,
                (said, _, Some(clients)) if frame.session != SESSION => clients.take(frame.session, said, out)?,
                _ => return Err(Damage::Session(frame.session)),
            }
        }
        Ok(())
    }

    /// Acts on a signal.
    fn signal(&mut self) -> Result<(), Error> {
        let mut info = [0u8; 128];
        syscalls::read(self.signals.at(), &mut info, Why("the signal decides what to do")).doing(DOING)?;
        let runs = self.local.as_ref().filter(|local| local.exit.is_none());
        match Taken::of(&info).signal {
            libc::SIGCHLD => {
                let why = Why("the machine ends with QEMU");
                self.ended =
                    syscalls::waitid_pidfd(self.qemu.at(), WaitFlags::WNOHANG, why).doing(DOING)?.or(self.ended);
            }
            libc::SIGURG | libc::SIGPIPE | libc::SIGXFSZ => {}
            libc::SIGWINCH if runs.is_some_and(Local::has_terminal) => {
                if let Some(size) = local::size() {
                    ToGuest::Size(size).put(SESSION, &mut self.link.out);
                }
            }
            signal if runs.is_some() => {
                tell::words("signal", &[&signal_name(signal).to_string()]);
                ToGuest::Signal(signal).put(SESSION, &mut self.link.out);
            }
            signal @ (libc::SIGTERM | libc::SIGINT | libc::SIGHUP | libc::SIGQUIT) => self.stopped_by = Some(signal),
            _ => {}
        }
        Ok(())
    }

    fn broken(&mut self, damage: Damage) -> Error {
        Error::State(format!("the machine has sent {}, so it was ended{}", damage.text(), self.told()))
    }

    /// The machine's last words, for a message.
    fn told(&mut self) -> String {
        self.console.rest();
        let note = if self.note.is_empty() { String::new() } else { format!(", after it said: {}", self.note) };
        note + &self.console.told()
    }

    /// The error of a machine that has ended, or that has closed the channel, before its program has.
    fn failure(&mut self) -> Error {
        // The end of QEMU follows that of the channel.
        let _ = self.ending();
        let ended = |how: &str| Error::State(format!("the machine ended before its program: {how}"));
        let how: String = match self.ended {
            None => "it has closed the channel".into(),
            // The signal is the cause, and not what the machine's kernel has said.
            Some(Ended::Killed { signal, .. }) => {
                return ended(&format!("QEMU was killed by {}", signal_name(signal)));
            }
            Some(ended) if ended.status() == 0 => "its kernel gave up, or it was told to end".into(),
            // QEMU itself says why.
            Some(qemu) => return ended(&format!("QEMU ended with status {}", qemu.status())),
        };
        ended(&format!("{how}{}", self.told()))
    }

    fn ending(&mut self) -> Result<(), Error> {
        let begun = now();
        while self.ended.is_none() && now() - begun < 5_000_000_000 {
            let mut table = [row(Some(self.signals.at()), libc::POLLIN), self.console.row()];
            let why = Why("the way in which QEMU has ended tells why");
            syscalls::ppoll(&mut table, Some(1_000), why).doing(DOING)?;
            self.console.carry(table[1].revents);
            if table[0].revents != 0 {
                self.signal()?;
            }
        }
        Ok(())
    }
}

/// The words of session 1.
pub fn words(id: &str, options: &[String]) -> Vec<u8> {
    let run = ["run".to_string(), format!("--bundle={}", crate::vm::BUNDLE), "--".into(), id.into()];
    let all = options.iter().chain(&run);
    all.flat_map(|word| word.bytes().chain([0])).collect()
}
