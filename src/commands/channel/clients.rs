//! Other commands of the host that speak with the machine. They connect to STATE/ID/channel, which this user alone may do. Each
//! numbers its sessions itself; the machine gets numbers of this command's. A client that stops reading, or breaks the rules,
//! stops itself alone. May touch: everything below.

use super::link::{Link, row};
use super::local::SESSION;
use crate::frames::{Credit, Damage, Hello, MACHINE, Outgoing, Stream, ToGuest, ToHost, VERSION};
use crate::perform::callers;
use crate::state;
use syscalls::{At, Fd, PollFd, Why};

/// So many clients at once, and so many sessions of each.
const MOST: usize = 64;
const SESSIONS: usize = 16;

/// A session that is carried.
struct Carried {
    client: u32,
    /// The client's number, and the machine's.
    theirs: u32,
    ours: u32,
    /// The machine knows of it.
    begun: bool,
    input: Credit,
    output: [Credit; 2],
    /// Its client has gone.
    orphan: bool,
}

pub struct Clients {
    socket: Fd,
    all: Vec<(u32, Link)>,
    sessions: Vec<Carried>,
    /// The next client's number, and the next session's.
    next: (u32, u32),
}

impl Clients {
    /// Listens. `dir`: the directory of the container's state.
    pub fn listen(dir: At) -> syscalls::Result<Clients> {
        let why = Why("other commands reach the container through this one");
        let socket = syscalls::socket_unix(why)?;
        let why = Why("who connects can run programs in the container: this user and root may");
        syscalls::fchmod(socket.at(), 0o600, why)?;
        let why = Why("other commands reach the container through this one");
        syscalls::bind_unix(socket.at(), &callers::below(dir, state::CHANNEL), why)?;
        syscalls::listen(socket.at(), MOST, why)?;
        Ok(Clients { socket, all: Vec::new(), sessions: Vec::new(), next: (0, SESSION + 1) })
    }

    /// The rows for ppoll(2): the socket, and one for each client. `full`: the machine has enough to read.
    pub fn rows(&self, full: bool, table: &mut Vec<PollFd>) {
        table.push(row(Some(self.socket.at()), libc::POLLIN));
        table.extend(self.all.iter().map(|(_, link)| link.row(!full && !link.is_full())));
    }

    pub fn is_empty(&self) -> bool {
        self.sessions.iter().all(|session| session.orphan)
    }

    /// Carries what has come from clients. `clock`: the machine's.
    pub fn carry(&mut self, ready: &[PollFd], clock: u64, out: &mut Outgoing) {
        let mut ready = ready.iter().map(|row| row.revents);
        let connected = ready.next().unwrap_or(0) != 0;
        let mut gone = Vec::new();
        for ((number, link), ready) in self.all.iter_mut().zip(ready) {
            let carried = ready == 0 || link.carry(ready).is_ok();
            let good = carried && hear(*number, link, &mut self.sessions, &mut self.next.1, clock, out).is_ok();
            if !good || link.closed {
                gone.push(*number);
            }
        }
        gone.into_iter().for_each(|number| self.hang_up(number, out));
        if connected && let Ok(socket) = syscalls::accept4(self.socket.at(), Why("another command has a wish")) {
            self.enter(Link::new(socket), out);
        }
    }

    /// A client comes. If there are as many as there can be, the eldest of those goes that have asked for nothing. If all have
    /// asked for something, the one that comes is told so, and goes.
    fn enter(&mut self, mut link: Link, out: &mut Outgoing) {
        if self.all.len() >= MOST {
            let Some(idle) = self.idle() else {
                let text = format!("{MOST} commands are at work in it, the most at once: try again when one has ended");
                ToHost::Note(text.as_bytes()).put(MACHINE, &mut link.out);
                // A socket that was just accepted has room for one line.
                let _ = link.carry(libc::POLLOUT);
                return;
            };
            self.hang_up(idle, out);
        }
        self.next.0 = self.next.0.wrapping_add(1);
        self.all.push((self.next.0, link));
    }

    /// The eldest client that has asked for nothing, and has had all its answers.
    fn idle(&self) -> Option<u32> {
        let asks = |number: u32| self.sessions.iter().any(|session| session.client == number && session.begun);
        self.all.iter().find(|(number, link)| link.out.is_empty() && !asks(*number)).map(|(number, _)| *number)
    }

    /// A client has gone: the machine ends what it asked for.
    fn hang_up(&mut self, number: u32, out: &mut Outgoing) {
        self.all.retain(|(other, _)| *other != number);
        for session in self.sessions.iter_mut().filter(|session| session.client == number && !session.orphan) {
            session.orphan = true;
            ToGuest::Hangup.put(session.ours, out);
        }
        // The machine tells the end of what it knows.
        self.sessions.retain(|session| !session.orphan || session.begun);
    }

    /// No client may begin anything more.
    pub fn close(&mut self, out: &mut Outgoing) {
        let numbers: Vec<u32> = self.all.iter().map(|(number, _)| *number).collect();
        numbers.into_iter().for_each(|number| self.hang_up(number, out));
    }

    /// Takes a frame of the machine's for a session that is not this command's own.
    pub fn take(&mut self, number: u32, said: ToHost, out: &mut Outgoing) -> Result<(), Damage> {
        let known = self.sessions.iter_mut().find(|session| session.ours == number && session.begun);
        let session = known.ok_or(Damage::Session(number))?;
        match said {
            ToHost::Output(stream, bytes) => {
                let credit = &mut session.output[usize::from(stream == Stream::Err)];
                if bytes.len() > credit.left() {
                    return Err(Damage::Credit);
                }
                credit.spend(bytes.len());
                if session.orphan && !bytes.is_empty() {
                    credit.answered(bytes.len() as u32)?;
                    ToGuest::Credit(stream, bytes.len() as u32).put(number, out);
                }
            }
            ToHost::Credit(bytes) => session.input.answered(bytes)?,
            ToHost::Exit(_) | ToHost::Hello(..) | ToHost::Note(_) => {}
        }
        let (client, theirs) = (session.client, session.theirs);
        if let Some((_, link)) = self.all.iter_mut().find(|(other, _)| *other == client) {
            said.put(theirs, &mut link.out);
        }
        if matches!(said, ToHost::Exit(_)) {
            self.sessions.retain(|session| session.ours != number);
        }
        Ok(())
    }
}

/// Hands on what a client has said.
fn hear(
    client: u32,
    link: &mut Link,
    sessions: &mut Vec<Carried>,
    next: &mut u32,
    clock: u64,
    out: &mut Outgoing,
) -> Result<(), Damage> {
    let Link { incoming, out: back, .. } = link;
    while let Some(frame) = incoming.next()? {
        let said = ToGuest::read(frame)?;
        if let ToGuest::Hello(hello) = said {
            ToHost::Hello(Hello { version: VERSION, clock }, hello.clock).put(MACHINE, back);
            continue;
        }
        let known = sessions.iter().position(|session| (session.client, session.theirs) == (client, frame.session));
        let begins = matches!(said, ToGuest::Begin(_) | ToGuest::Fetch(_));
        let place = match (known, begins || matches!(said, ToGuest::Put { .. })) {
            (Some(place), _) => place,
            (None, true) => {
                let own = sessions.iter().filter(|session| session.client == client).count();
                if own >= SESSIONS {
                    return Err(Damage::Session(frame.session));
                }
                while *next <= SESSION || sessions.iter().any(|session| session.ours == *next) {
                    *next = next.wrapping_add(1);
                }
                let output = [Credit::WHOLE; 2];
                let (theirs, ours, input) = (frame.session, *next, Credit::WHOLE);
                sessions.push(Carried { client, theirs, ours, begun: false, input, output, orphan: false });
                *next = next.wrapping_add(1);
                sessions.len() - 1
            }
            // It has ended meanwhile; END is not for clients.
            (None, false) if frame.session != MACHINE => continue,
            (None, false) => return Err(Damage::Session(MACHINE)),
        };
        let Some(session) = sessions.get_mut(place) else { continue };
        match said {
            ToGuest::Begin(_) | ToGuest::Fetch(_) | ToGuest::Put { .. } if session.begun => {
                return Err(Damage::Session(frame.session));
            }
            ToGuest::Begin(_) | ToGuest::Fetch(_) => session.begun = true,
            ToGuest::Put { .. } => {}
            _ if !session.begun => return Err(Damage::Session(frame.session)),
            ToGuest::Input(bytes) if bytes.len() > session.input.left() => return Err(Damage::Credit),
            ToGuest::Input(bytes) => session.input.spend(bytes.len()),
            ToGuest::Credit(stream, bytes) => session.output[usize::from(stream == Stream::Err)].answered(bytes)?,
            _ => {}
        }
        said.put(session.ours, out);
    }
    Ok(())
}
