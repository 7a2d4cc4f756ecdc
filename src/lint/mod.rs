//! What in a configuration is wider than a container usually needs, without a look at a container: findings, the weightiest
//! first, with what each opens and how to narrow it. May touch: everything from `look` down.
//!
//! ```text
//!   rules       what each finding means (rules.txt)
//!   namespaces  what is shared with the host
//!   rights      users, capabilities, seccomp, labels
//!   files       mounts, the rootfs, paths of /proc and /sys
//!   resources   devices, limits, scheduling
//! ```

mod files;
mod namespaces;
mod resources;
mod rights;
mod rules;

pub use rules::Finding;

use crate::cli::Weight;
use crate::spec::Spec;
use rules::Found;

/// The findings, in the order of rules.txt, from this weight on. `module`: whether this host has AppArmor or SELinux.
pub fn findings(spec: &Spec, module: bool, least: Weight) -> Vec<Finding> {
    let mut found = Found::default();
    namespaces::look(spec, &mut found);
    rights::look(spec, module, &mut found);
    files::look(spec, &mut found);
    resources::look(spec, &mut found);
    rules::explained(found, least)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::spec;

    fn of(text: &str) -> Vec<Finding> {
        let spec = spec::parse(text.as_bytes()).unwrap_or_else(|problem| panic!("{problem:?}"));
        findings(&spec, true, Weight::Low)
    }

    #[test]
    fn the_default_has_nothing_of_weight_but_what_only_the_user_can_know() {
        let found = of(spec::DEFAULT);
        let names: Vec<&str> = found.iter().map(|one| one.name).collect();
        assert_eq!(names, ["root of the host", "no seccomp", "unconfined", "no limits"]);
    }

    #[test]
    fn each_finding_is_whole() {
        for name in rules::names() {
            let one = rules::explained(Found::of(name), Weight::Low);
            let [one] = &one[..] else { panic!("{name}: {one:?}") };
            assert!(!one.opens.is_empty() && one.opens.ends_with('.'), "{name} opens nothing");
            assert!(one.narrow.ends_with('.'), "{name} cannot be narrowed");
        }
    }
}
