//! Any bytes as a recorder, shown in every way.
#![no_main]

use libfuzzer_sys::fuzz_target;
use product::cli::{Format, Picture, TraceCmd};
use product::draw;
use product::trace::{Filter, Piece, Screen, View};
use syscalls::record;

fuzz_target!(|bytes: &[u8]| {
    let (filter, screen) = (Filter::default(), Screen { width: 80, color: true });
    for format in [Format::Text, Format::Strace, Format::Json] {
        let look = TraceCmd { all: true, ..TraceCmd::default() };
        let view = View { format, look: &look, filter: &filter, screen, epoch: 0 };
        let text = view.render(&[Piece::new(bytes)], "a trace");
        let most = 40 * bytes.len() + 4096 * (1 + record::offsets(bytes).count());
        assert!(text.len() <= most);
    }
    for picture in [Picture::Dot, Picture::Html, Picture::Svg, Picture::Perfetto, Picture::Folded] {
        draw::draw(picture, "a trace", &[Piece::new(bytes)]);
    }
});
