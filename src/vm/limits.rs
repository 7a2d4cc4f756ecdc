//! The machine's memory and processors: as options say, or `vm.hwConfig`, or the container's limits. May touch: spec.

use super::needs::{lowest, missing, no};
use crate::cli;
use crate::outcome::Error;
use crate::spec::{Problem, Spec};

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Size {
    /// In MiB.
    pub memory: usize,
    pub cpus: u32,
}

/// The most processors of a machine.
const MOST: u32 = 255;

/// `least`: the MiB that kernel and initramfs need. `fails`: makes an error of a problem.
pub fn size(least: usize, wanted: &cli::Vm, spec: &Spec, fails: impl FnOnce(Problem) -> Error) -> Result<Size, Error> {
    let given = spec.vm.as_ref().and_then(|vm| vm.hardware.memory).map(|bytes| bytes >> 20);
    let few = |mib: u64| usize::try_from(mib).is_ok_and(|mib| mib < least + 16);
    let memory = match (wanted.memory, given) {
        (Some(mib), _) if few(mib) => {
            let text =
                format!("--memory {mib}: kernel and initramfs need {least} MiB, and 16 are the least beside them");
            return Err(missing(&text));
        }
        (Some(mib), _) => mib as usize,
        (None, Some(mib)) if few(mib) => {
            let text =
                format!("these are {mib} MiB: kernel and initramfs need {least}, and 16 are the least beside them");
            return no("/vm/hwConfig/memory".into(), &text).map_err(fails).map(|()| Size { memory: 0, cpus: 0 });
        }
        (None, Some(mib)) => mib as usize,
        (None, None) => {
            let limit = spec.linux.resources.memory.limit.and_then(|limit| usize::try_from(limit).ok());
            least.saturating_add(limit.filter(|limit| *limit > 0).map_or(64, |limit| limit.div_ceil(1 << 20)))
        }
    };
    Ok(Size { memory, cpus: processors(wanted, spec) })
}

/// The machine's processors.
fn processors(wanted: &cli::Vm, spec: &Spec) -> u32 {
    let hardware = spec.vm.as_ref().and_then(|vm| vm.hardware.vcpus);
    wanted.cpus.or(hardware).unwrap_or_else(|| cpus(spec))
}

/// Refuses processors for `exec` that the machine does not have.
pub fn has_processors(wanted: &cli::Vm, spec: &Spec) -> Result<(), Problem> {
    let Some(affinity) = &spec.process.exec_cpu_affinity else {
        return Ok(());
    };
    let cpus = processors(wanted, spec);
    for (key, list) in [("initial", &affinity.initial), ("final", &affinity.last)] {
        if lowest(list).is_some_and(|first| first >= cpus) {
            let text = format!("the machine has {cpus} processors, from 0 on: --cpus N gives it more");
            no(format!("/process/execCPUAffinity/{key}"), &text)?;
        }
    }
    Ok(())
}

/// As many processors as the container may keep busy.
fn cpus(spec: &Spec) -> u32 {
    let cpu = &spec.linux.resources.cpu;
    let period = cpu.period.filter(|period| *period > 0).unwrap_or(100_000);
    let busy =
        cpu.quota.filter(|quota| *quota > 0).map(|quota| u32::try_from((quota - 1) / period + 1).unwrap_or(MOST));
    let listed = cpu.cpus.as_deref().map(listed).filter(|number| *number > 0);
    let all = [busy, listed];
    all.into_iter().flatten().min().unwrap_or(1).clamp(1, MOST)
}

/// How many a list has: `0-3,7`.
fn listed(list: &str) -> u32 {
    let mut number = 0u32;
    for part in list.split(',') {
        let (first, last) = part.trim().split_once('-').unwrap_or((part.trim(), part.trim()));
        if let (Ok(first), Ok(last)) = (first.parse::<u32>(), last.parse::<u32>()) {
            number = number.saturating_add(last.saturating_sub(first).saturating_add(1));
        }
    }
    number
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn as_many_processors_as_the_limits_allow() {
        for (limits, wanted) in [
            ("", 1),
            ("\"quota\": 50000", 1),
            ("\"quota\": 150000", 2),
            ("\"quota\": 200000, \"period\": 50000", 4),
            ("\"quota\": -1", 1),
            ("\"cpus\": \"0-3,7\"", 5),
            ("\"cpus\": \"0-3\", \"quota\": 200000", 2),
            ("\"quota\": 9000000000000", 255),
        ] {
            let with = format!("\"linux\": {{ \"resources\": {{\"cpu\": {{{limits}}}}},");
            let text = crate::spec::DEFAULT.replacen("\"resources\"", "\"frob\"", 1).replacen("\"linux\": {", &with, 1);
            let spec = crate::spec::parse(text.as_bytes()).unwrap_or_else(|p| panic!("{p:?}"));
            assert_eq!(cpus(&spec), wanted, "{limits}");
        }
    }
}
