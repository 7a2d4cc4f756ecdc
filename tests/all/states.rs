//! What a container is said to be: it comes from state.json, the start fifo and the process, and from nothing else.

use crate::bundle::{Bundle, patiently};
use crate::lifecycle::bring_to;
use crate::{Outcome, area, ensure, same};
use libtest_mimic::Trial;
use std::fs;
use std::os::unix::fs::symlink;

pub fn cases() -> Vec<Trial> {
    area(
        "states",
        &[
            ("of_a_running_one_do_not_hang_on_the_trace", running),
            ("of_a_created_one_do_not_hang_on_the_trace", created),
        ],
    )
}

/// What may become of a trace file.
const FORMS: [&str; 7] = [
    "gone",
    "empty",
    "short",
    "another version's",
    "zeros",
    "a link",
    "a directory",
];

fn spoil(bundle: &Bundle, form: &str) -> Outcome {
    let path = bundle.state_root().join(&bundle.id).join("trace");
    let mut bytes = fs::read(&path)?;
    fs::remove_file(&path)?;
    match form {
        "gone" => {}
        "empty" => fs::write(&path, "")?,
        "short" => fs::write(&path, &bytes[..20])?,
        "another version's" => {
            bytes[0] ^= 0x55;
            fs::write(&path, &bytes)?;
        }
        "zeros" => fs::write(&path, vec![0; bytes.len()])?,
        "a link" => symlink("/proc/1/mem", &path)?,
        _ => fs::create_dir(&path)?,
    }
    Ok(())
}

fn running() -> Outcome {
    for form in FORMS {
        let bundle = Bundle::shell("sleep 1000")?;
        bring_to(&bundle, "running")?;
        spoil(&bundle, form)?;
        same(form, bundle.status()?, "running".into())?;
        bundle.call(&["delete", &bundle.id])?.refused("running")?;
        bundle
            .call(&["start", &bundle.id])?
            .refused("cannot start a container that is running")?;
        bundle.call(&["exec", &bundle.id, "true"])?.ok()?;
        bundle.call(&["kill", &bundle.id, "KILL"])?.ok()?;
        patiently("the end of the container", || {
            Ok(bundle.status()? == "stopped")
        })?;
        bundle.call(&["delete", &bundle.id])?.ok()?;
        ensure!(!bundle.state_root().join(&bundle.id).exists(), "{form}");
        bundle.clean()?;
    }
    Ok(())
}

fn created() -> Outcome {
    for form in FORMS {
        let bundle = Bundle::shell("sleep 1000")?;
        bring_to(&bundle, "created")?;
        spoil(&bundle, form)?;
        same(form, bundle.status()?, "created".into())?;
        bundle.call(&["exec", &bundle.id, "true"])?.ok()?;
        bundle.call(&["delete", &bundle.id])?.ok()?;
        bundle.clean()?;
    }
    Ok(())
}
