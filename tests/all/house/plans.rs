//! Golden listings: what `plan` prints for each bundle of the repository is in the bundle's plan.txt, to the letter. A
//! change of behaviour is a change there. `UPDATE=1` in the environment writes them anew.

use crate::bundle::{Bundle, Done, runtime, tool};
use crate::{Failed, Outcome, area, ensure, same};
use libtest_mimic::Trial;
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::Command;

pub fn cases() -> Vec<Trial> {
    area(
        "plans",
        &[
            ("golden_listings", golden),
            ("nobody_gets_the_same_listing", nobody),
            ("twice_the_same", twice),
            ("changes_nothing", changes_nothing),
            ("of_a_bad_config_names_the_place", bad_config),
        ],
    )
}

/// The repository's bundles by name.
fn bundles() -> Result<Vec<String>, Failed> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("bundles");
    let mut names = Vec::new();
    for entry in fs::read_dir(&folder)? {
        let entry = entry?;
        if entry.path().join("config.json").exists() {
            names.push(entry.file_name().to_string_lossy().into_owned());
        }
    }
    names.sort();
    ensure!(names.iter().any(|name| name == "hello"), "no bundle `hello` in {}", folder.display());
    Ok(names)
}

/// Called from the repository's top, so that no machine's path is in the listing.
fn listing(bundle: &Bundle, name: &str) -> Result<Done, Failed> {
    let mut command = Command::new(runtime());
    command.args(["plan", "--bundle", &format!("bundles/{name}")]).current_dir(env!("CARGO_MANIFEST_DIR"));
    bundle.finish(command)
}

fn without_machine(text: &str) -> String {
    text.replace(env!("CARGO_MANIFEST_DIR"), ".")
}

fn golden() -> Outcome {
    let bundle = Bundle::plain()?;
    let mut differ = Vec::new();
    for name in bundles()? {
        let now = without_machine(&listing(&bundle, &name)?.ok()?.out);
        let file: PathBuf = Path::new(env!("CARGO_MANIFEST_DIR")).join("bundles").join(&name).join("plan.txt");
        if std::env::var_os("UPDATE").is_some() {
            fs::write(&file, &now)?;
            continue;
        }
        let kept =
            fs::read_to_string(&file).map_err(|error| format!("{}: {error}; UPDATE=1 writes it", file.display()))?;
        let place = kept.lines().zip(now.lines()).position(|(kept, now)| kept != now);
        let place = place.or((kept != now).then(|| kept.lines().count().min(now.lines().count())));
        if let Some(line) = place {
            let at = |text: &str| text.lines().nth(line).unwrap_or("(the end)").to_owned();
            differ.push(format!("bundles/{name}/plan.txt:{}\n  - {}\n  + {}", line + 1, at(&kept), at(&now)));
        }
    }
    ensure!(differ.is_empty(), "UPDATE=1 takes the new ones:\n{}", differ.join("\n"));
    Ok(())
}

/// A user who may nothing, with copies of the program and the configuration that this user can reach.
fn nobody() -> Outcome {
    let bundle = Bundle::plain()?;
    let setpriv = tool("setpriv")?;
    fs::set_permissions(bundle.path(""), fs::Permissions::from_mode(0o755))?;
    let program = bundle.path("nk-runtime");
    crate::bundle::copy_program(runtime(), &program)?;
    for name in bundles()? {
        fs::create_dir_all(bundle.path(&format!("bundles/{name}/rootfs")))?;
        let config = Path::new(env!("CARGO_MANIFEST_DIR")).join("bundles").join(&name).join("config.json");
        fs::copy(config, bundle.path(&format!("bundles/{name}/config.json")))?;
        let words = ["plan".into(), "--bundle".into(), format!("bundles/{name}")];
        let mut as_root = Command::new(&program);
        as_root.args(&words).current_dir(bundle.path(""));
        let mut as_nobody = Command::new(&setpriv);
        as_nobody.args(["--reuid", "65534", "--regid", "65534", "--clear-groups", "--"]).arg(&program).args(&words);
        as_nobody.current_dir(bundle.path("")).env("HOME", "/nonexistent");
        let (root, nobody) = (bundle.finish(as_root)?.ok()?.out, bundle.finish(as_nobody)?.ok()?.out);
        same(&format!("the listing of {name} for nobody"), nobody.lines().count(), root.lines().count())?;
        for (nobody, root) in nobody.lines().zip(root.lines()) {
            same(&format!("a line of {name} for nobody"), nobody, root)?;
        }
    }
    bundle.clean()
}

fn twice() -> Outcome {
    let bundle = Bundle::plain()?;
    for name in bundles()? {
        same(&name, listing(&bundle, &name)?.ok()?.out, listing(&bundle, &name)?.ok()?.out)?;
    }
    bundle.clean()
}

fn changes_nothing() -> Outcome {
    let bundle = Bundle::plain()?;
    bundle.write_config()?;
    let before = names(&bundle.path(""))?;
    let done = bundle.call(&["plan", "--bundle", &bundle.path("").to_string_lossy()])?.ok()?;
    ensure!(done.out.contains("host lane") && done.out.contains("init lane"), "{}", done.out);
    let mut after = names(&bundle.path(""))?;
    after.retain(|name| !name.contains("said/"));
    same("the bundle's files", after, before.into_iter().filter(|name| !name.contains("said/")).collect())?;
    ensure!(!bundle.state_root().exists(), "plan made the state root");
    bundle.clean()
}

fn names(folder: &Path) -> Result<Vec<String>, Failed> {
    let mut all = Vec::new();
    for entry in fs::read_dir(folder)? {
        let path = entry?.path();
        all.push(path.to_string_lossy().into_owned());
        if path.is_dir() && !path.is_symlink() {
            all.extend(names(&path)?);
        }
    }
    all.sort();
    Ok(all)
}

fn bad_config() -> Outcome {
    let mut bundle = Bundle::plain()?;
    bundle.set("/process/cwd", serde_json::json!("relative"))?;
    bundle.write_config()?;
    bundle.call(&["plan", "--bundle", &bundle.path("").to_string_lossy()])?.refused("/process/cwd")?;
    bundle.clean()
}
