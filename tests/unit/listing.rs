//! What strace wrote, read back: a test for each kind of line.

use crate::listing::{Call, Line, Listing, What};
use crate::world::Deed;
use crate::world::deed::Failure;
use proptest::prelude::*;

/// The calls of a listing, each as `PID NAME(ARGUMENTS) = RESULT`; all of its lines can be read.
fn calls(text: &str) -> Vec<String> {
    let listing = read(text);
    let unread: Vec<_> = listing.unread().collect();
    assert!(unread.is_empty(), "{unread:?}");
    shown(&listing)
}

fn read(text: &str) -> Listing<'_> {
    Listing::of(&[(0, text)])
}

fn shown(listing: &Listing) -> Vec<String> {
    listing.calls.iter().map(|call| format!("{} {} = {}", call.pid, call.shown(), call.result())).collect()
}

fn only<'a>(listing: &'a Listing<'a>) -> &'a Call<'a> {
    assert_eq!(listing.calls.len(), 1, "{listing:?}");
    &listing.calls[0]
}

#[test]
fn each_way_to_name_the_process() {
    for text in [
        "7     close(3)                          = 0",
        "[pid     7] close(3)                    = 0",
        "7 1764444000.000001 close(3) = 0",
        "7 12:34:56 close(3) = 0",
        "7 12:34:56.000001 (+     0.000031) close(3) = 0 <0.000008>",
        "7      0.000031 close(3) = 0",
        "7 [00007fb168464ca3] close(3) = 0",
        "7 [   3] [????????????????] close(3) = 0",
    ] {
        assert_eq!(calls(text), ["7 close(3) = 0"], "{text}");
    }
    assert_eq!(calls("close(3) = 0"), ["0 close(3) = 0"]);
}

#[test]
fn on_a_terminal_the_only_process_has_no_number() {
    let text = "clone(child_stack=NULL, flags=SIGCHLD) = 8\nstrace: Process 8 attached\n[pid     8] getpid() = 8\n\
        [pid     7] wait4(-1,  <unfinished ...>\n[pid     8] exit_group(0) = ?\n[pid     8] +++ exited with 0 +++\n\
        <... wait4 resumed>NULL, 0, NULL) = 8\n--- SIGCHLD {si_signo=SIGCHLD} ---\nclose(3) = 0\n";
    let wanted = [
        "7 clone(child_stack=NULL, flags=SIGCHLD) = 8",
        "8 getpid() = 8",
        "7 wait4(-1, NULL, 0, NULL) = 8",
        "8 exit_group(0) = ?",
        "7 close(3) = 0",
    ];
    assert_eq!(calls(text), wanted);
    // The process that is left can be the child.
    let left = "[pid 7] getpid() = 7\n[pid 8] getpid() = 8\n[pid 7] +++ exited with 0 +++\nclose(3) = 0\n";
    assert_eq!(calls(left).last().map(String::as_str), Some("8 close(3) = 0"));
}

#[test]
fn lines_of_an_interrupted_call_are_joined() {
    let text = "7 read(3,  <unfinished ...>\n8 close(4) = 0\n7 <... read resumed>\"x) = 5\", 6)  = 6 <0.000123>\n";
    let listing = read(text);
    assert_eq!(shown(&listing), ["7 read(3, \"x) = 5\", 6) = 6", "8 close(4) = 0"]);
    assert_eq!((listing.calls[0].args(), listing.calls[0].took()), (vec!["3", "\"x) = 5\"", "6"], Some(123_000)));
    let places: Vec<What> = listing.lines.iter().map(|line| line.what).collect();
    assert_eq!(places, [What::Call(0), What::Call(1), What::Rest(0)]);
    // A structure can be parted, too.
    let text = "7 clone3({flags=CLONE_VM, exit_signal=0} <unfinished ...>\n8 getpid() = 8\n\
        7 <... clone3 resumed> => {parent_tid=[8]}, 88) = 8\n";
    assert_eq!(calls(text)[0], "7 clone3({flags=CLONE_VM, exit_signal=0} => {parent_tid=[8]}, 88) = 8");
}

#[test]
fn a_line_into_which_strace_speaks() {
    let text = "[pid 7] clone3({flags=CLONE_VM}strace: Process 8 attached\n => {parent_tid=[8]}, 88) = 8\n\
        [pid 8] getpid() = 8\n[pid 7] wait4(-1, strace: Process 9 attached\n <unfinished ...>\n[pid 9] getpid() = 9\n\
        [pid 7] <... wait4 resumed>NULL, 0, NULL) = 9\n";
    let wanted = [
        "7 clone3({flags=CLONE_VM} => {parent_tid=[8]}, 88) = 8",
        "8 getpid() = 8",
        "7 wait4(-1, NULL, 0, NULL) = 9",
        "9 getpid() = 9",
    ];
    assert_eq!(calls(text), wanted);
}

#[test]
fn a_call_that_does_not_return() {
    for (text, wanted) in [
        ("7 exit_group(0) = ?\n7 +++ exited with 0 +++", "7 exit_group(0) = ?"),
        ("7 read(3,  <unfinished ...>\n7 +++ killed by SIGKILL +++", "7 read(3) = ?"),
        ("7 read(3,  <unfinished ...>\n7 <... read resumed> <unfinished ...>) = ?", "7 read(3) = ?"),
        ("7 read(0,  <detached ...>", "7 read(0) = ?"),
        ("7 ????( <unfinished ...>\n7 <... ???? resumed>) = ?", "7 ????() = ?"),
        ("7 ????( <unfinished ...>\n7 <... futex resumed>) = ?", "7 futex() = ?"),
        ("7 read(3,  <unfinished ...>\n7 <... ???? resumed>) = ? <unavailable>", "7 read(3) = ?"),
        (
            "7 pause() = ? ERESTARTNOHAND (To be restarted if no handler)",
            "7 pause() = ? ERESTARTNOHAND (To be restarted if no handler)",
        ),
        (
            "7 restart_syscall(<... resuming interrupted poll ...>) = 0",
            "7 restart_syscall(<... resuming interrupted poll ...>) = 0",
        ),
    ] {
        assert_eq!(calls(text), [wanted], "{text}");
    }
}

#[test]
fn a_thread_that_executes_goes_on_as_the_first() {
    let text = "8 execve(\"/bin/true\", [\"true\"], 0x0 /* 0 vars */ <unfinished ...>\n7 <... pause resumed>) = ?\n\
        7 +++ superseded by execve in pid 8 +++\n7 <... execve resumed>) = 0\n7 brk(NULL) = 0x5\n";
    let listing = read(text);
    assert_eq!(shown(&listing), ["7 execve(\"/bin/true\", [\"true\"], 0x0 /* 0 vars */) = 0", "7 brk(NULL) = 0x5"]);
    assert_eq!(listing.unread().count(), 1);
}

#[test]
fn results_of_all_kinds() {
    let listing = |text: &str| format!("7 x(1) = {text}");
    for (result, number, errno, done) in [
        ("0", Some(0), None, true),
        ("-1 ENOENT (No such file or directory)", None, Some("ENOENT"), true),
        ("-1 EPERM (Operation not permitted) (INJECTED)", None, Some("EPERM"), true),
        ("3</dev/null<char 1:3>>", Some(3), None, true),
        ("0x7fb168423000", Some(0x7fb1_6842_3000), None, true),
        ("0xffffffffffffffff", Some(-1), None, true),
        ("1 ([{fd=3, revents=POLLIN}], left {tv_sec=1, tv_nsec=5})", Some(1), None, true),
        ("0 (Timeout)", Some(0), None, true),
        ("0x1 (flags FD_CLOEXEC)", Some(1), None, true),
        ("-1", Some(-1), None, true),
        ("?", None, None, false),
        ("? ERESTARTSYS (To be restarted if SA_RESTART is set)", None, None, false),
    ] {
        for end in ["", " <0.000008>"] {
            let text = listing(&format!("{result}{end}"));
            let read = read(&text);
            let call = only(&read);
            assert_eq!((call.number(), call.errno(), call.is_done()), (number, errno, done), "{text}");
            assert_eq!((call.result(), call.took()), (result, (!end.is_empty()).then_some(8000)), "{text}");
        }
    }
}

#[test]
fn arguments_of_all_kinds() {
    for (inner, count) in [
        ("", 0),
        ("AT_FDCWD</srv, (a)>, \"a, \\\"b\\\\\", O_RDONLY|O_CLOEXEC", 3),
        ("3, \"cut\"..., 832", 3),
        ("0x1 /* O_WRONLY, or so */, ~[RTMIN RT_1], {sa_handler=SIG_DFL, sa_mask=[CHLD KILL]}, 8", 4),
        ("{effective=1<<CAP_CHOWN|1<<CAP_KILL, permitted=0x1ff}, 5<TCP:[[::1]:5->[::1]:6]>", 2),
        ("[{WIFEXITED(s) && WEXITSTATUS(s) == 0}], 0, NULL", 3),
        ("\"/bin/a\", [\"a\", \"b)\"], [\"A= = 1\"]", 3),
        ("{st_mode=S_IFREG|0644, st_size=38035, ...} => {x=1}, AT_EMPTY_PATH", 2),
    ] {
        for pad in ["", "        "] {
            let text = format!("7 x({inner}){pad} = 0 <0.1>");
            let listing = read(&text);
            assert_eq!(only(&listing).args().len(), count, "{text}");
            assert_eq!((only(&listing).inner(), only(&listing).result()), (inner, "0"), "{text}");
        }
    }
}

#[test]
fn times_go_on_over_midnight() {
    let at = |text: &str| read(text).calls.iter().map(|call| call.at.unwrap_or(0)).collect::<Vec<u64>>();
    assert_eq!(at("7 23:59:59 a() = 0\n7 00:00:01 b() = 0"), [86_399_000_000_000, 86_401_000_000_000]);
    assert_eq!(
        at("7 1764444000.5 a() = 0\n7 1764444001.25 b() = 0"),
        [1_764_444_000_500_000_000, 1_764_444_001_250_000_000]
    );
    assert_eq!(at("7 0.000000 a() = 0\n7 0.5 --- SIGUSR1 {} ---\n7 0.25 b() = 0"), [0, 750_000_000]);
}

#[test]
fn lines_that_are_no_calls_are_kept() {
    let text = "7 --- SIGCHLD {si_signo=SIGCHLD} ---\n7 --- stopped by SIGSTOP ---\n7 +++ exited with 0 +++\n\
        7 [ 231] [????????????????] +++ killed by SIGKILL (core dumped) +++\nstrace: Process 8 attached\n\
        [ Process PID=7 runs in 32 bit mode. ]\n > /lib/libc.so.6(execl+0x126) [0xd4ec6]\n\n";
    let kinds: Vec<What> = read(text).lines.iter().map(|line| line.what).collect();
    let wanted =
        [What::Signal, What::Signal, What::Ended, What::Ended, What::Note, What::Note, What::Stack, What::Empty];
    assert_eq!(kinds, wanted);
}

#[test]
fn what_cannot_be_read_is_kept_and_named() {
    for (bad, why) in [
        ("Hello from the program", "it is no call"),
        ("7 Hello(1) = 0", "it is no call"),
        ("7 kill(0, SIGKILL", "its call has no end"),
        ("7 <... read resumed>\"x\", 1) = 1", "no line has begun its call"),
        ("7 <... read", "it is no call"),
        ("% time     seconds  usecs/call     calls    errors syscall", "it is no call"),
    ] {
        let text = format!("7 getpid() = 7\n{bad}\n7 getppid() = 1\n");
        let listing = read(&text);
        let unread: Vec<(&str, usize, &str)> =
            listing.unread().map(|(line, why)| (line.text, line.number, why)).collect();
        assert_eq!((unread, listing.calls.len()), (vec![(bad, 2, why)], 2), "{bad}");
    }
    let text = "7 read(3,  <unfinished ...>\n7 <... write resumed>) = 1\n";
    assert_eq!(read(text).unread().map(|(_, why)| why).collect::<Vec<_>>(), ["another call is open"]);
}

#[test]
fn a_file_for_each_process() {
    let (parent, child) = ("clone(flags=SIGCHLD) = 8\nwait4(8, NULL, 0, NULL) = 8\n", "getpid() = 1\n");
    let wanted = ["7 clone(flags=SIGCHLD) = 8", "8 getpid() = 1", "7 wait4(8, NULL, 0, NULL) = 8"];
    assert_eq!(shown(&Listing::of(&[(7, parent), (8, child)])), wanted);
    assert_eq!(shown(&Listing::of(&[(8, child), (7, parent)])), wanted);
    let (parent, child) = ("12:00:01 clone() = 8\n12:00:02 wait4(8) = 8\n", "12:00:03 getpid() = 1\n");
    let listing = Listing::of(&[(7, parent), (8, child)]);
    assert_eq!(shown(&listing), ["7 clone() = 8", "7 wait4(8) = 8", "8 getpid() = 1"]);
    let place = |line: &Line| (line.file, line.number, line.what);
    let wanted = [(0, 1, What::Call(0)), (0, 2, What::Call(1)), (1, 1, What::Call(2))];
    assert_eq!(listing.lines.iter().map(place).collect::<Vec<_>>(), wanted);
}

#[test]
fn calls_become_deeds() {
    let text =
        "7 openat(AT_FDCWD, \"/a\", O_RDONLY) = 3</a>\n7 mount(NULL, \"/\") = -1 EPERM (x)\n7 pause( <unfinished ...>";
    let listing = read(text);
    let told: Vec<(i64, Option<Failure>)> =
        listing.calls.iter().map(Deed::listed).map(|deed| (deed.result, deed.failed)).collect();
    assert_eq!(told, [(3, None), (-1, Some(Failure::Refused("EPERM"))), (-1, Some(Failure::Unfinished))]);
    assert_eq!(Deed::listed(&listing.calls[0]).text(1).as_deref(), Some("/a"));
}

const WORDS: &[&str] = &[
    "7 ",
    "8 ",
    "[pid 7] ",
    "12:34:56 ",
    "0.1 ",
    "(+ 0.1) ",
    "[ 3] ",
    "read(",
    "execve(",
    "3",
    ", ",
    "\"x\"",
    "\"",
    "\\",
    "<",
    ">",
    "->",
    "{",
    "}",
    "[",
    "]",
    "(",
    ")",
    " = ",
    "0",
    "?",
    "-1 ENOENT (x)",
    " <0.1>",
    " <unfinished ...>",
    "<... read resumed>",
    "<... execve resumed>",
    "+++ exited with 0 +++",
    "--- SIGCHLD ---",
    "/* ",
    " */",
    "\n",
    "\n",
    "ä",
    " ",
    "\t",
    "1<<2",
    "????",
];

proptest! {
    #[test]
    fn any_text_is_read_line_by_line(picked in proptest::collection::vec(0..WORDS.len(), 0..90)) {
        let text: String = picked.iter().map(|i| WORDS[*i]).collect();
        let listing = Listing::of(&[(0, &text), (9, &text)]);
        assert_eq!(listing.lines.len(), 2 * text.lines().count());
        for call in &listing.calls {
            assert!(Deed::listed(call).args.len() <= text.len() + 1);
            assert!(call.shown().len() + call.result().len() <= 2 * text.len() + 9);
        }
    }
}
