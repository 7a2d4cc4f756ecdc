//! What a page needs to know of a trace. May touch: types.

use crate::plan::Plan;
use crate::trace::Piece;
use serde_json::Value;

/// What a page shows of one trace.
pub struct Page<'a> {
    pub name: &'a str,
    /// What is added to the clock of records to get the time of day.
    pub epoch: u64,
    pub pieces: &'a [Piece<'a>],
    /// What the container was made from, where it is at hand.
    pub config: Option<&'a Value>,
    pub plan: Option<&'a Plan>,
}
