//! Which lessons are begun and done: a small file of the learner's, a line each, as in `mounts done`. Lines that it cannot
//! read are left out, and said. A file that cannot be written costs only the progress. May touch: everything below.

use super::bundle::new_name;
use crate::cli::Level;
use crate::commands::context::Context;
use crate::host::{
    environment,
    input::{self, c},
};
use crate::learn::LESSONS;
use crate::outcome::{Doing, Error};
use crate::perform::files::{PLACE, replace};
use crate::say::error;
use crate::state;
use core::ffi::CStr;
use syscalls::{At, Errno, Fd, OpenFlags, Why};

/// The file's name in the state root, where no container has such a name; and among an ordinary user's files.
const ROOTS: &CStr = c".learn";
const USERS: &CStr = c"learn";

/// More bytes than that are no progress.
const LONGEST: usize = 4096;

#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Mark {
    Begun,
    Done,
}

impl Mark {
    pub fn word(self) -> &'static str {
        match self {
            Mark::Begun => "begun",
            Mark::Done => "done",
        }
    }

    fn of(word: &str) -> Option<Mark> {
        [Mark::Begun, Mark::Done].into_iter().find(|mark| mark.word() == word)
    }
}

#[derive(Default)]
pub struct Progress {
    marks: Vec<(&'static str, Mark)>,
    /// What is wrong with the file.
    amiss: Option<String>,
    /// Where it is written to, once it was: the demo leaves this user's view of the files.
    open: Option<(Fd, &'static CStr)>,
}

/// The directory of the file, and its name: root's state root, or what belongs to this user (XDG Base Directory Specification).
fn place(context: &Context) -> Result<(String, &'static CStr), Error> {
    let absolute = |name| environment(name).filter(|path| path.starts_with('/'));
    match (absolute("XDG_STATE_HOME"), absolute("HOME")) {
        _ if context.host.uid == 0 => Ok((context.root.clone(), ROOTS)),
        (Some(state), _) => Ok((format!("{state}/nano-sandbox"), USERS)),
        (None, Some(home)) => Ok((format!("{home}/.local/state/nano-sandbox"), USERS)),
        (None, None) => Err(Error::State("neither XDG_STATE_HOME nor HOME says where it belongs".into())),
    }
}

impl Progress {
    pub fn read(context: &Context) -> Progress {
        let mut progress = Progress::default();
        let text = match place(context).and_then(|(dir, file)| text(&dir, file)) {
            Ok(text) => text,
            Err(error) => {
                progress.amiss = Some(format!("the progress is not known: {}", error::line(&error)));
                return progress;
            }
        };
        for line in text.lines() {
            let (name, word) = line.split_once(' ').unwrap_or((line, ""));
            let lesson = LESSONS.iter().find(|lesson| lesson.name == name);
            match lesson.zip(Mark::of(word)) {
                Some((lesson, mark)) => progress.put(lesson.name, mark),
                None => {
                    progress.amiss =
                        Some("the file of the progress is damaged: what it says of some lessons is lost".into())
                }
            }
        }
        progress
    }

    pub fn of(&self, lesson: &str) -> Option<Mark> {
        self.marks.iter().find(|(name, _)| *name == lesson).map(|(_, mark)| *mark)
    }

    fn put(&mut self, lesson: &'static str, mark: Mark) {
        self.marks.retain(|(name, _)| *name != lesson);
        self.marks.push((lesson, mark));
    }

    /// Says what is wrong with the file.
    pub fn warn(&self, context: &Context) {
        if let Some(amiss) = &self.amiss {
            context.log.say(Level::Warn, amiss);
        }
    }

    /// Marks a lesson, and keeps that. What is done stays done.
    pub fn set(&mut self, context: &Context, lesson: &'static str, mark: Mark) {
        if self.of(lesson).is_some_and(|is| is == mark || is == Mark::Done) {
            return;
        }
        self.put(lesson, mark);
        let lines: String = self.marks.iter().map(|(name, mark)| format!("{name} {}\n", mark.word())).collect();
        if let Err(error) = self.write(context, &lines) {
            context.log.say(Level::Warn, &format!("the progress is not kept: {}", error::line(&error)));
        }
    }

    fn write(&mut self, context: &Context, text: &str) -> Result<(), Error> {
        let why = Why("the list of lessons shall show what is done");
        let (dir, file) = match self.open.take() {
            Some(open) => open,
            None => {
                let (dir, file) = place(context)?;
                state::make_path(&dir, 0o700, format_args!("make {dir}"), why)?;
                (syscalls::openat(At::CWD, &c(&dir)?, PLACE, why).doing(format_args!("open {dir}"))?, file)
            }
        };
        let written = replace(dir.at(), file, &new_name(), &[text.as_bytes()], 0o600, why).doing("write the progress");
        self.open = Some((dir, file));
        written
    }
}

/// Empty: there is no file yet.
fn text(dir: &str, name: &CStr) -> Result<String, Error> {
    let why = Why("which lessons are done is told in this file");
    let opened = syscalls::openat(At::CWD, &c(dir)?, PLACE, why);
    let opened =
        opened.and_then(|dir| syscalls::openat(dir.at(), name, OpenFlags::O_NOFOLLOW | OpenFlags::O_NONBLOCK, why));
    let file = match opened {
        Err(failed) if failed.errno == Errno::ENOENT => return Ok(String::new()),
        opened => opened.doing(format_args!("open the progress in {dir}"))?,
    };
    let bytes = input::read_enough(file.at(), |bytes| bytes.len() > LONGEST, why);
    Ok(String::from_utf8_lossy(&bytes.doing(format_args!("read the progress in {dir}"))?).into_owned())
}
