//! The systemd driver: a container's cgroup is a scope, which systemd makes, knows by name and removes
//! (org.freedesktop.systemd1(5), "CGROUP_DELEGATION"). May touch: system calls, the messages of `dbus`.
//!
//! A scope begins with a process. clone3 makes init directly in the scope's cgroup, after that has its limits and its device
//! program. Until then a process that only waits keeps the scope.

use super::dbus::{Answer, Body, Bus, Message, Method, Trouble, Value};
use syscalls::Why;

pub type Property = (String, Value);

/// Where systemd may listen: the path of a socket, and whether it is a bus, which wants a greeting first, or systemd's own.
pub type Sockets = Vec<(String, bool)>;

/// A scope that systemd shall make.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Scope {
    pub unit: String,
    pub sockets: Sockets,
    pub properties: Vec<Property>,
}

const fn manager(name: &'static str, signature: &'static str) -> Method {
    Method {
        service: "org.freedesktop.systemd1",
        object: "/org/freedesktop/systemd1",
        interface: "org.freedesktop.systemd1.Manager",
        name,
        signature,
    }
}

const fn bus(name: &'static str, signature: &'static str) -> Method {
    Method {
        service: "org.freedesktop.DBus",
        object: "/org/freedesktop/DBus",
        interface: "org.freedesktop.DBus",
        name,
        signature,
    }
}

const CONTROL_GROUP: Method = Method { interface: "org.freedesktop.DBus.Properties", ..manager("Get", "ss") };

/// Where the systemd of the machine, or that of the user, may listen: at the bus that the environment names, at its own
/// socket, at the usual bus.
pub fn sockets(user: bool, environment: impl Fn(&str) -> Option<&'static str>) -> Sockets {
    let mut all = Vec::new();
    let variable = if user { "DBUS_SESSION_BUS_ADDRESS" } else { "DBUS_SYSTEM_BUS_ADDRESS" };
    // Addresses are separated by semicolons, their parts by commas ("Server Addresses").
    for address in environment(variable).unwrap_or("").split(';') {
        let path = address.strip_prefix("unix:").unwrap_or("").split(',');
        let path = path.filter_map(|part| part.strip_prefix("path=")).next();
        all.extend(path.map(|path| (path.to_string(), true)));
    }
    match (user, environment("XDG_RUNTIME_DIR").filter(|dir| !dir.is_empty())) {
        (true, Some(dir)) => {
            all.push((format!("{dir}/systemd/private"), false));
            all.push((format!("{dir}/bus"), true));
        }
        (true, None) => {}
        (false, _) => {
            all.push(("/run/systemd/private".into(), false));
            all.push(("/run/dbus/system_bus_socket".into(), true));
        }
    }
    all
}

/// Why a call was refused. Some callers expect an error of a certain name.
enum Refused {
    Other(Trouble),
    Named(String, String),
}

impl From<Trouble> for Refused {
    fn from(trouble: Trouble) -> Refused {
        Refused::Other(trouble)
    }
}

impl From<Refused> for Trouble {
    fn from(refused: Refused) -> Trouble {
        match refused {
            Refused::Other(trouble) => trouble,
            Refused::Named(name, text) => Trouble::Said(format!("systemd says: {text} ({name})")),
        }
    }
}

struct Manager {
    bus: Bus,
    /// Jobs that have ended: object, unit, result.
    ended: Vec<Vec<String>>,
}

impl Manager {
    fn open(sockets: &Sockets) -> Answer<Manager> {
        let mut tried = String::new();
        for (path, greet) in sockets {
            let bus = match Bus::open(path) {
                Ok(bus) => bus,
                Err(Trouble::Call(failed)) => {
                    tried.push_str(&format!(" {path} ({}),", failed.errno.name()));
                    continue;
                }
                other => other?,
            };
            let mut manager = Manager { bus, ended: Vec::new() };
            if *greet {
                manager.greet()?;
            }
            return Ok(manager);
        }
        Err(Trouble::Said(match tried.as_str() {
            "" => "neither DBUS_SESSION_BUS_ADDRESS nor XDG_RUNTIME_DIR says where the user's systemd listens".into(),
            tried => format!("no systemd listens at{}", tried.trim_end_matches(',')),
        }))
    }

    /// A bus names its clients, and passes on only what they ask for.
    fn greet(&mut self) -> Answer<()> {
        let why = Why("a bus takes no other message before a greeting");
        self.ask(&bus("Hello", ""), Body::default(), why)?;
        let mut body = Body::default();
        body.text("type='signal',interface='org.freedesktop.systemd1.Manager',member='JobRemoved'");
        let why = Why("a signal tells the end of a job");
        self.ask(&bus("AddMatch", "s"), body, why)?;
        self.ask(&manager("Subscribe", ""), Body::default(), why)?;
        Ok(())
    }

    /// Makes a call and waits for its answer.
    fn ask(&mut self, method: &Method, body: Body, why: Why) -> Result<String, Refused> {
        let serial = self.bus.call(method, &body, why)?;
        loop {
            match self.bus.next()? {
                Message::Return(to, text) if to == serial => return Ok(text),
                Message::Error(to, name, text) if to == serial => {
                    return Err(Refused::Named(name, text));
                }
                Message::Signal(name, texts) if name == "JobRemoved" => self.ended.push(texts),
                _ => {}
            }
        }
    }

    /// Waits for the end of a job.
    fn done(&mut self, job: &str) -> Answer<()> {
        loop {
            let ended = |texts: &&Vec<String>| texts.first().is_some_and(|object| object == job);
            if let Some(texts) = self.ended.iter().find(ended) {
                return match texts.get(2).map_or("", String::as_str) {
                    "done" => Ok(()),
                    result => Err(Trouble::Said(format!(
                        "the job for {} ended as: {result}",
                        texts.get(1).map_or("", String::as_str)
                    ))),
                };
            }
            if let Message::Signal(name, texts) = self.bus.next()?
                && name == "JobRemoved"
            {
                self.ended.push(texts);
            }
        }
    }

    /// Has systemd forget a unit that has failed.
    fn forget(&mut self, unit: &str) {
        let mut body = Body::default();
        body.text(unit);
        let why = Why("systemd keeps a failed unit, and makes no other of its name");
        let _ = self.ask(&manager("ResetFailedUnit", "s"), body, why);
    }
}

/// The manager's own cgroup, as the beginning of a path: empty, or it ends in `/`.
pub fn base(sockets: &Sockets) -> Answer<String> {
    let mut body = Body::default();
    body.text("org.freedesktop.systemd1.Manager").text("ControlGroup");
    let why = Why("the cgroups of units lie below systemd's own");
    let path = Manager::open(sockets)?.ask(&CONTROL_GROUP, body, why)?;
    Ok(match path.trim_matches('/') {
        "" => String::new(),
        path => format!("{path}/"),
    })
}

/// Makes a scope with this process in it, and waits until it is there.
pub fn start(scope: &Scope, pid: i32) -> Answer<()> {
    let mut service = Manager::open(&scope.sockets)?;
    let body = || {
        let mut properties = scope.properties.clone();
        properties.push(("PIDs".into(), Value::Uints(vec![pid as u32])));
        let mut body = Body::default();
        body.text(&scope.unit).text("replace");
        // No auxiliary units.
        body.properties(&properties).array(8, |_| {});
        body
    };
    let method = manager("StartTransientUnit", "ssa(sv)a(sa(sv))");
    let why = Why("systemd makes the cgroup, and knows it by the name of the scope");
    let job = match service.ask(&method, body(), why) {
        Err(Refused::Named(name, _)) if name == "org.freedesktop.systemd1.UnitExists" => {
            service.forget(&scope.unit);
            service.ask(&method, body(), why)?
        }
        job => job?,
    };
    // The job was accepted, so the unit is this container's: whatever is there of it is stopped after a failure.
    service.done(&job).inspect_err(|_| {
        let _ = stop(&scope.unit, &scope.sockets);
    })
}

/// Has systemd move a process into a scope, where the caller may not.
pub fn attach(scope: &Scope, pid: i32) -> Answer<()> {
    let mut body = Body::default();
    body.text(&scope.unit).text("").array(4, |b| {
        b.uint(pid as u32);
    });
    let method = manager("AttachProcessesToUnit", "ssau");
    let why = Why("between two cgroups of different owners only systemd may move a process");
    Ok(Manager::open(&scope.sockets)?.ask(&method, body, why).map(drop)?)
}

/// Sets properties of a unit. They last until the unit is gone.
pub fn set(unit: &str, sockets: &Sockets, properties: &[Property]) -> Answer<()> {
    if properties.is_empty() {
        return Ok(());
    }
    let mut body = Body::default();
    body.text(unit).flag(true).properties(properties);
    let why = Why("without this, systemd would write the old limits again at its next reload");
    Ok(Manager::open(sockets)?.ask(&manager("SetUnitProperties", "sba(sv)"), body, why).map(drop)?)
}

/// Ends a scope with all that is in it, and waits until it is gone. It may be gone already.
pub fn stop(unit: &str, sockets: &Sockets) -> Answer<()> {
    let mut service = Manager::open(sockets)?;
    let mut body = Body::default();
    body.text(unit).text("replace");
    let why = Why("nothing of the container may stay");
    match service.ask(&manager("StopUnit", "ss"), body, why) {
        Err(Refused::Named(name, _)) if name == "org.freedesktop.systemd1.NoSuchUnit" => Ok(()),
        job => service.done(&job?),
    }
}
