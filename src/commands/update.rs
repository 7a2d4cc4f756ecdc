//! `update`: other limits for a container that is there. May touch: everything below.

use super::channel::client;
use super::context::{Context, Found, find, step, systemd_failed};
use crate::cause;
use crate::host::input::c;
use crate::host::{cgroup, input, systemd};
use crate::outcome::{Doing, Error, Trouble, at};
use crate::perform::rdt;
use crate::plan::Step;
use crate::plan::cgroup::limits::{self, Setting};
use crate::plan::cgroup::scope;
use crate::plan::devices::program;
use crate::plan::op::Cgroup;
use crate::say::error::{self, at_op, at_with};
use crate::say::hints;
use crate::spec::{self, Resources};
use crate::{cli, state};
use serde_json::{Value, json};
use syscalls::{At, Why};

/// `update`.
#[inline(never)]
pub fn update(context: &mut Context, options: &cli::Update) -> Result<i32, Error> {
    step(Step::Cgroup);
    let id = &options.id;
    let found = find(context, id)?;
    let file = options.resources.as_deref().map(|file| ("--resources", file));
    if let Some(status) = client::passed(context, &found, file)? {
        return Ok(status);
    }
    let (file, mut wanted) = wanted(options)?;
    let shares = shares(options);
    if !shares.is_empty() {
        set_shares(&found, &shares)?;
        if wanted == json!({}) {
            return Ok(0);
        }
    }
    let group = found.group()?;
    found.alone(group, "update")?;
    add_from_kernel(group, &mut wanted, id)?;
    let problem = |problem| Error::Spec { file: file.clone(), problem };
    let resources = spec::parse_resources(&wanted.to_string()).map_err(problem)?;
    let settings = limits::limits(&resources, "").map_err(problem)?;
    if resources.memory.check_before_update == Some(true) {
        check(group, &settings, id)?;
    }
    if let Some((root, _)) = &found.now.cgroup {
        enable(root.at(), &found.saved.cgroup_path, &settings, id)?;
    }
    if let Some((unit, sockets)) = &found.saved.scope {
        systemd::set(unit, sockets, &scope::properties(&settings))
            .map_err(|trouble| systemd_failed(format!("set properties of {unit}"), trouble))?;
    }
    devices(group, &found, &resources)?;
    for setting in &settings {
        let step = format!("set {} of {id}", setting.file.to_string_lossy());
        let set = cgroup::set(group, setting, Why("what update was asked for"));
        set.map_err(|failed| {
            let root = found.now.cgroup.as_ref().map(|(root, _)| root.at());
            let look =
                root.and_then(|root| cause::cgroup::limit(root, &found.saved.cgroup_path, setting, failed.errno));
            match look {
                Some(look) => error::found(look.of(format!("{file} {}", setting.from)), Some(failed)),
                None => at_op(step, failed, &Cgroup::Set { setting: Box::new(setting.clone()) }.into()),
            }
        })?;
    }
    Ok(0)
}

/// Shares of cache and memory bandwidth, as lines for the schemata of a group of resctrl. Empty: none is asked for.
fn shares(options: &cli::Update) -> String {
    let schemas = [&options.l3_cache_schema, &options.mem_bw_schema];
    let lines = schemas.into_iter().flatten().flat_map(|text| text.lines());
    lines.map(|line| format!("{line}\n")).collect()
}

/// Writes them into the container's group of resctrl. A container has one only from its creation on.
fn set_shares(found: &Found, shares: &str) -> Result<(), Error> {
    let id = &found.saved.id;
    let whole = state::load_whole(found.dir, id)?;
    let config = whole.spec()?;
    let Some(rdt) = &config.linux.intel_rdt else {
        return Err(Error::State(format!(
            "cannot change the shares of cache and memory bandwidth of {id}: it was created without /linux/intelRdt, so its processes are in no group of their own"
        )));
    };
    let why = Why("the shares that update was asked for");
    let group = c(rdt.clos_id.as_deref().unwrap_or(id).trim_start_matches('/'))?;
    let written = rdt::make(&group, false, why).and_then(|dir| rdt::share(&dir, shares.as_bytes(), None, why));
    let doing = format!("change the shares of cache and memory bandwidth of {id}");
    written.map_err(|trouble| match trouble {
        Trouble::Call(failed) => at(doing, failed),
        Trouble::Check(check) => Error::State(format!("{doing}: {}; try: {}", check.text(), hints::check(check))),
        Trouble::Hook(_) => Error::State(doing),
    })
}

/// Replaces the device rules, all of them. Engines send them with every update, so rules that are in force already change
/// nothing.
fn devices(group: At, found: &Found, resources: &Resources) -> Result<(), Error> {
    let rules = program::fingerprint(&resources.devices);
    if resources.devices.is_empty() || rules == found.saved.device_rules {
        return Ok(());
    }
    let id = &found.saved.id;
    let program = program::compile(&resources.devices);
    let replaced = cgroup::decide_devices(group, &program).map_err(|refused| {
        let doing = format!("set the device rules of {id}");
        at_with(doing, refused.failed, &refused.said)
    })?;
    if !replaced {
        return Err(Error::State(format!(
            "cannot set the device rules of {id}: several programs decide on devices for its cgroup, and which of them is the container's is not known (/devices)"
        )));
    }
    let mut whole = state::load_whole(found.dir, id)?;
    whole.saved.device_rules = rules;
    state::save(found.dir, &whole)
}

/// The limits that are asked for, as linux.resources of a config.json, and where they were read.
fn wanted(options: &cli::Update) -> Result<(String, Value), Error> {
    let flags = flags(options);
    let Some(file) = options.resources.as_deref() else {
        if flags == json!({}) && shares(options).is_empty() {
            return Err(Error::Usage("update: nothing to change is named".into()));
        }
        return Ok(("the options of update".into(), flags));
    };
    if flags != json!({}) {
        return Err(Error::Usage("update: --resources holds everything; leave the other options out".into()));
    }
    let text = input::read_named(file, Why("the limits that are asked for"))?;
    let name = if file == "-" { "standard input" } else { file };
    match serde_json::from_slice::<Value>(&text) {
        Ok(value @ Value::Object(_)) => Ok((name.into(), value)),
        Ok(_) => Err(Error::State(format!("{name} holds no JSON object"))),
        Err(error) => Err(Error::State(format!("{name} holds no JSON: {error}"))),
    }
}

/// The options that were given, as the same document.
fn flags(o: &cli::Update) -> Value {
    let options = [
        ("memory", "limit", json!(o.memory)),
        ("memory", "reservation", json!(o.memory_reservation)),
        ("memory", "swap", json!(o.memory_swap)),
        ("cpu", "quota", json!(o.cpu_quota)),
        ("cpu", "period", json!(o.cpu_period)),
        ("cpu", "burst", json!(o.cpu_burst)),
        ("cpu", "shares", json!(o.cpu_share)),
        ("cpu", "idle", json!(o.cpu_idle)),
        ("cpu", "cpus", json!(o.cpuset_cpus)),
        ("cpu", "mems", json!(o.cpuset_mems)),
        ("pids", "limit", json!(o.pids_limit)),
        ("blockIO", "weight", json!(o.blkio_weight)),
    ];
    let mut all = json!({});
    for (group, key, value) in options {
        if !value.is_null() {
            all[group][key] = value;
        }
    }
    all
}

/// The kernel takes swap together with the limit on memory, and a period together with its quota. Where only one of the two
/// is asked for, the other keeps its value, which is read from the kernel.
fn add_from_kernel(group: At, wanted: &mut Value, id: &str) -> Result<(), Error> {
    let asks = |value: &Value| value.as_i64().is_some_and(|number| number != 0);
    let why = Why("a limit that is set together with another one, and keeps its value");
    let read = |file| cgroup::read(group, file, why).doing(format_args!("look at the limits of {id}"));
    let memory = &wanted["memory"];
    if memory["swap"].as_i64().is_some_and(|swap| swap > 0) && !asks(&memory["limit"]) {
        let now = read(c"memory.max")?;
        wanted["memory"]["limit"] = json!(now.trim().parse::<i64>().unwrap_or(-1));
    }
    let cpu = &wanted["cpu"];
    if asks(&cpu["period"]) && !asks(&cpu["quota"]) {
        let now = read(c"cpu.max")?;
        let quota = now.split_whitespace().next().and_then(|q| q.parse::<i64>().ok());
        wanted["cpu"]["quota"] = json!(quota.unwrap_or(-1));
    }
    Ok(())
}

/// `checkBeforeUpdate`: under a limit below what is in use the kernel would kill processes.
fn check(group: At, settings: &[Setting], id: &str) -> Result<(), Error> {
    let of_memory = |s: &&Setting| s.file.as_c_str() == c"memory.max";
    let limit = settings.iter().find(of_memory).map(|s| String::from_utf8_lossy(&s.value));
    let Some(limit) = limit.and_then(|text| text.parse::<u64>().ok()) else {
        return Ok(());
    };
    let now = cgroup::read(group, c"memory.current", Why("a limit below the use would end processes"))
        .doing(format_args!("look at the memory of {id}"))?;
    match now.trim().parse::<u64>() {
        Ok(used) if used > limit => Err(Error::State(format!(
            "memory limit {limit} of {id} is refused: {used} bytes are in use (/memory/checkBeforeUpdate)"
        ))),
        _ => Ok(()),
    }
}

/// Has the cgroups above hand down the controllers that the settings need.
fn enable(root: At, path: &str, settings: &[Setting], id: &str) -> Result<(), Error> {
    // `state` accepts no path with a NUL byte.
    let above = limits::above(path).unwrap_or_default();
    let why = Why("without the controller from above the cgroup has no file for the limit");
    for setting in limits::controllers(settings) {
        let name = setting.controller();
        cgroup::need(root, &above, name, why).map_err(|failed| {
            if let Some(look) = cause::cgroup::controller(root, path, name, failed.errno) {
                return error::found(look, Some(failed));
            }
            let step = format!("enable the controller {name} for {id}");
            let (above, name) = (above.clone(), name.to_string());
            at_op(step, failed, &Cgroup::NeedController { above, name }.into())
        })?;
    }
    Ok(())
}
