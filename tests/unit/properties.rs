//! Properties that hold for any input: no bytes, from whomever they come, make a parser panic, loop, or answer with much
//! more than it was given. Each is tried with some thousands of random inputs; tests/fuzz has the same for longer hunts.
//! A panic ends the test program at once, as everywhere in this project: `-- --nocapture` shows what it said.
//! May touch: everything that reads what others wrote.

use crate::cli::{Format, Picture, TraceCmd, Watched};
use crate::host::procfs;
use crate::plan::{self, Plan, Wish};
use crate::trace::{Filter, Ink, Piece, Screen, Start, View, timing};
use crate::{draw, perform, spec, state};
use proptest::prelude::*;
use proptest::sample::{Index, select};
use serde_json::{Value, json};
use syscalls::{At, AtFlags, MountFlags, OpenFlags, Resolve, Why, record};

fn cases(number: u32) -> ProptestConfig {
    ProptestConfig { cases: number, failure_persistence: None, ..ProptestConfig::default() }
}

/// Words that some part of the program looks for, or stumbles over.
const WORDS: &[&str] = &[
    "",
    "/",
    ".",
    "..",
    "/..",
    "a/../b",
    "//a//./b/",
    "/dev",
    "/dev/",
    "/dev/null",
    "/dev/x/y",
    "/dev/..",
    "/proc",
    "/proc/self/fd/7",
    "/sys/fs/cgroup/x",
    "/tmp/x",
    "a\0b",
    "ä/\u{202e}",
    "bind",
    "rbind",
    "tmpfs",
    "proc",
    "sysfs",
    "cgroup",
    "cgroup2",
    "devpts",
    "mqueue",
    "ro",
    "rw",
    "remount",
    "rshared",
    "private",
    "size=1k",
    "idmap",
    "noatime",
    "a",
    "b",
    "c",
    "p",
    "u",
    "rwm",
    "mount",
    "pid",
    "uts",
    "network",
    "ipc",
    "user",
    "time",
    "CAP_KILL",
    "CAP_SYS_ADMIN",
    "PATH=",
    "PATH=/a::b",
    "HOME=/x",
    "HOME",
    "RLIMIT_NOFILE",
    "RLIMIT_CORE",
    "1.0.0",
    "1.2.0-dev",
    "2",
    "x:y:z",
];

const NUMBERS: &[i64] = &[
    0,
    1,
    -1,
    7,
    64,
    511,
    512,
    0x7fff,
    0x8000,
    0xffff,
    0x10000,
    0x7fff_ffff,
    0x8000_0000,
    0xffff_ffff,
    0x1_0000_0000,
    i64::MAX,
    i64::MIN,
];

fn word() -> impl Strategy<Value = String> {
    prop_oneof![
        4 => select(WORDS).prop_map(String::from),
        1 => "\\PC{0,12}",
        1 => (select(WORDS), 1usize..600).prop_map(|(word, n)| word.repeat(n)),
    ]
}

/// Any JSON, not too deep.
fn value() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        select(NUMBERS).prop_map(Value::from),
        any::<u64>().prop_map(Value::from),
        any::<f64>().prop_map(Value::from),
        word().prop_map(Value::from),
    ];
    leaf.prop_recursive(3, 16, 4, |inner| {
        prop_oneof![
            proptest::collection::vec(inner.clone(), 0..4).prop_map(Value::from),
            proptest::collection::vec((word(), inner), 0..4).prop_map(|all| Value::Object(all.into_iter().collect())),
        ]
    })
}

/// Every place of a document, as a JSON pointer.
fn pointers(value: &Value, here: &str, all: &mut Vec<String>) {
    all.push(here.into());
    match value {
        Value::Object(map) => {
            for (key, inner) in map {
                pointers(inner, &format!("{here}/{key}"), all);
            }
        }
        Value::Array(list) => {
            for (i, inner) in list.iter().enumerate() {
                pointers(inner, &format!("{here}/{i}"), all);
            }
        }
        _ => {}
    }
}

/// What is put at a random place: anything, or a copy of what stands at another place.
#[derive(Clone, Debug)]
enum Change {
    Set(Index, Value),
    Copy(Index, Index),
    Repeat(Index, usize),
}

fn change() -> impl Strategy<Value = Change> {
    prop_oneof![
        4 => (any::<Index>(), value()).prop_map(|(at, value)| Change::Set(at, value)),
        1 => (any::<Index>(), any::<Index>()).prop_map(|(at, from)| Change::Copy(at, from)),
        1 => (any::<Index>(), 2usize..40).prop_map(|(at, times)| Change::Repeat(at, times)),
    ]
}

fn mutated(good: &Value, changes: &[Change]) -> Value {
    let mut document = good.clone();
    for change in changes {
        let mut all = Vec::new();
        pointers(&document, "", &mut all);
        let (at, new) = match change {
            Change::Set(at, value) => (at.get(&all), value.clone()),
            Change::Copy(at, from) => {
                let value = document.pointer(&all[from.index(all.len())]).cloned();
                (at.get(&all), value.unwrap_or_default())
            }
            Change::Repeat(at, times) => {
                let at = at.get(&all);
                let list = document.pointer(at).and_then(Value::as_array);
                let Some(list) = list.filter(|list| !list.is_empty()) else {
                    continue;
                };
                let long: Vec<Value> = list.iter().cycle().take(*times).cloned().collect();
                (at, Value::from(long))
            }
        };
        if let Some(place) = document.pointer_mut(at) {
            *place = new;
        }
    }
    document
}

/// The default configuration with every property that is built.
fn good_config() -> Value {
    let mut config: Value = serde_json::from_str(spec::DEFAULT).unwrap_or_default();
    config["domainname"] = json!("x");
    config["annotations"] = json!({"a": "b"});
    config["process"]["terminal"] = json!(true);
    config["process"]["consoleSize"] = json!({"height": 24, "width": 80});
    config["process"]["user"] = json!({"uid": 5, "gid": 2, "umask": 63, "additionalGids": [3]});
    config["linux"]["cgroupsPath"] = json!("/a/b");
    config["linux"]["devices"] =
        json!([{"type": "c", "path": "/dev/x", "major": 1, "minor": 3, "fileMode": 438, "uid": 0, "gid": 0}]);
    config["linux"]["uidMappings"] =
        json!([{"containerID": 0, "hostID": 1000, "size": 1}, {"containerID": 5, "hostID": 100000, "size": 9}]);
    config["linux"]["gidMappings"] = json!([{"containerID": 0, "hostID": 0, "size": 9}]);
    if let Some(list) = config["linux"]["namespaces"].as_array_mut() {
        list.extend([json!({"type": "user"}), json!({"type": "time"})]);
    }
    config["linux"]["namespaces"][1]["path"] = json!("/proc/1/ns/net");
    config["linux"]["timeOffsets"] = json!({"monotonic": {"secs": 5, "nanosecs": 7}});
    config["linux"]["sysctl"] = json!({"net.ipv4.ip_forward": "1"});
    config["linux"]["rootfsPropagation"] = json!("rslave");
    config["linux"]["mountLabel"] = json!("label");
    config["linux"]["personality"] = json!({"domain": "LINUX32"});
    config["linux"]["memoryPolicy"] = json!({"mode": "MPOL_BIND", "nodes": "0-3,9", "flags": ["MPOL_F_STATIC_NODES"]});
    config["linux"]["intelRdt"] = json!({"closID": "x", "l3CacheSchema": "L3:0=f", "schemata": ["MB:0=10"]});
    config["linux"]["seccomp"] = json!({
        "defaultAction": "SCMP_ACT_ERRNO", "defaultErrnoRet": 1, "architectures": ["SCMP_ARCH_X86_64", "SCMP_ARCH_X32"],
        "flags": ["SECCOMP_FILTER_FLAG_LOG"], "listenerPath": "/run/agent", "listenerMetadata": "x",
        "syscalls": [
            {"names": ["read", "write"], "action": "SCMP_ACT_ALLOW"},
            {"names": ["clone"], "action": "SCMP_ACT_ERRNO", "errnoRet": 38,
             "args": [{"index": 0, "value": 2114060288, "valueTwo": 7, "op": "SCMP_CMP_MASKED_EQ"}]},
            {"names": ["mount"], "action": "SCMP_ACT_NOTIFY"},
        ],
    });
    config["process"]["scheduler"] =
        json!({"policy": "SCHED_FIFO", "priority": 3, "flags": ["SCHED_FLAG_RESET_ON_FORK"]});
    config["process"]["ioPriority"] = json!({"class": "IOPRIO_CLASS_BE", "priority": 3});
    config["process"]["oomScoreAdj"] = json!(5);
    config["process"]["apparmorProfile"] = json!("p");
    config["process"]["selinuxLabel"] = json!("l");
    let hook = json!([{"path": "/bin/true", "args": ["true", "x"], "env": ["A=1"], "timeout": 5}]);
    config["hooks"] = json!({"prestart": hook, "createRuntime": hook, "createContainer": hook, "startContainer": hook, "poststart": hook, "poststop": hook});
    config["linux"]["resources"] = json!({"devices": [{"allow": false, "access": "rwm"}, {"allow": true, "type": "c", "major": 1, "minor": 3, "access": "r"}]});
    config
}

/// Everything that is done with a configuration before the first system call.
fn understood(text: &[u8], variant: u8) -> Option<Plan> {
    let spec = match spec::parse(text) {
        Ok(spec) => spec,
        Err(problem) => {
            assert!(!problem.problem.is_empty());
            assert!(problem.problem.len() <= 600 + 2 * text.len(), "{problem:?}");
            return None;
        }
    };
    let bit = |n: u8| variant >> n & 1 != 0;
    let wish = Wish {
        id: "x",
        bundle: "/b",
        state: Default::default(),
        text: b"",
        pid_file: bit(0).then_some("/pid"),
        pidfd: bit(2).then_some("/pidfd"),
        notify: None,
        console: (spec.process.terminal == Some(true) && !bit(4)).then_some("/console"),
        no_pivot: bit(1),
        no_new_keyring: bit(2),
        preserve_fds: u32::from(variant),
        wait_for_start: bit(3),
        joins: None,
        attached: bit(4),
        cgroup: bit(5),
        uid: if bit(6) { 1000 } else { 0 },
        gid: 0,
        nested: bit(7),
        no_groups: bit(7) && bit(0),
        cgroup_base: "",
        manager: None,
        rootless: None,
        watch: bit(0).then_some(Watched::All),
        stepped: bit(1),
    };
    let _ = spec.warnings();
    let plan = plan::create(&spec, &wish).ok()?;
    let lines = plan.lines().count();
    assert!(lines < usize::from(u16::MAX) && usize::from(plan.slots) <= 17 + 2 * lines);
    assert!(!plan::show::listing(&plan).is_empty());
    Some(plan)
}

/// Lines and descriptors have numbers of 16 bits: a longer plan would take one for another. And none takes long.
#[test]
fn plans_end() {
    let bind = json!({"destination": "/x", "type": "bind", "source": "/s"});
    let deep = json!({"destination": format!("/dev{}", "/x".repeat(2000)), "type": "tmpfs"});
    let rule = json!({"allow": true, "type": "c", "major": 1, "minor": 2, "access": "r"});
    let node = json!({"type": "p", "path": "/dev/x"});
    let [cap, path] = ["CAP_KILL", "/x"].map(|word| json!(word));
    for (pointer, key, entry) in [
        ("", "mounts", &bind),
        ("", "mounts", &deep),
        ("/linux", "devices", &node),
        ("/linux", "maskedPaths", &path),
        ("/linux/resources", "devices", &rule),
        ("/process/capabilities", "ambient", &cap),
    ] {
        let mut config = good_config();
        let before = config["mounts"].as_array().cloned().unwrap_or_default();
        let entries = core::iter::repeat_n(entry.clone(), 4000);
        if let Some(Value::Object(map)) = config.pointer_mut(pointer) {
            map.insert(key.into(), before.into_iter().chain(entries).collect());
        }
        assert!(understood(config.to_string().as_bytes(), 0).is_none());
    }
    // The longest lists, with entries that are all different.
    let mut config = good_config();
    let all = |of: &dyn Fn(usize) -> Value| (0..2000).map(of).collect::<Value>();
    config["mounts"] = all(&|_| bind.clone());
    config["linux"]["devices"] = all(&|i| json!({"type": "p", "path": format!("/dev/{i}")}));
    config["linux"]["maskedPaths"] = all(&|i| json!(format!("/{i}")));
    config["linux"]["resources"]["devices"] = all(&|i| {
        let (kind, access) = (["b", "c"][i % 2], ["r", "w", "rm"][i % 3]);
        json!({"allow": i % 5 == 0, "type": kind, "major": i, "minor": i, "access": access})
    });
    let plan = understood(config.to_string().as_bytes(), 0x3f);
    let plan = plan.unwrap_or_default();
    let program = plan.host.iter().find_map(|line| match &line.op {
        plan::Op::Devices(plan::op::Devices::Program { program }) => Some(program),
        _ => None,
    });
    // Distances of jumps are numbers of 15 bits.
    let len = program.map_or(0, Vec::len);
    assert!((2000..0x8000).contains(&len), "{len} instructions");
}

proptest! {
    #![proptest_config(cases(6000))]

    #[test]
    fn changed_configurations(changes in proptest::collection::vec(change(), 1..5), variant: u8) {
        let text = mutated(&good_config(), &changes).to_string();
        let _ = understood(text.as_bytes(), variant);
    }

    #[test]
    fn raw_configurations(bytes in proptest::collection::vec(any::<u8>(), 0..200), variant: u8) {
        let _ = understood(&bytes, variant);
    }

    #[test]
    fn broken_configurations(places in proptest::collection::vec((any::<Index>(), any::<u8>()), 1..6), cut: Index) {
        let mut text = spec::DEFAULT.as_bytes().to_vec();
        for (place, byte) in &places {
            let at = place.index(text.len());
            text[at] = *byte;
        }
        let _ = understood(&text, 0);
        let _ = understood(&text[..cut.index(text.len())], 1);
    }

    #[test]
    fn mount_options(words in proptest::collection::vec(option(), 0..12), kind in word()) {
        let mount = json!({"destination": "/x", "type": kind, "source": "s", "options": words});
        let Ok(mount) = <spec::Mount as serde::Deserialize>::deserialize(&mount) else {
            return Ok(());
        };
        if let Ok(o) = plan::mounts::options::understand(&mount, "/mounts/0") {
            // The kernel refuses what is both set and cleared, but for the access-time field, which is cleared first.
            for a in [o.attributes, o.recursive] {
                prop_assert_eq!(a.set & a.clear & !plan::mounts::options::attr::ATIME, 0);
            }
            prop_assert!(o.data.len() <= words.iter().map(|w| w.len() + 1).sum::<usize>());
        }
    }

    #[test]
    fn state_documents(changes in proptest::collection::vec(change(), 0..4)) {
        let text = mutated(&saved(), &changes).to_string();
        let _ = state::document::understand("x", text.as_bytes());
    }

    #[test]
    fn raw_state_documents(bytes in proptest::collection::vec(any::<u8>(), 0..100)) {
        prop_assert!(state::document::understand("x", &bytes).is_err());
    }

    #[test]
    fn process_times(stat in "([0-9]{1,3} \\(.{0,9}\\) )?[RSZ]?( -?[0-9]{0,21}){0,24}\\PC{0,4}", a: u64, b: u64) {
        for started in [[a, b], [0, u64::MAX], [u64::MAX, 0], [u64::MAX; 2]] {
            let _ = procfs::understand(stat.as_bytes(), started);
        }
    }

    #[test]
    fn homes(text in "([a-z]{0,2}:?[x0-9]{0,3}:|[0-9]{1,12}|/\\PC{0,3}|:|\n|\r|\u{0}){0,40}", uid in 0u32..20) {
        if let Some(home) = perform::rootfs::home::home(&text, uid) {
            prop_assert!(home.starts_with('/') && !home.contains(['\n', ':']));
        }
    }
}

/// Option words, alone or with something behind them.
fn option() -> impl Strategy<Value = String> {
    let all: Vec<&'static str> = plan::mounts::options::option_words().collect();
    prop_oneof![
        3 => select(all.clone()).prop_map(String::from),
        1 => (select(all), word()).prop_map(|(a, b)| format!("{a}={b}")),
        1 => word(),
    ]
}

fn saved() -> Value {
    json!({"pid": 7, "start_time": [1, 2], "id": "x", "bundle_path": "/b", "rootfs": "/r", "state": "created",
        "mode": "container", "ociVersion": "1.0.0", "cgroup_path": "nano-sandbox/x", "created": "", "owner": "",
        "annotations": {"a": "b"}})
}

/// A recorder with entries of many kinds, made by calls of this very process.
fn recorded() -> Vec<u8> {
    static ONCE: std::sync::OnceLock<Vec<u8>> = std::sync::OnceLock::new();
    ONCE.get_or_init(record_some).clone()
}

fn record_some() -> Vec<u8> {
    let why = Why("a test needs records");
    syscalls::getpid(why);
    let _ = syscalls::uname(why);
    let _ = syscalls::openat(At::CWD, c"/no/such \"file\"\n", OpenFlags::NONE, why);
    let _ = syscalls::openat2(At::CWD, c"/no/such", OpenFlags::NONE, Resolve::RESOLVE_NO_SYMLINKS, why);
    let _ = syscalls::newfstatat(At::CWD, c"/", AtFlags::NONE, why);
    let _ = syscalls::readlinkat(At::CWD, c"/proc/self/exe", &mut [0; 64], why);
    let _ = syscalls::getcwd(&mut [0; 64], why);
    let _ = syscalls::capget(why);
    let _ = syscalls::ppoll(&mut [], Some(0), why);
    let _ = syscalls::sethostname(&[b'x'; 200], why);
    let _ = syscalls::mount_none(None, c"/no/such", MountFlags::MS_RDONLY, why);
    if let Ok((one, _other)) = syscalls::socketpair(why) {
        let _ = syscalls::write(one.at(), b"\0\x01bytes", why);
    }
    // Other tests record here, too: all that they leave would take minutes.
    let all = record::bytes();
    all[..all.len().min(16 << 10)].to_vec()
}

/// Shows a recorder's bytes in every way. What comes out must be in proportion to what went in.
fn shown(bytes: &[u8]) {
    let each = TraceCmd { all: true, config: true, source: true, time: 2, ..TraceCmd::default() };
    let strace = TraceCmd { names: true, duration: true, relative: true, ..TraceCmd::default() };
    let whole = TraceCmd::default;
    for (format, look) in
        [(Format::Text, whole()), (Format::Text, each), (Format::Strace, strace), (Format::Json, whole())]
    {
        let text = render(&[bytes.to_vec()], format, &look);
        let most = 40 * bytes.len() + 4096 * (1 + record::offsets(bytes).count());
        assert!(text.len() <= most, "{} bytes out of {}", text.len(), bytes.len());
    }
    page(bytes);
    for picture in [Picture::Svg, Picture::Perfetto, Picture::Folded] {
        draw::draw(picture, "a trace", &[Piece::new(bytes)]);
    }
    let pieces = [Piece::new(bytes)];
    let start = Start::of(&pieces);
    assert_eq!(start.path.iter().map(|stretch| stretch.ns()).sum::<u64>(), start.wall());
    timing::text("a trace", &start, Ink::Ascii);
    timing::json("a trace", &start);
    let pieces = crate::state::traces::pieces(bytes);
    assert!(pieces.iter().map(|piece| piece.len()).sum::<usize>() <= bytes.len());
    render(&pieces.into_iter().map(Vec::from).collect::<Vec<_>>(), Format::Text, &whole());
}

/// The page of a recorder's bytes: two scripts are in it, and the data of the first is JSON.
fn page(bytes: &[u8]) {
    let page = draw::draw(Picture::Html, "a trace", &[Piece::new(bytes)]);
    assert_eq!((page.matches("<script").count(), page.matches("</script").count()), (2, 2));
    let data = page.split("id=\"data\">").nth(1).and_then(|rest| rest.split("</script>").next());
    let data: Result<Value, _> = serde_json::from_str(data.unwrap_or(""));
    let calls = data.map(|data| data["traces"][0]["calls"].as_array().map(Vec::len));
    assert!(calls.is_ok_and(|calls| calls <= Some(record::offsets(bytes).count())));
}

/// A view of a trace, as it is on a narrow screen with colours.
fn render(pieces: &[Vec<u8>], format: Format, look: &TraceCmd) -> String {
    let pieces: Vec<Piece> = pieces.iter().map(|bytes| Piece::new(bytes)).collect();
    let screen = Screen { width: 80, color: true };
    View { format, look, filter: &Filter::default(), screen, epoch: 0 }.render(&pieces, "a trace")
}

proptest! {
    #![proptest_config(cases(1500))]

    #[test]
    fn damaged_traces(changes in proptest::collection::vec((any::<Index>(), any::<u8>()), 1..40), cut: Index) {
        let mut bytes = recorded();
        for (place, byte) in changes {
            let at = place.index(bytes.len());
            bytes[at] = byte;
        }
        shown(&bytes);
        shown(&bytes[..cut.index(bytes.len())]);
    }

    #[test]
    fn raw_traces(bytes in proptest::collection::vec(any::<u8>(), 0..400), call: u16, size in 8u32..40) {
        shown(&bytes);
        // A head and one entry of any call, whose size makes sense.
        let mut entry = recorded()[..size_of::<record::Head>()].to_vec();
        entry.extend_from_slice(&(8 * size).to_ne_bytes());
        entry.extend_from_slice(&bytes);
        entry.resize(entry.len().max(400), 0);
        let at = size_of::<record::Head>() + core::mem::offset_of!(record::Entry, call);
        entry[at..at + 2].copy_from_slice(&(call % 120).to_ne_bytes());
        let state = size_of::<record::Head>() + core::mem::offset_of!(record::Entry, state);
        entry[state..state + 4].copy_from_slice(&record::RETURNED.to_ne_bytes());
        let mark = size_of::<record::Head>() + core::mem::offset_of!(record::Entry, mark);
        entry[mark..mark + 2].copy_from_slice(&record::MARK.to_ne_bytes());
        shown(&entry);
    }
}

/// The worst that a full recorder can be made to say: its smallest entries, each with the longest reason.
#[test]
fn reasons_are_short() {
    let mut bytes = recorded();
    bytes.truncate(size_of::<record::Head>());
    const SIZE: usize = size_of::<record::Entry>();
    const ENTRIES: usize = 4000;
    let mut entry = [0u8; SIZE];
    entry[..4].copy_from_slice(&(SIZE as u32).to_ne_bytes());
    let call = core::mem::offset_of!(record::Entry, call);
    entry[call..call + 2].copy_from_slice(&syscalls::Call::named("getpid").0.to_ne_bytes());
    let mark = core::mem::offset_of!(record::Entry, mark);
    entry[mark..mark + 2].copy_from_slice(&record::MARK.to_ne_bytes());
    let why = core::mem::offset_of!(record::Entry, why);
    let blob = (bytes.len() + SIZE * ENTRIES) as u32;
    entry[why..why + 4].copy_from_slice(&blob.to_ne_bytes());
    bytes.extend(entry.iter().cycle().take(SIZE * ENTRIES));
    bytes.extend_from_slice(&[record::WHY, 2, 0xff, 0xff]);
    bytes.resize(bytes.len() + 0xffff, b'y');
    shown(&bytes);
}
