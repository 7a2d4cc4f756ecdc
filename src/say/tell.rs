//! The teller: what is done is told as it happens, with `-E` in words, and at level debug call by call. It reads the recorder,
//! which init and hooks write to as well: so what they do is told while this process waits, and none of them makes one call
//! more for that. May touch: plan types, the recorder.

use crate::cli::Level;
use crate::host::patience;
use crate::plan::Plan;
use crate::say::tell_line::{DATAGRAM, Line, Role, Shape, To, Voice};
use crate::say::tell_text::{self, hangs};
use crate::sorted;
use core::sync::atomic::{Ordering::*, fence};
use syscalls::record::{self, Entry, Head, Record};
use syscalls::{Alone, Call, Fd, Why};

/// Why what is told is written: such a call is not told itself.
const TELL: Why = Why("the caller asked to be told what is done, as it happens");

/// The call that does not return.
const EXIT: Call = Call::named("exit_group");

/// After this time a call is told while it is still in the kernel, and a record that another process has begun is given up.
const LONG: u64 = 1_000_000_000;

/// Bytes that a line has at most, and those before its text.
const MOST: usize = 400 - 60;

/// What is told before this program may execute itself again, besides the command.
const BEFORE: [&str; 2] = ["bundle", "sealed"];

/// There is one, since a wait in any room calls it.
static TELLER: Alone<Option<Teller>> = Alone::new(None);

struct Teller {
    voice: Voice,
    /// Stages are told in words.
    words: bool,
    /// Each call is told.
    calls: bool,
    plan: Option<&'static Plan>,
    /// What CLOCK_REALTIME is ahead of CLOCK_MONOTONIC, which records have.
    ahead: u64,
    own: Reader,
    /// What the first process of a container records that another command has made.
    watched: Option<Watched>,
    /// Per lane, a bit for each stage that was told.
    stages: [u128; 3],
    /// This program has executed itself again, and has told before what it did so far.
    again: bool,
    /// This process has made another one.
    parent: bool,
    /// What is written next.
    text: String,
}

/// How far a recorder is told.
#[derive(Default)]
struct Reader {
    /// Up to here it was read.
    read: usize,
    /// Since when the record that comes next is not there.
    absent: Option<u64>,
    /// Records that are not told to their end.
    open: Vec<Open>,
}

/// A recorder in a file.
struct Watched {
    file: Fd,
    bytes: Vec<u8>,
    reader: Reader,
}

/// A record by its place. `told`: it was told that the call takes long.
#[derive(Clone, Copy)]
struct Open {
    place: u32,
    told: bool,
}

/// From now on all is told by this voice.
pub fn begin(voice: Voice, words: bool, calls: bool) {
    let change = |teller: &mut Teller| (teller.voice, teller.words, teller.calls) = (voice.clone(), words, calls);
    if with(change) {
        return;
    }
    let _ = syscalls::survive_closed_readers(Why("if no process reads any more what is told, the work goes on"));
    let clock = syscalls::clock_ns;
    let read = after_own(record::bytes());
    let teller = Teller {
        voice,
        words,
        calls,
        plan: None,
        ahead: clock(libc::CLOCK_REALTIME).saturating_sub(clock(libc::CLOCK_MONOTONIC)),
        own: Reader { read, absent: None, open: Vec::with_capacity(64) },
        watched: None,
        again: read > size_of::<Head>(),
        stages: [0; 3],
        parent: false,
        text: String::with_capacity(4096),
    };
    TELLER.with(|told| *told = Some(teller));
    patience::tell_meanwhile(look);
}

/// Where the last line was written. A program that has executed itself again has told what it did before.
fn after_own(bytes: &[u8]) -> usize {
    let own = |at: &u32| Record::read(bytes, *at).is_some_and(|record| is_own(&record));
    let last = record::offsets(bytes).filter(own).last();
    let end = last.and_then(|at| Some(at as usize + record::entry_size(bytes, at as usize)?));
    end.unwrap_or(size_of::<Head>())
}

/// Whether the call belongs to telling.
fn is_own(record: &Record) -> bool {
    [TELL, DATAGRAM[0], DATAGRAM[1], patience::GOES_ON].iter().any(|why| why.0 == record.why())
}

/// The lines of this plan are carried out from now on.
pub fn plan(plan: &'static Plan) {
    with(|teller| teller.plan = Some(plan));
}

/// From now on what another process adds to this recorder's file is told, too.
pub fn watch(file: Option<Fd>) {
    with(|teller| {
        teller.look(false);
        let reader = |read| Reader { read, absent: None, open: Vec::new() };
        teller.watched = file.map(|file| {
            let mut watched = Watched { file, bytes: Vec::new(), reader: reader(0) };
            watched.fill();
            watched.reader = reader(watched.bytes.len());
            watched
        });
    });
}

/// Whether anything is told.
pub fn is_on() -> bool {
    with(|_| {})
}

/// Tells what was done so far.
pub fn look() {
    with(|teller| teller.look(false));
}

/// Tells all that is left: the command ends.
pub fn end() {
    with(|teller| {
        teller.look(true);
        let head = record::head();
        let missing = head.dropped.load(Relaxed) + if teller.calls { head.repeated.load(Relaxed) } else { 0 };
        if missing > 0 {
            let text = tell_text::filled("missing", &[&missing.to_string()]);
            teller.add(syscalls::clock_ns(libc::CLOCK_REALTIME), Level::Info, Role::own(), &text);
            teller.write();
        }
    });
}

/// Writes a line of this process's own. False: nothing is told.
pub fn line(level: Level, text: &str) -> bool {
    with(|teller| {
        teller.look(false);
        // `main` tells errors on standard error, and the demo has no words but its own.
        let error = level == Level::Error && teller.voice.to == To::Stderr;
        let usual = level <= Level::Info && teller.voice.shape == Shape::Brief;
        if !(error || usual) {
            teller.add(syscalls::clock_ns(libc::CLOCK_REALTIME), level, Role::own(), text);
            teller.write();
        }
    })
}

/// Says what this process does, in the words that the table has for `key`.
pub fn words(key: &str, values: &[&str]) {
    with(|teller| {
        let told = teller.again && (key.starts_with("command ") || BEFORE.contains(&key));
        let text = match (teller.words && !told, teller.voice.shape) {
            (false, _) => String::new(),
            (true, Shape::Brief) => tell_text::filled(&format!("brief {key}"), values),
            (true, _) => tell_text::filled(key, values),
        };
        teller.look(false);
        if !text.is_empty() {
            let text = &crate::outcome::bounded(&text, MOST);
            teller.add(syscalls::clock_ns(libc::CLOCK_REALTIME), Level::Info, Role::own(), text);
            teller.write();
        }
    });
}

fn with(act: impl FnOnce(&mut Teller)) -> bool {
    TELLER.with(|teller| teller.as_mut().map(act)).flatten().is_some()
}

impl Teller {
    fn add(&mut self, time: u64, level: Level, role: Role, text: &str) {
        self.voice.add(&Line { time, level, role, text }, &mut self.text);
    }

    fn write(&mut self) {
        self.voice.write(&self.text, TELL);
        self.text.clear();
    }

    /// Tells what was recorded and is not told. `last`: nothing will follow.
    fn look(&mut self, last: bool) {
        let mut own = core::mem::take(&mut self.own);
        self.told(record::bytes(), &mut own, last);
        self.own = own;
        if let Some(mut watched) = self.watched.take() {
            watched.fill();
            self.told(&watched.bytes, &mut watched.reader, last);
            self.watched = Some(watched);
        }
        self.write();
    }

    fn told(&mut self, bytes: &[u8], reader: &mut Reader, last: bool) {
        fence(Acquire);
        let now = syscalls::clock_ns(libc::CLOCK_MONOTONIC);
        reader.read_on(bytes, now, last);
        // Room for a record is taken a moment after its number, so that two lanes can change places.
        let seq = |open: &Open| (Record::read(bytes, open.place).map_or(0, |record| record.seq), open.place);
        sorted::by(&mut reader.open, |a, b| seq(a) < seq(b));
        reader.open.retain_mut(|open| match Record::read(bytes, open.place) {
            Some(record) => self.tell(&record, open, now, last) && !last,
            None => false,
        });
    }

    /// Tells of one call. True: there will be more to tell of it.
    fn tell(&mut self, record: &Record, open: &mut Open, now: u64, last: bool) -> bool {
        if record.state == record::RESERVED {
            return true;
        }
        if is_own(record) {
            return false;
        }
        let returned = record.state == record::RETURNED;
        let role = self.role(record);
        let time = record.start_ns.saturating_add(self.ahead);
        if self.words
            && let Some(text) = self.stage(record)
        {
            self.add(time, Level::Info, role, &text);
        }
        let ends = record.call == EXIT;
        if self.calls && (returned || ends || last) {
            let text = tell_text::call(record, MOST);
            self.add(time, Level::Debug, role, &text);
        }
        let long = now.saturating_sub(record.start_ns) > LONG;
        let waits = !returned && long && self.voice.shape != Shape::Brief;
        if waits && !open.told && record.call != Call::EXECVE {
            open.told = true;
            let level = if self.words { Level::Info } else { Level::Debug };
            let text = hangs(record, now, MOST);
            self.add(now.saturating_add(self.ahead), level, role, &text);
        }
        !returned && !ends
    }

    fn role(&mut self, record: &Record) -> Role {
        if record.lane != 0 {
            return Role::Child;
        }
        let role = if self.parent { Role::Parent } else { Role::Host };
        self.parent |= record.call == Call::CLONE3 && record.ret > 0;
        role
    }

    /// The words for the stage that begins with this call; none if it is told already, or there is nothing to tell of it.
    fn stage(&mut self, record: &Record) -> Option<String> {
        let told = self.stages.get_mut(usize::from(record.lane)).filter(|_| record.line > 0)?;
        let bit = 1u128.checked_shl(record.stage.into())?;
        if *told & bit != 0 {
            return None;
        }
        *told |= bit;
        tell_text::stage(self.plan, record, self.voice.shape, MOST)
    }
}

impl Reader {
    /// Takes note of the records that have come. An entry that another process is about to write reads as zeros, and so does a
    /// lost page: what stays away for long was lost.
    fn read_on(&mut self, bytes: &[u8], now: u64, last: bool) {
        while self.read + size_of::<Entry>() <= bytes.len() {
            let Some(size) = record::entry_size(bytes, self.read) else {
                let since = *self.absent.get_or_insert(now);
                if !last && now.saturating_sub(since) < LONG {
                    return;
                }
                self.read += 8;
                continue;
            };
            self.absent = None;
            self.open.push(Open { place: self.read as u32, told: false });
            self.read += size;
        }
    }
}

impl Watched {
    /// Reads what has come, and again what was not complete. What cannot be read is not told.
    fn fill(&mut self) {
        let mut head = [0u8; size_of::<Head>()];
        let at = core::mem::offset_of!(Head, used);
        if syscalls::pread64(self.file.at(), &mut head, 0, TELL).is_err() {
            return;
        }
        let used = u32::from_ne_bytes([head[at], head[at + 1], head[at + 2], head[at + 3]]);
        let open = self.reader.open.iter().map(|open| open.place as usize).min();
        let from = open.unwrap_or(self.bytes.len()).min(self.bytes.len());
        self.bytes.resize((used as usize).clamp(self.bytes.len(), record::CAPACITY), 0);
        let _ = syscalls::pread64(self.file.at(), &mut self.bytes[from..], from, TELL);
    }
}
