//! `linux.netDevices`: interfaces of the host that the container gets. The host of these cases is a network namespace
//! of the case's own, in which the calling thread stands while it runs; its devices are ends of veth pairs, as every
//! kernel with containers has them.

use crate::bundle::{Bundle, patiently, tool};
use crate::strace::Reach;
use crate::{Failed, Outcome, area, ensure, parity, same};
use libtest_mimic::Trial;
use nix::sched::{CloneFlags, setns, unshare};
use serde_json::{Value, json};
use std::fs::File;
use std::process::Command;

pub fn cases() -> Vec<Trial> {
    let mut all = area(
        "netdev",
        &[
            ("moved_renamed_with_addresses_and_up", moved),
            ("keeps_its_name", keeps_its_name),
            ("pattern", pattern),
            ("several", several),
            ("addresses_that_are_left_behind", left_behind),
            ("deprecated_address_stays_deprecated", deprecated),
            ("more_addresses_than_one_answer_holds", many),
            ("created_container_has_it", created),
            ("name_of_the_host_taken_inside", host_name_taken),
            ("clash_leaves_the_device_on_the_host", clash),
            ("missing_device", missing),
            ("immovable_device", immovable),
            ("failure_before_the_move_leaves_the_device", early_failure),
            ("listing", listing),
            ("parity", same_as_strace),
            ("parity_of_a_failure", same_as_strace_failing),
        ],
    );
    for one in REFUSALS {
        let name = format!("netdev::refused_{}", one.name);
        all.push(Trial::test(name, || refused(one)));
    }
    all
}

/// A host for one case. The thread goes back where it was at the end.
struct Net(File);

impl Net {
    /// `devices`: each is one end of a pair, the other is called `peerN`.
    fn new(devices: &[&str]) -> Result<Net, Failed> {
        let before = File::open("/proc/thread-self/ns/net")?;
        unshare(CloneFlags::CLONE_NEWNET)?;
        let net = Net(before);
        for (i, device) in devices.iter().enumerate() {
            let peer = format!("peer{i}");
            ip(&format!("link add {device} type veth peer name {peer} address 02:00:00:00:00:0{i}"))?;
        }
        Ok(net)
    }
}

impl Drop for Net {
    fn drop(&mut self) {
        if let Err(errno) = setns(&self.0, CloneFlags::CLONE_NEWNET) {
            eprintln!("a case could not leave its network namespace: {errno}");
        }
    }
}

fn ip(words: &str) -> Result<String, Failed> {
    let done = Command::new(tool("ip")?).args(words.split(' ')).output()?;
    let err = String::from_utf8_lossy(&done.stderr);
    ensure!(done.status.success(), "ip {words}: {err}");
    Ok(String::from_utf8_lossy(&done.stdout).into_owned())
}

fn on_host(device: &str) -> bool {
    ip(&format!("link show {device}")).is_ok()
}

/// A container with these devices, whose program shows its interfaces and addresses.
fn bundle(devices: Value) -> Result<Bundle, Failed> {
    let mut bundle = Bundle::shell("/bin/busybox ip -o link; echo; /bin/busybox ip -o addr | sed 's/  */ /g'")?;
    std::os::unix::fs::symlink("busybox", bundle.rootfs("bin/sed"))?;
    bundle.set("/linux/netDevices", devices)?;
    Ok(bundle)
}

/// What the container's program sees: a line a link, and a line an address.
struct Inside {
    links: Vec<String>,
    addresses: Vec<String>,
}

fn inside(bundle: &Bundle) -> Result<Inside, Failed> {
    look(&bundle.bundled(&["run"])?.ok()?.out)
}

fn look(out: &str) -> Result<Inside, Failed> {
    let (links, addresses) = out.split_once("\n\n").ok_or("the program said too little")?;
    let lines = |text: &str| text.lines().map(String::from).collect();
    Ok(Inside { links: lines(links), addresses: lines(addresses) })
}

impl Inside {
    /// The names of the links, `lo` left out.
    fn names<'a>(&'a self) -> Vec<&'a str> {
        let name = |line: &'a String| line.split(": ").nth(1)?.split('@').next();
        let names = self.links.iter().filter_map(name);
        names.filter(|name| *name != "lo").collect()
    }

    fn is_up(&self, device: &str) -> bool {
        let line = |line: &&String| line.contains(&format!(" {device}@"));
        self.links.iter().find(line).is_some_and(|line| line.contains("UP"))
    }

    /// `family address/prefix` and what follows, of the addresses of global scope.
    fn global(&self, device: &str) -> Vec<String> {
        let head = format!(": {device} ");
        let of = self.addresses.iter().filter_map(|line| {
            let (_, rest) = line.split_once(&head)?;
            rest.contains(" scope global").then(|| rest.split('\\').next().unwrap_or("").trim().to_owned())
        });
        of.collect()
    }
}

fn moved() -> Outcome {
    let _net = Net::new(&["nka"])?;
    ip("addr add 10.9.8.7/24 broadcast 10.9.8.255 dev nka")?;
    ip("addr add 10.9.8.6/24 dev nka")?;
    ip("addr add 10.1.1.1 peer 10.1.1.2/32 dev nka")?;
    ip("addr add fd00::7/64 dev nka nodad")?;
    ip("link set nka up")?;
    let bundle = bundle(json!({"nka": {"name": "inner"}}))?;
    let inside = inside(&bundle)?;
    same("links", inside.names(), vec!["inner"])?;
    ensure!(inside.is_up("inner"), "it is down: {:?}", inside.links);
    let wanted = [
        "inet 10.9.8.7/24 brd 10.9.8.255 scope global inner",
        "inet 10.1.1.1 peer 10.1.1.2/32 scope global inner",
        "inet 10.9.8.6/24 scope global secondary inner",
        // busybox has no word for IFA_F_NODAD.
        "inet6 fd00::7/64 scope global flags 02",
    ];
    let mut found = inside.global("inner");
    let mut wanted: Vec<String> = wanted.map(String::from).to_vec();
    found.sort();
    wanted.sort();
    same("addresses", found, wanted)?;
    ensure!(!on_host("nka"), "it is on the host still");
    // With its namespace it ends, and is not moved back (config-linux.md).
    patiently("the end of the pair", || Ok(!on_host("peer0")))?;
    bundle.clean()
}

fn keeps_its_name() -> Outcome {
    let _net = Net::new(&["nka"])?;
    let bundle = bundle(json!({"nka": {}}))?;
    let inside = inside(&bundle)?;
    same("links", inside.names(), vec!["nka"])?;
    ensure!(inside.is_up("nka"), "it is down: {:?}", inside.links);
    same("addresses", inside.global("nka"), vec![])?;
    bundle.clean()
}

fn pattern() -> Outcome {
    let _net = Net::new(&["nka", "nkb"])?;
    ip("addr add 10.0.0.1/24 dev nka")?;
    ip("addr add 10.0.1.1/24 dev nkb")?;
    let bundle = bundle(json!({"nka": {"name": "eth%d"}, "nkb": {"name": "eth%d"}}))?;
    let inside = inside(&bundle)?;
    let mut names = inside.names();
    names.sort();
    same("links", names, vec!["eth0", "eth1"])?;
    let first = vec!["inet 10.0.0.1/24 scope global eth0".to_owned()];
    same("the first", inside.global("eth0"), first)?;
    let second = vec!["inet 10.0.1.1/24 scope global eth1".to_owned()];
    same("the second", inside.global("eth1"), second)?;
    bundle.clean()
}

/// Names may change places on the way.
fn several() -> Outcome {
    let _net = Net::new(&["nka", "nkb", "nkc"])?;
    ip("addr add 10.0.0.1/24 dev nka")?;
    ip("addr add 10.0.1.1/24 dev nkb")?;
    let bundle = bundle(json!({"nka": {"name": "nkb"}, "nkb": {"name": "nka"}, "nkc": {}}))?;
    let inside = inside(&bundle)?;
    let mut names = inside.names();
    names.sort();
    same("links", names, vec!["nka", "nkb", "nkc"])?;
    let first = vec!["inet 10.0.0.1/24 scope global nkb".to_owned()];
    same("the first", inside.global("nkb"), first)?;
    let second = vec!["inet 10.0.1.1/24 scope global nka".to_owned()];
    same("the second", inside.global("nka"), second)?;
    bundle.clean()
}

/// Addresses of other scopes, and those that would have ended by themselves.
fn left_behind() -> Outcome {
    let _net = Net::new(&["nka", "nkb"])?;
    ip("addr add 10.0.0.1/24 dev nka")?;
    ip("addr add 10.0.2.2/24 dev nka scope link")?;
    ip("addr add 10.0.3.3/24 dev nka valid_lft 3000 preferred_lft 3000")?;
    ip("addr add fd00::2/64 dev nka valid_lft 3000 preferred_lft 3000")?;
    ip("addr add 10.0.4.4/24 dev nkb")?;
    ip("link set nka up")?;
    let bundle = bundle(json!({"nka": {}}))?;
    let inside = inside(&bundle)?;
    let wanted = vec!["inet 10.0.0.1/24 scope global nka".to_owned()];
    same("addresses", inside.global("nka"), wanted)?;
    ensure!(inside.addresses.iter().all(|line| !line.contains("10.0.2.2")), "{:?}", inside.addresses);
    ensure!(on_host("nkb"), "another device went along");
    bundle.clean()
}

fn deprecated() -> Outcome {
    let _net = Net::new(&["nka"])?;
    ip("addr add fd00::5/64 dev nka nodad preferred_lft 0")?;
    let bundle = bundle(json!({"nka": {}}))?;
    let found = inside(&bundle)?.global("nka");
    ensure!(found.len() == 1 && found[0].starts_with("inet6 fd00::5/64 scope global deprecated"), "{found:?}");
    bundle.clean()
}

/// The kernel tells addresses in several messages, each of a few kilobytes.
fn many() -> Outcome {
    let _net = Net::new(&["nka"])?;
    let mut batch = String::new();
    for i in 0..250 {
        batch += &format!("addr add 10.7.0.{i}/24 dev nka\naddr add fd00::{i:x}:1/64 dev nka nodad\n");
    }
    let bundle = bundle(json!({"nka": {}}))?;
    let path = bundle.path("batch");
    std::fs::write(&path, batch)?;
    ip(&format!("-batch {}", path.display()))?;
    same("addresses", inside(&bundle)?.global("nka").len(), 500)?;
    bundle.clean()
}

fn created() -> Outcome {
    let _net = Net::new(&["nka"])?;
    ip("addr add 10.0.0.1/24 dev nka")?;
    let bundle = bundle(json!({"nka": {"name": "eth0"}}))?;
    bundle.bundled(&["create"])?.ok()?;
    ensure!(!on_host("nka"), "after create it is on the host still");
    bundle.call(&["delete", "--force", &bundle.id])?.ok()?;
    bundle.clean()
}

/// Index and name of the host may both be in use inside; the second device then finds the first one's name.
fn host_name_taken() -> Outcome {
    let _net = Net::new(&["nka", "nkb"])?;
    let bundle = bundle(json!({"nka": {"name": "nkb"}, "nkb": {"name": "nk%d"}}))?;
    let inside = inside(&bundle)?;
    let mut names = inside.names();
    names.sort();
    same("links", names, vec!["nk0", "nkb"])?;
    bundle.clean()
}

fn fails(bundle: &Bundle, words: &[&str]) -> Outcome {
    for command in ["create", "run"] {
        let done = bundle.bundled(&[command])?.refused("")?;
        for word in words {
            ensure!(done.says(word), "`{word}` should be in: {done:?}");
        }
        bundle.nothing_left()?;
    }
    Ok(())
}

fn clash() -> Outcome {
    let _net = Net::new(&["nka", "nkb"])?;
    ip("addr add 10.0.0.1/24 dev nkb")?;
    let bundle = bundle(json!({"nka": {}, "nkb": {"name": "lo"}}))?;
    let words = ["(config.json /linux/netDevices/nkb)", "interface name lo", "choose another `name`"];
    fails(&bundle, &words)?;
    ensure!(on_host("nka") && on_host("nkb"), "a device was lost");
    let addresses = ip("-o addr show nkb")?;
    ensure!(addresses.contains("10.0.0.1/24"), "its address was lost");
    bundle.clean()
}

fn missing() -> Outcome {
    let _net = Net::new(&["nka"])?;
    let bundle = bundle(json!({"nka": {}, "nkx": {}}))?;
    let words = [
        "the host has no network interface nkx: it has ",
        "(config.json /linux/netDevices/nkx)",
        "SIOCGIFINDEX",
        "ENODEV (No such device)",
    ];
    fails(&bundle, &words)?;
    ensure!(on_host("nka"), "a device was lost");
    bundle.clean()
}

fn immovable() -> Outcome {
    let _net = Net::new(&[])?;
    let bundle = bundle(json!({"lo": {"name": "outer"}}))?;
    let words = [
        "network device lo",
        "(config.json /linux/netDevices/lo)",
        ": the answer = -1 EINVAL",
        "bound to their network namespace",
    ];
    fails(&bundle, &words)?;
    bundle.clean()
}

fn early_failure() -> Outcome {
    let _net = Net::new(&["nka"])?;
    let mut bundle = bundle(json!({"nka": {}}))?;
    bundle.set("/mounts/-", json!({"destination": "/x", "type": "nosuchtype", "source": "none"}))?;
    fails(&bundle, &["nosuchtype"])?;
    ensure!(on_host("nka"), "the device was lost");
    bundle.clean()
}

fn listing() -> Outcome {
    let bundle = bundle(json!({"nka": {"name": "eth0"}, "nkb": {"name": "in%d"}}))?;
    bundle.write_config()?;
    let here = bundle.path("").to_string_lossy().into_owned();
    let text = bundle.call(&["plan", "--bundle", &here])?.ok()?.out;
    let lines = [
        "look up the network device nka and its addresses  [/linux/netDevices/nka]",
        "clone init",
        "wait until init asks for the network devices  [/linux/netDevices]",
        "move the network device nka into the container's network namespace  [/linux/netDevices/nka]",
        "tell init that the network devices are there",
        "check that the interface name eth0 is free",
        "ask the host for the network devices",
        "name the network device nka eth0, bring it up, set its addresses",
        "name the network device nkb in%d, bring it up, set its addresses",
        "set the capabilities",
    ];
    let mut rest = text.as_str();
    for line in lines {
        let at = rest.find(line);
        let at = at.ok_or_else(|| format!("`{line}` should come next in:\n{rest}"))?;
        rest = &rest[at..];
    }
    ensure!(!text.contains("name in%d is free"), "{text}");
    bundle.clean()
}

fn same_as_strace() -> Outcome {
    let _net = Net::new(&["nka", "nkb"])?;
    ip("addr add 10.0.0.1/24 dev nka")?;
    ip("addr add fd00::1/64 dev nka nodad")?;
    let bundle = bundle(json!({"nka": {"name": "eth%d"}, "nkb": {}}))?;
    parity::watched(bundle, 0, Reach::Complete)
}

fn same_as_strace_failing() -> Outcome {
    let _net = Net::new(&["nka"])?;
    let bundle = bundle(json!({"nka": {"name": "lo"}}))?;
    parity::watched(bundle, 1, Reach::Killed)
}

/// What is refused before anything is made.
struct Refusal {
    name: &'static str,
    devices: fn() -> Value,
    words: &'static [&'static str],
}

fn refused(one: &Refusal) -> Outcome {
    let mut bundle = bundle((one.devices)())?;
    if one.name == "without_a_namespace" {
        bundle.set("/linux/namespaces", json!([{"type": "mount"}, {"type": "pid"}]))?;
        bundle.remove("/hostname")?;
    }
    fails(&bundle, one.words)?;
    bundle.clean()
}

const REFUSALS: &[Refusal] = &[
    Refusal {
        name: "without_a_namespace",
        devices: || json!({"eth0": {}}),
        words: &["/linux/netDevices", "`network` namespace"],
    },
    Refusal { name: "empty_key", devices: || json!({"": {}}), words: &["/linux/netDevices/:", "no name"] },
    Refusal {
        name: "empty_name",
        devices: || json!({"eth0": {"name": ""}}),
        words: &["/linux/netDevices/eth0/name", "no name"],
    },
    Refusal { name: "dot", devices: || json!({"eth0": {"name": "."}}), words: &["/linux/netDevices/eth0/name", "`.`"] },
    Refusal { name: "dot_dot", devices: || json!({"..": {}}), words: &["/linux/netDevices/..", "`..`"] },
    Refusal {
        name: "sixteen_bytes",
        devices: || json!({"eth0": {"name": "abcdefghijklmnop"}}),
        words: &["/linux/netDevices/eth0/name", "15 bytes"],
    },
    Refusal { name: "slash", devices: || json!({"a/b": {}}), words: &["/linux/netDevices/a~1b", "`/`"] },
    Refusal {
        name: "colon",
        devices: || json!({"eth0": {"name": "eth0:1"}}),
        words: &["/linux/netDevices/eth0/name", "`:`"],
    },
    Refusal {
        name: "blank",
        devices: || json!({"eth0": {"name": "eth 0"}}),
        words: &["/linux/netDevices/eth0/name", "a blank"],
    },
    Refusal {
        name: "nul",
        devices: || json!({"eth0": {"name": "eth\u{0}"}}),
        words: &["/linux/netDevices/eth0/name", "control character"],
    },
    Refusal { name: "pattern_as_a_key", devices: || json!({"eth%d": {}}), words: &["/linux/netDevices/eth%d", "`%`"] },
    Refusal {
        name: "two_patterns",
        devices: || json!({"eth0": {"name": "a%db%d"}}),
        words: &["/linux/netDevices/eth0/name", "`%`"],
    },
    Refusal {
        name: "same_new_name",
        devices: || json!({"eth0": {"name": "x"}, "eth1": {"name": "x"}}),
        words: &["/linux/netDevices/eth", "same name", "`x`"],
    },
    Refusal {
        name: "new_name_is_a_kept_one",
        devices: || json!({"eth0": {"name": "eth1"}, "eth1": {}}),
        words: &["/linux/netDevices/eth", "same name", "`eth1`"],
    },
    Refusal {
        name: "name_is_a_number",
        devices: || json!({"eth0": {"name": 7}}),
        words: &["/linux/netDevices/eth0/name", "must be a string"],
    },
    Refusal { name: "no_map", devices: || json!(["eth0"]), words: &["/linux/netDevices:", "must be an object"] },
];
