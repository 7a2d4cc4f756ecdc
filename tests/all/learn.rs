//! `learn`: every lesson runs as it is, is not passed as it is, and is passed with its solution; for root, and for an ordinary
//! user. What is written for a learner is what `bundles/` has. The progress, and what can be amiss with it.

use crate::bundle::{Bundle, Done, runtime, tool};
use crate::{Failed, Outcome, area, ensure, machine, same};
use libtest_mimic::Trial;
use std::fs;
use std::os::unix::fs::{PermissionsExt, chown, symlink};
use std::path::{Path, PathBuf};
use std::process::Command;

/// The lessons with a task, in their order, and words that the check has for the untouched bundle.
const LESSONS: &[(&str, &str)] = &[
    ("hello", "does not see the host name `first`"),
    ("processes", "sees more than one process"),
    ("mounts", "needs the option `shared`"),
    ("uts", "The host name inside is not `lesson`"),
    ("network", "The network is the host's"),
    ("users", "The program is another user"),
    ("cgroup", "The limit inside is not 10"),
    ("capabilities", "chroot was refused"),
    ("seccomp", "unshare was not refused"),
    ("hooks", "does not hold the container's state"),
    ("exec", "The process has capabilities"),
    ("idmap", "No mount was mapped"),
    ("initramfs", "The program cannot write to /data"),
    ("escape-sysctl", "/proc/sys is still read-only"),
    ("escape-disk", "The device is still refused"),
    ("escape-process", "has found no other root"),
];

/// What only root can do.
const OF_ROOT: [&str; 4] = ["cgroup", "idmap", "escape-disk", "escape-process"];

pub fn cases() -> Vec<Trial> {
    let mut all = area(
        "learn",
        &[
            ("the_list_leads_through_the_course", list),
            ("what_is_embedded_is_what_bundles_has", embedded),
            ("an_ordinary_user_learns", user),
            ("a_damaged_progress_is_told", damaged),
            ("progress_that_cannot_be_kept_costs_nothing_else", unwritable),
            ("a_changed_bundle_stays", stays),
            ("wrong_words_are_refused", refused),
            ("a_bundle_of_another_user_is_refused", strangers),
            ("a_link_in_the_way_is_not_followed", links),
            ("two_learners_at_once", two),
            ("a_container_that_cannot_be_made_is_told_alone", alone),
        ],
    );
    let of_machines = machine::cases("learn", &[("initramfs_is_passed_with_its_solution", initramfs)]);
    let plain = LESSONS.iter().filter(|(name, _)| *name != "initramfs");
    all.extend(plain.map(|(name, words)| {
        let name_of_case = format!("learn::{}_is_passed_with_its_solution", name.replace('-', "_"));
        Trial::test(name_of_case, || {
            let desk = Desk::root()?;
            passed(&desk, name, words)?;
            desk.clean()
        })
    }));
    all.extend(of_machines);
    all
}

/// A learner's place: a directory with `nk-learn` to be, and who the learner is.
struct Desk {
    bundle: Bundle,
    user: Option<u32>,
}

const USER: u32 = 41236;

impl Desk {
    fn root() -> Result<Desk, Failed> {
        Ok(Desk { bundle: Bundle::plain()?, user: None })
    }

    fn user() -> Result<Desk, Failed> {
        let bundle = Bundle::plain()?;
        fs::set_permissions(bundle.path(""), fs::Permissions::from_mode(0o755))?;
        crate::bundle::copy_program(runtime(), bundle.path("nk-runtime"))?;
        fs::create_dir(bundle.path("desk"))?;
        fs::create_dir(bundle.path("home"))?;
        for name in ["", "desk", "home"] {
            chown(bundle.path(name), Some(USER), Some(USER))?;
        }
        Ok(Desk { bundle, user: Some(USER) })
    }

    fn command(&self, words: &[&str]) -> Result<Command, Failed> {
        let Some(user) = self.user else {
            let mut command = self.bundle.command(&[&["learn"], words].concat())?;
            command.current_dir(self.bundle.path(""));
            command.env("NK_KERNEL", machine::kernel()).env("NK_VM_ACCEL", "tcg");
            return Ok(command);
        };
        let mut command = Command::new(tool("setpriv")?);
        let id = user.to_string();
        command.args(["--reuid", &id, "--regid", &id, "--clear-groups", "--"]);
        command.arg(self.bundle.path("nk-runtime")).arg("--root").arg(self.bundle.state_root());
        // In the view of the tests an ordinary user has the same cgroups as root.
        command.args(["--cgroup-manager", "disabled", "learn"]).args(words);
        command
            .current_dir(self.bundle.path("desk"))
            .env("HOME", self.bundle.path("home"))
            .env_remove("XDG_STATE_HOME");
        Ok(command)
    }

    fn learn(&self, words: &[&str]) -> Result<Done, Failed> {
        let done = self.bundle.finish(self.command(words)?)?;
        // The lines of -E, and what a container says, are as long as they are.
        let ours = |line: &&str| !line.starts_with([' ', '[']);
        let wide = done.out.lines().filter(ours).find(|line| line.chars().count() > 80);
        ensure!(wide.is_none(), "{words:?}: {wide:?}");
        Ok(done)
    }

    fn path(&self, below: &str) -> PathBuf {
        let desk = if self.user.is_some() { "desk/nk-learn" } else { "nk-learn" };
        self.bundle.path(desk).join(below)
    }

    /// The file of root's progress stays, as designed.
    fn clean(self) -> Outcome {
        let _ = fs::remove_file(self.bundle.state_root().join(".learn"));
        self.bundle.clean()
    }
}

/// A lesson from its beginning to its end.
fn passed(desk: &Desk, name: &str, words: &str) -> Outcome {
    let ran = desk.learn(&[name])?;
    ensure!(ran.status == 0 && ran.out.contains("In the end"), "{name}: {ran:?}");
    ensure!(ran.out.contains("Your task") && ran.out.contains("the status was 0."), "{name}: {ran:?}");
    let checked = desk.learn(&[name, "--check"])?;
    ensure!(checked.status == 1 && checked.out.contains("Not yet"), "{name}, untouched: {checked:?}");
    ensure!(checked.out.replace('\n', " ").contains(words), "{name}, untouched: {}", checked.out);
    ensure!(desk.learn(&[])?.out.contains(&format!("{name:<16}begun")), "{name} is not begun");
    let shown = desk.learn(&[name, "--solution"])?.ok()?;
    ensure!(shown.out.contains("  + /") || shown.out.contains("  - /"), "{name}: {}", shown.out);
    let file = if name == "exec" { "process.json" } else { "config.json" };
    fs::copy(desk.path(name).join("solution.json"), desk.path(name).join(file))?;
    let checked = desk.learn(&[name, "--check"])?;
    ensure!(checked.status == 0 && checked.out.starts_with("Passed"), "{name}, solved: {checked:?}");
    ensure!(desk.learn(&[])?.out.contains(&format!("{name:<16}done ")), "{name} is not done");
    Ok(())
}

fn initramfs() -> Outcome {
    let desk = Desk::root()?;
    let (name, words) = LESSONS[12];
    passed(&desk, name, words)?;
    desk.clean()
}

fn list() -> Outcome {
    let desk = Desk::root()?;
    let all = desk.learn(&[])?.ok()?.out;
    let wide = all.lines().find(|line| line.chars().count() > 80);
    ensure!(wide.is_none(), "{wide:?}");
    let mut place = 0;
    for (number, name) in std::iter::once("demo").chain(LESSONS.iter().map(|(name, _)| *name)).enumerate() {
        let row = all[place..].find(&format!("\n{number:>4}  {name} "));
        place += row.ok_or_else(|| format!("no row {number}, {name}, in its place: {all}"))?;
    }
    ensure!(all.contains("0 of 17 done. Next: nk-runtime learn demo"), "{all}");
    let demo = desk.learn(&["demo"])?;
    ensure!(demo.status == 0 && demo.out.contains("In the end"), "{demo:?}");
    let all = desk.learn(&[])?.ok()?.out;
    ensure!(all.contains("1 of 17 done. Next: nk-runtime learn hello"), "{all}");
    desk.clean()
}

fn embedded() -> Outcome {
    let desk = Desk::root()?;
    let bundles = Path::new(env!("CARGO_MANIFEST_DIR")).join("bundles");
    let mut names: Vec<&str> = LESSONS.iter().map(|(name, _)| *name).collect();
    for name in &names {
        desk.learn(&[name, "--solution"])?.ok()?;
        for file in ["config.json", "process.json", "files/note"] {
            let (kept, made) = (bundles.join(name).join(file), desk.path(name).join(file));
            same(&format!("{name}/{file} is there"), made.exists(), kept.exists())?;
            if kept.exists() {
                same(&format!("{name}/{file}"), fs::read_to_string(made)?, fs::read_to_string(kept)?)?;
            }
        }
    }
    for entry in fs::read_dir(&bundles)? {
        let entry = entry?;
        let is_lesson = entry.path().join("lesson.txt").exists();
        let name = entry.file_name().to_string_lossy().into_owned();
        same(&format!("{name} is a lesson"), names.contains(&name.as_str()), is_lesson)?;
        names.retain(|one| *one != name);
    }
    ensure!(names.is_empty(), "not in bundles/: {names:?}");
    desk.clean()
}

fn user() -> Outcome {
    let desk = Desk::user()?;
    for (name, words) in LESSONS.iter().filter(|(name, _)| *name != "initramfs") {
        if OF_ROOT.contains(name) {
            let done = desk.learn(&[name])?;
            ensure!(done.status == 1 && done.err.contains("needs root: sudo nk-runtime learn"), "{name}: {done:?}");
        } else {
            passed(&desk, name, words)?;
        }
    }
    ensure!(desk.bundle.path("home/.local/state/nano-sandbox/learn").exists(), "no progress in HOME");
    let all = desk.learn(&[])?.ok()?.out;
    ensure!(all.contains("11 of 17 done") && all.contains("  needs root  "), "{all}");
    desk.clean()
}

fn damaged() -> Outcome {
    let desk = Desk::root()?;
    fs::create_dir(desk.bundle.state_root())?;
    let file = desk.bundle.state_root().join(".learn");
    for (text, done, told) in [
        ("mounts done\nhello begun\n", 1, false),
        ("mounts done\nhel", 1, true),
        ("mounts finished\nno-lesson done\n", 0, true),
        ("\0\u{1b}[31m", 0, true),
        ("", 0, false),
    ] {
        fs::write(&file, text)?;
        let shown = desk.learn(&[])?;
        ensure!(shown.status == 0 && shown.out.contains(&format!("{done} of 17 done")), "{text:?}: {shown:?}");
        same(&format!("{text:?}: a warning"), shown.err.contains("the file of the progress is damaged"), told)?;
    }
    fs::write(&file, vec![b'x'; 1 << 20])?;
    ensure!(desk.learn(&[])?.err.contains("damaged"), "a long file");
    fs::remove_file(&file)?;
    fs::create_dir(&file)?;
    let shown = desk.learn(&[])?;
    ensure!(shown.status == 0 && shown.err.contains("the progress is not known"), "{shown:?}");
    fs::remove_dir(&file)?;
    desk.clean()
}

fn unwritable() -> Outcome {
    let desk = Desk::user()?;
    let mut command = desk.command(&["uts"])?;
    command.env("XDG_STATE_HOME", "/dev/full");
    let done = desk.bundle.finish(command)?;
    ensure!(done.status == 0 && done.out.contains("Your task"), "{done:?}");
    ensure!(done.err.contains("the progress is not kept") && done.err.contains("mkdirat"), "{done:?}");
    let mut command = desk.command(&["--check", "uts"])?;
    command.env_remove("HOME");
    let done = desk.bundle.finish(command)?;
    ensure!(done.status == 1 && done.err.contains("neither XDG_STATE_HOME nor HOME"), "{done:?}");
    desk.clean()
}

fn stays() -> Outcome {
    let desk = Desk::root()?;
    let dir = desk.bundle.path("mine").to_string_lossy().into_owned();
    desk.learn(&["hooks", "--solution", "--dir", &dir])?.ok()?;
    let config = desk.bundle.path("mine/config.json");
    let changed = fs::read_to_string(&config)?.replace("read /data/state", "end 7");
    fs::write(&config, &changed)?;
    let done = desk.learn(&["--dir", &dir, "10"])?;
    ensure!(done.status == 0 && done.out.contains("the status was 7."), "{done:?}");
    ensure!(done.out.contains("as you have left it"), "{done:?}");
    same("config.json", fs::read_to_string(&config)?, changed)?;
    desk.clean()
}

fn refused() -> Outcome {
    let desk = Desk::root()?;
    for (words, told) in [
        (&["no-such"][..], "there is no lesson `no-such`\n  try: take one of: demo, hello"),
        (&["\u{1b}[31m"], "there is no lesson `\\u{1b}[31m`"),
        (&["--check"], "a lesson is needed"),
        (&["mounts", "--check", "--solution"], "leave out one"),
        (&["mounts", "--check"], "`nk-runtime learn mounts` writes it"),
        (&["mounts", "--dir", ""], "--dir needs the name of a directory"),
        (&["demo", "--check"], "the demo has no task"),
        (&["demo", "--solution"], "the lesson demo has no task"),
    ] {
        desk.learn(words)?.refused(told)?;
    }
    ensure!(!desk.path("").exists(), "a bundle was made");
    desk.clean()
}

fn strangers() -> Outcome {
    let desk = Desk::root()?;
    fs::create_dir_all(desk.path("uts"))?;
    chown(desk.path("uts"), Some(USER), Some(USER))?;
    desk.learn(&["uts", "--solution"])?.refused("belongs to user 41236")?;
    same("files", fs::read_dir(desk.path("uts"))?.count(), 0)?;
    desk.clean()
}

/// Root learns in a directory where another user has put links: nothing is made where they lead.
fn links() -> Outcome {
    let desk = Desk::root()?;
    let elsewhere = desk.bundle.path("elsewhere");
    for place in ["", "idmap", "idmap/files", "idmap/rootfs"] {
        fs::create_dir_all(elsewhere.join("idmap"))?;
        let link = desk.bundle.path("nk-learn").join(place);
        let link = link.components().as_path();
        fs::create_dir_all(link.parent().ok_or("no parent")?)?;
        symlink(&elsewhere, link)?;
        for words in [&["idmap"][..], &["idmap", "--solution"], &["idmap", "--check"]] {
            let done = desk.learn(words)?;
            ensure!(done.status == 1, "{place}: {done:?}");
        }
        let found: Vec<_> = fs::read_dir(&elsewhere)?.chain(fs::read_dir(elsewhere.join("idmap"))?).flatten().collect();
        ensure!(found.len() == 1, "{place}: {found:?}");
        fs::remove_file(link)?;
        let _ = fs::remove_dir_all(desk.path(""));
    }
    // Where the learner has named the directory, links on the way are the learner's.
    symlink(&elsewhere, desk.bundle.path("mine"))?;
    desk.learn(&["uts", "--solution", "--dir", "mine/a/b"])?.ok()?;
    ensure!(elsewhere.join("a/b/config.json").exists(), "no bundle in the directory that was named");
    desk.clean()
}

/// Two at once in one directory: none finds half a file of the other's.
fn two() -> Outcome {
    let desk = Desk::root()?;
    for _ in 0..4 {
        let both = [
            desk.bundle.start(desk.command(&["uts", "--solution"])?)?,
            desk.bundle.start(desk.command(&["uts", "--solution"])?)?,
        ];
        for one in both {
            desk.bundle.wait(one)?.ok()?;
        }
        let left: Vec<_> =
            fs::read_dir(desk.path("uts"))?.chain(fs::read_dir(desk.path("uts/rootfs"))?).flatten().collect();
        let names = left.iter().map(|entry| entry.file_name().to_string_lossy().into_owned());
        ensure!(names.clone().all(|name| !name.starts_with('.')), "{:?}", names.collect::<Vec<_>>());
        fs::remove_dir_all(desk.path(""))?;
    }
    desk.clean()
}

fn alone() -> Outcome {
    let desk = Desk::root()?;
    desk.learn(&["network", "--solution", "--dir", "n"])?.ok()?;
    fs::write(desk.bundle.path("n/config.json"), "{")?;
    let done = desk.learn(&["network", "--check", "--dir", "n"])?;
    ensure!(done.status == 1 && done.out.contains("n/config.json"), "{done:?}");
    ensure!(done.out.contains("The container could not be made") && !done.out.contains("is the host's"), "{done:?}");
    desk.clean()
}
