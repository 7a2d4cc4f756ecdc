//! Any text as a listing of strace, and the world that its calls make.
#![no_main]

use libfuzzer_sys::fuzz_target;
use product::listing::Listing;
use product::world::{Deed, World};

fuzz_target!(|text: &str| {
    let listing = Listing::of(&[(0, text)]);
    assert_eq!(listing.lines.len(), text.lines().count());
    let mut world = World::default();
    for call in &listing.calls {
        world.take(&Deed::listed(call));
    }
});
