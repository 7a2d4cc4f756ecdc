//! The MUSTs of `process` beyond the program itself, and of the hooks (config.md, config-linux.md). May touch: types.

use super::check::{Checked, check_environment, no, no_nul};
use super::{
    ConsoleSize, ExecCpuAffinity, Hooks, IO_CLASSES, IoPriority, MOST_CPUS, POLICIES, Process, SCHED_FLAGS, Scheduler,
    list,
};
use alloc::format;

pub fn check(process: &Process) -> Checked {
    if let Some(score) = process.oom_score_adj
        && !(-1000..=1000).contains(&score)
    {
        return no("/process/oomScoreAdj", format!("{score} is not between -1000 and 1000"));
    }
    ConsoleSize::of(process)?;
    if let Some(scheduler) = &process.scheduler {
        check_scheduler(scheduler)?;
    }
    if let Some(priority) = &process.io_priority {
        check_io_priority(priority)?;
    }
    if let Some(affinity) = &process.exec_cpu_affinity {
        check_affinity(affinity)?;
    }
    no_nul(|| "/process/apparmorProfile".into(), &process.apparmor_profile)?;
    no_nul(|| "/process/selinuxLabel".into(), &process.selinux_label)
}

fn check_affinity(affinity: &ExecCpuAffinity) -> Checked {
    for (key, text) in [("initial", &affinity.initial), ("final", &affinity.last)] {
        if list(text, MOST_CPUS).is_none() {
            return no(
                format!("/process/execCPUAffinity/{key}"),
                format!("`{}` is no list of processors, like 0-3,7", text.escape_default()),
            );
        }
    }
    Ok(())
}

/// Which policy takes which parameters: sched_setattr(2), sched(7).
fn check_scheduler(s: &Scheduler) -> Checked {
    let at = "/process/scheduler";
    if s.policy == "SCHED_ISO" {
        return no(format!("{at}/policy"), "SCHED_ISO is reserved: no kernel has it");
    }
    if !POLICIES.iter().any(|(name, _)| *name == s.policy) {
        return no(format!("{at}/policy"), format!("`{}` is no scheduling policy of Linux", s.policy));
    }
    for (i, flag) in s.flags.iter().enumerate() {
        if !SCHED_FLAGS.contains(&flag.as_str()) {
            return no(format!("{at}/flags/{i}"), format!("`{flag}` is no flag of sched_setattr"));
        }
    }
    if !(-20..=19).contains(&s.nice) {
        return no(format!("{at}/nice"), format!("{} is not between -20 and 19", s.nice));
    }
    let fair = matches!(s.policy.as_str(), "SCHED_OTHER" | "SCHED_BATCH");
    if s.nice != 0 && !fair {
        return no(format!("{at}/nice"), format!("is for SCHED_OTHER and SCHED_BATCH, not for {}", s.policy));
    }
    let real_time = matches!(s.policy.as_str(), "SCHED_FIFO" | "SCHED_RR");
    if real_time && !(1..=99).contains(&s.priority) {
        return no(
            format!("{at}/priority"),
            format!("{} is not between 1 and 99, as {} wants it", s.priority, s.policy),
        );
    }
    if s.priority != 0 && !real_time {
        return no(format!("{at}/priority"), format!("is for SCHED_FIFO and SCHED_RR, not for {}", s.policy));
    }
    let times = [("runtime", s.runtime), ("deadline", s.deadline), ("period", s.period)];
    if s.policy != "SCHED_DEADLINE" {
        return match times.iter().find(|(_, time)| *time != 0) {
            Some((name, _)) => no(format!("{at}/{name}"), format!("is for SCHED_DEADLINE, not for {}", s.policy)),
            None => Ok(()),
        };
    }
    // sched(7): runtime <= deadline <= period, and at least 1024 nanoseconds; a period of 0 stands for the deadline.
    let period = if s.period == 0 { s.deadline } else { s.period };
    if s.runtime < 1024 || s.runtime > s.deadline || s.deadline > period {
        return no(at, "SCHED_DEADLINE wants 1024 <= runtime <= deadline <= period, in nanoseconds");
    }
    Ok(())
}

fn check_io_priority(p: &IoPriority) -> Checked {
    if !IO_CLASSES.contains(&p.class.as_str()) {
        return no("/process/ioPriority/class", format!("`{}` must be one of {}", p.class, IO_CLASSES.join(", ")));
    }
    if !(0..=7).contains(&p.priority) {
        return no("/process/ioPriority/priority", format!("{} is not between 0 and 7", p.priority));
    }
    Ok(())
}

/// config.md, "POSIX-platform Hooks": absolute paths, and a timeout that is not over before it began.
pub fn check_hooks(hooks: &Hooks) -> Checked {
    let lists = [
        ("prestart", &hooks.prestart),
        ("createRuntime", &hooks.create_runtime),
        ("createContainer", &hooks.create_container),
        ("startContainer", &hooks.start_container),
        ("poststart", &hooks.poststart),
        ("poststop", &hooks.poststop),
    ];
    for (name, list) in lists {
        for (i, hook) in list.iter().enumerate() {
            let at = format!("/hooks/{name}/{i}");
            if !hook.path.starts_with('/') {
                return no(format!("{at}/path"), format!("`{}` must be an absolute path", hook.path));
            }
            no_nul(|| format!("{at}/path"), &hook.path)?;
            let env = hook.env.as_deref().unwrap_or_default();
            for (what, words) in [("args", &hook.args[..]), ("env", env)] {
                for (j, word) in words.iter().enumerate() {
                    no_nul(|| format!("{at}/{what}/{j}"), word)?;
                }
            }
            check_environment(&format!("{at}/env"), env)?;
            if let Some(timeout) = hook.timeout
                && timeout <= 0
            {
                return no(
                    format!("{at}/timeout"),
                    format!("{timeout} seconds are over before the hook begins: leave it out for no limit"),
                );
            }
        }
    }
    Ok(())
}
