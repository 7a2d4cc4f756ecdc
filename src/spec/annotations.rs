//! Annotations to which crun gives a meaning (crun(1), "Extensions to OCI"), and which users of podman set. An annotation
//! is refused if without it the container would be another than the user asked for. May touch: types.

use super::Spec;
use super::rules::one_of_these;
use super::schema::{At, Checked};

/// The beginning of all names to which crun gives a meaning.
pub const CRUN: &str = "run.oci.";
/// The process keeps the groups of the caller.
const KEEP_GROUPS: &str = "run.oci.keep_original_groups";
/// The option of mount(8) by which a new file system gets its label.
const CONTEXT: &str = "run.oci.mount_context_type";
const CONTEXTS: [&str; 4] = ["context", "fscontext", "defcontext", "rootcontext"];
/// An unknown name of a system call in the seccomp profile is an error.
const UNKNOWN_CALL: &str = "run.oci.seccomp_fail_unknown_syscall";

/// The program's calls are recorded: those that the container refuses, or all. An engine has no option for that.
pub const WATCH: &str = "nano-sandbox.watch";
const WATCHES: [&str; 2] = ["refused", "all"];

/// Refused annotations, and what to use in their place.
const REFUSED: [(&str, &str); 9] = [
    ("run.oci.seccomp.receiver", "`linux.seccomp.listenerPath` says it"),
    ("run.oci.seccomp.plugins", "`linux.seccomp.listenerPath` names an agent"),
    ("run.oci.seccomp_bpf_data", "only `linux.seccomp` is loaded"),
    ("run.oci.systemd.force_cgroup_v1", "a bind mount of the hierarchy does it"),
    ("run.oci.systemd.subgroup", "the container's cgroup is the scope itself, as with an empty value"),
    ("run.oci.delegate-cgroup", "the container's cgroup is the one of `linux.cgroupsPath`"),
    ("run.oci.timens_offset", "`linux.timeOffsets` says it"),
    ("run.oci.pidfd_receiver", "--pidfd-socket says it"),
    ("run.oci.handler", "the program runs as it is"),
];

impl Spec<'_> {
    /// crun's rule: any value but "0".
    fn annotated(&self, name: &str) -> bool {
        let value = self.annotations.get(name);
        value.is_some_and(|value| value != "0")
    }

    pub fn keeps_groups(&self) -> bool {
        self.annotated(KEEP_GROUPS)
    }

    pub fn fails_on_unknown_calls(&self) -> bool {
        self.annotated(UNKNOWN_CALL)
    }

    /// Whether all calls of the program are recorded, or those that are refused; `None`: none is.
    pub fn watches_all(&self) -> Option<bool> {
        self.annotations.get(WATCH).map(|word| word == "all")
    }

    pub fn context_option(&self) -> &str {
        self.annotations.get(CONTEXT).map_or("context", |word| word)
    }

    /// Refuses annotations that ask for what cannot be done.
    pub fn check_annotations(&self) -> Checked {
        let at = At::ROOT.key("annotations");
        for (name, instead) in REFUSED {
            if let Some(value) = self.annotations.get(name).filter(|value| !value.is_empty()) {
                return at.key(name).no(format!("`{value}` is not supported: {instead}"));
            }
        }
        if let Some(word) = self.annotations.get(WATCH) {
            one_of_these(&WATCHES)(word, &at.key(WATCH))?;
        }
        let context = self.context_option();
        one_of_these(&CONTEXTS)(context, &at.key(CONTEXT))
    }

    /// Warnings about annotations that are ignored, and about the property that an annotation overrides.
    pub fn annotation_warnings(&self) -> impl Iterator<Item = String> {
        let hooks = ["run.oci.hooks.stdout", "run.oci.hooks.stderr"];
        let hooks = hooks.into_iter().filter(|name| self.annotations.contains_key(*name));
        let hooks = hooks
            .map(|name| format!("/annotations/{name}: is passed over: if a hook fails, the error shows what it wrote"));
        let left = self.keeps_groups() && !self.process.user.additional_gids.is_empty();
        let groups = format!(
            "/process/user/additionalGids: are left out: the annotation {KEEP_GROUPS} keeps the caller's groups"
        );
        hooks.chain(left.then_some(groups))
    }
}
