//! Arguments as strace shows them, read back: texts, numbers, flags, members of structures. May touch: strings.

pub use crate::listing::parts;

/// The text of a string, with its escapes undone. None: the argument is NULL or an address.
pub fn text(arg: &str) -> Option<String> {
    let inner = arg.strip_prefix('"')?;
    let mut bytes = Vec::with_capacity(inner.len());
    let mut rest = inner.bytes().peekable();
    while let Some(byte) = rest.next() {
        match byte {
            b'"' => break,
            b'\\' => match rest.next()? {
                b'n' => bytes.push(b'\n'),
                b't' => bytes.push(b'\t'),
                b'r' => bytes.push(b'\r'),
                b'v' => bytes.push(0x0b),
                b'f' => bytes.push(0x0c),
                b'x' => {
                    let mut digit = || rest.next().and_then(|digit| char::from(digit).to_digit(16));
                    bytes.push((digit()? * 16 + digit()?) as u8);
                }
                first @ b'0'..=b'7' => {
                    let mut value = u32::from(first - b'0');
                    for _ in 0..2 {
                        let Some(digit) = rest.next_if(|digit| matches!(digit, b'0'..=b'7')) else { break };
                        value = value * 8 + u32::from(digit - b'0');
                    }
                    bytes.push(value as u8);
                }
                other => bytes.push(other),
            },
            byte => bytes.push(byte),
        }
    }
    Some(String::from_utf8_lossy(&bytes).into_owned())
}

/// A number; also that of a descriptor with its name, as `3</dev>`.
pub fn number(arg: &str) -> Option<i64> {
    let word = arg.split(['<', ' ']).next().unwrap_or(arg);
    match word {
        "AT_FDCWD" => Some(libc::AT_FDCWD.into()),
        _ if word.starts_with("0x") => i64::from_str_radix(&word[2..], 16).ok(),
        _ if word.starts_with('0') && word.len() > 1 => i64::from_str_radix(word, 8).ok(),
        _ => word.parse().ok(),
    }
}

/// Whether flags have a word. They may stand in a structure.
pub fn flag(arg: &str, word: &str) -> bool {
    arg.split(['|', '{', '}', '=', ',', ' ']).any(|flag| flag == word)
}

/// A member of a structure.
pub fn member<'a>(arg: &'a str, name: &str) -> Option<&'a str> {
    let begin = arg.find('{')?;
    let inner = &arg[begin + 1..];
    let value = |part: &'a str| part.split_once('=').filter(|(found, _)| *found == name).map(|(_, value)| value);
    parts(inner).into_iter().find_map(value).map(|value| match value.starts_with(['{', '[']) {
        true => value,
        false => value.trim_end_matches(['}', ']']),
    })
}

/// The elements of a list in brackets: `[3, 4]`, or with blanks between them.
pub fn list(arg: &str) -> Vec<&str> {
    let Some(inner) = arg.trim().strip_prefix('[') else { return Vec::new() };
    let inner = inner.split(']').next().unwrap_or("");
    inner.split([',', ' ']).map(str::trim).filter(|word| !word.is_empty()).collect()
}
