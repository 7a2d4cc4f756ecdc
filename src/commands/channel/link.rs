//! A stream of frames over a socket. No call on it waits. May touch: everything below.

use crate::frames::{Incoming, Outgoing};
use syscalls::{At, Errno, Fd, PollFd, Result, Why};

/// So many bytes that wait to be written are enough: until they are fewer nothing more is taken for them.
const ENOUGH: usize = 1 << 20;

pub struct Link {
    socket: Fd,
    pub incoming: Incoming,
    pub out: Outgoing,
    /// The other side has closed it.
    pub closed: bool,
}

impl Link {
    pub fn new(socket: Fd) -> Link {
        Link { socket, incoming: Incoming::new(), out: Outgoing::new(), closed: false }
    }

    /// Whether what waits to be written should become less first.
    pub fn is_full(&self) -> bool {
        self.out.rest().len() > ENOUGH
    }

    /// The row for ppoll(2). `reads`: what comes can be taken now.
    pub fn row(&self, reads: bool) -> PollFd {
        let events = if reads { libc::POLLIN } else { 0 } | if self.out.is_empty() { 0 } else { libc::POLLOUT };
        row(Some(self.socket.at()).filter(|_| events != 0 && !self.closed), events)
    }

    /// Reads and writes once, as the row has come back.
    pub fn carry(&mut self, ready: i16) -> Result<()> {
        if ready & libc::POLLOUT != 0 {
            let why = Why("what this side says goes through the channel");
            match syscalls::write(self.socket.at(), self.out.rest(), why) {
                Ok(length) => self.out.taken(length),
                Err(failed) => self.lost(failed)?,
            }
        }
        // The side that has closed it may have said why. That can still be read.
        if ready & !libc::POLLOUT != 0 || ready != 0 && self.closed {
            match syscalls::read(self.socket.at(), self.incoming.room(), Why("what the other side says")) {
                Ok(0) => self.closed = true,
                Ok(length) => self.incoming.filled(length),
                Err(failed) => self.lost(failed)?,
            }
        }
        Ok(())
    }

    fn lost(&mut self, failed: syscalls::Failed) -> Result<()> {
        match failed.errno {
            Errno::EAGAIN => Ok(()),
            Errno::EPIPE | Errno::ECONNRESET => {
                self.closed = true;
                Ok(())
            }
            _ => Err(failed),
        }
    }
}

/// A row of the table. The kernel skips a negative number.
pub fn row(fd: Option<At>, events: i16) -> PollFd {
    PollFd { fd: fd.map_or(-1, At::raw), events, revents: 0 }
}
