//! scripts/release: the Debian package that it makes of a program comes, runs, and goes again; it has the same bytes whoever
//! makes it, and wherever; what is to be released is one commit. (The builds take too long for a test: `scripts/release --check`.)

use super::install::files;
use crate::bundle::{Bundle, Done, example, runtime, tool};
use crate::{Failed, Outcome, area, ensure, same};
use libtest_mimic::Trial;
use std::fs;
use std::os::unix::fs::{MetadataExt, PermissionsExt, symlink};
use std::path::{Path, PathBuf};
use std::process::Command;

pub fn cases() -> Vec<Trial> {
    area(
        "release",
        &[
            ("a_package_comes_runs_and_goes", package),
            ("packing_twice_gives_the_same_bytes", twice),
            ("what_is_not_of_one_commit_is_refused", commit),
            ("what_cannot_be_packed_is_refused", refused),
        ],
    )
}

/// The time that the packages get.
const THEN: u32 = 1_700_000_000;

/// A folder with what scripts/release needs of the repository.
fn copy(bundle: &Bundle, name: &str) -> Result<PathBuf, Failed> {
    let top = Path::new(env!("CARGO_MANIFEST_DIR"));
    let here = bundle.path(name);
    for name in [
        "Cargo.toml",
        "bundles/hello/config.json",
        "scripts/install",
        "scripts/release",
        "scripts/release.d/copyright",
        "scripts/release.d/lintian",
        "scripts/rootfs",
    ] {
        fs::create_dir_all(here.join(name).parent().ok_or("no parent")?)?;
        fs::copy(top.join(name), here.join(name))?;
    }
    Ok(here)
}

/// The script of that folder, called there.
fn release(bundle: &Bundle, here: &Path, words: &[&str]) -> Command {
    let mut command = Command::new(here.join("scripts/release"));
    command.args(words).current_dir(here).env("TMPDIR", bundle.path(""));
    alike(&mut command);
    command
}

/// What the caller may say of a package. Packed tightly, it would take a busy machine minutes.
fn alike(command: &mut Command) {
    command.env("SOURCE_DATE_EPOCH", THEN.to_string()).env("DPKG_DEB_COMPRESSOR_LEVEL", "0");
    command.env_remove("DPKG_DEB_COMPRESSOR_TYPE").env_remove("DEBEMAIL").env_remove("DEBFULLNAME");
}

/// dpkg, with a root of its own, which has no other package.
fn dpkg(bundle: &Bundle, words: &[&str]) -> Result<Done, Failed> {
    let root = bundle.path("root");
    for name in ["updates", "info", "triggers"] {
        fs::create_dir_all(root.join("var/lib/dpkg").join(name))?;
    }
    fs::create_dir_all(root.join("var/log"))?;
    let status = root.join("var/lib/dpkg/status");
    if !status.exists() {
        fs::write(&status, "")?;
    }
    let mut command = Command::new(tool("dpkg")?);
    // The machine's settings of dpkg name the machine's log.
    command
        .arg("--root")
        .arg(&root)
        .arg("--log")
        .arg(bundle.path("dpkg.log"))
        .args(words)
        .current_dir(bundle.path("away"));
    bundle.finish(command)
}

/// What the program prints for these words.
fn said(bundle: &Bundle, words: &[&str]) -> Result<String, Failed> {
    Ok(bundle.call(words)?.ok()?.out)
}

fn package() -> Outcome {
    let bundle = Bundle::plain()?;
    let here = copy(&bundle, "repository")?;
    // The program of another machine is told by its header alone.
    let mut foreign = fs::read(example("reporter")?)?;
    foreign[18..20].copy_from_slice(&if cfg!(target_arch = "riscv64") { 183u16 } else { 243 }.to_le_bytes());
    fs::write(bundle.path("foreign"), &foreign)?;
    symlink(runtime(), bundle.path("program"))?;
    let words = ["--pack", "../program", "../foreign", "--to", "../away"];
    let mut pack = release(&bundle, &here, &words);
    pack.env("DPKG_DEB_COMPRESSOR_TYPE", "none");
    let done = bundle.finish(pack)?.ok()?;
    let (own, other) = match std::env::consts::ARCH {
        "x86_64" => ("amd64", "riscv64"),
        "aarch64" => ("arm64", "riscv64"),
        other => (other, "arm64"),
    };
    let version = env!("CARGO_PKG_VERSION");
    let names = [own, other].map(|machine| format!("nk-runtime_{version}_{machine}.deb"));
    let mut wanted: Vec<String> =
        names.iter().map(|name| format!("{}\n", bundle.path("away").join(name).display())).collect();
    wanted.sort();
    same("the packages", done.out, wanted.concat())?;
    fields(&bundle, &names[0], own)?;
    fields(&bundle, &names[1], other)?;

    dpkg(&bundle, &["--install", &names[0]])?.ok()?;
    installed(&bundle)?;
    dpkg(&bundle, &["--verify", "nk-runtime"])?.ok()?;
    dpkg(&bundle, &["--remove", "nk-runtime"])?.ok()?;
    let left = || -> Result<Vec<String>, Failed> {
        let all =
            fs::read_dir(bundle.path("root"))?.flatten().map(|entry| entry.file_name().to_string_lossy().into_owned());
        Ok(all.filter(|name| name != "var").collect())
    };
    same("left", left()?, Vec::new())?;
    let notes = files(&bundle.path("root/var"));
    let known = |name: &&String| name.contains("nk-runtime");
    same("left of dpkg's own notes", notes.iter().find(known), None)?;

    // The other machine's has that machine's program, and the papers that were made here.
    dpkg(&bundle, &["--force-architecture", "--install", &names[1]])?;
    same("the foreign program", fs::read(bundle.path("root/usr/bin/nk-runtime"))? == foreign, true)?;
    ensure!(bundle.path("root/usr/share/man/man1/nk-runtime.1.gz").exists(), "{:?}", files(&bundle.path("root/usr")));
    dpkg(&bundle, &["--remove", "nk-runtime"])?.ok()?;
    same("left", left()?, Vec::new())?;
    bundle.clean()
}

/// What the package says of itself. It needs no other package: the file is static.
fn fields(bundle: &Bundle, name: &str, machine: &str) -> Outcome {
    let mut command = Command::new(tool("dpkg-deb")?);
    command.arg("--field").arg(bundle.path("away").join(name));
    let told = bundle.finish(command)?.ok()?.out;
    let version = env!("CARGO_PKG_VERSION");
    for line in ["Package: nk-runtime", &format!("Version: {version}"), &format!("Architecture: {machine}")] {
        ensure!(told.lines().any(|told| told == line), "{line}: {told}");
    }
    for field in ["Maintainer", "Installed-Size", "Section", "Priority", "Description"] {
        ensure!(told.lines().any(|line| line.starts_with(&format!("{field}: "))), "{field}: {told}");
    }
    ensure!(!told.contains("Depends"), "{told}");
    let mut command = Command::new(tool("dpkg-deb")?);
    command.arg("--contents").arg(bundle.path("away").join(name)).env("TZ", "UTC");
    let told = bundle.finish(command)?.ok()?.out;
    for line in told.lines() {
        let mode = line.get(..10).unwrap_or_default();
        ensure!(["drwxr-xr-x", "-rw-r--r--", "-rwxr-xr-x", "lrwxrwxrwx"].contains(&mode), "{line}");
        ensure!(line.contains(" root/root ") && line.contains(" 2023-11-14 22:13 "), "{line}");
    }
    Ok(())
}

/// The program runs, and what belongs to it lies where Debian's man and shells look.
fn installed(bundle: &Bundle) -> Outcome {
    let root = bundle.path("root");
    let program = root.join("usr/bin/nk-runtime");
    same("the same program", fs::read(&program)? == fs::read(runtime())?, true)?;
    bundle.write_config()?;
    for name in ["nk-runtime", "ns-runtime"] {
        let here = bundle.path("");
        let words = ["run", "--bundle", here.to_str().ok_or("not UTF-8")?, &bundle.id];
        bundle.finish(bundle.command_of(&root.join("usr/bin").join(name), &words)?)?.ok()?;
    }
    let share = root.join("usr/share");
    for (name, words) in [
        ("man/man1/nk-runtime.1.gz", ["man", "program"]),
        ("man/man1/ns-runtime.1.gz", ["man", "program"]),
        ("man/man5/nk-runtime-config.5.gz", ["man", "config"]),
        ("man/man5/nk-runtime-trace.5.gz", ["man", "trace"]),
        ("bash-completion/completions/nk-runtime", ["completion", "bash"]),
        ("bash-completion/completions/ns-runtime", ["completion", "bash"]),
        ("zsh/vendor-completions/_nk-runtime", ["completion", "zsh"]),
        ("fish/vendor_completions.d/nk-runtime.fish", ["completion", "fish"]),
        ("fish/vendor_completions.d/ns-runtime.fish", ["completion", "fish"]),
    ] {
        same(name, text(bundle, &share.join(name))?, said(bundle, &words)?)?;
    }
    let copyright = text(bundle, &share.join("doc/nk-runtime/copyright"))?;
    ensure!(copyright.contains("Apache-2.0") && copyright.contains("Fuchsia"), "{copyright}");
    let changes = text(bundle, &share.join("doc/nk-runtime/changelog.gz"))?;
    let version = env!("CARGO_PKG_VERSION");
    ensure!(changes.starts_with(&format!("nk-runtime ({version}) ")), "{changes}");
    ensure!(changes.trim_end().ends_with("Tue, 14 Nov 2023 22:13:20 +0000"), "{changes}");
    Ok(())
}

/// A file's text, unpacked if it is packed.
fn text(bundle: &Bundle, path: &Path) -> Result<String, Failed> {
    if path.extension().is_none_or(|end| end != "gz") {
        return Ok(fs::read_to_string(path)?);
    }
    let mut gzip = Command::new(tool("gzip")?);
    gzip.args(["--decompress", "--stdout"]).arg(path);
    Ok(bundle.finish(gzip)?.ok()?.out)
}

/// Neither the folder, nor the time of the files, nor the caller's mask, language, zone and number of processors shows.
fn twice() -> Outcome {
    let bundle = Bundle::plain()?;
    let program = runtime();
    let program = program.to_str().ok_or("not UTF-8")?;
    let first = copy(&bundle, "first")?;
    bundle.finish(release(&bundle, &first, &["--pack", program, "--to", "away"]))?.ok()?;
    let second = copy(&bundle, "another/place/for/the/second")?;
    for name in ["scripts/release.d/copyright", "scripts/release.d/lintian"] {
        fs::set_permissions(second.join(name), fs::Permissions::from_mode(0o600))?;
    }
    let script = second.join("scripts/release");
    let line = format!("umask 077; exec {} --pack {program} --to away", script.display());
    let mut shell = Command::new("/bin/sh");
    shell.arg("-c").arg(line).current_dir(&second).env("TMPDIR", bundle.path("another")).env("TZ", "Asia/Tokyo");
    shell.env("LC_ALL", "C.UTF-8").env("GZIP", "-1").env("XZ_OPT", "-9");
    alike(&mut shell);
    bundle.finish(shell)?.ok()?;
    let packages: Vec<Vec<String>> = [&first, &second].map(|here| files(&here.join("away"))).into();
    same("packages", packages.iter().map(Vec::len).collect::<Vec<_>>(), vec![1, 1])?;
    ensure!(fs::read(&packages[0][0])? == fs::read(&packages[1][0])?, "the bytes of {packages:?} differ");
    let changed = |name: &Path| fs::metadata(name).map(|data| data.ctime_nsec());
    ensure!(changed(Path::new(&packages[0][0]))? != changed(Path::new(&packages[1][0]))?, "this was one file");
    for folder in ["", "another"] {
        let mut here = fs::read_dir(bundle.path(folder))?.flatten().map(|entry| entry.file_name());
        same("left of the work", here.find(|name| name.to_string_lossy().starts_with("nk-release")), None)?;
    }
    bundle.clean()
}

fn commit() -> Outcome {
    let bundle = Bundle::plain()?;
    let here = copy(&bundle, "repository")?;
    let git = |words: &[&str]| {
        let mut git = Command::new(tool("git")?);
        git.args(["-c", "user.name=one", "-c", "user.email=one@invalid.invalid", "-c", "commit.gpgsign=false"]);
        git.args(words).current_dir(&here).env("GIT_CONFIG_GLOBAL", "/dev/null");
        bundle.finish(git)
    };
    git(&["init", "--quiet"])?.ok()?;
    fs::write(here.join(".gitignore"), "target\n")?;
    git(&["add", "."])?.ok()?;
    git(&["commit", "--quiet", "--message", "all"])?.ok()?;
    let refuse = |name: &str| -> Outcome {
        let done = bundle.finish(release(&bundle, &here, &[]))?.refused("Commit them, or take them away")?;
        ensure!(done.err.contains(name) && done.out.is_empty(), "{name}: {done:?}");
        Ok(())
    };
    fs::write(here.join("scripts/new"), "")?;
    refuse("?? scripts/new")?;
    fs::remove_file(here.join("scripts/new"))?;
    fs::write(here.join("Cargo.toml"), "")?;
    refuse(" M Cargo.toml")?;
    git(&["add", "Cargo.toml"])?.ok()?;
    refuse("M  Cargo.toml")?;
    ensure!(!here.join("target").exists(), "{:?}", files(&here.join("target")));
    bundle.clean()
}

fn refused() -> Outcome {
    let bundle = Bundle::plain()?;
    let here = copy(&bundle, "repository")?;
    let program = runtime();
    let program = program.to_str().ok_or("not UTF-8")?;
    let mut foreign = fs::read(example("reporter")?)?;
    foreign[18..20].copy_from_slice(&183u16.to_le_bytes());
    fs::write(here.join("foreign"), &foreign)?;
    foreign[18..20].copy_from_slice(&2u16.to_le_bytes());
    fs::write(here.join("sparc"), &foreign)?;
    fs::write(here.join("other"), "#!/bin/sh\n")?;
    let shell = fs::canonicalize("/bin/sh")?;
    let shell = shell.to_str().ok_or("not UTF-8")?;
    let mut rows: Vec<(i32, &str, Vec<&str>)> = vec![
        (1, "missing: there is no such file", vec!["--pack", "missing"]),
        (1, "other: this is no program for x86_64, aarch64 or riscv64", vec!["--pack", "other"]),
        (1, "sparc: this is no program for x86_64, aarch64 or riscv64", vec!["--pack", program, "sparc"]),
        (1, "it needs an interpreter", vec!["--pack", shell]),
        (2, "name a program after it", vec!["--pack"]),
        (2, "name a folder after it", vec!["--pack", program, "--to"]),
        (2, "give one of them", vec!["--pack", "--check", program]),
        (2, "usage: scripts/release", vec!["--pakc", program]),
        (2, "mips: write x86_64, aarch64 or riscv64", vec!["mips"]),
    ];
    if cfg!(target_arch = "x86_64") {
        rows.push((1, "give one more that does", vec!["--pack", "foreign"]));
        rows.push((2, "add x86_64", vec!["aarch64"]));
    }
    let refuse = |status, words: &str, line: &[&str]| -> Outcome {
        let done = bundle.finish(release(&bundle, &here, line))?;
        ensure!(done.status == status && done.err.contains(words) && done.out.is_empty(), "{line:?}: {done:?}");
        Ok(())
    };
    for (status, words, line) in rows {
        refuse(status, words, &line)?;
    }
    let manifest = fs::read_to_string(here.join("Cargo.toml"))?;
    fs::write(here.join("Cargo.toml"), manifest.replacen(env!("CARGO_PKG_VERSION"), "77.0.0", 1))?;
    refuse(1, "Cargo.toml has 77.0.0", &["--pack", program])?;
    ensure!(!here.join("target").exists(), "{:?}", files(&here.join("target")));
    bundle.clean()
}
