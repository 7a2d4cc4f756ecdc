//! The command line: words in, typed commands out.
//!
//! ```text
//!   args, environment -> normalise -> argh -> (Globals, Command)
//!                            \          \---> Stop::Help (stdout, exit 0)
//!                             \-------------> Stop::Usage (one line, stderr, exit 1)
//! ```
//!
//! Engines have habits of their own: podman writes `--log-format=json`, the shim `--log-format json`, go-runc
//! `-no-subreaper`, people `run -db DIR` and options after the ID. `normalise` spells all of them one way, argh makes values
//! of that, and this file joins the two. `words` has each word and its explanation.
//!
//! May touch: strings. No file, no environment but the one handed in, no system call. `state` checks whether an ID is well
//! formed, because it makes a path of it.

mod complete;
mod exec;
mod normalise;
mod regex;
mod run;
mod several;
mod trace;
mod values;
mod verbs;
pub mod words;

use argh::FromArgs;
use normalise::Options;
use words::GlobalWords;

pub use complete::{Answer, Wanted, complete};
pub use exec::Exec;
pub use normalise::{distance, nearest, verb_of};
pub use run::{Run, Stepping, Vm};
pub use several::{Delete, Kill, Which};
pub use trace::TraceCmd;
pub use values::{
    Accel, CgroupManager, Color, Format, InspectFormat, Level, ListFormat, LogFormat, LogTo, MountsAction, Net, Page,
    Picture, Publish, RootFrom, Shell, Shown, Steps, Watched, Weight, accel,
};
pub use verbs::{Command, PROGRAM, Stop, VERBS, Verb, internal};
pub use words::{
    Check, Create, Demo, Events, Explain, Features, Globals, Inspect, Learn, List, Mounts, PlanCmd, Ps, SpecCmd, Start,
    Update, Watch,
};

/// Environment variables that stand for an option. An empty value counts as none. A later row wins.
pub const VARIABLES: &[(&str, &str)] = &[
    ("NS_RUN_DIR", "--root"),
    ("NK_RUN_DIR", "--root"),
    ("NK_LOG_LEVEL", "--log-level"),
    ("NK_TRACE", "--trace"),
    ("NK_TRACE_FILE", "--trace-file"),
    ("NK_TRACE_LIMIT", "--trace-limit"),
];

/// Reads the words after the program's name. `env` looks up variables.
pub fn parse<'e>(args: &[&str], env: &dyn Fn(&str) -> Option<&'e str>) -> Result<(Globals, Command), Stop> {
    if args.is_empty() {
        return Err(Stop::Help(words::SCREEN.into()));
    }
    let mut words = normalise::normalise(args, variables(env)?)?;
    if words.verb.is_some_and(|verb| verb.name == verbs::COMPLETE) {
        complete::adopt_root(&mut words);
    }
    if words.help {
        return Err(Stop::Help(words.verb.map_or_else(|| words::SCREEN.into(), verbs::help)));
    }

    let globals = GlobalWords::from_args(&[PROGRAM], &words.globals.argh_words(&[]))
        .map_err(|exit| Stop::Usage(values::sentence(&exit.output)))?;
    if globals.version {
        return Ok((globals.settled(), Command::Version));
    }
    let Some(verb) = words.verb else {
        return Err(Stop::Usage(format!("a command is needed; `{PROGRAM} --help` lists them")));
    };
    verb.count(&words.operands)?;
    let command = (verb.make)(&[PROGRAM, verb.name], &words.own.argh_words(&words.operands))
        .map_err(|exit| verb.usage(&values::sentence(&exit.output)))?;
    Ok((globals.settled(), command))
}

/// The words of the command alone, without options of all commands, for the same program elsewhere. `named`: options that get other
/// values there.
pub fn command_words(args: &[String], named: &[(&str, &str)]) -> Vec<String> {
    let args: Vec<&str> = args.iter().map(String::as_str).collect();
    let mut words = normalise::so_far(&args);
    for (option, value) in named {
        words.own.replace(option, value);
    }
    let verb = words.verb.map_or("", |verb| verb.name);
    core::iter::once(verb.into()).chain(words.own.joined_words(&words.operands)).collect()
}

/// Options from the environment. They come before all others, so that the others win. Each is tried alone, so that the error
/// can name the variable.
fn variables<'e>(env: &dyn Fn(&str) -> Option<&'e str>) -> Result<Options<'e>, Stop> {
    let mut options = Options::default();
    for &(variable, long) in VARIABLES {
        let value = match (variable, env(variable)) {
            (_, None | Some("")) | ("NK_TRACE", Some("0")) => continue,
            ("NK_TRACE", Some("1")) => "text",
            (_, Some(value)) => value,
        };
        GlobalWords::from_args(&[PROGRAM], &[long, value])
            .map_err(|exit| Stop::Usage(format!("{variable}: {}", values::sentence(&exit.output))))?;
        options.set(long, Some(value));
    }
    Ok(options)
}

#[cfg(test)]
mod tests {
    use super::verbs::{HIDDEN, VERBS};
    use super::*;
    use argh::ArgsInfo;

    #[test]
    fn words_for_elsewhere_mean_the_same_there() {
        for line in [
            "exec --watch a true",
            "exec --watch=all a true",
            "exec -e A=b=c -u 1:2 -t a sh -c -x",
            "exec --process /p a",
            "update --memory 10m a",
            "--root /r ps --format json a",
        ] {
            let given: Vec<&str> = line.split(' ').collect();
            let there = command_words(&given.iter().map(|word| word.to_string()).collect::<Vec<_>>(), &[]);
            let there: Vec<&str> = there.iter().map(String::as_str).collect();
            let none = |_: &str| None;
            let one = parse(&given, &none).unwrap_or_else(|_| panic!("{line}")).1;
            let other = parse(&there, &none).unwrap_or_else(|_| panic!("{there:?}")).1;
            assert_eq!(format!("{one:?}"), format!("{other:?}"), "{there:?}");
        }
    }

    #[test]
    fn the_screen_has_every_command_and_every_option_of_all_commands() {
        for verb in VERBS {
            let listed = words::SCREEN.contains(&format!("\n  {} ", verb.name));
            assert_eq!(listed, !HIDDEN.contains(&verb.name), "{}", verb.name);
        }
        for flag in GlobalWords::get_args_info().flags {
            assert!(words::SCREEN.contains(flag.long), "{}", flag.long);
        }
    }
}
