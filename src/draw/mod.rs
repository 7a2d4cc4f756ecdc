//! A trace as a picture, one file each. May touch: the views of traces, the world that calls make.

pub mod dot;
mod html;

pub use html::{Page, page as html};

use crate::cli::Picture;
use crate::trace::{self, Filter, Piece};

/// The picture of a trace. `name`: what the trace is called.
pub fn draw(picture: Picture, name: &str, pieces: &[Piece]) -> String {
    match picture {
        Picture::Dot => dot::graph(name, pieces),
        Picture::Html => {
            html(&[Page { name, epoch: trace::epoch(), pieces, config: None, plan: None }], "", &Filter::default())
        }
    }
}
