//! A trace as a page for a browser: one file that loads nothing else. The page is three texts, of which the build packs the
//! script, the style and the frame; the data stands in it as JSON. May touch: the views of traces, the world, the plan, the
//! book.

mod calls;
mod lines;
mod meanings;
mod replay;
mod strings;
mod traced;

pub use traced::Page;

use super::markup::{escaped, with_words};
use crate::packed::packed;
use crate::trace::Filter;
use alloc::collections::BTreeMap;
use calls::Told;
use meanings::{Meaning, Meanings};
use serde::Serialize;
use strings::Strings;

/// What the script of the page reads.
#[derive(Serialize)]
struct Data<'a> {
    strings: Vec<&'a str>,
    traces: Vec<Told>,
    book: BTreeMap<&'a str, &'a Meaning>,
    /// The options of the command line that leave calls out.
    asked: &'a str,
}

/// The page of these traces. It begins with the calls that a filter shows, if the command line asked for one in these words.
pub fn page(traces: &[Page], asked: &str, filter: &Filter) -> String {
    let (mut strings, mut meanings) = (Strings::default(), Meanings::new());
    let traces_told = traces.iter().map(|trace| calls::told(trace, filter, &mut strings, &mut meanings)).collect();
    let data = Data { strings: strings.all().collect(), traces: traces_told, book: meanings.found(), asked };
    let names: Vec<&str> = traces.iter().map(|trace| trace.name).collect();
    with_words(
        packed!("draw/page/page.html"),
        &[
            ("{TITLE}", &escaped(&format!("Trace of {}", names.join(", ")))),
            ("{STYLE}", packed!("draw/page/page.css")),
            ("{SCRIPT}", packed!("draw/page/page.js")),
            ("{DATA}", &json(&data)),
        ],
    )
}

/// JSON that no browser reads as markup.
fn json(data: &Data) -> String {
    serde_json::to_string(data).unwrap_or_default().replace('<', "\\u003c")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_text_of_the_data_is_markup() {
        let data = Data { strings: vec!["</script><!--"], traces: Vec::new(), book: BTreeMap::new(), asked: "" };
        let text = json(&data);
        assert!(!text.contains('<') && text.contains("\\u003c/script>"), "{text}");
        assert_eq!(escaped("<a href=\"&\">"), "&lt;a href=&quot;&amp;&quot;&gt;");
    }
}
