//! The guest's end of the channel: one stream of frames (src/frames/CHANNEL.md), by a port of a virtio console or by AF_VSOCK.
//! May touch: everything below.

use super::ports;
use super::services::now;
use super::sessions::Sessions;
use super::words::Way;
use crate::frames::{Damage, Hello, Incoming, MACHINE, Outgoing, ToGuest, ToHost, VERSION};
use crate::outcome::{Doing, Error};
use alloc::ffi::CString;
use syscalls::{At, Errno, Fd, OpenFlags, Why};

/// The name of the port.
const NAME: &str = "nano-sandbox";
/// Milliseconds that a port may take to appear: its driver asks the host for it.
const APPEARS: u64 = 10_000;
/// Milliseconds between two looks whether a host is at the other end of the port.
const LOOK: u64 = 100;
/// When so many bytes wait for the host, no more output is read.
const FULL: usize = 128 << 10;
/// When so many bytes wait for the host, no more frames are read: each could ask for an answer.
const STUFFED: usize = 1 << 20;

pub struct Channel {
    way: Way,
    /// The socket at which this machine listens.
    listener: Option<Fd>,
    stream: Option<Fd>,
    incoming: Incoming,
    pub outgoing: Outgoing,
    /// A host has said something since the stream began.
    met: bool,
    /// What the host has said could not be understood: nothing more of it is heard.
    deaf: bool,
    /// When a virtio port is looked at again.
    look: u64,
}

/// What the channel has brought.
#[derive(PartialEq, Eq)]
pub enum Brought {
    Nothing,
    /// The host asks for the machine's end.
    End,
    /// The host is gone.
    Closed,
}

impl Channel {
    pub fn open(way: Way) -> Result<Channel, Error> {
        let (listener, stream) = match way {
            Way::Virtio => (None, Some(open_port()?)),
            Way::Vsock(port) => (Some(listen(port)?), None),
        };
        let (incoming, outgoing) = (Incoming::new(), Outgoing::new());
        Ok(Channel { way, listener, stream, incoming, outgoing, met: false, deaf: false, look: 0 })
    }

    pub fn is_full(&self) -> bool {
        self.outgoing.rest().len() > FULL
    }

    /// What can go on, with the events to wait for. Returns the milliseconds until the next look.
    pub fn gates(&self, time: u64, mut add: impl FnMut(At, i16)) -> Option<u64> {
        let stream = match (&self.stream, &self.listener) {
            (Some(stream), _) => stream,
            (None, Some(listener)) => {
                add(listener.at(), libc::POLLIN);
                return None;
            }
            (None, None) => return None,
        };
        if self.look > time {
            return Some(self.look - time);
        }
        let hears = self.outgoing.rest().len() < STUFFED;
        let input = if hears { libc::POLLIN } else { 0 };
        let output = if self.outgoing.is_empty() { 0 } else { libc::POLLOUT };
        add(stream.at(), input | output);
        None
    }

    /// Carries bytes. `events`: what ppoll(2) has told of the stream, or of the listener.
    pub fn carry(&mut self, events: i16, sessions: &mut Sessions) -> Brought {
        if self.stream.is_none() {
            self.accept();
            return Brought::Nothing;
        }
        if events & libc::POLLOUT != 0 {
            self.flush();
        }
        // Bytes may lie there although the other end is closed.
        if events & libc::POLLIN != 0 {
            return self.read(sessions);
        }
        if events & (libc::POLLHUP | libc::POLLERR) != 0 {
            return self.closed(sessions);
        }
        Brought::Nothing
    }

    fn accept(&mut self) {
        let Some(listener) = &self.listener else { return };
        if let Ok(stream) = syscalls::accept4(listener.at(), Why("the host has connected")) {
            self.stream = Some(stream);
        }
    }

    /// Writes what the stream takes now.
    pub fn flush(&mut self) {
        let Some(stream) = &self.stream else { return };
        while !self.outgoing.is_empty() {
            match syscalls::write(stream.at(), self.outgoing.rest(), Why("frames for the host")) {
                Ok(0) => return,
                Ok(len) => self.outgoing.taken(len),
                Err(failed) if failed.errno == Errno::EAGAIN => return,
                // The end of the stream shows when it is read.
                Err(_) => self.outgoing = Outgoing::new(),
            }
        }
    }

    fn read(&mut self, sessions: &mut Sessions) -> Brought {
        let Some(stream) = &self.stream else { return Brought::Nothing };
        let len = match syscalls::read(stream.at(), self.incoming.room(), Why("frames of the host")) {
            Err(failed) if failed.errno == Errno::EAGAIN => return Brought::Nothing,
            read => read.unwrap_or(0),
        };
        if len == 0 {
            return self.closed(sessions);
        }
        self.met = true;
        // The port may be let go and taken again before this process looks. Then the next host begins with HELLO.
        if self.deaf && !self.incoming.room().starts_with(&greeting()) {
            return Brought::Nothing;
        }
        self.deaf = false;
        self.incoming.filled(len);
        let mut brought = Brought::Nothing;
        loop {
            let said = match self.incoming.next() {
                Ok(Some(frame)) => ToGuest::read(frame).map(|said| (frame.session, said)),
                Ok(None) => return brought,
                Err(damage) => Err(damage),
            };
            let end = matches!(said, Ok((_, ToGuest::End(_))));
            match said.and_then(|(session, said)| obey(session, said, sessions, &mut self.outgoing)) {
                Ok(()) if end => brought = Brought::End,
                Ok(()) => {}
                Err(damage) => return self.refuse(damage, sessions),
            }
        }
    }

    /// The host breaks the rules: it is told so, and heard no more.
    fn refuse(&mut self, damage: Damage, sessions: &mut Sessions) -> Brought {
        sessions.hang_up_all(true, now(), &mut self.outgoing);
        let text = format!("the channel is closed: the host has sent {}", damage.text());
        ToHost::Note(text.as_bytes()).put(MACHINE, &mut self.outgoing);
        self.flush();
        self.incoming = Incoming::new();
        self.deaf = true;
        match self.way {
            Way::Vsock(_) => self.closed(sessions),
            // A port has no end that the host would see. Closed, it stays so until the host has let go of it.
            Way::Virtio => Brought::Closed,
        }
    }

    /// The other end is closed, or is not there yet.
    fn closed(&mut self, sessions: &mut Sessions) -> Brought {
        if self.way == Way::Virtio {
            self.look = now() + LOOK;
        } else {
            self.stream = None;
        }
        if !core::mem::take(&mut self.met) {
            return Brought::Nothing;
        }
        sessions.hang_up_all(true, now(), &mut self.outgoing);
        (self.incoming, self.outgoing, self.deaf) = (Incoming::new(), Outgoing::new(), false);
        Brought::Closed
    }

    /// Whether it is a port: a machine without one has lost its host for ever.
    pub fn is_port(&self) -> bool {
        self.way == Way::Virtio
    }

    /// The stream, if there are frames that it has not taken.
    pub fn unsaid(&self) -> Option<At> {
        self.stream.as_ref().filter(|_| !self.outgoing.is_empty()).map(Fd::at)
    }
}

/// Does what a frame asks for.
fn obey(number: u32, said: ToGuest, sessions: &mut Sessions, outgoing: &mut Outgoing) -> Result<(), Damage> {
    match said {
        ToGuest::Hello(hello) => {
            let own = Hello { version: VERSION, clock: syscalls::clock_ns(libc::CLOCK_MONOTONIC) };
            ToHost::Hello(own, hello.clock).put(number, outgoing);
        }
        ToGuest::Begin(begin) => return sessions.begin(number, begin, outgoing),
        ToGuest::Input(bytes) => return sessions.input(number, bytes, now(), outgoing),
        ToGuest::Size(size) => sessions.size(number, size),
        ToGuest::Signal(signal) => {
            if let Some(text) = sessions.signal(number, signal) {
                ToHost::Note(text.as_bytes()).put(MACHINE, outgoing);
            }
        }
        ToGuest::Credit(stream, bytes) => return sessions.credit(number, stream, bytes),
        ToGuest::Close(stream) => sessions.close(number, stream, outgoing),
        ToGuest::End(_) => {}
        ToGuest::Hangup => sessions.hang_up(number, now(), outgoing),
        ToGuest::Put { name, bytes } => return sessions.put(number, name, bytes),
        ToGuest::Fetch(path) => return sessions.fetch(number, path, outgoing),
    }
    Ok(())
}

/// The bytes of HELLO up to the host's clock.
fn greeting() -> [u8; 16] {
    let mut whole = Outgoing::new();
    ToGuest::Hello(Hello { version: VERSION, clock: 0 }).put(MACHINE, &mut whole);
    whole.rest().first_chunk().copied().unwrap_or_default()
}

fn open_port() -> Result<Fd, Error> {
    let begin = now();
    let why = Why("nk.channel: the host speaks with this machine through the port of this name");
    while now() < begin + APPEARS {
        if let Some(path) = ports::named(NAME) {
            let flags = OpenFlags::O_RDWR | OpenFlags::O_NONBLOCK | OpenFlags::O_NOCTTY;
            match syscalls::openat(At::CWD, &path, flags, why) {
                // The kernel makes the file of a device a moment after its entry in sysfs.
                Err(failed) if failed.errno == Errno::ENOENT => {}
                opened => return opened.doing(format_args!("open {}", lossy(&path))),
            }
        }
        syscalls::ppoll(&mut [], Some(20), Why("the port may appear")).doing("wait for the channel's port")?;
    }
    Err(Error::State(format!(
        "nk.channel: no port of a virtio console has the name {NAME}; try: the module virtio_console in /nk/modules, and the device virtserialport of QEMU"
    )))
}

fn lossy(path: &CString) -> String {
    path.to_string_lossy().into_owned()
}

fn listen(port: u32) -> Result<Fd, Error> {
    let why = Why("nk.channel: the host connects to this port of the machine");
    let listen = || {
        let socket = syscalls::socket_vsock(why)?;
        syscalls::bind_vsock(socket.at(), port, why)?;
        syscalls::listen(socket.at(), 1, why)?;
        Ok(socket)
    };
    listen().doing(format_args!("listen at the vsock port {port}, which nk.channel names"))
}
