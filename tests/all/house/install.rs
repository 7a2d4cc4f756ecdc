//! scripts/install, for root and for an ordinary user: what it installs runs, and nothing stays when it is taken away.

use crate::bundle::{Bundle, tool};
use crate::users::USER;
use crate::{Failed, Outcome, area, ensure, same};
use libtest_mimic::Trial;
use nix::unistd::chown;
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::Command;

pub fn cases() -> Vec<Trial> {
    area("install", &[("for_root", root), ("for_a_user", user)])
}

/// The script from a copy of what it needs: the repository's folder may be closed to others.
fn script(bundle: &Bundle, words: &[&str]) -> Result<Command, Failed> {
    let top = Path::new(env!("CARGO_MANIFEST_DIR"));
    let here = bundle.path("repository");
    for name in ["scripts/install", "scripts/rootfs", "bundles/hello/config.json"] {
        fs::create_dir_all(here.join(name).parent().ok_or("no parent")?)?;
        fs::copy(top.join(name), here.join(name))?;
    }
    let built = here.join(crate::bundle::built());
    fs::create_dir_all(&built)?;
    fs::copy(crate::bundle::runtime(), built.join("nk-runtime"))?;
    let mut command = Command::new(tool("setpriv")?);
    command.args(words).arg("--").arg(here.join("scripts/install"));
    command.env_remove("PREFIX").env_remove("DESTDIR").env_remove("NK_RUNTIME").current_dir("/");
    Ok(command)
}

pub fn files(folder: &Path) -> Vec<String> {
    let mut all = Vec::new();
    for entry in fs::read_dir(folder).into_iter().flatten().flatten() {
        let path = entry.path();
        match entry.file_type().is_ok_and(|kind| kind.is_dir()) {
            true => all.extend(files(&path)),
            false => all.push(path.to_string_lossy().into_owned()),
        }
    }
    all
}

fn root() -> Outcome {
    let bundle = Bundle::plain()?;
    let dest = bundle.path("dest");
    let install = |word: &[&str]| {
        let mut command = script(&bundle, &["--no-new-privs"])?;
        command.args(word).env("DESTDIR", &dest).env("PREFIX", "/opt/nk");
        bundle.finish(command)
    };
    for _ in 0..2 {
        let done = install(&[])?.ok()?;
        ensure!(done.out.contains("/opt/nk/bin/nk-runtime run"), "{done:?}");
    }
    for (name, words) in [
        ("man/man1/ns-runtime.1", "COMMANDS"),
        ("man/man5/nk-runtime-config.5", "/process/args"),
        ("man/man5/nk-runtime-trace.5", "duration_ns"),
        ("bash-completion/completions/ns-runtime", "complete -F"),
        ("zsh/site-functions/_nk-runtime", "#compdef"),
        ("fish/vendor_completions.d/ns-runtime.fish", "complete -c ns-runtime"),
    ] {
        let text = fs::read_to_string(dest.join("opt/nk/share").join(name))?;
        ensure!(text.contains(words), "{name}: {text}");
    }
    let program = dest.join("opt/nk/bin/ns-runtime");
    let here = dest.join("opt/nk/share/nano-sandbox/bundle");
    let mut run = Command::new(&program);
    run.arg("--root").arg(bundle.state_root()).args(["run", "--bundle"]).arg(&here).arg(&bundle.id);
    let done = bundle.finish(run)?;
    ensure!(done.status == 0 && !done.out.is_empty(), "{done:?}");
    install(&["uninstall"])?.ok()?;
    same("left", files(&dest), Vec::<String>::new())?;
    let done = install(&["frobnicate"])?;
    ensure!(done.status == 2 && done.err.contains("frobnicate"), "{done:?}");
    bundle.clean()
}

fn user() -> Outcome {
    let bundle = Bundle::plain()?;
    let home = bundle.path("home");
    fs::create_dir(&home)?;
    chown(&home, Some(USER.into()), Some(USER.into()))?;
    fs::set_permissions(bundle.path(""), fs::Permissions::from_mode(0o755))?;
    let id = USER.to_string();
    let as_user = ["--reuid", &id, "--regid", &id, "--clear-groups"];
    let mut install = script(&bundle, &as_user)?;
    install.env("HOME", &home);
    bundle.finish(install)?.ok()?;
    let mut run = Command::new(tool("setpriv")?);
    run.args(as_user).arg("--").arg(home.join(".local/bin/nk-runtime"));
    run.args(["run", "--bundle"]).arg(home.join(".local/share/nano-sandbox/bundle")).arg(&bundle.id);
    run.env("HOME", &home).current_dir("/");
    let done = bundle.finish(run)?;
    ensure!(done.status == 0 && !done.out.is_empty(), "{done:?}");
    let mut uninstall = script(&bundle, &as_user)?;
    uninstall.arg("uninstall").env("HOME", &home);
    bundle.finish(uninstall)?.ok()?;
    let left: Vec<String> = files(&home);
    let state = |path: &String| path.contains("/nano-sandbox/run/");
    ensure!(left.iter().all(state), "{left:?}");
    bundle.clean()
}
