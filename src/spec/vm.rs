//! `vm`: the machine of `run --mode vm` (config-vm.md). May touch: serde.

use super::rules::{absolute, between, one_of_these, text};
use super::schema::{At, Checked, schema};
use super::types::{Ignored, Refused};

const XEN: &str =
    "not possible: it means hardware of the host, as Xen gives it to a machine, and QEMU has no such thing";

/// The formats of disk images that the specification names, and QEMU's names for them.
pub const FORMATS: [(&str, &str); 5] =
    [("raw", "raw"), ("qcow2", "qcow2"), ("vdi", "vdi"), ("vmdk", "vmdk"), ("vhd", "vpc")];

schema! {
    Vm, then kernel_is_named {
        "hypervisor" hypervisor: Option<Hypervisor>;
        "kernel" kernel: Option<VmKernel>;
        "image" image: Option<VmImage>;
        "hwConfig" hardware: Hardware;
    }

    Hypervisor {
        "path" path: String => file;
        "parameters" parameters: Vec<String> => text;
    }

    VmKernel {
        "path" path: String => file;
        "parameters" parameters: Vec<String> => parameter;
        "initrd" initrd: Option<String> => file;
    }

    VmImage {
        "path" path: String => file;
        "format" format: Option<String> => one_of_these(&["raw", "qcow2", "vdi", "vmdk", "vhd"]);
    }

    Hardware {
        "deviceTree" device_tree: Option<String> => file;
        "vcpus" vcpus: Option<u32> => between(1..=255);
        /// In bytes.
        "memory" memory: Option<u64> => between(1 << 20..=1 << 52);
        "dtdevs" dtdevs: Refused<Vec<Ignored>>, refused XEN;
        "iomems" iomems: Refused<Vec<Ignored>>, refused XEN;
        "irqs" irqs: Refused<Vec<Ignored>>, refused XEN;
    }
}

fn kernel_is_named(vm: &Vm, at: &At) -> Checked {
    at.key("kernel").refuse(vm.kernel.is_none(), || "is missing: the specification requires it")
}

fn file(path: &str, at: &At) -> Checked {
    at.refuse(path.is_empty(), || "is missing: it names a file of the host")?;
    absolute(path, at)
}

/// Words for the kernel. Those that begin with `nk.` are for /init, and the runtime writes them.
fn parameter(words: &str, at: &At) -> Checked {
    let own = words.split_ascii_whitespace().find(|word| word.trim_start_matches('"').starts_with("nk."));
    at.refuse(own.is_some(), || {
        format!("`{}` is a word that the runtime itself writes", own.unwrap_or("").escape_debug())
    })?;
    let odd = words.contains(|c: char| c.is_control());
    at.refuse(odd, || "holds a control character: the kernel's command line is one line")
}
