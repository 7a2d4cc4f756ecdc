//! The words of this room, and what they ask for. May touch: types.

use crate::outcome::Error;
use core::net::IpAddr;

/// What the words ask for.
#[derive(PartialEq, Eq, Debug, Default)]
pub struct Wish {
    pub root: Option<String>,
    pub kind: Option<Kind>,
    /// nk.overlay, as it was given.
    pub overlay: Option<Overlay>,
    pub mounts: Vec<Mount>,
    pub addresses: Vec<Address>,
    /// The value of the kernel's `ip=`.
    pub kernel: Option<String>,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Overlay {
    Tmpfs,
    No,
}

/// A file system.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Kind {
    Erofs,
    Squashfs,
    Ext4,
    Plan9,
    Virtiofs,
}

impl Kind {
    const ALL: [(&str, Kind); 5] = [
        ("erofs", Kind::Erofs),
        ("squashfs", Kind::Squashfs),
        ("ext4", Kind::Ext4),
        ("9p", Kind::Plan9),
        ("virtiofs", Kind::Virtiofs),
    ];

    fn of(name: &str) -> Option<Kind> {
        Kind::ALL.iter().find(|(known, _)| *known == name).map(|(_, kind)| *kind)
    }

    pub fn name(self) -> &'static str {
        Kind::ALL.iter().find(|(_, kind)| *kind == self).map_or("", |(name, _)| name)
    }

    /// Whether it lies on the other side of a device with a tag, and not on a disk.
    pub fn is_share(self) -> bool {
        matches!(self, Kind::Plan9 | Kind::Virtiofs)
    }
}

/// A value of nk.mount.
#[derive(PartialEq, Eq, Debug)]
pub struct Mount {
    pub kind: Kind,
    pub source: String,
    pub place: String,
    pub readonly: bool,
}

/// A value of nk.ip.
#[derive(PartialEq, Eq, Debug)]
pub struct Address {
    pub address: IpAddr,
    pub prefix: u8,
    pub gateway: Option<IpAddr>,
    pub server: Option<IpAddr>,
}

/// Reads a value. The error says what to write.
type Take = fn(&mut Wish, &str) -> Result<(), &'static str>;

/// The words, without the `nk.` before them. A value follows each.
pub const WORDS: [(&str, Take); 5] = [
    ("root", |wish, value| {
        wish.root = Some(value.into());
        Ok(())
    }),
    ("rootfstype", |wish, value| {
        wish.kind = Some(Kind::of(value).ok_or("write erofs, squashfs, ext4, 9p or virtiofs")?);
        Ok(())
    }),
    ("overlay", |wish, value| {
        wish.overlay = Some(match value {
            "tmpfs" => Overlay::Tmpfs,
            "no" => Overlay::No,
            _ => return Err("write tmpfs or no"),
        });
        Ok(())
    }),
    ("mount", |wish, value| {
        wish.mounts.push(mount(value).ok_or(
            "write TYPE:TAG:PATH or TYPE:TAG:PATH:ro; TYPE is 9p, virtiofs, erofs, squashfs or ext4, and PATH is absolute",
        )?);
        Ok(())
    }),
    ("ip", |wish, value| {
        wish.addresses.push(address(value).ok_or(
            "write ADDR/LEN, ADDR/LEN,GATEWAY or ADDR/LEN,GATEWAY,DNS; GATEWAY is of the same family as ADDR, and may be empty",
        )?);
        Ok(())
    }),
];

/// Looks at a word that is not this program's own.
pub fn foreign(wish: &mut Wish, word: &str) {
    if let Some(value) = word.strip_prefix("ip=") {
        wish.kernel = Some(value.into());
    }
}

fn mount(value: &str) -> Option<Mount> {
    let (value, readonly) = value.strip_suffix(":ro").map_or((value, false), |value| (value, true));
    let (kind, rest) = value.split_once(':')?;
    let (source, place) = rest.split_once(':')?;
    let fits = !source.is_empty() && place.starts_with('/') && !place.contains(':');
    let kind = Kind::of(kind)?;
    fits.then(|| Mount { kind, source: source.into(), place: place.into(), readonly })
}

fn address(value: &str) -> Option<Address> {
    let mut parts = value.split(',');
    let (address, prefix) = parts.next()?.split_once('/')?;
    let address: IpAddr = address.parse().ok()?;
    let longest = if address.is_ipv4() { 32 } else { 128 };
    let prefix = prefix.parse().ok().filter(|len| *len <= longest)?;
    let mut next = || match parts.next() {
        None | Some("") => Some(None),
        Some(text) => Some(Some(text.parse::<IpAddr>().ok()?)),
    };
    let (gateway, server) = (next()?, next()?);
    let fits = gateway.is_none_or(|gateway| gateway.is_ipv4() == address.is_ipv4()) && parts.next().is_none();
    fits.then_some(Address { address, prefix, gateway, server })
}

/// Whether the words go together.
pub fn fit(wish: &Wish) -> Result<(), Error> {
    let wrong = |text: String| Err(Error::Usage(format!("the kernel's command line: {text}")));
    let Some(root) = &wish.root else {
        return match (wish.kind, wish.overlay) {
            (Some(_), _) => wrong("nk.rootfstype: there is no nk.root that it is for".into()),
            (_, Some(_)) => wrong("nk.overlay: there is no nk.root that it is for".into()),
            _ => Ok(()),
        };
    };
    let disk = root.starts_with('/');
    match wish.kind {
        None if !disk => wrong(format!(
            "nk.root: `{}` is no device: write one as /dev/vda, or say with nk.rootfstype=9p or nk.rootfstype=virtiofs what share the tag names",
            root.escape_debug()
        )),
        Some(kind) if !disk && !kind.is_share() => {
            wrong(format!("nk.rootfstype: {} lies on a device: write nk.root=/dev/..", kind.name()))
        }
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn take(name: &str, value: &str) -> Result<Wish, &'static str> {
        let mut wish = Wish::default();
        let known = WORDS.iter().find(|(known, _)| *known == name).ok_or("no such word");
        known.and_then(|(_, take)| take(&mut wish, value)).map(|()| wish)
    }

    fn taken(name: &str, value: &str) -> Wish {
        take(name, value).unwrap_or_else(|wrong| panic!("nk.{name}={value}: {wrong}"))
    }

    #[test]
    fn addresses() {
        let wish = taken("ip", "10.0.2.15/24,10.0.2.2,10.0.2.3");
        let one = &wish.addresses[0];
        assert_eq!((one.address, one.prefix), (IpAddr::from([10, 0, 2, 15]), 24));
        assert_eq!(one.gateway, Some(IpAddr::from([10, 0, 2, 2])));
        assert_eq!(one.server, Some(IpAddr::from([10, 0, 2, 3])));
        let wish = taken("ip", "fec0::15/64,,fec0::3");
        assert_eq!((wish.addresses[0].gateway, wish.addresses[0].prefix), (None, 64));
        for wrong in [
            "10.0.2.15",
            "10.0.2.15/33",
            "fec0::1/129",
            "10.0.2/24",
            "10.0.2.15/24,fec0::2",
            "10.0.2.15/24,x",
            "10.0.2.15/24,10.0.2.2,10.0.2.3,10.0.2.4",
            "10.0.2.15/-1",
            "/24",
            ",",
        ] {
            assert!(take("ip", wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn mounts() {
        let wish = taken("mount", "9p:host:/srv/data:ro");
        let one = Mount { kind: Kind::Plan9, source: "host".into(), place: "/srv/data".into(), readonly: true };
        assert_eq!(wish.mounts, [one]);
        let wish = taken("mount", "ext4:/dev/vdb:/data");
        assert_eq!((wish.mounts[0].source.as_str(), wish.mounts[0].readonly), ("/dev/vdb", false));
        for wrong in [
            "host:/srv",
            "9p:host",
            "9p:host:srv",
            "9p::/srv",
            "nfs:host:/srv",
            "9p:host:/srv:rw",
            "9p:host:/srv:ro:ro",
            "",
        ] {
            assert!(take("mount", wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn words_that_do_not_go_together() {
        let fits = |root: Option<&str>, kind, overlay| {
            fit(&Wish { root: root.map(String::from), kind, overlay, ..Wish::default() }).is_ok()
        };
        assert!(fits(None, None, None) && fits(Some("/dev/vda"), None, Some(Overlay::No)));
        assert!(fits(Some("tag"), Some(Kind::Plan9), None) && fits(Some("/dev/root"), Some(Kind::Virtiofs), None));
        assert!(!fits(None, Some(Kind::Ext4), None) && !fits(None, None, Some(Overlay::Tmpfs)));
        assert!(!fits(Some("vda"), None, None) && !fits(Some("vda"), Some(Kind::Ext4), None));
    }

    #[test]
    fn the_kernels_word() {
        let mut wish = Wish::default();
        foreign(&mut wish, "quiet");
        foreign(&mut wish, "ip=dhcp");
        assert_eq!(wish.kernel.as_deref(), Some("dhcp"));
    }
}
