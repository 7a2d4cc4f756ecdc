//! What `exec` does: one more process in a container that is there. The stages are `create`'s, and nothing is made but
//! the process. May touch: types.

use super::builder::Builder;
use super::op::Plan;
use super::wish::Wish;
use super::{callers, cgroup, labels, namespaces, process, rootfs, seccomp, sync, terminal, users, watch};
use crate::spec::{Problem, Spec};

/// The plan of `exec`. `spec` is the container's, its process the one that is wanted.
pub fn exec(spec: &Spec, wish: &Wish) -> Result<Plan, Problem> {
    let mut b = Builder::new(spec, wish)?;
    rootfs::join(&mut b)?;
    namespaces::join_container(&mut b);
    users::join(&mut b)?;
    cgroup::join(&mut b)?;
    terminal::plan(&mut b)?;
    labels::plan(&mut b)?;
    process::plan(&mut b)?;
    seccomp::plan(&mut b)?;
    callers::plan(&mut b)?;
    sync::join(&mut b)?;
    watch::plan(&mut b)?;
    b.done()
}
