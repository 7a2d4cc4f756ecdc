//! Packs the long texts of the program, which few runs read: a third of their size is left. `src/packed.rs` unpacks them.
//!
//! A byte below 128 is itself, since the texts are ASCII. Two bytes from 128 on, or three from 192 on, are a copy of what
//! stands before: how many bytes, and how far back.

use std::collections::HashMap;
use std::path::Path;
use std::{env, fs, io};

/// Below `src`.
const TEXTS: [&str; 33] = [
    "beside/table.html",
    "cause/facts.txt",
    "cause/texts.txt",
    "check/texts.txt",
    "compare/sections.txt",
    "draw/page/page.css",
    "draw/page/page.html",
    "draw/page/page.js",
    "draw/svg.css",
    "explain/texts/capabilities.txt",
    "explain/texts/calls.txt",
    "explain/texts/concepts.txt",
    "explain/texts/errnos.txt",
    "explain/texts/flags-files.txt",
    "explain/texts/flags-mounts.txt",
    "explain/texts/flags-processes.txt",
    "explain/texts/flags-signals-sockets.txt",
    "explain/texts/flags-terminals.txt",
    "explain/texts/hints.txt",
    "explain/texts/inspect.txt",
    "explain/texts/lifecycle.txt",
    "explain/texts/namespaces.txt",
    "explain/texts/options.txt",
    "explain/texts/properties.txt",
    "lint/rules.txt",
    "look/texts/open.txt",
    "say/refused.txt",
    "stepper/calls.txt",
    "stepper/screens.txt",
    "watch/fallbacks.txt",
    "watch/refused/capabilities.txt",
    "watch/refused/texts.txt",
    "world/milestones.txt",
];

/// How many places with the same three bytes are tried.
const TRIED: usize = 200;

/// A copy of 3 to 10 bytes from at most 2^11 bytes before, in two bytes.
const NEAR: (usize, usize, usize) = (3, 10, 1 << 11);
/// A copy of 4 to 35 bytes from at most 2^17 bytes before, in three bytes.
const FAR: (usize, usize, usize) = (4, 35, 1 << 17);

fn main() -> io::Result<()> {
    let home = env::var("CARGO_MANIFEST_DIR").map_err(io::Error::other)?;
    let out = env::var("OUT_DIR").map_err(io::Error::other)?;
    println!("cargo::rerun-if-changed=scripts/pack.rs");
    // What scripts/order writes there changes the program, and cargo does not see by itself that it did.
    println!("cargo::rerun-if-changed=.cargo");
    for name in TEXTS {
        // tests/fuzz is another package, with the same sources.
        let path = Path::new(&home).ancestors().map(|top| top.join("src").join(name)).find(|path| path.is_file());
        let path = path.ok_or_else(|| io::Error::other(format!("{name} is not there")))?;
        println!("cargo::rerun-if-changed={}", path.display());
        let text = fs::read(path)?;
        if !text.is_ascii() {
            return Err(io::Error::other(format!("{name} is not ASCII")));
        }
        let packed = Path::new(&out).join(name);
        fs::create_dir_all(packed.parent().unwrap_or(Path::new(&out)))?;
        fs::write(packed, pack(&text))?;
    }
    Ok(())
}

/// The longest copy for each place: its length and how far back, near and far. (0, 0): there is none.
fn copies(text: &[u8]) -> Vec<[(usize, usize); 2]> {
    let mut seen: HashMap<&[u8], Vec<usize>> = HashMap::new();
    let mut all = vec![[(0, 0); 2]; text.len()];
    for (at, three) in text.windows(3).enumerate() {
        let places = seen.entry(three).or_default();
        for place in places.iter().rev().take(TRIED) {
            let same =
                text[at..].iter().zip(&text[*place..]).take(FAR.1).take_while(|(one, other)| one == other).count();
            for (best, (least, most, reach)) in all[at].iter_mut().zip([NEAR, FAR]) {
                let length = same.min(most);
                if length >= least && length > best.0 && at - place <= reach {
                    *best = (length, at - place);
                }
            }
        }
        places.push(at);
    }
    all
}

/// The shortest form: from the end on, each place takes what makes the rest shortest.
fn pack(text: &[u8]) -> Vec<u8> {
    let copies = copies(text);
    let mut sizes = vec![0; text.len() + 1];
    let mut steps = vec![(1, 0, 1); text.len()];
    for at in (0..text.len()).rev() {
        let mut best = (sizes[at + 1] + 1, (1, 0, 1));
        for ((longest, back), (least, bytes)) in copies[at].into_iter().zip([(NEAR.0, 2), (FAR.0, 3)]) {
            for length in least..=longest {
                best = best.min((sizes[at + length] + bytes, (length, back, bytes)));
            }
        }
        (sizes[at], steps[at]) = best;
    }
    let mut out = Vec::new();
    let mut at = 0;
    while at < text.len() {
        let (length, back, bytes) = steps[at];
        match bytes {
            1 => out.push(text[at]),
            2 => {
                let back = back - 1;
                out.extend([128 | (length - NEAR.0) << 3 | back >> 8, back & 255].map(|byte| byte as u8));
            }
            _ => {
                let back = back - 1;
                out.extend(
                    [192 | (length - FAR.0) << 1 | back >> 16, back >> 8 & 255, back & 255].map(|byte| byte as u8),
                );
            }
        }
        at += length;
    }
    out
}
