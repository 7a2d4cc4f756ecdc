//! The directories of an overlay mount (the kernel's filesystems/overlayfs.rst). May touch: system calls.

use super::path::{self, End};
use super::{Found, missing};
use crate::host::mountinfo::below;

/// The cause that an overlay with these options cannot be mounted.
pub fn found(data: &str) -> Option<Found> {
    let option = |key: &str| data.split(',').find_map(|option| option.strip_prefix(key)?.strip_prefix('='));
    let lower = layers(option("lowerdir").unwrap_or_default());
    let wrong = lower.iter().find_map(|layer| directory("lowerdir", layer));
    if wrong.is_some() {
        return wrong;
    }
    let (upper, work) = match (option("upperdir"), option("workdir")) {
        (Some(upper), Some(work)) => (upper, work),
        (Some(upper), None) => return Some(Found::new("no workdir", &[upper])),
        _ if lower.len() < 2 => return Some(Found::new("one lower layer", &[lower.first()?])),
        _ => return None,
    };
    let wrong = directory("upperdir", upper).or_else(|| directory("workdir", work));
    if wrong.is_some() {
        return wrong;
    }
    if below(upper, work).is_some() || below(work, upper).is_some() {
        return Some(Found::new("nested directories", &[upper, work]));
    }
    let device = |path| path::find(path::host()?.at(), path).map(|(.., stat)| stat.st_dev);
    (device(upper)? != device(work)?).then(|| Found::new("two file systems", &[upper, work]))
}

/// The lower layers: a colon between them, and a backslash before a colon of a name.
fn layers(lower: &str) -> Vec<String> {
    let plain = lower.replace("\\:", "\0");
    plain.split(':').filter(|one| !one.is_empty()).map(|one| one.replace('\0', ":")).collect()
}

/// What is wrong with a directory of the overlay. A relative path is not looked at: it begins where init stands.
fn directory(key: &str, path: &str) -> Option<Found> {
    let walk = path::walk(path::host()?.at(), path).filter(|_| path.starts_with('/'))?;
    match &walk.end {
        End::There { stat, .. } if path::is_dir(stat) => None,
        End::There { stat, .. } => Some(Found::new("layer no directory", &[key, path, path::kind(stat)])),
        _ => missing::found(key, path, &walk),
    }
}

#[cfg(test)]
mod tests {
    #[test]
    fn colons_of_names_stay() {
        assert_eq!(super::layers("/a:/b\\:c::/d"), ["/a", "/b:c", "/d"]);
    }
}
