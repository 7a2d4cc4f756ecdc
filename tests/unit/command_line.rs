//! Command lines, and what the program reads in them. Each row is a line that an engine sends, or that a person is likely to
//! type.

use crate::cli::words::{Demo, Inside, State};
use crate::cli::{
    CgroupManager, Check, Color, Command, Create, Delete, Explain, Features, Format, Globals, Inspect, InspectFormat,
    Kill, Learn, Level, List, ListFormat, LogFormat, LogTo, Page, Picture, PlanCmd, Run, Shell, Shown, SpecCmd, Start,
    Stepping, Steps, Stop, TraceCmd, Watch, Watched, Which, parse,
};

type Variables = &'static [(&'static str, &'static str)];

fn read_with(line: &str, variables: Variables) -> Result<(Globals, Command), Stop> {
    let args: Vec<&str> = line.split_whitespace().collect();
    let env = |name: &str| variables.iter().find(|(n, _)| *n == name).map(|(_, value)| *value);
    parse(&args, &env)
}

fn read(line: &str) -> Result<(Globals, Command), Stop> {
    read_with(line, &[])
}

fn create(id: &str) -> Create {
    Create {
        id: id.into(),
        bundle: None,
        config: None,
        pid_file: None,
        no_pivot: false,
        console_socket: None,
        pidfd_socket: None,
        preserve_fds: 0,
        no_new_keyring: false,
        no_subreaper: false,
        watch: None,
        write_seccomp: None,
        write_capabilities: None,
    }
}

fn run(id: &str) -> Run {
    Run { create: create(id), detach: false, keep: false, from_trace: None, step: None, repeat: None, vm: None }
}

fn defaults() -> Globals {
    Globals {
        root: None,
        log: None,
        log_format: LogFormat::Text,
        log_level: Level::Warn,
        quiet: false,
        educational: false,
        cgroup_manager: CgroupManager::Cgroupfs,
        rootless: None,
        trace: None,
        trace_file: None,
        trace_limit: 64 << 20,
    }
}

fn kill(id: &str, signal: i32, all: bool) -> Command {
    Command::Kill(Kill { which: Which::Ids(id.split(' ').map(String::from).collect()), signal, all })
}

fn inspect(id: &str, diff: bool, format: InspectFormat) -> Command {
    Command::Inspect(Inspect { id: id.into(), diff, format })
}

fn delete(id: &str, force: bool) -> Command {
    Command::Delete(Delete { which: Which::Ids(id.split(' ').map(String::from).collect()), force })
}

fn stepped(every: Option<Steps>, breaks: &str) -> Command {
    let breaks = breaks.split_whitespace().map(String::from).collect();
    Command::Run(Run { step: Some(Stepping { every, breaks }), ..run("x") })
}

fn bundle(id: &str, dir: &str) -> Create {
    Create { bundle: Some(dir.into()), ..create(id) }
}

#[test]
fn commands() {
    let list = |format, quiet| Command::List(List { format, quiet });
    let trace = |id: Option<&str>, follow, format| {
        Command::Trace(TraceCmd {
            ids: id.into_iter().map(String::from).collect(),
            follow,
            format,
            ..TraceCmd::default()
        })
    };
    let (none, words) = (TraceCmd::default, |words: &str| words.split(' ').map(String::from).collect::<Vec<_>>());
    let shown = |asked: TraceCmd| Command::Trace(TraceCmd { ids: vec!["a".into()], ..asked });
    let learn = |lesson: Option<&str>, check, solution, dir: Option<&str>| {
        Command::Learn(Learn { lesson: lesson.map(String::from), check, solution, dir: dir.map(String::from) })
    };
    let explain = |names: &str, book, search: Option<&str>| {
        let names = names.split_whitespace().map(String::from).collect();
        Command::Explain(Explain { names, book, search: search.map(String::from) })
    };
    let plan = |id: &str, bundle: Option<&str>, no_pivot| {
        let bundle = bundle.map(String::from);
        let names = id.split_whitespace().map(String::from).collect();
        Command::Plan(PlanCmd { names, bundle, no_pivot, ..PlanCmd::default() })
    };
    let check = |id: &str, bundle: Option<&str>| Check {
        id: id.into(),
        bundle: bundle.map(String::from),
        config: None,
        no_pivot: false,
        format: ListFormat::Table,
    };
    let podman = Create { pid_file: Some("/p".into()), ..bundle("x", "/b") };
    let shim = Create {
        no_pivot: true,
        no_new_keyring: true,
        console_socket: None,
        pidfd_socket: None,
        preserve_fds: 2,
        ..create("x")
    };
    let rows = vec![
        ("create x", Command::Create(create("x"))),
        ("create --bundle /b --pid-file /p x", Command::Create(podman)),
        ("create --no-pivot --no-new-keyring --preserve-fds 2 x", Command::Create(shim)),
        ("create -bundle /b x", Command::Create(bundle("x", "/b"))),
        ("create x --bundle=/b", Command::Create(bundle("x", "/b"))),
        ("create -b /b x", Command::Create(bundle("x", "/b"))),
        ("create -b=/b x", Command::Create(bundle("x", "/b"))),
        ("create -b/b x", Command::Create(bundle("x", "/b"))),
        ("create --bundle= x", Command::Create(bundle("x", ""))),
        ("create --bundle a=b x", Command::Create(bundle("x", "a=b"))),
        ("create --bundle=a=b x", Command::Create(bundle("x", "a=b"))),
        ("create --bundle /a --bundle /b x", Command::Create(bundle("x", "/b"))),
        ("create -f c x", Command::Create(Create { config: Some("c".into()), ..create("x") })),
        (
            "create --write-seccomp a --write-capabilities=b x",
            Command::Create(Create {
                write_seccomp: Some("a".into()),
                write_capabilities: Some("b".into()),
                ..create("x")
            }),
        ),
        ("create --watch=all x", Command::Create(Create { watch: Some(Watched::All), ..create("x") })),
        ("create -- --help", Command::Create(create("--help"))),
        ("create -- help", Command::Create(create("help"))),
        ("create help", Command::Create(create("help"))),
        ("-- create x", Command::Create(create("x"))),
        ("run x", Command::Run(run("x"))),
        ("run --rm x", Command::Run(run("x"))),
        ("run -db /b x", Command::Run(Run { detach: true, create: bundle("x", "/b"), ..run("") })),
        ("run -no-subreaper x", Command::Run(Run { create: Create { no_subreaper: true, ..create("x") }, ..run("") })),
        ("run --repeat 50 x", Command::Run(Run { repeat: Some(50), ..run("x") })),
        ("run --from-trace a~2 x", Command::Run(Run { from_trace: Some("a~2".into()), ..run("x") })),
        ("run --keep x", Command::Run(Run { keep: true, ..run("x") })),
        ("run --step x", stepped(Some(Steps::Lines), "")),
        ("run --step=sections x", stepped(Some(Steps::Sections), "")),
        ("run --break 41 --break=/mounts/3 x", stepped(None, "41 /mounts/3")),
        ("run --break pivot_root --step x", stepped(Some(Steps::Lines), "pivot_root")),
        ("start x", Command::Start(Start { id: "x".into(), attach: false, watch: None })),
        ("watch -a x", Command::Watch(Watch { id: "x".into(), all: true, format: Format::Text })),
        ("start --watch x", Command::Start(Start { id: "x".into(), attach: false, watch: Some(Watched::Refused) })),
        ("start -a x", Command::Start(Start { id: "x".into(), attach: true, watch: None })),
        ("check", Command::Check(check("check", None))),
        (
            "check --bundle /b --format json x",
            Command::Check(Check { format: ListFormat::Json, ..check("x", Some("/b")) }),
        ),
        ("plan --lint", Command::Plan(PlanCmd { lint: true, ..PlanCmd::default() })),
        ("plan --diff a b", Command::Plan(PlanCmd { diff: true, names: words("a b"), ..PlanCmd::default() })),
        (
            "plan a b --diff --color=never --format json",
            Command::Plan(PlanCmd {
                diff: true,
                names: words("a b"),
                color: Some(Color::Never),
                format: Some(InspectFormat::Json),
                ..PlanCmd::default()
            }),
        ),
        ("state x", Command::State(State { id: "x".into() })),
        ("kill x", kill("x", 15, false)),
        ("kill x 9", kill("x", 9, false)),
        ("kill --all x 9", kill("x", 9, true)),
        ("kill -a x KILL", kill("x", 9, true)),
        ("inspect x", inspect("x", false, InspectFormat::Text)),
        ("inspect --diff x", inspect("x", true, InspectFormat::Text)),
        ("inspect x -f json", inspect("x", false, InspectFormat::Json)),
        ("inspect x --format=json --diff", inspect("x", true, InspectFormat::Json)),
        ("kill x SIGTERM", kill("x", 15, false)),
        ("kill x sigusr1", kill("x", 10, false)),
        ("kill x rtmin+3", kill("x", 37, false)),
        ("kill x SIGRTMAX-1", kill("x", 63, false)),
        ("kill x RTMAX", kill("x", 64, false)),
        ("kill x 0", kill("x", 0, false)),
        ("kill x y z 9", kill("x y z", 9, false)),
        ("create --no-subreaper x", Command::Create(Create { no_subreaper: true, ..create("x") })),
        ("delete x", delete("x", false)),
        ("delete --force x", delete("x", true)),
        ("delete -f x", delete("x", true)),
        ("delete x y", delete("x y", false)),
        ("list", list(ListFormat::Table, false)),
        ("list --format=json", list(ListFormat::Json, false)),
        ("list -f json -q", list(ListFormat::Json, true)),
        ("list --quiet", list(ListFormat::Table, true)),
        ("spec -b /b", Command::Spec(SpecCmd { bundle: Some("/b".into()), file: None, rootless: false })),
        (
            "spec -f x.json --rootless",
            Command::Spec(SpecCmd { bundle: None, file: Some("x.json".into()), rootless: true }),
        ),
        ("plan", plan("", None, false)),
        ("plan --bundle /b --no-pivot", plan("", Some("/b"), true)),
        ("plan x", plan("x", None, false)),
        (
            "trace --diff a b~2 --all --lane init",
            Command::Trace(TraceCmd {
                diff: true,
                ids: words("a b~2"),
                all: true,
                lane: words("init"),
                ..TraceCmd::default()
            }),
        ),
        ("trace", trace(None, false, Shown::TEXT)),
        ("trace x --follow --format strace", trace(Some("x"), true, Shown::View(Format::Strace))),
        ("trace -f x", trace(Some("x"), true, Shown::TEXT)),
        ("trace --format dot x", trace(Some("x"), false, Shown::Picture(Picture::Dot))),
        ("trace --format html a b~2", {
            let format = Shown::Picture(Picture::Html);
            Command::Trace(TraceCmd { ids: words("a b~2"), format, ..none() })
        }),
        ("trace --format svg a", shown(TraceCmd { format: Shown::Picture(Picture::Svg), ..none() })),
        ("trace --format perfetto a", shown(TraceCmd { format: Shown::Picture(Picture::Perfetto), ..none() })),
        ("trace --format folded a", shown(TraceCmd { format: Shown::Picture(Picture::Folded), ..none() })),
        ("trace --timing a", shown(TraceCmd { timing: true, ..none() })),
        ("trace --timing --format json a", shown(TraceCmd { timing: true, format: Shown::JSON, ..none() })),
        ("trace a --all --config --source", shown(TraceCmd { all: true, config: true, source: true, ..none() })),
        ("trace -e mount,close -e !%desc a", shown(TraceCmd { only: words("mount,close !%desc"), ..none() })),
        ("trace --lane init -Z --line 36-46 a", {
            shown(TraceCmd { lane: words("init"), failed: true, line: Some((36, 46)), ..none() })
        }),
        ("trace --step mounts --step 2 a", shown(TraceCmd { step: words("mounts 2"), ..none() })),
        ("trace -tt -r -T a", shown(TraceCmd { time: 2, relative: true, duration: true, ..none() })),
        ("trace -t a", shown(TraceCmd { time: 1, ..none() })),
        ("trace -c --failed a", shown(TraceCmd { summary: true, failed: true, ..none() })),
        ("trace -y --format strace a", shown(TraceCmd { names: true, format: Shown::View(Format::Strace), ..none() })),
        ("trace --color=never a", shown(TraceCmd { color: Color::Never, ..none() })),
        ("trace --print-config a", shown(TraceCmd { print_config: true, ..none() })),
        ("trace a --beside s -c", shown(TraceCmd { beside: Some("s".into()), summary: true, ..none() })),
        ("trace --read s --all", Command::Trace(TraceCmd { read: Some("s".into()), all: true, ..none() })),
        ("trace --beside s --against t --format json", {
            let (beside, against) = (Some("s".into()), Some("t".into()));
            Command::Trace(TraceCmd { beside, against, format: Shown::JSON, ..none() })
        }),
        ("trace --run 2 a", shown(TraceCmd { run: Some(2), ..none() })),
        ("features", Command::Features(Features { table: false })),
        ("features --table", Command::Features(Features { table: true })),
        ("man", Command::Man(Page::Program)),
        ("man trace", Command::Man(Page::Trace)),
        ("completion fish", Command::Completion(Shell::Fish)),
        ("complete -- run --bundle", Command::Complete(vec!["run".into(), "--bundle".into()])),
        ("demo", Command::Demo(Demo { html: None })),
        ("demo --html FILE", Command::Demo(Demo { html: Some("FILE".into()) })),
        ("learn", learn(None, false, false, None)),
        ("learn mounts", learn(Some("mounts"), false, false, None)),
        ("learn --check mounts --dir d", learn(Some("mounts"), true, false, Some("d"))),
        ("learn 3 --solution", learn(Some("3"), false, true, None)),
        ("explain", explain("", false, None)),
        ("explain bind mount", explain("bind mount", false, None)),
        ("explain --book", explain("", true, None)),
        ("explain --search freeze", explain("", false, Some("freeze"))),
        ("inside", Command::Inside(Inside { steps: Vec::new() })),
        ("inside ps orphan", Command::Inside(Inside { steps: Vec::from(["ps".into(), "orphan".into()]) })),
        ("--version", Command::Version),
        ("-v", Command::Version),
        ("-V", Command::Version),
        ("version", Command::Version),
        ("--root /x --version", Command::Version),
    ];
    for (line, command) in rows {
        let read = read(line).map(|(_, command)| command);
        assert_eq!(read, Ok(command), "{line}");
    }
}

#[test]
fn patterns_of_ids() {
    let fitting = |which: Which| -> Vec<&str> {
        match which {
            Which::Matching(patterns) => {
                ["x", "ax", "y"].into_iter().filter(|id| patterns.iter().any(|pattern| pattern.matches(id))).collect()
            }
            Which::Ids(ids) => panic!("no patterns: {ids:?}"),
        }
    };
    let rows: Vec<(&str, Vec<&str>)> = vec![
        ("kill -r ^x y 9", vec!["x", "y"]),
        ("delete -fr x|y", vec!["x", "ax", "y"]),
        ("delete --regex --force ^y", vec!["y"]),
    ];
    for (line, ids) in rows {
        let which = match read(line) {
            Ok((_, Command::Kill(Kill { which, signal: 9, all: false }))) => which,
            Ok((_, Command::Delete(Delete { which, force: true }))) => which,
            other => panic!("{line}: {other:?}"),
        };
        assert_eq!(fitting(which), ids, "{line}");
    }
}

#[test]
fn global_options() {
    let root = || Globals { root: Some("/x".into()), ..defaults() };
    let log = || Globals { log: Some(LogTo::File("l".into())), log_format: LogFormat::Json, ..defaults() };
    let to = |to| Globals { log: Some(to), ..defaults() };
    let level = |log_level| Globals { log_level, ..defaults() };
    let trace = |form| Globals { trace: Some(form), ..defaults() };
    let educational = |log_level| Globals { educational: true, log_level, ..defaults() };
    let disabled = Globals { cgroup_manager: CgroupManager::Disabled, ..defaults() };
    let rows = vec![
        ("state x", defaults()),
        ("--root /x state x", root()),
        ("--root=/x state x", root()),
        ("-root /x state x", root()),
        ("state --root /x x", root()),
        ("state x --root=/x", root()),
        ("--root /y --root /x state x", root()),
        ("--log l --log-format json state x", log()),
        ("--log-format=json --log l state x", log()),
        ("--log /a:b/log state x", to(LogTo::File("/a:b/log".into()))),
        ("--log x:y state x", to(LogTo::File("x:y".into()))),
        ("--log=file:syslog:l state x", to(LogTo::File("syslog:l".into()))),
        ("--log syslog:n state x", to(LogTo::Syslog("n".into()))),
        ("--log syslog: state x", to(LogTo::Syslog("".into()))),
        ("--log journald:n state x", to(LogTo::Journald("n".into()))),
        ("--debug state x", level(Level::Debug)),
        ("--log-level info state x", level(Level::Info)),
        ("--log-level warning state x", level(Level::Warn)),
        ("--log-level WARN state x", level(Level::Warn)),
        ("state x --trace", trace(Format::Text)),
        ("--trace state x", trace(Format::Text)),
        ("--trace=strace state x", trace(Format::Strace)),
        ("state --trace=json x", trace(Format::Json)),
        ("--trace-file f state x", Globals { trace_file: Some("f".into()), ..defaults() }),
        ("-q state x", Globals { quiet: true, ..defaults() }),
        ("state -q x", Globals { quiet: true, ..defaults() }),
        ("-q list -q", Globals { quiet: true, ..defaults() }),
        ("list -q", defaults()),
        ("-E state x", educational(Level::Info)),
        ("state x --educational", educational(Level::Info)),
        ("-E --log-level error state x", educational(Level::Info)),
        ("-E --debug state x", educational(Level::Debug)),
        ("exec -E x true", educational(Level::Info)),
        ("exec x true -E", defaults()),
        ("run -dE x", educational(Level::Info)),
        ("--cgroup-manager cgroupfs state x", defaults()),
        ("--cgroup-manager disabled state x", disabled),
        ("--rootless auto state x", defaults()),
        ("--rootless=false state x", Globals { rootless: Some(false), ..defaults() }),
    ];
    for (line, globals) in rows {
        let read = read(line).map(|(globals, _)| globals);
        assert_eq!(read, Ok(globals), "{line}");
    }
}

#[test]
fn environment() {
    let root = |root: &str| Globals { root: Some(root.into()), ..defaults() };
    let rows: Vec<(Variables, &str, Globals)> = vec![
        (&[("NS_RUN_DIR", "/s")], "list", root("/s")),
        (&[("NK_RUN_DIR", "/k"), ("NS_RUN_DIR", "/s")], "list", root("/k")),
        (&[("NK_RUN_DIR", ""), ("NS_RUN_DIR", "/s")], "list", root("/s")),
        (&[("NK_RUN_DIR", "/k")], "list --root /x", root("/x")),
        (&[("NK_TRACE", "1")], "list", Globals { trace: Some(Format::Text), ..defaults() }),
        (&[("NK_TRACE", "json")], "list", Globals { trace: Some(Format::Json), ..defaults() }),
        (&[("NK_TRACE", "json")], "list --trace", Globals { trace: Some(Format::Text), ..defaults() }),
        (&[("NK_TRACE", "0")], "list", defaults()),
        (&[("NK_TRACE", "")], "list", defaults()),
        (&[("NK_TRACE_FILE", "f")], "list", Globals { trace_file: Some("f".into()), ..defaults() }),
        (&[("NK_LOG_LEVEL", "debug")], "list", Globals { log_level: Level::Debug, ..defaults() }),
        (&[("NK_LOG_LEVEL", "debug")], "list --log-level warn", defaults()),
    ];
    for (variables, line, globals) in rows {
        let read = read_with(line, variables).map(|(globals, _)| globals);
        assert_eq!(read, Ok(globals), "{variables:?} {line}");
    }
    let wrong = read_with("list", &[("NK_LOG_LEVEL", "loud")]);
    let text = "NK_LOG_LEVEL: `loud` is no log level; write debug, info, warn or error";
    assert_eq!(wrong, Err(Stop::Usage(text.into())));
}

const ERRORS: &str = "\
frob => no command `frob`; `nk-runtime --help` lists them
rnu x => no command `rnu`; did you mean `run`?
crate x => no command `crate`; did you mean `create`?
insid => no command `insid`; `nk-runtime --help` lists them
exec --exec a x b => exec: --exec is a whole command line; leave out the program
checkpoint --help => the command `checkpoint` is not supported yet
--help checkpoint => the command `checkpoint` is not supported yet
--root /x => a command is needed; `nk-runtime --help` lists them
--frob create x => no option `--frob`; `nk-runtime --help` lists them
create --bundel /b x => create: no option `--bundel`; did you mean `--bundle`?
create --frobnicate x => create: no option `--frobnicate`; `nk-runtime create --help` lists them
create -z x => create: no option `-z`; `nk-runtime create --help` lists them
create => create: an ID is needed
kill => kill: an ID is needed
create x y => create: too many arguments: `y`; write `create ID`
kill x 9 y => kill: `y` is no signal; write a number up to 64, TERM or RTMIN+3
kill x y => kill: `y` is no signal; write a number up to 64, TERM or RTMIN+3
kill -r a( 9 => kill: `a(` is no POSIX extended regular expression: a `(` is not closed
delete -r \\w => delete: `\\w` is no POSIX extended regular expression: POSIX gives `\\w` no meaning
delete => delete: an ID is needed
list x => list: too many arguments: `x`; write `list`
create x --bundle => create: --bundle needs a value
create x -b => create: --bundle needs a value
--root => --root needs a value
run --detach=true x => run: --detach takes no value; leave out `true`
run --rm --keep x => run: --rm and --keep are opposites; leave out one
run --rm -d x => run: with --detach no process waits to delete it; leave out --rm
start --pidfd-socket=s x => start: no option `--pidfd-socket`: it is one of create, run, exec; `nk-runtime create --help` lists it
create --step x => create: no option `--step`: it is one of run, trace; `nk-runtime run --help` lists it
exec --break 4 x sh => exec: no option `--break`: it is one of run; `nk-runtime run --help` lists it
--rootless=no list => `no` is no value of --rootless; write auto, false or true
--log-format xml list => `xml` is no log format; write text or json
--trace=html list => `html` is no trace format; write text, strace or json
list -f xml => list: `xml` is no list format; write table or json
create --preserve-fds -1 x => create: --preserve-fds takes a number, not `-1`
kill x FOO => kill: `FOO` is no signal; write a number up to 64, TERM or RTMIN+3
kill x 65 => kill: `65` is no signal; write a number up to 64, TERM or RTMIN+3
kill x RTMIN+31 => kill: `RTMIN+31` is no signal; write a number up to 64, TERM or RTMIN+3
trace --all => trace: --all is about one trace: an ID is needed
trace -c => trace: -c is about one trace: an ID is needed
trace --format strace => trace: the list of traces has no strace format: text or json
trace --all --format json x => trace: --all is for the text: json has every call, pointer and source
trace --source --format strace x => trace: --source is for the text, not for strace
trace -T --format json x => trace: -T: json has start_ns and duration_ns
trace --format dot => trace: --format: a picture shows one trace: an ID is needed
trace --format dot -f x => trace: a picture shows a whole trace: leave out --follow
trace --format dot --all x => trace: --all is for the text, not for a picture
trace --format dot -T x => trace: -T is for text and strace, not for a picture
trace --format dot -y x => trace: -y is for strace
trace --format dot --lane init x => trace: --lane: dot shows what all calls have made
plan a b => plan: too many arguments: `b`; write `plan [ID]`
plan --level low => plan: --level is for --lint
plan --format json => plan: --format is for --lint and --diff
plan --color never => plan: --color is for --diff
trace --diff => trace: --diff takes two IDs: `trace --diff ID1 ID2`
trace --diff a b c => trace: --diff takes two IDs: `trace --diff ID1 ID2`
trace --diff a b --run 2 => trace: with --diff write ID~N in place of --run
trace --diff a b --beside f => trace: --beside does not go with --diff, which shows what differs
trace --diff a b -T => trace: -T does not go with --diff, which shows what differs
trace --diff a b --config => trace: --config does not go with --diff, which shows what differs
trace --diff a b --format dot => trace: --diff has two formats: text and json
trace --diff a b --format json --color never => trace: --color is for the text
plan --diff a => plan: --diff takes two bundles, files or IDs: `plan --diff A B`
plan --diff a b c => plan: --diff takes two bundles, files or IDs: `plan --diff A B`
plan --diff a b --lint => plan: --lint and --diff are two different things; leave out one
plan --diff a b --level low => plan: --level is for --lint
plan --diff a b --config x => plan: --config: --diff takes two names, as in `plan --diff A B`
trace --format dot --refused x => trace: --refused has two formats: text and json
trace --format svg --lane init x => trace: --lane: svg shows a whole start
trace --format perfetto -e mount x => trace: -e: the viewer of perfetto has filters
trace --format folded --failed x => trace: --failed: folded is one line a call, for grep
run --repeat 1 x => run: `1` is no number of runs from 2 to 9999
run --repeat 3 -d x => run: --detach is of one container: leave it out with --repeat
run --repeat 3 --keep x => run: --keep is of one container: leave it out with --repeat
run --repeat 3 --from-trace y x => run: --from-trace is of one container: leave it out with --repeat
run --repeat 3 --step x => run: --step is of one container: leave it out with --repeat
run --repeat 3 --break 41 x => run: --break is of one container: leave it out with --repeat
run --repeat 3 --pid-file f x => run: --pid-file is of one container: leave it out with --repeat
run --repeat 3 --console-socket s x => run: --console-socket is of one container: leave it out with --repeat
run --repeat 3 --pidfd-socket s x => run: --pidfd-socket is of one container: leave it out with --repeat
run --repeat 3 --preserve-fds 1 x => run: --preserve-fds is of one container: leave it out with --repeat
run --repeat 3 --watch=all x => run: --watch is of one container: leave it out with --repeat
run --repeat 3 --write-seccomp f x => run: --write-seccomp is of one container: leave it out with --repeat
run --repeat 3 --mode vm x => run: --repeat does not go with --mode vm
run --publish 1:2 x => run: --publish is for --mode vm alone
run --mode vm --publish 1:2 x => run: --publish needs --net user: without a network no port leads into the machine
run --mode vm --net user --publish 0:2 x => run: `0:2` is no port to publish; write HOST:GUEST, as 8080:80, and /udp if it is for that
run --mode vm --net user --publish 1:2/sctp x => run: `1:2/sctp` is no port to publish; write HOST:GUEST, as 8080:80, and /udp if it is for that
run --mode vm --net tap x => run: `tap` is no network; write none or user
run --mode vm --cpus 0 x => run: `0` is no number of processors from 1 to 255
run --mode vm --memory 1 x => run: `1` is no size of a memory; write a number of MiB, at least 16
run --mode vm --root-from nfs x => run: `nfs` is no kind of root; write initramfs, 9p, virtiofs, erofs, squashfs or ext4
run --mode vm --root-from 9p --image i x => run: --image is for --root-from erofs, squashfs or ext4
run --mode vm --root-from squashfs --writable x => run: --writable: erofs and squashfs are file systems that can only be read
run --mode vm --root-from initramfs --writable x => run: --writable has no meaning with --root-from initramfs: it is a copy in the machine's memory
trace --timing => trace: --timing is about one trace: an ID is needed
trace --timing -c x => trace: -c does not go with --timing, which is about the whole start
trace --timing -f x => trace: -f does not go with --timing, which is about the whole start
trace --timing --line 3 x => trace: --line does not go with --timing, which is about the whole start
trace --timing --all x => trace: --all does not go with --timing, which is about the whole start
trace --timing --beside f x => trace: --beside does not go with --timing, which is about the whole start
trace --timing --format svg x => trace: --timing has two formats: text and json
trace --format html => trace: --format: a picture shows one trace: an ID is needed
trace x y => trace: one trace at a time: only --format html and --diff take several
trace --format dot x y => trace: one trace at a time: only --format html and --diff take several
trace --format png x => trace: `png` is no trace format; write text, strace, json, dot, html, svg, perfetto or folded
trace -y x => trace: the text has names already: -y is for strace
trace -c -T x => trace: -T does not go with -c, which counts calls
trace -c --format json x => trace: -c is a table of its own: it has no other format
trace -f --all x => trace: --follow shows each call already: leave out --all
trace -f --run 2 x => trace: --run is of a container that is gone
trace --read s x => trace: --read has its files as options: leave out the ID
trace --read s -c => trace: -c is about one trace of ours: leave it out with --read
trace --read s --timing => trace: --timing is about one trace of ours: leave it out with --read
trace --read s --lane init => trace: --lane is about one trace of ours: leave it out with --read
trace --read s --source => trace: --source is about one trace of ours: leave it out with --read
trace --read s --format strace => trace: --read has three formats: text, json and dot
trace --read s --format json --all => trace: --all is for the text
trace --read s --against t => trace: --read tells of one file; --beside ONE --against OTHER compares two
trace --against t => trace: --against needs --beside: --beside ONE --against OTHER
trace --beside s --against t x => trace: --against has its files as options: leave out the ID
trace --beside s --against t -T => trace: -T is about one trace of ours: leave it out with --against
trace --beside s --against t --format dot => trace: --against has two formats: text and json
trace --beside s => trace: --beside is about one trace: an ID is needed
trace --beside s -T x => trace: -T does not go with --beside, which compares a whole trace
trace --beside s --source x => trace: --source does not go with --beside, which compares a whole trace
trace --beside s --lane init x => trace: --lane does not go with --beside, which compares a whole trace
trace --beside s -f x => trace: -f does not go with --beside, which compares a whole trace
trace --beside s --refused x => trace: --refused does not go with --beside, which compares a whole trace
trace --beside s --format dot x => trace: --beside has two formats: text and html
trace --beside s --format html x y => trace: --beside compares one trace: leave out the other IDs
trace --beside s --format json x => trace: --beside has two formats: text and html
trace --line 9-4 x => trace: `9-4` is no line of a plan: 41, or lines, as 36-46
trace --run 0 x => trace: `0` is no number of a trace; 1 is the newest of its ID, 2 the one before
trace --color red x => trace: `red` is no choice of colour; write auto, always or never
kill x RTMIN++3 => kill: `RTMIN++3` is no signal; write a number up to 64, TERM or RTMIN+3
";

#[test]
fn errors() {
    for row in ERRORS.lines() {
        let Some((line, text)) = row.split_once(" => ") else { panic!("{row}") };
        assert_eq!(read(line), Err(Stop::Usage(text.into())), "{line}");
    }
}

#[test]
fn an_error_is_one_line_whatever_the_words_hold() {
    let none = |_: &str| None;
    let lines: &[&[&str]] = &[
        &["a\nb"],
        &["--a\nb"],
        &["-\n"],
        &["create", "-\n", "x"],
        &["create", "x", "y\nz"],
        &["kill", "x", "\u{1}': \nq\u{1}"],
        &["--log-level", "x': y\n", "list"],
        &["create", "--no-pivot=\n", "x"],
        &["-é"],
        &[""],
    ];
    for line in lines {
        let Err(Stop::Usage(text)) = parse(line, &none) else { panic!("{line:?}") };
        assert!(!text.contains(char::is_control), "{text:?}");
    }
}

/// The screen of all commands, and the help of each.
#[test]
fn help_texts() {
    let Err(Stop::Help(screen)) = read("--help") else { panic!("no screen") };
    for line in ["", "-h", "-?", "help", "--root /x --help"] {
        assert_eq!(read(line), Err(Stop::Help(screen.clone())), "{line}");
    }
    assert!(screen.lines().count() <= 58 && screen.lines().all(|line| line.len() <= 96));
    let commands = screen.split("\nOptions").next().unwrap_or_default().lines();
    let commands: Vec<&str> = commands.filter_map(|line| line.strip_prefix("  ")?.split(' ').next()).collect();
    assert!(commands.contains(&"create") && !commands.contains(&"inside"), "{commands:?}");
    for command in commands {
        let Err(Stop::Help(text)) = read(&format!("{command} --help --frob")) else { panic!("{command}") };
        assert!(text.starts_with(&format!("Usage: nk-runtime {command}")), "{text}");
        assert_eq!(read(&format!("help {command}")), Err(Stop::Help(text)));
    }
}
