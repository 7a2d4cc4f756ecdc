//! What cases need of the kernel or of the machine that no package brings. Where it is not there, they are listed as
//! ignored. May touch: files that say what the kernel has.

use crate::bundle::tool;
use libtest_mimic::Trial;
use std::fs;
use std::path::Path;

/// The beginning of cases' names, and whether what they need is here.
type Need = (&'static str, fn() -> bool);

const NEEDS: &[Need] = &[
    ("lifecycle::start_attach_returns_the_programs_status", || {
        // PIDFD_GET_INFO tells the status of one that has ended.
        kernel() >= (6, 15)
    }),
    // `scripts/lab --kernel bullseye` boots one.
    ("floor::", || kernel() < (5, 12)),
    ("ended::start_attached_keeps_it", || kernel() >= (6, 15)),
    ("mounts::idmap_", tmpfs_maps_ids),
    ("mounts::ridmap_", tmpfs_maps_ids),
    ("mounts::every_option_is_taken_by_a_tmpfs", tmpfs_maps_ids),
    ("settings::labels_without_a_module", || !apparmor() && !selinux()),
    // `scripts/lab` boots kernels with either; the tools are of Debian's packages apparmor and secilc.
    ("labels::apparmor", || apparmor() && tool("apparmor_parser").is_ok()),
    ("labels::selinux", || selinux() && tool("secilc").is_ok()),
    ("injection::each_call_of_everything", tmpfs_maps_ids),
    ("parity::run_everything", tmpfs_maps_ids),
    ("learn::idmap_", tmpfs_maps_ids),
    ("leads::to_the_plan", tmpfs_maps_ids),
    ("leads::to_the_code", tmpfs_maps_ids),
    ("parity::life_everything", tmpfs_maps_ids),
    ("parity::killed_everything", tmpfs_maps_ids),
    ("trace::refusals_of_a_life_are_expected", tmp_maps_ids),
    ("told::each_line_has_its_shape", tmp_maps_ids),
    ("timing::sums_are_that_of_everything", tmp_maps_ids),
    ("timing::the_text_says_the_sums", tmp_maps_ids),
    ("world::is_that_of_everything", tmp_maps_ids),
    ("step::a_killed_run_ends_its_stepper", tmp_maps_ids),
    ("step::a_killed_stepper_leaves_nothing", tmp_maps_ids),
    ("step::a_stop_fits_on_a_screen", tmp_maps_ids),
    ("step::all_fits_on_a_small_terminal", tmp_maps_ids),
    ("step::calls_are_those_of_the_traces", tmp_maps_ids),
    ("step::q_at_every_line_of_everything", tmp_maps_ids),
    ("step::q_at_every_line_with_a_terminal", tmp_maps_ids),
    ("step::q_at_every_section_of_everything", tmp_maps_ids),
    ("step::the_commands_for_another_window_work", tmp_maps_ids),
    ("step::the_end_of_the_terminal_ends_it", tmp_maps_ids),
    ("step::the_world_of_the_calls_is_that_of_proc", tmp_maps_ids),
    ("step::what_the_last_line_has_made_is_shown", tmp_maps_ids),
    ("threaded::memory_below", || controllers().contains("memory")),
    ("refused::processes_of_the_cgroup", || controllers().contains("pids")),
    ("learn::cgroup", || controllers().contains("pids")),
    ("limits::block_devices", || Path::new("/dev/loop0").exists() && controllers().contains("io")),
    ("rights::limits_are_raised_for_a_user_namespace", raises),
    ("rights::score_is_lowered_for_a_user_namespace", raises),
    // They enter the kernel as 32-bit programs and those of x32 do.
    ("seccomp::other_ways_into_the_kernel", x86),
    ("watch_parity::a_program_of_32_bits", x86),
    ("watch::a_program_of_32_bits_", x86),
    ("watch::calls_by_interrupt_", x86),
    ("refused::interface_of_the_host", interface),
    // aarch64's kernel writes of a fault into its log only if a sysctl says so (debug.exception-trace).
    ("ended::a_fault_names_its_address", || !cfg!(target_arch = "aarch64")),
    ("ended::a_fault_at_the_end_of_the_stack", || !cfg!(target_arch = "aarch64") && gcc()),
    ("ended::a_fault_that_the_log_does_not_have", gcc),
    ("ended::a_signal_that_a_program_brings_upon_itself", gcc),
    // They compile a program.
    ("watch_parity::files", gcc),
    ("watch_parity::sockets", gcc),
    ("watch_parity::waits", gcc),
    ("watch_parity::signals", gcc),
    ("watch_parity::processes", gcc),
    ("watch_parity::rights", gcc),
    ("profile::a_program_with_threads", gcc),
    ("profile::what_takes_no_capability", gcc),
    // It breaks the machine's own instructions.
    ("watch_parity::signals_stops_and_ends", x86),
    // tmpfs has noswap.
    ("diagnosis_mounts::a_file_system_in_its_own_words", || kernel() >= (6, 4)),
    // A kernel knows it once its module is loaded, which machines without disks do not do.
    ("check::what_a_failure_says_is_said_before", || {
        fs::read_to_string("/proc/filesystems").is_ok_and(|all| all.contains("ext4"))
    }),
    // It looks for a run without a wait, and on an emulated processor each has one.
    ("told::init_makes_no_call_more", x86),
    // scripts/test installs these programs where it runs. The root of a machine of another kind, which scripts/lab makes,
    // has few.
    ("html::", || has("chromium")),
    ("draw::the_slide_", || has("rsvg-convert")),
    ("draw::a_hostile_name_stays_in_its_text", || has("rsvg-convert")),
    ("draw::a_start_that_failed_has_pictures", || has("rsvg-convert")),
    ("draw::trace_events_", || has("chromium")),
    ("world::graphviz_draws_it", || has("dot")),
    ("world::a_hostile_name_stays_in_its_label", || has("dot")),
    ("world::a_start_that_failed_has_a_graph", || has("dot")),
    ("manual::man_and_mandoc_find_no_fault", || has("mandoc")),
    ("others::bubblewrap_is_understood", || has("bwrap")),
    ("completion::in_zsh", || has("zsh")),
    ("completion::in_fish", || has("fish")),
    // They make packages of Debian.
    ("release::", || ["dpkg-deb", "git", "readelf"].iter().all(|name| tool(name).is_ok())),
    // They ask cargo.
    ("seccomp::table_of_names_is_the_generators", cargo),
    ("picture::the_product_depends_on_little", cargo),
    // runc and crun make /dev/core, where there is such a file.
    ("same_as_runc::what_", || !Path::new("/proc/kcore").exists()),
];

/// The case, to be ignored where its need is missing.
pub fn marked(case: Trial) -> Trial {
    let missing = |(name, there): &Need| case.name().starts_with(name) && !there();
    match NEEDS.iter().any(missing) {
        true => case.with_ignored_flag(true),
        false => case,
    }
}

/// CAP_SYS_RESOURCE, which a machine of a cloud may keep from its root: bit 24.
fn raises() -> bool {
    let status = fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix("CapEff:\t"));
    let set = line.and_then(|hex| u64::from_str_radix(hex, 16).ok());
    set.is_some_and(|set| set >> 24 & 1 != 0)
}

fn gcc() -> bool {
    tool("gcc").is_ok()
}

fn has(program: &str) -> bool {
    x86() || tool(program).is_ok()
}

fn x86() -> bool {
    cfg!(target_arch = "x86_64")
}

/// One beside lo.
fn interface() -> bool {
    fs::read_dir("/sys/class/net").is_ok_and(|all| all.flatten().any(|one| one.file_name() != "lo"))
}

fn cargo() -> bool {
    std::env::var_os("CARGO").is_some()
}

fn controllers() -> String {
    fs::read_to_string("/sys/fs/cgroup/cgroup.controllers").unwrap_or_default()
}

fn kernel() -> (u32, u32) {
    let release = fs::read_to_string("/proc/sys/kernel/osrelease").unwrap_or_default();
    let mut numbers = release.split(['.', '-']).map(|part| part.parse().unwrap_or(0));
    (numbers.next().unwrap_or(0), numbers.next().unwrap_or(0))
}

/// Where /tmp is one, the files of the tests lie in it.
fn tmpfs_maps_ids() -> bool {
    kernel() >= (6, 3)
}

/// The same, unless /tmp is another file system.
fn tmp_maps_ids() -> bool {
    let mounts = fs::read_to_string("/proc/self/mounts").unwrap_or_default();
    tmpfs_maps_ids() || !mounts.lines().any(|line| line.split(' ').skip(1).take(2).eq(["/tmp", "tmpfs"]))
}

fn apparmor() -> bool {
    fs::read_to_string("/sys/module/apparmor/parameters/enabled").is_ok_and(|y| y.starts_with('Y'))
}

fn selinux() -> bool {
    fs::read_to_string("/proc/filesystems").is_ok_and(|all| all.contains("selinuxfs"))
}
