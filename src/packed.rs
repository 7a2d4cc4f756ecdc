//! The long texts of the program, which few runs read. The build packs them (scripts/pack.rs); the first reader of a text unpacks
//! it. May touch: nothing.

use syscalls::Alone;

/// A text of `src`, by its path there.
macro_rules! packed {
    ($path:literal) => {{
        const BYTES: &[u8] = include_bytes!(concat!(env!("OUT_DIR"), "/", $path));
        // .cargo/packed.ld finds them by this name.
        static PACKED: [u8; BYTES.len()] = *include_bytes!(concat!(env!("OUT_DIR"), "/", $path));
        static TEXT: $crate::packed::Text = $crate::packed::Text::unread();
        TEXT.of(&PACKED)
    }};
}
pub(crate) use packed;

/// Where a text lies once it is unpacked.
pub struct Text(Alone<Option<&'static str>>);

impl Text {
    pub const fn unread() -> Text {
        Text(Alone::new(None))
    }

    pub fn of(&self, packed: &[u8]) -> &'static str {
        let known = self.0.with(|text| *text.get_or_insert_with(|| unpacked(packed)));
        known.unwrap_or_else(|| unpacked(packed))
    }
}

/// The text of bytes that scripts/pack.rs has packed.
fn unpacked(packed: &[u8]) -> &'static str {
    let mut out = Vec::new();
    let mut bytes = packed.iter().map(|byte| usize::from(*byte));
    while let Some(first) = bytes.next() {
        let mut next = || bytes.next().unwrap_or(0);
        let (length, back) = match first {
            0..128 => {
                out.push(first as u8);
                continue;
            }
            128..192 => ((first >> 3 & 7) + 3, (first & 7) << 8 | next()),
            _ => ((first >> 1 & 31) + 4, (first & 1) << 16 | next() << 8 | next()),
        };
        for _ in 0..length {
            out.push(out.len().checked_sub(back + 1).map_or(b' ', |place| out[place]));
        }
    }
    String::from_utf8(out).unwrap_or_default().leak()
}

#[cfg(test)]
mod tests {
    #[test]
    fn a_text_is_what_its_file_says() {
        macro_rules! same {
            ($($path:literal)*) => { $(assert!(packed!($path) == include_str!($path), $path);)* };
        }
        same!("explain/texts/calls.txt" "explain/texts/hints.txt" "cause/texts.txt" "watch/refused/texts.txt");
        same!("lint/rules.txt" "say/refused.txt" "world/milestones.txt");
        same!("draw/page/page.html" "draw/page/page.css" "draw/page/page.js");
    }

    #[test]
    fn what_is_no_packed_text_ends() {
        for packed in [&[200][..], &[255, 255, 255], &[b'a', 130]] {
            super::unpacked(packed);
        }
    }
}
