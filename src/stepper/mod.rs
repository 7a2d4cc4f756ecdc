//! `run --step`: a process that stops the lanes before their lines, and shows the person at the terminal what comes next and
//! what the container is by then. May touch: system calls, procfs, the plan, the book.
//!
//! ```text
//!   mod        the loop: a question, a stop, keys, an answer
//!   lanes      where each lane stands, and whose turn it is
//!   breaks     where to stop; which calls a line makes (calls.txt)
//!   screen     what is shown (screens.txt)
//!   made       what the calls so far have made, by room `world`
//!   terminal   single keys, and the terminal as it was before
//! ```

mod breaks;
mod lanes;
mod made;
mod screen;
mod terminal;

pub use breaks::{Break, calls};
pub use terminal::Terminal;

use crate::cli::{self, Steps};
use crate::explain::{Book, Entry, Page as Explained};
use crate::host::input::c;
use crate::look::{self, Facts};
use crate::outcome::Error;
use crate::perform::step::{Asked, LANES};
use crate::plan::{Line, Plan, Step, stage};
use lanes::{Came, Lanes, is_last};
use made::{Known, Made};
use screen::{Page, text};
use serde_json::Value;
use syscalls::{At, AtFlags, Fd, SigSet, Why, record};
use terminal::*;

/// What the stepper knows of the container to be.
pub struct About<'a> {
    pub plan: &'a Plan,
    pub config: &'a [u8],
    /// Its directory in the state root, and the path of its cgroup below the root of the hierarchy; empty: it has none.
    pub state: String,
    pub cgroup: String,
    /// The caller is not root, and may not read all of /proc.
    pub ordinary: bool,
}

/// Where a lane stops next.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Mode {
    Every(Steps),
    Breaks,
}

/// What a key has decided.
enum Decision {
    Go,
    End,
    /// There is no lane left that waits.
    Over,
    /// Something else was shown.
    Stay,
}

/// A line before which a lane has stopped, the lane's process, and what that is by now.
struct Stop<'a> {
    number: u16,
    line: &'a Line,
    pid: i32,
    facts: Facts,
    made: Made,
}

pub struct Stepper<'a> {
    about: About<'a>,
    config: Value,
    terminal: Terminal,
    /// Told when the window changes its size.
    window: Option<Fd>,
    mode: Mode,
    /// What Enter does, apart from the key `n`.
    every: Steps,
    breaks: Vec<Break>,
    /// The section in which each lane was last; of its last stop what its process was then, and which calls were known.
    sections: [Option<u8>; 3],
    before: [Option<(Facts, Known)>; 3],
    runtime: Facts,
    /// The person has ended it, or the program has begun: nothing is shown any more.
    ends: bool,
    begun: bool,
}

impl<'a> Stepper<'a> {
    /// Reads what the person asked for. A break that fits no line of the plan is refused.
    pub fn new(wish: &cli::Stepping, about: About<'a>) -> Result<Stepper<'a>, Error> {
        let breaks = wish.breaks.iter().map(|words| Break::read(words, about.plan)).collect::<Result<_, _>>()?;
        let config = serde_json::from_slice(about.config).unwrap_or(Value::Null);
        Ok(Stepper {
            config,
            terminal: Terminal::open()?,
            window: None,
            mode: wish.every.map_or(Mode::Breaks, Mode::Every),
            every: wish.every.unwrap_or(Steps::Lines),
            breaks,
            sections: [None; 3],
            before: [None, None, None],
            runtime: Facts::default(),
            ends: false,
            begun: false,
            about,
        })
    }

    /// The stepper's process.
    pub fn run(&mut self, asked: Asked) {
        record::at(crate::outcome::Lane::Stepper as u8, 0, Step::Look as u16);
        Terminal::hold_signals();
        // Without it a change of the window is seen at the next stop.
        let winch = SigSet::EMPTY.with(libc::SIGWINCH);
        self.window = syscalls::signalfd4(winch, Why("a stop is drawn again when the window changes")).ok();
        let mut lanes = Lanes::new(self.about.plan, asked);
        while let Ok(Some(number)) = lanes.next() {
            let Some(line) = lanes.line(number) else { break };
            let go = match self.stops(&lanes, number, line) {
                true => self.stop(&mut lanes, number, line),
                false => Decision::Go,
            };
            self.sections[lanes.turn] = Some(line.stage);
            match go {
                Decision::Over | Decision::Stay => break,
                Decision::End => self.ends = true,
                Decision::Go => self.begun |= is_last(line),
            }
            lanes.answer(lanes.turn, !self.ends);
        }
        self.terminal.give_back();
        lanes.leave();
    }

    /// The stepper was killed: the runtime gives the terminal back.
    pub fn restore(&self) {
        self.terminal.restore();
    }

    fn stops(&self, lanes: &Lanes, number: u16, line: &Line) -> bool {
        let turn = lanes.turn;
        let lane = LANES[turn];
        !self.ends
            && !self.begun
            && match self.mode {
                Mode::Every(Steps::Lines) => true,
                Mode::Every(Steps::Sections) if self.sections[turn] != Some(line.stage) => true,
                _ => self.breaks.iter().any(|one| one.fits(lane, number, line)),
            }
    }

    /// Shows a stop, and takes keys until one decides.
    fn stop(&mut self, lanes: &mut Lanes, number: u16, line: &Line) -> Decision {
        lanes.settle();
        lanes.freeze();
        let pid = self.pid(lanes);
        let facts = |pid| look::facts(pid, false, self.about.ordinary).unwrap_or_default();
        if self.runtime.namespaces.is_empty() {
            self.runtime = facts(lanes.runtime_pid());
        }
        let known = self.before[lanes.turn].as_ref().map(|(_, known)| known);
        let made = Made::by_now(pid, known.unwrap_or(&Known::default()));
        let stop = Stop { number, line, pid, facts: facts(pid), made };
        let decision = self.keys(lanes, &stop);
        self.terminal.give_back();
        lanes.thaw();
        self.before[lanes.turn] = Some((stop.facts, stop.made.known));
        decision
    }

    /// The process of the lane that has stopped. The clone's parent may not have noted it yet.
    fn pid(&self, lanes: &Lanes) -> i32 {
        for _ in 0..200 {
            if let Some(pid) = lanes.pid(lanes.turn) {
                return pid;
            }
            let _ = syscalls::ppoll(&mut [], Some(1), Why("the parent notes the new process in a moment"));
        }
        0
    }

    fn keys(&mut self, lanes: &mut Lanes, stop: &Stop) -> Decision {
        loop {
            self.terminal.come_to_foreground(lanes.runtime());
            if self.terminal.take().is_err() || self.draw(lanes, stop).is_err() {
                return Decision::End;
            }
            loop {
                let decision = match self.key(lanes) {
                    Key::Over => return Decision::Over,
                    Key::Window => break,
                    Key::None => Ok(Decision::End),
                    Key::Is(CTRL_L) => break,
                    Key::Is(CTRL_Z) => {
                        self.terminal.suspend(lanes.runtime());
                        break;
                    }
                    Key::Is(key) => self.act(lanes, key, stop),
                };
                match decision {
                    Ok(Decision::Stay) => {}
                    Ok(decision) => return decision,
                    Err(_) => return Decision::End,
                }
            }
        }
    }

    /// What a key does.
    fn act(&mut self, lanes: &mut Lanes, key: u8, stop: &Stop) -> Result<Decision, Error> {
        let lane = LANES[lanes.turn];
        let mut page = Page::new(self.terminal.size().0);
        match key {
            key if ENTER.contains(&key) => return self.go(Mode::Every(self.every)),
            b'n' => return self.go(Mode::Every(Steps::Lines)),
            b's' => return self.go(Mode::Every(Steps::Sections)),
            b'c' => return self.go(Mode::Breaks),
            b'q' | CTRL_C | CTRL_D => {
                self.terminal.show("\n")?;
                return Ok(Decision::End);
            }
            b'b' => return self.add_break(lanes),
            b'e' => page.lines = self.explained(stop.line, lane as u8),
            b'i' => page.lines = self.inspected(stop.pid, lanes.runtime_pid()),
            b'w' => stop.made.page(&mut page, stop.pid, &stop.facts),
            b'l' => screen::around(&mut page, self.about.plan, lane, stop.number, &self.breaks),
            b'v' => page = self.shown(lanes, stop, page, usize::MAX),
            b'?' | b'h' => page.rows(text("help")),
            ESCAPE => {
                self.terminal.skip_sequence();
                return Ok(Decision::Stay);
            }
            _ => page.plain(text("wrong")),
        }
        self.paged(lanes, &page.lines)
    }

    fn go(&mut self, mode: Mode) -> Result<Decision, Error> {
        self.mode = mode;
        self.terminal.show("\n").map(|()| Decision::Go)
    }

    /// The next key, or what comes in its place.
    fn key(&mut self, lanes: &mut Lanes) -> Key {
        loop {
            let window = self.window.as_ref().map_or(crate::host::patience::NONE, Fd::at);
            let came = lanes.wait(None, [self.terminal.at(), window]);
            if lanes.over {
                return Key::Over;
            }
            match came {
                Ok(Some(Came::First)) => return self.terminal.key().map_or(Key::None, Key::Is),
                Ok(Some(Came::Second)) => {
                    let mut info = [0; 128];
                    let _ = syscalls::read(window, &mut info, Why("the signal is taken"));
                    return Key::Window;
                }
                Ok(_) => lanes.freeze(),
                Err(_) => return Key::None,
            }
        }
    }

    /// Shows as much of a stop as the terminal has room for.
    fn draw(&self, lanes: &Lanes, stop: &Stop) -> Result<(), Error> {
        let (width, rows) = self.terminal.size();
        let mut page = self.shown(lanes, stop, Page::new(width), NEW);
        // Two lines are left: the keys, and the place where they are typed.
        let room = rows - 2;
        if page.lines.len() > room {
            page.lines.truncate(room - 1);
            page.plain(text("cut"));
        }
        page.plain(text(if width < WIDE { "short prompt" } else { "prompt" }));
        self.terminal.show(&format!("{}{PROMPT}", page.text()))
    }

    /// All of a stop: the line, where the lanes are, what the process is by now, at most so many lines of what is new, and how to
    /// look at it.
    fn shown(&self, lanes: &Lanes, stop: &Stop, mut page: Page, news: usize) -> Page {
        let (plan, turn) = (self.about.plan, lanes.turn);
        let lane = LANES[turn];
        let Stop { number, line, pid, facts, made } = stop;
        screen::heading(&mut page, plan, lane, *number, line);
        let section = stage(lane as u8, line.stage + 1).map(|(_, about)| about);
        let section = section.filter(|_| self.mode == Mode::Every(Steps::Sections));
        screen::line(&mut page, line, &self.piece(line), section);
        screen::others(&mut page, plan, &lanes.stands, turn);
        page.plain("");
        screen::now(&mut page, *pid, facts, &self.runtime);
        if let Some((before, _)) = &self.before[turn] {
            let new: Vec<String> = made.new.iter().map(|[_, words]| words.clone()).collect();
            let differs = || look::differences(before, facts).iter().map(screen::change_in_words).collect();
            screen::changes(&mut page, &if new.is_empty() { differs() } else { new }, news);
        }
        let (cgroup, hierarchy) = self.cgroup();
        let (pid, state) = (pid.to_string(), self.about.state.clone());
        let values = [("{pid}", pid), ("{cgroup}", cgroup), ("{hierarchy}", hierarchy), ("{state}", state)];
        screen::window(&mut page, line.step.text().0, &values, self.about.ordinary);
        if is_last(line) {
            page.plain(text("last"));
        }
        page
    }

    /// The directory of the container's cgroup; in its place, while it is not there, the root of its hierarchy. Empty: there is
    /// nothing to look at.
    fn cgroup(&self) -> (String, String) {
        let mounted = self.runtime.mounts.iter().find(|mount| mount.kind == "cgroup2" && mount.root == "/");
        let Some(mount) = mounted.filter(|_| !self.about.cgroup.is_empty()) else { return Default::default() };
        let path = format!("{}/{}", mount.target, self.about.cgroup);
        let why = Why("a command for another window names only a directory that is there");
        match c(&path).is_ok_and(|path| syscalls::newfstatat(At::CWD, &path, AtFlags::NONE, why).is_ok()) {
            true => (path, String::new()),
            false => (String::new(), mount.target.clone()),
        }
    }

    /// The piece of config.json that asked for a line.
    fn piece(&self, line: &Line) -> String {
        self.config.pointer(&line.from).map_or(String::new(), spaced)
    }

    /// Asks where else to stop.
    fn add_break(&mut self, lanes: &mut Lanes) -> Result<Decision, Error> {
        self.terminal.show(&format!("{} ", text("break")))?;
        let mut words = Vec::new();
        loop {
            match self.key(lanes) {
                Key::Over => return Ok(Decision::Over),
                Key::Window => {}
                Key::None | Key::Is(CTRL_C | CTRL_D) => return Ok(Decision::End),
                Key::Is(ESCAPE) => {
                    self.terminal.skip_sequence();
                    words.clear();
                    break;
                }
                Key::Is(key) if ENTER.contains(&key) => break,
                Key::Is(key) if ERASE.contains(&key) => {
                    if words.pop().is_some() {
                        self.terminal.show("\u{8} \u{8}")?;
                    }
                }
                Key::Is(CTRL_U) => {
                    self.terminal.show(&"\u{8} \u{8}".repeat(words.len()))?;
                    words.clear();
                }
                Key::Is(key @ b' '..=b'~') if words.len() < LONGEST => {
                    words.push(key);
                    self.terminal.show(&char::from(key).to_string())?;
                }
                Key::Is(_) => {}
            }
        }
        let words = String::from_utf8_lossy(&words).into_owned();
        let mut page = Page::new(self.terminal.size().0);
        match Break::read(&words, self.about.plan) {
            _ if words.trim().is_empty() => {}
            Ok(one) => {
                page.plain(&format!("{} {words}", text("added")));
                self.breaks.push(one);
            }
            Err(Error::Usage(problem)) => page.labelled("", &problem, 4),
            Err(_) => {}
        }
        self.paged(lanes, &page.lines)
    }

    /// Shows lines, a screen at a time, and the prompt.
    fn paged(&mut self, lanes: &mut Lanes, lines: &[String]) -> Result<Decision, Error> {
        self.terminal.show("\n")?;
        let rows = self.terminal.size().1 - 2;
        for (i, part) in lines.chunks(rows).enumerate() {
            if i > 0 {
                self.terminal.show(text("more"))?;
                let key = self.key(lanes);
                self.terminal.show(&format!("\r{:1$}\r", "", text("more").len()))?;
                match key {
                    Key::Over => return Ok(Decision::Over),
                    Key::None | Key::Is(CTRL_C | CTRL_D) => return Ok(Decision::End),
                    Key::Is(b'q') => break,
                    _ => {}
                }
            }
            let text: String = part.iter().map(|line| format!("{line}\n")).collect();
            self.terminal.show(&text)?;
        }
        self.terminal.show(PROMPT).map(|()| Decision::Stay)
    }

    /// What is known of a line: its section, its calls, the words in it, and what asked for it.
    fn explained(&self, line: &Line, lane: u8) -> Vec<String> {
        let book = Book::read();
        let mut page = Explained::new(&book, self.terminal.size().0);
        page.paragraph(&line.words(), 2);
        page.paragraph(line.why.0, 2);
        if let Some((_, about)) = stage(lane, line.stage + 1) {
            page.paragraph(&format!("section: {about}"), 2);
        }
        for entry in entries(&book, line) {
            page.gap();
            page.brief(entry.name(), entry);
            page.part(entry, "here");
        }
        let mut lines: Vec<String> = page.text.lines().map(String::from).collect();
        if let Some(piece) = self.config.pointer(&line.from).filter(|_| !line.from.is_empty()) {
            let mut more = Page::new(self.terminal.size().0);
            more.plain("");
            more.plain(&format!("config.json {}:", line.from));
            let pretty = serde_json::to_string_pretty(piece).unwrap_or_default();
            pretty.lines().for_each(|line| more.plain(&format!("  {line}")));
            lines.extend(more.lines);
        }
        lines
    }

    /// All that a process has otherwise than the runtime.
    fn inspected(&self, pid: i32, runtime: i32) -> Vec<String> {
        let mut page = Page::new(self.terminal.size().0);
        let look = |pid| look::facts(pid, true, self.about.ordinary);
        match (look(runtime), look(pid)) {
            (Ok(runtime), Ok(facts)) => {
                let all = look::differences(&runtime, &facts);
                let mut subject = "";
                for change in &all {
                    let label = if subject == change.subject { "" } else { change.subject };
                    let label = if label == "capabilities" { "rights" } else { label };
                    subject = change.subject;
                    let words = screen::change_in_words(change);
                    page.labelled(label, words.strip_prefix(&format!("{subject}: ")).unwrap_or(&words), 2);
                }
                if all.is_empty() {
                    page.plain(text("nothing"));
                }
            }
            (Err(failed), _) | (_, Err(failed)) => {
                page.plain(&format!("look at process {pid}: {}", failed.errno.text()));
            }
        }
        page.lines
    }
}

/// A piece of config.json on one line, with a blank where the line may be broken.
fn spaced(piece: &Value) -> String {
    let (mut text, mut quoted, mut escaped) = (String::new(), false, false);
    for c in piece.to_string().chars() {
        text.push(c);
        match c {
            _ if escaped => escaped = false,
            '\\' => escaped = true,
            '"' => quoted = !quoted,
            ',' | ':' if !quoted => text.push(' '),
            _ => {}
        }
    }
    text
}

/// What comes while a key is waited for.
enum Key {
    Is(u8),
    /// The window has another size.
    Window,
    /// The terminal has ended.
    None,
    /// No lane waits any more.
    Over,
}

const PROMPT: &str = "step> ";
/// The keys are told in short where the terminal has fewer columns.
const WIDE: usize = 77;
/// The longest break that can be typed.
const LONGEST: usize = 60;

/// So many rows of a stop tell what is new.
const NEW: usize = 3;

/// The longest line has many capabilities: so many words of it are explained.
const EXPLAINED: usize = 6;

/// What the book has on a line: its calls, the options and capabilities in its words, the property that asked for it.
fn entries(book: &Book, line: &Line) -> Vec<Entry> {
    let kind = |name: &str, kinds: &[&str]| book.find(name).into_iter().find(|entry| kinds.contains(&entry.kind()));
    let mut all: Vec<Entry> = calls(line).filter_map(|call| kind(call, &["call"])).collect();
    let words = line.words();
    let words = words.split(|c: char| !c.is_ascii_alphanumeric() && c != '_').filter(|word| word.len() > 1);
    all.extend(words.filter_map(|word| kind(word, &["option", "capability"])).take(EXPLAINED));
    if !line.from.is_empty() {
        all.extend(kind(&line.from, &["property"]));
    }
    all
}
