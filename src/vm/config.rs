//! The configuration as the machine has it: sources of bind mounts lie elsewhere, the machine's processors are those of the
//! container, and with a network of its own the machine is the container's network namespace. May touch: spec.

use super::binds::Binds;
use crate::spec::{NamespaceKind, Spec, Value, sysctl_kind, sysctl_path};
use serde_json::json;

const RESOLV: &str = "/etc/resolv.conf";

/// Rewrites the text. `names`: the container's root has a place for the list of name servers.
pub fn rewritten(text: &[u8], spec: &Spec, binds: &Binds, net: bool, names: bool) -> Vec<u8> {
    let Ok(mut all) = serde_json::from_slice::<Value>(text) else {
        return text.into();
    };
    if let Some(all) = all.as_object_mut() {
        all.remove("vm");
    }
    for (i, source) in &binds.sources {
        if let Some(mount) = all.pointer_mut(&format!("/mounts/{i}")) {
            mount["source"] = json!(source);
        }
    }
    if let Some(cpu) = all.pointer_mut("/linux/resources/cpu").and_then(Value::as_object_mut) {
        cpu.remove("cpus");
        cpu.remove("mems");
    }
    if let Some(unified) = all.pointer_mut("/linux/resources/unified").and_then(Value::as_object_mut) {
        unified.remove("cpuset.cpus");
        unified.remove("cpuset.mems");
    }
    if net {
        share_network(&mut all, spec, names);
    }
    serde_json::to_vec(&all).unwrap_or_else(|_| text.into())
}

fn share_network(all: &mut Value, spec: &Spec, names: bool) {
    if let Some(list) = all.pointer_mut("/linux/namespaces").and_then(Value::as_array_mut) {
        list.retain(|namespace| namespace["type"] != "network");
    }
    if let Some(map) = all.pointer_mut("/linux/sysctl").and_then(Value::as_object_mut) {
        map.retain(|key, _| !is_net(key));
    }
    let taken = spec.mounts.iter().any(|mount| crate::plan::clean(&format!("/{}", &*mount.destination)) == RESOLV);
    if names && !taken {
        let mount = json!({
            "destination": RESOLV, "type": "bind", "source": "/run/nk/resolv.conf", "options": ["bind", "ro"]
        });
        match all.get_mut("mounts").and_then(Value::as_array_mut) {
            Some(mounts) => mounts.push(mount),
            None => all["mounts"] = json!([mount]),
        }
    }
}

fn is_net(key: &str) -> bool {
    sysctl_kind(key) == Some(NamespaceKind::Network)
}

/// The settings of the network for the kernel's command line: it makes them before `/init` begins (kernel-parameters.txt,
/// `sysctl.*=`).
pub fn settings(spec: &Spec) -> String {
    let net = spec.linux.sysctl.iter().filter(|(key, _)| is_net(key));
    net.map(|(key, value)| format!(" \"sysctl.{}={}\"", sysctl_path(key), value.trim())).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_machine_is_the_network() {
        let text = crate::spec::DEFAULT.replacen(
            "\"linux\": {",
            "\"vm\": {\"kernel\": {\"path\": \"/k\"}}, \"linux\": {\"sysctl\": {\"net.ipv4.ip_forward\": \"1\", \"kernel.msgmax\": \"9\"},",
            1,
        );
        let spec = crate::spec::parse(text.as_bytes()).unwrap_or_else(|p| panic!("{p:?}"));
        let binds = Binds { sources: vec![(0, "/nk/binds/0".into())], ..Binds::default() };
        let made = rewritten(text.as_bytes(), &spec, &binds, true, true);
        let made: Value = serde_json::from_slice(&made).unwrap_or_default();
        let again = crate::spec::parse(serde_json::to_string(&made).unwrap_or_default().leak().as_bytes());
        let again = again.unwrap_or_else(|p| panic!("{p:?}"));
        assert!(again.vm.is_none());
        assert!(again.linux.namespaces.iter().all(|one| one.kind != NamespaceKind::Network));
        assert_eq!(made["linux"]["sysctl"], json!({"kernel.msgmax": "9"}));
        assert_eq!(made["mounts"][0]["source"], "/nk/binds/0");
        assert_eq!(again.mounts.last().map(|mount| mount.destination.to_string()).as_deref(), Some(RESOLV));
        assert_eq!(settings(&spec), " \"sysctl.net/ipv4/ip_forward=1\"");
        let alone = rewritten(text.as_bytes(), &spec, &binds, false, true);
        let alone: Value = serde_json::from_slice(&alone).unwrap_or_default();
        assert!(alone["linux"]["namespaces"].to_string().contains("network"));
    }
}
