//! What is written into a record while it is made: blobs, one after the other.

use core::fmt::{Error, Write};

/// The bytes of a record, and how far they are written.
pub(super) struct Sheet<'a> {
    bytes: &'a mut [u8],
    pub at: usize,
    /// What the blob holds is the beginning of what there is.
    pub cut: bool,
}

/// The bytes before a blob's text: its tag, its flags, its length.
const HEAD: usize = 4;

impl<'a> Sheet<'a> {
    pub fn new(bytes: &'a mut [u8], at: usize) -> Sheet<'a> {
        Sheet { bytes, at, cut: false }
    }

    /// Writes a blob. If `write` finds no room, or cannot read what it is to show, there is none.
    pub fn blob(&mut self, tag: u8, write: impl FnOnce(&mut Sheet) -> Option<()>) -> bool {
        let start = self.at;
        self.cut = false;
        self.at += HEAD;
        let done = if self.at > self.bytes.len() { None } else { write(self) };
        let len = self.at.saturating_sub(start + HEAD);
        let whole = done.is_some() && len <= usize::from(u16::MAX);
        let Some(head) = self.bytes.get_mut(start..start + HEAD).filter(|_| whole) else {
            let end = self.at.min(self.bytes.len());
            self.bytes[start.min(end)..end].fill(0);
            self.at = start;
            return false;
        };
        let [a, b] = (len as u16).to_ne_bytes();
        head.copy_from_slice(&[tag, 2 | self.cut as u8, a, b]);
        true
    }

    pub fn put(&mut self, bytes: &[u8]) -> Option<()> {
        self.bytes.get_mut(self.at..)?.get_mut(..bytes.len())?.copy_from_slice(bytes);
        self.at += bytes.len();
        Some(())
    }

    /// Has `fill` write what it can into the next bytes, at most `most` of them. It returns how many it has written.
    pub fn fill(&mut self, most: usize, fill: impl FnOnce(&mut [u8]) -> usize) -> usize {
        let room = self.bytes.get_mut(self.at..).unwrap_or_default();
        let most = most.min(room.len());
        let len = fill(&mut room[..most]).min(most);
        self.at += len;
        len
    }

    /// All that was written so far.
    pub fn bytes(&mut self) -> &mut [u8] {
        self.bytes
    }
}

impl Write for Sheet<'_> {
    fn write_str(&mut self, text: &str) -> core::fmt::Result {
        self.put(text.as_bytes()).ok_or(Error)
    }
}
