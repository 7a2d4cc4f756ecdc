//! A trace as a picture, one file each. May touch: the views of traces, the world that calls make.

pub mod dot;

use crate::cli::Picture;
use crate::trace::Piece;

/// The picture of a trace. `name`: what the trace is called.
pub fn draw(picture: Picture, name: &str, pieces: &[Piece]) -> String {
    match picture {
        Picture::Dot => dot::graph(name, pieces),
    }
}
