//! A path walked by hand ends where the kernel's walk ends.

use super::*;
use std::os::unix::fs::symlink;

/// The end of a walk, in short.
fn ends(walk: &Walk) -> String {
    match &walk.end {
        End::There { path, .. } => format!("there {path}"),
        End::Missing { path } => format!("missing {path}"),
        End::NotDirectory { path, .. } => format!("file {path}"),
        End::Loop { path, .. } => format!("loop {path}"),
        End::TooLong { part } => format!("long {}", part.len()),
        End::Refused => "refused".into(),
    }
}

#[test]
fn paths_end_where_they_end() -> std::io::Result<()> {
    let dir = std::env::temp_dir().join(format!("nk-walk-{}", std::process::id()));
    std::fs::create_dir_all(dir.join("a/b"))?;
    std::fs::write(dir.join("a/file"), "")?;
    for (to, name) in
        [("/a/b", "abs"), ("../a/file", "up"), ("gone/x", "dangling"), ("loop", "loop"), ("/../../etc", "out")]
    {
        symlink(to, dir.join(name))?;
    }
    let root =
        open(At::CWD, &dir.to_string_lossy()).map_err(|errno| std::io::Error::from_raw_os_error(errno.0.into()))?;
    for (path, wanted) in [
        ("/", "there /"),
        ("a//./b/", "there /a/b"),
        ("/abs/../file", "there /a/file"),
        ("/up", "there /a/file"),
        ("/up/x", "file /a/file"),
        ("/a/file/", "file /a/file"),
        ("/dangling", "missing /gone"),
        ("/loop", "loop /loop"),
        ("/out", "missing /etc"),
        ("/a/b/c/d", "missing /a/b/c"),
        (&"x".repeat(256), "long 256"),
        (&"/".repeat(4096), "long 4096"),
    ] {
        assert_eq!(walk(root.at(), path).as_ref().map(ends).as_deref(), Some(wanted), "{path}");
    }
    let walked = walk(root.at(), "/dangling");
    let last = walked.as_ref().and_then(|walk| walk.links.last());
    assert_eq!(last.map(|link| link.to.as_str()), Some("gone/x"));
    std::fs::remove_dir_all(dir)
}
