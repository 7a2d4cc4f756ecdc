//! A trace as a picture, one file each. May touch: the views of traces, the world that calls make.

pub mod dot;
mod folded;
mod html;
pub mod markup;
mod perfetto;
mod svg;

pub use html::{Page, page as html};

use crate::cli::Picture;
use crate::trace::{self, Filter, Piece};

/// The picture of a trace. `name`: what the trace is called.
pub fn draw(picture: Picture, name: &str, pieces: &[Piece]) -> String {
    match picture {
        Picture::Svg => svg::slide(name, pieces),
        Picture::Perfetto => perfetto::events(name, pieces),
        Picture::Folded => folded::stacks(pieces),
        Picture::Dot => dot::graph(name, pieces),
        Picture::Html => {
            html(&[Page { name, epoch: trace::epoch(), pieces, config: None, plan: None }], "", &Filter::default())
        }
    }
}
