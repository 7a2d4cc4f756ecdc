//! Frames as bytes. A header has three numbers of 32 bits, little endian: session, kind, length of the payload. May touch:
//! nothing.

/// So many bytes at most has a payload.
pub const LONGEST: usize = 65536;
const HEADER: usize = 12;

/// What was read of a frame. The payload lies where it was received.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Frame<'a> {
    pub session: u32,
    pub kind: u32,
    pub payload: &'a [u8],
}

/// Bytes that are no frames, or a frame that breaks the rules. The stream cannot go on after it.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Damage {
    /// A payload of this length.
    Long(u32),
    /// A kind that this side does not get.
    Kind(u32),
    /// A payload that is not what its kind says.
    Payload(u32),
    /// More bytes of a stream than the other side had credit for; or more credit than bytes.
    Credit,
    /// A session that is not there, or is there already.
    Session(u32),
}

impl Damage {
    pub fn text(self) -> String {
        match self {
            Damage::Long(length) => format!("a frame of {length} bytes, and {LONGEST} is the limit"),
            Damage::Kind(kind) => format!("a frame of the unknown kind {kind}"),
            Damage::Payload(kind) => format!("a frame of kind {kind} with a payload that does not fit its kind"),
            Damage::Credit => "more bytes than there was credit for".into(),
            Damage::Session(session) => format!("a frame of session {session}, which does not fit that session"),
        }
    }
}

/// The number at a place, if the bytes are there.
pub fn number(bytes: &[u8], at: usize) -> Option<u32> {
    Some(u32::from_le_bytes(bytes.get(at..at.checked_add(4)?)?.try_into().ok()?))
}

/// The bytes that were received, in whatever pieces they came. It has room for one frame of the greatest length, and takes no
/// more memory.
pub struct Incoming {
    bytes: Vec<u8>,
    from: usize,
    to: usize,
}

impl Incoming {
    pub fn new() -> Incoming {
        Incoming { bytes: vec![0; HEADER + LONGEST], from: 0, to: 0 }
    }

    /// Where the next bytes are read to. It is never empty after `next` has returned no frame.
    pub fn room(&mut self) -> &mut [u8] {
        if self.from > 0 {
            self.bytes.copy_within(self.from..self.to, 0);
            (self.from, self.to) = (0, self.to - self.from);
        }
        self.bytes.get_mut(self.to..).unwrap_or(&mut [])
    }

    /// So many bytes were read to `room`.
    pub fn filled(&mut self, length: usize) {
        self.to = self.to.saturating_add(length).min(self.bytes.len());
    }

    /// Whether a frame has begun and is not whole.
    #[cfg(test)]
    pub fn is_torn(&self) -> bool {
        self.from < self.to
    }

    /// The next whole frame. None: more bytes are needed.
    pub fn next(&mut self) -> Result<Option<Frame<'_>>, Damage> {
        let got = self.bytes.get(self.from..self.to).unwrap_or(&[]);
        let (Some(session), Some(kind), Some(length)) = (number(got, 0), number(got, 4), number(got, 8)) else {
            return Ok(None);
        };
        let end = match length as usize {
            length if length <= LONGEST => HEADER + length,
            _ => return Err(Damage::Long(length)),
        };
        let Some(payload) = got.get(HEADER..end) else {
            return Ok(None);
        };
        self.from += end;
        Ok(Some(Frame { session, kind, payload }))
    }
}

/// Bytes that wait to be written, as a rule frames. What the credits allow is all that it has to hold.
#[derive(Default)]
pub struct Outgoing {
    bytes: Vec<u8>,
    from: usize,
}

impl Outgoing {
    pub fn new() -> Outgoing {
        Outgoing::default()
    }

    /// Appends a frame. The payload is that of all parts, and has at most `LONGEST` bytes.
    pub fn put(&mut self, session: u32, kind: u32, parts: &[&[u8]]) {
        let length: usize = parts.iter().map(|part| part.len()).sum();
        debug_assert!(length <= LONGEST);
        for number in [session, kind, length as u32] {
            self.append(&number.to_le_bytes());
        }
        parts.iter().for_each(|part| self.append(part));
    }

    /// Appends bytes as they are.
    pub fn append(&mut self, bytes: &[u8]) {
        if self.from == self.bytes.len() {
            self.bytes.clear();
            self.from = 0;
        }
        self.bytes.extend_from_slice(bytes);
    }

    /// What is not written yet.
    pub fn rest(&self) -> &[u8] {
        self.bytes.get(self.from..).unwrap_or(&[])
    }

    pub fn is_empty(&self) -> bool {
        self.rest().is_empty()
    }

    /// So many bytes of the rest were written. Room that is no longer needed is used again.
    pub fn taken(&mut self, length: usize) {
        self.from = self.from.saturating_add(length).min(self.bytes.len());
        if self.from > LONGEST {
            self.bytes.drain(..self.from);
            self.from = 0;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn all(incoming: &mut Incoming, bytes: &[u8], piece: usize) -> Result<Vec<(u32, u32, Vec<u8>)>, Damage> {
        let mut frames = Vec::new();
        let mut rest = bytes;
        while !rest.is_empty() {
            let room = incoming.room();
            let (now, later) = rest.split_at(rest.len().min(room.len()).min(piece));
            room[..now.len()].copy_from_slice(now);
            incoming.filled(now.len());
            rest = later;
            while let Some(frame) = incoming.next()? {
                frames.push((frame.session, frame.kind, frame.payload.to_vec()));
            }
        }
        Ok(frames)
    }

    #[test]
    fn frames_arrive_in_pieces_of_any_size() {
        let mut out = Outgoing::new();
        let long = vec![7u8; LONGEST];
        out.put(1, 102, &[b"one", b"", b"two"]);
        out.put(0xffff_ffff, 3, &[]);
        out.put(2, 103, &[&long]);
        out.put(3, 104, &[&[1, 0, 0, 0]]);
        let want = vec![
            (1, 102, b"onetwo".to_vec()),
            (0xffff_ffff, 3, Vec::new()),
            (2, 103, long),
            (3, 104, vec![1, 0, 0, 0]),
        ];
        let bytes = out.rest().to_vec();
        for piece in [1, 2, 5, 11, 12, 13, 4096, LONGEST] {
            let mut incoming = Incoming::new();
            assert_eq!(all(&mut incoming, &bytes, piece), Ok(want.clone()), "{piece}");
            assert!(!incoming.is_torn());
        }
    }

    #[test]
    fn the_room_takes_the_longest_frame_and_no_more() {
        let mut incoming = Incoming::new();
        let mut header = Vec::new();
        [1u32, 2, LONGEST as u32 + 1].iter().for_each(|number| header.extend(number.to_le_bytes()));
        assert_eq!(all(&mut incoming, &header, 12), Err(Damage::Long(LONGEST as u32 + 1)));
        let mut incoming = Incoming::new();
        header[8..12].copy_from_slice(&u32::MAX.to_le_bytes());
        assert_eq!(all(&mut incoming, &header, 3), Err(Damage::Long(u32::MAX)));
        // A frame that is not whole leaves room for its rest.
        let mut incoming = Incoming::new();
        header[8..12].copy_from_slice(&(LONGEST as u32).to_le_bytes());
        assert_eq!(all(&mut incoming, &header, 12), Ok(Vec::new()));
        assert!(incoming.is_torn());
        assert_eq!(incoming.room().len(), LONGEST);
    }

    #[test]
    fn what_was_written_makes_room() {
        let mut out = Outgoing::new();
        for round in 0..100u32 {
            out.put(round, 1, &[&[0; LONGEST]]);
            let half = out.rest().len() / 2;
            out.taken(half);
            assert!(number(out.rest(), 0).is_some());
            out.taken(out.rest().len());
            assert!(out.is_empty());
        }
        assert!(out.bytes.capacity() < 4 * LONGEST);
        out.taken(5);
        assert!(out.rest().is_empty());
    }
}
