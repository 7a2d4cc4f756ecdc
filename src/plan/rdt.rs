//! config.json's `linux.intelRdt`: the group of resctrl that init is put into (resctrl(7); config-linux.md,
//! "IntelRdt"). May touch: types.

use super::builder::Builder;
use super::op::Rdt;
use super::order::Host;
use super::text::c;
use crate::spec::Problem;

/// The pointer of a group that belongs to the container alone.
pub const OWN_RESCTRL: &str = "/linux/intelRdt";

pub fn plan(b: &mut Builder) -> Result<(), Problem> {
    let Some(rdt) = &b.spec.linux.intel_rdt else {
        return Ok(());
    };
    // Without a name of its own the group is the container's, and ends with it.
    let (from, name) = match &rdt.clos_id {
        Some(name) => ("/linux/intelRdt/closID", name.as_str()),
        None => (OWN_RESCTRL, b.wish.id),
    };
    let mut schemata: Vec<u8> = Vec::new();
    let schemas = [&rdt.l3_cache_schema, &rdt.mem_bw_schema];
    for line in schemas.into_iter().flatten().chain(&rdt.schemata).flat_map(|text| text.lines()) {
        schemata.extend_from_slice(line.as_bytes());
        schemata.push(b'\n');
    }
    let group = c(from, name.trim_start_matches('/'))?;
    let monitor = match rdt.enable_monitoring {
        true => Some(c("/linux/intelRdt", &format!("mon_groups/{}", b.wish.id))?),
        false => None,
    };
    let op = Rdt::Make { group: group.clone(), schemata, monitor: monitor.clone() };
    b.host(Host::Rdt, from, op, "the kernel gives shares of cache and memory bandwidth to groups of processes");
    let why = "children of init are born into its group, so none escapes the limit";
    b.host(Host::JoinRdt, from, Rdt::Join { group, monitor }, why);
    Ok(())
}
