//! The words of `trace`. As in `words`, a `///` on a field is text for people at a terminal. May touch: the value types.

use super::values::{Color, Format, Picture, Shown, color, lines, refuse, refuse_given, run, shown};
use argh::{ArgsInfo, EarlyExit, FromArgs};

/// Show what was done for a container, call by call; also for one that is gone. Without an ID: list the traces that are kept.
#[derive(Debug, PartialEq, Clone, Default, FromArgs, ArgsInfo)]
#[argh(help_triggers("-h", "--help"))]
pub struct TraceCmd {
    /// the container; ID~2 is the container of that ID before the newest, ID~3 the one before that; html takes several,
    /// --diff two
    #[argh(positional, arg_name = "id")]
    pub ids: Vec<String>,
    /// the same as ID~N
    #[argh(option, arg_name = "n", from_str_fn(run))]
    pub run: Option<usize>,
    /// go on as calls are made, until the container is gone; wait for it if it is not there yet
    #[argh(switch, short = 'f')]
    pub follow: bool,
    /// text (the default), strace or json; or a picture: html, a page for a browser; svg, for slides; perfetto, for ui.perfetto.dev; folded, for flame graphs; dot, for graphviz, of namespaces and mounts
    #[argh(option, default = "Shown::TEXT", from_str_fn(shown))]
    pub format: Shown,
    /// text: a row for each call, where rows stand for several calls otherwise; --diff: also the calls that keep state
    /// and trace
    #[argh(switch)]
    pub all: bool,
    /// only these calls: -e mount,umount2, a class as in -e %file, all others as in -e '!%desc'; -e help lists the classes
    #[argh(option, short = 'e', arg_name = "calls")]
    pub only: Vec<String>,
    /// only calls that the kernel refused
    #[argh(switch, short = 'Z')]
    pub failed: bool,
    /// what --watch or `watch` has found: each refusal once, its cause, and what to change
    #[argh(switch)]
    pub refused: bool,
    /// only this lane: host, init, bridge, hook, holder, watcher, or program for what --watch has seen
    #[argh(option, arg_name = "name")]
    pub lane: Vec<String>,
    /// only this step: its name, as json has it, or its number in OCI's lifecycle
    #[argh(option, arg_name = "step")]
    pub step: Vec<String>,
    /// only this line of the plan, or these: 41, 36-46
    #[argh(option, arg_name = "lines", from_str_fn(lines))]
    pub line: Option<(u16, u16)>,
    /// beside the calls what strace wrote of the same command: its file, or that of -ff without the numbers; -c counts what agrees
    #[argh(option, arg_name = "file")]
    pub beside: Option<String>,
    /// tell by milestones what `strace -f -ttt -o FILE` wrote of any runtime, and with what the program begins
    #[argh(option, arg_name = "file")]
    pub read: Option<String>,
    /// two starts at the same milestones: --beside and this name a file of strace or an ID each; the exit status is 1 if one
    /// of them reaches a milestone that the other does not, and 2 if a file cannot be read
    #[argh(option, arg_name = "other")]
    pub against: Option<String>,
    /// how often each call was made and how long it took, as a table
    #[argh(switch, short = 'c')]
    pub summary: bool,
    /// where the time of the start went: by step, by call, and the longest of what the start waited for; text or json
    #[argh(switch)]
    pub timing: bool,
    /// strace: descriptors with their names
    #[argh(switch, short = 'y')]
    pub names: bool,
    /// the time of day of each call; -tt with microseconds
    #[argh(switch, short = 't')]
    pub time: u8,
    /// the time since the call before
    #[argh(switch, short = 'r')]
    pub relative: bool,
    /// how long each call took
    #[argh(switch, short = 'T')]
    pub duration: bool,
    /// compare two traces: calls that only one has, that ended otherwise or had other values; the exit status is 1 if
    /// they differ, and 2 if they cannot be compared
    #[argh(switch)]
    pub diff: bool,
    /// print the config.json of the command, which a command leaves if it fails; `run --from-trace` runs it again
    #[argh(switch)]
    pub print_config: bool,
    /// text: what in config.json asked for a line of the plan
    #[argh(switch)]
    pub config: bool,
    /// text: which line of this program's source made the call
    #[argh(switch)]
    pub source: bool,
    /// text: auto (the default: at a terminal, unless NO_COLOR is set), always or never
    #[argh(option, default = "Color::Auto", from_str_fn(color))]
    pub color: Color,
}

/// Options by what they are about: the text, times, which calls.
type Parts<'a> = [&'a [(&'a str, bool)]; 3];

impl TraceCmd {
    /// Refuses an option that would do nothing.
    pub fn checked(self) -> Result<TraceCmd, EarlyExit> {
        let text = [
            ("--all", self.all),
            ("--config", self.config),
            ("--source", self.source),
            ("--color", self.color != Color::Auto),
        ];
        let times = [("-t", self.time > 0), ("-r", self.relative), ("-T", self.duration)];
        let filters = [
            ("-e", !self.only.is_empty()),
            ("--failed", self.failed),
            ("--lane", !self.lane.is_empty()),
            ("--step", !self.step.is_empty()),
            ("--line", self.line.is_some()),
        ];
        let parts: Parts = [&text, &times, &filters];
        let asks_for_help = self.only.iter().any(|word| word == "help");
        if self.diff {
            self.fits_diff(parts)?;
            return Ok(self);
        }
        if self.read.is_some() || self.against.is_some() {
            self.fits_milestones(parts)?;
            return Ok(self);
        }
        if self.ids.is_empty() && !asks_for_help {
            self.fits_list(parts)?;
        }
        if self.print_config {
            self.fits_config(parts)?;
        }
        if self.summary {
            self.fits_table(parts)?;
        }
        if self.refused {
            self.fits_causes(parts)?;
        }
        if self.timing {
            self.fits_timing(parts)?;
        }
        if self.follow {
            refuse_given(&[("--all", self.all)], |_| "--follow shows each call already: leave out --all".into())?;
            refuse_given(&[("--run", self.run.is_some())], |name| format!("{name} is of a container that is gone"))?;
        }
        if self.ids.len() > 1 && self.format != Shown::Picture(Picture::Html) {
            return refuse("one trace at a time: only --format html and --diff take several");
        }
        if self.beside.is_some() {
            self.fits_beside(parts)?;
        }
        match self.format {
            Shown::View(format) => self.fits_view(format, &text, &times)?,
            Shown::Picture(picture) => self.fits_picture(picture, parts)?,
        }
        Ok(self)
    }

    /// `--read` and `--against`: a record as a whole.
    fn fits_milestones(&self, [text, times, filters]: Parts) -> Result<(), EarlyExit> {
        let name = if self.read.is_some() { "--read" } else { "--against" };
        if self.read.is_some() && (self.beside.is_some() || self.against.is_some()) {
            return refuse("--read tells of one file; --beside ONE --against OTHER compares two");
        }
        if self.against.is_some() && self.beside.is_none() {
            return refuse("--against needs --beside: --beside ONE --against OTHER");
        }
        if !self.ids.is_empty() {
            return refuse(&format!("{name} has its files as options: leave out the ID"));
        }
        let ways = [
            ("-c", self.summary),
            ("--timing", self.timing),
            ("-y", self.names),
            ("-f", self.follow),
            ("--run", self.run.is_some()),
            ("--refused", self.refused),
            ("--print-config", self.print_config),
        ];
        for options in [&text[1..3], times, filters, &ways] {
            refuse_given(options, |option| format!("{option} is about one trace of ours: leave it out with {name}"))?;
        }
        if self.format != Shown::TEXT {
            refuse_given(text, |option| format!("{option} is for the text"))?;
        }
        match self.format {
            Shown::TEXT | Shown::JSON => Ok(()),
            Shown::Picture(Picture::Dot) if self.read.is_some() => Ok(()),
            _ if self.read.is_some() => refuse("--read has three formats: text, json and dot"),
            _ => refuse("--against has two formats: text and json"),
        }
    }

    /// The whole trace is compared.
    fn fits_beside(&self, [text, times, filters]: Parts) -> Result<(), EarlyExit> {
        let whole = |name: &str| format!("{name} does not go with --beside, which compares a whole trace");
        let ways = [
            ("-y", self.names),
            ("-f", self.follow),
            ("--refused", self.refused),
            ("--print-config", self.print_config),
        ];
        for options in [&text[1..3], times, filters, &ways] {
            refuse_given(options, whole)?;
        }
        match self.format {
            _ if self.ids.len() > 1 => refuse("--beside compares one trace: leave out the other IDs"),
            Shown::TEXT | Shown::Picture(Picture::Html) => Ok(()),
            _ => refuse("--beside has two formats: text and html"),
        }
    }

    /// Without an ID: the list of traces.
    fn fits_list(&self, [text, times, filters]: Parts) -> Result<(), EarlyExit> {
        let ways = [
            ("-c", self.summary),
            ("-y", self.names),
            ("-f", self.follow),
            ("--run", self.run.is_some()),
            ("--beside", self.beside.is_some()),
            ("--refused", self.refused),
            ("--timing", self.timing),
            ("--print-config", self.print_config),
        ];
        let of_one = |name: &str| format!("{name} is about one trace: an ID is needed");
        for options in [&text[..3], times, filters, &ways] {
            refuse_given(options, of_one)?;
        }
        match self.format {
            Shown::View(Format::Strace) => refuse("the list of traces has no strace format: text or json"),
            Shown::Picture(_) => refuse("--format: a picture shows one trace: an ID is needed"),
            Shown::View(_) => Ok(()),
        }
    }

    fn fits_diff(&self, [text, times, _]: Parts) -> Result<(), EarlyExit> {
        let alone = |name: &str| format!("{name} does not go with --diff, which shows what differs");
        let ways = [
            ("-c", self.summary),
            ("-y", self.names),
            ("-f", self.follow),
            ("--beside", self.beside.is_some()),
            ("--read", self.read.is_some()),
            ("--against", self.against.is_some()),
            ("--timing", self.timing),
            ("--refused", self.refused),
            ("--print-config", self.print_config),
        ];
        for options in [&text[1..3], times, &ways] {
            refuse_given(options, alone)?;
        }
        refuse_given(&[("--run", self.run.is_some())], |_| "with --diff write ID~N in place of --run".into())?;
        match self.format {
            Shown::TEXT => {}
            Shown::JSON => refuse_given(&text[3..], |name| format!("{name} is for the text"))?,
            _ => return refuse("--diff has two formats: text and json"),
        }
        match self.ids.len() {
            2 => Ok(()),
            _ => refuse("--diff takes two IDs: `trace --diff ID1 ID2`"),
        }
    }

    fn fits_config(&self, [text, times, filters]: Parts) -> Result<(), EarlyExit> {
        let alone = |name: &str| format!("{name} is about calls: leave it out with --print-config");
        let calls = [("-c", self.summary), ("-y", self.names), ("-f", self.follow), ("--refused", self.refused)];
        for options in [text, times, filters, &calls] {
            refuse_given(options, alone)?;
        }
        match self.format {
            Shown::TEXT => Ok(()),
            _ => refuse("--print-config prints config.json as it was: it has no other format"),
        }
    }

    fn fits_table(&self, [text, times, _]: Parts) -> Result<(), EarlyExit> {
        let table = |name: &str| format!("{name} does not go with -c, which counts calls");
        refuse_given(&[("-f", self.follow), ("-y", self.names)], table)?;
        refuse_given(times, table)?;
        refuse_given(text, table)?;
        match self.format {
            Shown::TEXT => Ok(()),
            _ => refuse("-c is a table of its own: it has no other format"),
        }
    }

    fn fits_causes(&self, [text, times, filters]: Parts) -> Result<(), EarlyExit> {
        let alone = |name: &str| format!("{name} does not go with --refused, which shows causes, not calls");
        refuse_given(&[("-f", self.follow), ("-c", self.summary), ("-y", self.names)], alone)?;
        for options in [times, &text[..3], filters] {
            refuse_given(options, alone)?;
        }
        match self.format {
            Shown::TEXT | Shown::JSON => Ok(()),
            _ => refuse("--refused has two formats: text and json"),
        }
    }

    fn fits_timing(&self, parts: Parts) -> Result<(), EarlyExit> {
        let whole = |name: &str| format!("{name} does not go with --timing, which is about the whole start");
        let ways = [
            ("-f", self.follow),
            ("-c", self.summary),
            ("--beside", self.beside.is_some()),
            ("-y", self.names),
            ("--refused", self.refused),
            ("--print-config", self.print_config),
        ];
        for options in parts.into_iter().chain([&ways[..]]) {
            refuse_given(options, whole)?;
        }
        match self.format {
            Shown::TEXT | Shown::JSON => Ok(()),
            _ => refuse("--timing has two formats: text and json"),
        }
    }

    fn fits_picture(&self, picture: Picture, [text, times, filters]: Parts) -> Result<(), EarlyExit> {
        refuse_given(&[("--follow", self.follow)], |_| "a picture shows a whole trace: leave out --follow".into())?;
        refuse_given(text, |name| format!("{name} is for the text, not for a picture"))?;
        refuse_given(times, |name| format!("{name} is for text and strace, not for a picture"))?;
        refuse_given(&[("-y", self.names)], |name| format!("{name} is for strace"))?;
        match picture {
            Picture::Dot => refuse_given(filters, |name| format!("{name}: dot shows what all calls have made")),
            // The page begins with these filters, and shows all calls when they are taken off.
            Picture::Html => Ok(()),
            Picture::Svg => refuse_given(filters, |name| format!("{name}: svg shows a whole start")),
            Picture::Perfetto => refuse_given(filters, |name| format!("{name}: the viewer of perfetto has filters")),
            Picture::Folded => refuse_given(filters, |name| format!("{name}: folded is one line a call, for grep")),
        }
    }

    fn fits_view(&self, format: Format, text: &[(&str, bool)], times: &[(&str, bool)]) -> Result<(), EarlyExit> {
        match format {
            Format::Text => {
                refuse_given(&[("-y", self.names)], |_| "the text has names already: -y is for strace".into())?
            }
            Format::Strace => refuse_given(text, |name| format!("{name} is for the text, not for strace"))?,
            Format::Json => {
                refuse_given(text, |name| format!("{name} is for the text: json has every call, pointer and source"))?;
                refuse_given(times, |name| format!("{name}: json has start_ns and duration_ns"))?;
                refuse_given(&[("-y", self.names)], |name| format!("{name} is for strace"))?;
            }
        }
        Ok(())
    }
}
