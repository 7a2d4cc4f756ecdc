//! Sockets: addresses, messages, options.

use super::arguments::{Args, Look, choice};
use super::sheet::Sheet;
use super::structs::{self, Whole};
use super::{memory, words};
use crate::arg::Kind;
use crate::flags::hex;
use crate::record::OUT;
use crate::show;
use crate::show::structs::Bytes;
use core::fmt::Write;
use core::net::Ipv6Addr;

/// The largest address of any family: `struct sockaddr_storage`.
const ADDRESS: usize = 128;

/// A socket's address. Its length is an argument; where the kernel fills it in, that argument points to it.
pub(super) fn address(look: &Look, whole: &Whole, out: &mut Sheet) -> Option<()> {
    let size = if look.has_entered() { whole.size as u32 } else { look.u32(whole.size)? };
    sock_addr(look, whole.at, size as usize, out)
}

fn sock_addr(look: &Look, at: u64, size: usize, out: &mut Sheet) -> Option<()> {
    let mut bytes = [0; ADDRESS];
    let size = size.min(ADDRESS);
    if size < 2 || memory::read(look.call.tid, at, &mut bytes[..size]) != size {
        return None;
    }
    let b = Bytes(&bytes);
    let family = b.u16(0);
    out.write_str("{sa_family=").ok()?;
    words::list("af")?.show(family.into(), out).ok()?;
    let port = u16::from_be_bytes([bytes[2], bytes[3]]);
    match i32::from(family) {
        _ if size == 2 => {}
        libc::AF_UNIX => match (bytes[2], size) {
            (0, 4..) => write!(out, ", sun_path=@{}", show::quoted(&bytes[3..size], 108, false)).ok()?,
            _ => {
                let path = &bytes[2..size];
                let len = path.iter().position(|byte| *byte == 0).unwrap_or(path.len());
                write!(out, ", sun_path={}", show::quoted(&path[..len], 108, false)).ok()?;
            }
        },
        libc::AF_INET if size >= 16 => {
            let [a, b, c, d] = [bytes[4], bytes[5], bytes[6], bytes[7]];
            write!(out, ", sin_port=htons({port}), sin_addr=inet_addr(\"{a}.{b}.{c}.{d}\")").ok()?;
        }
        libc::AF_INET6 if size >= 24 => {
            let flow = u32::from_be_bytes([bytes[4], bytes[5], bytes[6], bytes[7]]);
            let ip: [u8; 16] = *bytes.get(8..)?.first_chunk()?;
            write!(out, ", sin6_port=htons({port}), sin6_flowinfo=htonl({flow})").ok()?;
            write!(out, ", inet_pton(AF_INET6, \"{}\", &sin6_addr)", Ipv6Addr::from(ip)).ok()?;
            write!(out, ", sin6_scope_id={}", b.u32(24)).ok()?;
        }
        libc::AF_NETLINK if size >= 12 => {
            write!(out, ", nl_pid={}, nl_groups={:08x}", b.i32(4), b.u32(8)).ok()?;
        }
        _ => write!(out, ", sa_data={}", show::quoted(&bytes[2..size], ADDRESS, false)).ok()?,
    }
    out.write_char('}').ok()
}

/// The parts of a message or of a buffer: `count` of them. After the call as much is shown of them as it has moved.
pub(super) fn parts(look: &Look, (at, count): (u64, u64), moved: u64, out: &mut Sheet) -> Option<()> {
    let mut left = moved;
    out.write_char('[').ok()?;
    for i in 0..count.min(33) {
        if i == 32 {
            out.write_str(", ...").ok()?;
            break;
        }
        let part = look.bytes::<16>(at.checked_add(16 * i)?)?;
        let (base, len) = (Bytes(&part).u64(0), Bytes(&part).u64(8));
        write!(out, "{}{{iov_base=", if i > 0 { ", " } else { "" }).ok()?;
        if structs::quote(look, base, len.min(left), out).is_none() {
            write!(out, "{}", show::address(base)).ok()?;
        }
        left = left.saturating_sub(len);
        write!(out, ", iov_len={len}}}").ok()?;
    }
    out.write_char(']').ok()
}

/// `struct msghdr` of sendmsg(2) and recvmsg(2). `before`: how long a name could have been before the call.
pub(super) fn message(look: &Look, at: u64, before: Option<i32>, moved: u64, out: &mut Sheet) -> Option<()> {
    let bytes = look.bytes::<56>(at)?;
    let b = Bytes(&bytes);
    let (name, name_len) = (b.u64(0), b.u32(8));
    out.write_str("{msg_name=").ok()?;
    if name == 0 || sock_addr(look, name, name_len as usize, out).is_none() {
        write!(out, "{}", show::address(name)).ok()?;
    }
    write!(out, ", msg_namelen=").ok()?;
    if let Some(was) = before.filter(|was| *was != name_len as i32) {
        write!(out, "{was} => ").ok()?;
    }
    write!(out, "{}, msg_iov=", name_len as i32).ok()?;
    let (iov, count) = (b.u64(16), b.u64(24));
    if iov == 0 || parts(look, (iov, count), moved, out).is_none() {
        write!(out, "{}", show::address(iov)).ok()?;
    }
    write!(out, ", msg_iovlen={count}").ok()?;
    let (control, len) = (b.u64(32), b.u64(40));
    if len > 0 {
        out.write_str(", msg_control=").ok()?;
        controls(look, control, len, out)?;
    }
    write!(out, ", msg_controllen={len}, msg_flags=").ok()?;
    words::list("msg")?.show(b.u32(48).into(), out).ok()?;
    out.write_char('}').ok()
}

/// The messages of sendmmsg(2) and recvmmsg(2): as many as the result says.
pub(super) fn messages(look: &Look, at: u64, out: &mut Sheet) -> Option<()> {
    const SIZE: u64 = 64;
    let count = look.result? as u64;
    out.write_char('[').ok()?;
    for i in 0..count.min(32) {
        let at = at.checked_add(SIZE * i)?;
        let len = look.u32(at.checked_add(56)?)?;
        out.write_str(if i > 0 { ", {msg_hdr=" } else { "{msg_hdr=" }).ok()?;
        message(look, at, None, len.into(), out)?;
        write!(out, ", msg_len={len}}}").ok()?;
    }
    out.write_str(if count > 32 { ", ...]" } else { "]" }).ok()
}

/// The control messages (cmsg(3)): descriptors, the sender's identity, or their bytes.
fn controls(look: &Look, control: u64, len: u64, out: &mut Sheet) -> Option<()> {
    const HEAD: u64 = 16;
    let (mut at, end) = (control, control.checked_add(len)?);
    if look.bytes::<16>(at).is_none() || len < HEAD {
        return write!(out, "{}", show::address(control)).ok();
    }
    out.write_char('[').ok()?;
    for i in 0..16 {
        let room = end.saturating_sub(at);
        let Some(head) = (room >= HEAD).then(|| look.bytes::<16>(at)).flatten() else {
            break;
        };
        let (size, level, kind) = (Bytes(&head).u64(0), Bytes(&head).u32(8), Bytes(&head).u32(12));
        write!(out, "{}{{cmsg_len={size}, cmsg_level=", if i > 0 { ", " } else { "" }).ok()?;
        words::list("sol")?.show(level.into(), out).ok()?;
        out.write_str(", cmsg_type=").ok()?;
        let socket = level == libc::SOL_SOCKET as u32;
        match socket {
            true => words::list("scm")?.show(kind.into(), out).ok()?,
            false => write!(out, "{}", hex(kind.into())).ok()?,
        }
        let data = at.checked_add(HEAD)?;
        let room = size.min(room).saturating_sub(HEAD);
        if room > 0 {
            out.write_str(", cmsg_data=").ok()?;
            match (socket, kind as i32) {
                (true, libc::SCM_RIGHTS) => descriptors(look, data, room / 4, out)?,
                (true, libc::SCM_CREDENTIALS) => credentials(look, data, out)?,
                _ => structs::quote(look, data, room, out)?,
            }
        }
        out.write_char('}').ok()?;
        if size < HEAD {
            break;
        }
        at = at.checked_add(size.checked_next_multiple_of(8)?)?;
    }
    out.write_char(']').ok()
}

fn descriptors(look: &Look, at: u64, count: u64, out: &mut Sheet) -> Option<()> {
    out.write_char('[').ok()?;
    for i in 0..count.min(32) {
        let fd = look.u32(at.checked_add(4 * i)?)? as i32;
        write!(out, "{}{fd}", if i > 0 { ", " } else { "" }).ok()?;
    }
    out.write_str(if count > 32 { ", ...]" } else { "]" }).ok()
}

fn credentials(look: &Look, at: u64, out: &mut Sheet) -> Option<()> {
    let bytes = look.bytes::<12>(at)?;
    let b = Bytes(&bytes);
    write!(out, "{{pid={}, uid={}, gid={}}}", b.i32(0), b.u32(4), b.u32(8)).ok()
}

/// Name, value and length of a socket's option. `get`: the kernel fills in the value, and the length behind a pointer.
pub(super) fn option(look: &Look, args: &mut Args, get: bool, out: &mut Sheet) {
    let level = look.argument(2) as i32;
    let list = match level {
        libc::SOL_SOCKET => "so",
        libc::IPPROTO_TCP => "tcp",
        libc::IPPROTO_IP => "ip",
        libc::IPPROTO_IPV6 => "ipv6",
        libc::SOL_NETLINK => "netlinkopt",
        libc::SOL_PACKET => "packet",
        _ => "",
    };
    match list {
        "" => _ = args.push(u64::from(look.argument(3) as u32), Kind::Hex as u8),
        list => choice(look, look.argument(3), list, args, out),
    }
    let (at, len) = (look.argument(4), look.argument(5));
    let place = args.shown(at);
    if !get {
        if look.has_entered() && at != 0 {
            out.blob(place, |out| option_value(look, level, at, len as u32, out));
        }
        args.push(len as i32 as i64 as u64, Kind::Int as u8);
        return;
    }
    args.room += 128;
    let now = look.u32(len);
    if look.has_succeeded() && at != 0 {
        out.blob(place | OUT, |out| option_value(look, level, at, now?, out));
    }
    let place = args.shown(len);
    args.room += 48;
    if look.has_entered() && len != 0 {
        out.blob(place, |out| write!(out, "[{}]", now? as i32).ok());
    } else if look.has_succeeded() && len != 0 {
        let before: [u8; 16] = core::array::from_fn(|i| {
            crate::record::blob_of(out.bytes(), place).and_then(|blob| blob.get(i)).copied().unwrap_or(0)
        });
        let before = before.split(|byte| *byte == 0).next().unwrap_or_default();
        let whole = Whole { name: "len", at: len, size: 0 };
        out.blob(place | OUT, |out| structs::changed(look, &whole, before, out));
    }
}

/// A number, a structure that is known, or bytes.
fn option_value(look: &Look, level: i32, at: u64, len: u32, out: &mut Sheet) -> Option<()> {
    let socket = level == libc::SOL_SOCKET;
    match (look.argument(3) as i32, len) {
        (libc::SO_PEERCRED, 12) if socket => credentials(look, at, out),
        (libc::SO_LINGER, 8) if socket => {
            let (on, seconds) = (look.u32(at)? as i32, look.u32(at.checked_add(4)?)? as i32);
            write!(out, "{{l_onoff={on}, l_linger={seconds}}}").ok()
        }
        (_, 4) => write!(out, "[{}]", look.u32(at)? as i32).ok(),
        _ => structs::quote(look, at, len.into(), out),
    }
}
