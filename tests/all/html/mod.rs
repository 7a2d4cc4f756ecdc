//! `trace --format html` as a person uses it, in Chromium without a screen: by keyboard alone, by mouse, in the dark, on paper. The
//! page may ask for nothing, and what a container names things must not become markup.

mod browser;

use crate::bundle::Bundle;
use crate::{Failed, Outcome, area, ensure, same};
use browser::Browser;
use libtest_mimic::Trial;
use serde_json::{Value, json};
use std::collections::BTreeSet;
use std::fs;
use std::path::PathBuf;

pub fn cases() -> Vec<Trial> {
    area(
        "html",
        &[
            ("every_call_is_reached_by_keyboard_alone", keyboard),
            ("the_page_of_a_failure_begins_with_it", failure),
            ("a_program_that_is_missing_has_its_own_hint", missing),
            ("the_demo_says_why_it_cannot_write_its_page", unwritable),
            ("filters_of_the_command_line_are_on_at_first", asked),
            ("a_call_is_told_with_its_line_its_configuration_and_its_source", told),
            ("a_configuration_that_was_changed_since_is_not_shown", changed),
            ("the_world_grows_as_the_container_does", world),
            ("the_mouse_zooms_moves_and_chooses", mouse),
            ("search_and_filter_leave_what_was_asked_for", filter),
            ("light_and_dark", themes),
            ("on_paper_each_call_is_a_row", paper),
            ("what_reads_the_screen_aloud_finds_lists_and_news", aloud),
            ("no_name_in_a_trace_is_markup", hostile),
            ("several_traces_are_aligned", several),
            ("ten_thousand_records_open_and_zoom", many),
        ],
    )
}

/// The size of a page of a usual run, in bytes.
const SMALL: usize = 300_000;

/// The page of these traces, in a file.
fn page(bundle: &Bundle, ids: &[&str]) -> Result<PathBuf, Failed> {
    let words = [&["trace", "--format", "html"], ids].concat();
    let path = bundle.path("said/page.html");
    fs::write(&path, bundle.call(&words)?.ok()?.out)?;
    Ok(path)
}

/// A container has run, and its page is open.
fn opened(bundle: &Bundle) -> Result<Browser, Failed> {
    let path = page(bundle, &[&bundle.id])?;
    let mut browser = Browser::start(1280, 800)?;
    browser.open(&path)?;
    Ok(browser)
}

fn ran() -> Result<Bundle, Failed> {
    let bundle = Bundle::plain()?;
    bundle.bundled(&["run"])?.ok()?;
    Ok(bundle)
}

/// The end of a case: the page has asked for nothing.
fn closed(mut browser: Browser, bundle: Bundle) -> Outcome {
    browser.is_content()?;
    browser.end()?;
    bundle.clean()
}

/// The records of the container.
fn records(bundle: &Bundle) -> Result<Vec<Value>, Failed> {
    lines(&bundle.call(&["trace", "--format", "json", &bundle.id])?.ok()?.out)
}

/// Each line that is a record.
fn lines(text: &str) -> Result<Vec<Value>, Failed> {
    let all: Result<Vec<Value>, _> =
        text.lines().filter(|line| line.starts_with('{')).map(serde_json::from_str).collect();
    Ok(all?)
}

/// Fails the case with this message unless a comparison of numbers holds.
fn holds(condition: bool, message: &str) -> Outcome {
    ensure!(condition, "{message}");
    Ok(())
}

/// The row that is chosen: its number, if it is an element that can be seen.
const CHOSEN: &str = r#"(() => {
    const row = document.querySelector("[role=option][aria-selected=true]");
    const [place, frame] = [row.getBoundingClientRect(), document.getElementById("calls").getBoundingClientRect()];
    const seen = place.top >= frame.top - 1 && place.bottom <= frame.bottom + 1;
    return seen && document.getElementById("calls").getAttribute("aria-activedescendant") === row.id ? Number(row.dataset.number) : -1;
})()"#;

fn keyboard() -> Outcome {
    let bundle = Bundle::plain()?;
    let path = bundle.path("said/demo.html");
    let words = ["demo", "--trace=json", "--html", &path.display().to_string()];
    let done = bundle.call(&words)?;
    same("the demo's status", done.status, 0)?;
    let all = lines(&done.err)?;
    let size = fs::metadata(&path)?.len() as usize;
    ensure!(size < SMALL, "the page has {size} bytes");
    let mut browser = Browser::start(1280, 800)?;
    browser.open(&path)?;
    // The demo reads its trace when the container is gone, and makes the page of what is on record by then.
    let gone = all.iter().find(|r| r["call"] == "renameat2" && r["source"].to_string().contains("traces.rs"));
    let gone = gone.and_then(|r| r["seq"].as_u64()).ok_or("the demo keeps no trace")?;
    let last = browser.number("Math.max(...traces[0].calls.map((call) => call.number))")? as u64;
    ensure!(last >= gone, "the page ends at {last}, and the container at {gone}");
    let wanted: BTreeSet<u64> = all.iter().filter_map(|r| r["seq"].as_u64()).filter(|seq| *seq <= last).collect();
    browser.tab_to("calls")?;
    browser.key("Home")?;
    let mut reached = BTreeSet::new();
    for _ in 0..wanted.len() {
        let number = browser.number(CHOSEN)?;
        holds(number >= 0.0, &format!("the chosen row cannot be seen after {} calls", reached.len()))?;
        reached.insert(number as u64);
        browser.key("ArrowDown")?;
    }
    same("calls that the keyboard reached", reached, wanted)?;
    // The last one, all about it, and back.
    browser.key("Enter")?;
    same("the focus", browser.text("document.activeElement.id")?.as_str(), "detail")?;
    let name = browser.text("state.list[state.list.length - 1].name")?;
    ensure!(browser.text("document.activeElement.textContent")?.starts_with(&name), "the last call is not told");
    browser.key("Escape")?;
    same("the focus", browser.text("document.activeElement.id")?.as_str(), "calls")?;
    // The axis: its keys zoom and move it, and the arrows step as well.
    browser.tab_to("axis")?;
    let span = "state.to - state.from";
    let whole = browser.number(span)?;
    for _ in 0..3 {
        browser.key("+")?;
    }
    holds(browser.number(span)? < whole / 3.0, "+ does not zoom")?;
    browser.key("Home")?;
    let first = browser.number("state.from")?;
    browser.key("ArrowRight")?;
    holds(browser.number("state.from")? > first, "the axis does not move")?;
    browser.key("End")?;
    holds((browser.number("state.to - state.most")?).abs() < 1e-6, "END does not lead to the end")?;
    browser.key("0")?;
    holds((browser.number(span)? - whole).abs() < whole / 1e6, "0 does not show the whole axis")?;
    // A lesson has no list and no filters; the arrows step.
    let list = "document.getElementById('list').offsetHeight";
    browser.key("l")?;
    holds(browser.number(list)? == 0.0, "a lesson has a list")?;
    let before = browser.number("state.call.i")?;
    browser.key("ArrowLeft")?;
    holds(browser.number("state.call.i")? < before, "the arrows do not step in a lesson")?;
    browser.key("l")?;
    holds(browser.number(list)? > 0.0, "the list does not come back")?;
    browser.value("choose(state.list[0])")?;
    // Milestones and refused calls have keys of their own.
    for (key, fits) in [("m", "isMark"), ("r", "isRefused"), ("R", "isRefused"), ("M", "isMark")] {
        let before = browser.number("state.call.i")?;
        browser.key(key)?;
        let after = browser.number(&format!("{fits}(state.call) ? state.call.i : -1"))?;
        holds(after >= 0.0 && after != before, &format!("{key} leads from call {before} to {after}"))?;
        if key == "r" {
            browser.value("choose(state.list[state.list.length - 1])")?;
        }
    }
    closed(browser, bundle)
}

fn failure() -> Outcome {
    let mut bundle = Bundle::plain()?;
    bundle
        .set("/mounts/-", json!({"destination": "/data", "type": "bind", "source": "/no/such", "options": ["bind"]}))?;
    ensure!(bundle.bundled(&["run"])?.status != 0, "the container has run");
    let mut browser = opened(&bundle)?;
    same("the chosen call", browser.text("state.call.name")?.as_str(), "open_tree")?;
    let said = browser.text("document.getElementById('remarks').textContent")?;
    // The cure is that of the terminal.
    let cure = bundle.bundled(&["run"])?.err;
    let cure = cure.lines().find_map(|line| line.strip_prefix("  try: ")).ok_or("no cure")?;
    let cure = format!("Try: {}", cure.replace('`', ""));
    for part in ["the mount source /no/such does not exist", "This ended the command: call ", "ENOENT", &cure] {
        ensure!(said.contains(part), "{part} is not said:\n{said}");
    }
    browser.tab_to("calls")?;
    browser.key("Home")?;
    browser.value("document.querySelector('#remarks a').click()")?;
    same("the call that the link leads to", browser.text("state.call.name")?.as_str(), "open_tree")?;
    closed(browser, bundle)
}

fn missing() -> Outcome {
    let mut bundle = Bundle::plain()?;
    for program in ["/no/such", "nosuch"] {
        bundle.set("/process/args", json!([program]))?;
        let told = bundle.bundled(&["run"])?.err;
        let hint = told.lines().find_map(|line| line.strip_prefix("  try: ")).ok_or("no cure")?;
        // JSON has other signs for quotes.
        let hint = hint.split('"').next().unwrap_or_default();
        let text = fs::read_to_string(page(&bundle, &[&bundle.id])?)?;
        ensure!(text.contains(hint), "{program}: `{hint}` is not in the page");
    }
    bundle.clean()
}

fn unwritable() -> Outcome {
    let bundle = Bundle::plain()?;
    for (path, said) in [("/no/such/page.html", "open /no/such/page.html"), ("/dev/full", "write /dev/full")] {
        let done = bundle.call(&["-q", "demo", "--html", path])?;
        ensure!(done.status == 1 && done.err.contains(said), "{path}: {done:?}");
    }
    bundle.clean()
}

fn asked() -> Outcome {
    let bundle = ran()?;
    let filters = ["--lane", "init", "--failed"];
    let of_text = [&["trace", "--format", "json"], &filters[..], &[&bundle.id]].concat();
    let wanted = lines(&bundle.call(&of_text)?.ok()?.out)?.len();
    let path = page(&bundle, &[&filters[..], &[&bundle.id]].concat())?;
    let mut browser = Browser::start(1280, 800)?;
    browser.open(&path)?;
    let shown = |browser: &mut Browser| browser.number("state.list.length").map(|n| n as usize);
    same("calls", shown(&mut browser)?, wanted)?;
    let label = browser.text("document.getElementById('asked-label').textContent")?;
    ensure!(label.contains("--lane init --failed"), "{label}");
    browser.tab_to("asked")?;
    browser.key(" ")?;
    same("all calls", shown(&mut browser)?, records(&bundle)?.len())?;
    closed(browser, bundle)
}

/// Searches by keys for words, and chooses the first call that was found.
fn search(browser: &mut Browser, words: &str) -> Outcome {
    browser.key("Escape")?;
    browser.key("/")?;
    browser.value("document.getElementById('search').select()")?;
    for c in words.chars() {
        browser.key(&c.to_string())?;
    }
    browser.key("Enter")?;
    browser.key("Home")
}

/// Chooses the first call of that name.
fn choose(browser: &mut Browser, name: &str) -> Outcome {
    set(browser, "by-name", &format!("'{name}'"))?;
    browser.key("Escape")?;
    browser.key("Home")
}

/// Gives a field the value of an expression, as a choice of the person does.
fn set(browser: &mut Browser, field: &str, value: &str) -> Outcome {
    let change = "field.dispatchEvent(new Event('input'))";
    let set =
        format!("(() => {{ const field = document.getElementById('{field}'); field.value = {value}; {change}; }})()");
    browser.value(&set).map(drop)
}

fn told() -> Outcome {
    let bundle = ran()?;
    let mut browser = opened(&bundle)?;
    let facts = browser.text("document.getElementById('facts').textContent")?;
    ensure!(facts.contains("the program: exit status 0"), "{facts}");
    choose(&mut browser, "pivot_root")?;
    let sentence = browser.text("document.getElementById('sentence').textContent")?;
    ensure!(sentence.contains("pivot_root: the new root replaces the host's"), "{sentence}");
    let number = browser.number("state.call.number")?;
    ensure!(sentence.starts_with(&format!("Call {number} (the last is ")), "{sentence}");
    ensure!(sentence.contains(" that the filter shows"), "{sentence}");
    let detail = browser.text("document.getElementById('detail').textContent")?;
    for part in
        ["pivot_root(\".\", \".\") = 0", "new_root", "Line ", "of the plan", "Here: ", "Without it: ", "src/perform/"]
    {
        ensure!(detail.contains(part), "{part} is not told:\n{detail}");
    }
    choose(&mut browser, "sethostname")?;
    let detail = browser.text("document.getElementById('detail').textContent")?;
    let host = bundle.config["hostname"].to_string();
    for part in ["Asked for by config.json /hostname", &host, "set the host name"] {
        ensure!(detail.contains(part), "{part} is not told:\n{detail}");
    }
    // What would be without a call is told where it is true, and not at each call of that name.
    for (at, wanted) in [("the container's state", true), ("the cgroup", false)] {
        let find = format!("traces[0].calls.find((call) => call.name === 'mkdirat' && call.step.includes(\"{at}\"))");
        browser.value(&format!("choose({find})"))?;
        let detail = browser.text("document.getElementById('detail').textContent")?;
        same(at, detail.contains("Without it: Two containers could have one id"), wanted)?;
    }
    choose(&mut browser, "umount2")?;
    let sentence = browser.text("document.getElementById('sentence').textContent")?;
    ensure!(sentence.contains("the mount of the host's root is gone"), "{sentence}");
    // The sentence says what has changed.
    choose(&mut browser, "execve")?;
    let sentence = browser.text("document.getElementById('sentence').textContent")?;
    ensure!(sentence.contains("the process executes /bin/sh"), "{sentence}");
    closed(browser, bundle)
}

fn changed() -> Outcome {
    let mut bundle = ran()?;
    bundle.set("/hostname", json!("another"))?;
    bundle.write_config()?;
    let mut browser = opened(&bundle)?;
    choose(&mut browser, "sethostname")?;
    let detail = browser.text("document.getElementById('detail').textContent")?;
    ensure!(
        detail.contains("config.json /hostname")
            && detail.contains("was changed or removed")
            && detail.contains("Run the container again"),
        "{detail}"
    );
    ensure!(!detail.contains("another"), "{detail}");
    closed(browser, bundle)
}

fn world() -> Outcome {
    let bundle = ran()?;
    let mut browser = opened(&bundle)?;
    let look = "document.getElementById('world').textContent";
    ensure!(!browser.text(look)?.contains("/proc/sys"), "the world has mounts before the first call");
    choose(&mut browser, "execve")?;
    let after = browser.text(look)?;
    for part in ["/proc", "/dev/pts", "/dev/shm", "/sys", "effective", "no_new_privs", "/bin/sh", "hostname"] {
        ensure!(after.contains(part), "the world at the end does not have {part}:\n{after}");
    }
    let own = browser.value("[...document.querySelectorAll('#world .own')].length")?;
    ensure!(own.as_u64() >= Some(5), "{own} namespaces are the container's own");
    closed(browser, bundle)
}

fn mouse() -> Outcome {
    let bundle = ran()?;
    let mut browser = opened(&bundle)?;
    let place = |browser: &mut Browser, call: &str| -> Result<(f64, f64), Failed> {
        let frame = "document.getElementById('axis').getBoundingClientRect()";
        let find = format!("traces[0].calls.find((call) => call.name === '{call}')");
        let x = browser.number(&format!("{frame}.left + (toX({find}.x0) + toX({find}.x1)) / 2"))?;
        let y = browser.number(&format!("{frame}.top + barMiddle({find})"))?;
        Ok((x, y))
    };
    let at = place(&mut browser, "clone3")?;
    browser.click(at)?;
    same("the chosen call", browser.text("state.call.name")?.as_str(), "clone3")?;
    browser.mouse("mouseMoved", at, json!({"button": "none"}))?;
    ensure!(browser.text("document.getElementById('tip').textContent")?.contains("clone3("), "no tip is shown");
    let whole = browser.number("state.to - state.from")?;
    let under = format!("toPlace({} - document.getElementById('axis').getBoundingClientRect().left)", at.0);
    let before = browser.number(&under)?;
    for _ in 0..4 {
        browser.mouse("mouseWheel", at, json!({"button": "none", "deltaX": 0, "deltaY": -240}))?;
    }
    let zoomed = browser.number("state.to - state.from")?;
    holds(zoomed < whole / 2.0, &format!("the wheel does not zoom: {whole} {zoomed}"))?;
    holds((browser.number(&under)? - before).abs() < zoomed / 100.0, "the place below the pointer moves away")?;
    let from = browser.number("state.from")?;
    browser.mouse("mousePressed", at, json!({"buttons": 1}))?;
    browser.mouse("mouseMoved", (at.0 - 60.0, at.1), json!({"buttons": 1}))?;
    browser.mouse("mouseReleased", (at.0 - 60.0, at.1), json!({}))?;
    holds(browser.number("state.from")? > from, "a drag does not move the axis")?;
    same("the chosen call", browser.text("state.call.name")?.as_str(), "clone3")?;
    let button = "document.getElementById('next').getBoundingClientRect()";
    let next = (browser.number(&format!("{button}.left + 9"))?, browser.number(&format!("{button}.top + 9"))?);
    browser.click(next)?;
    ensure!(
        browser.number("state.call.i")? as usize
            == 1 + browser.number("traces[0].calls.find((call) => call.name === 'clone3').i")? as usize,
        "the button does not step"
    );
    closed(browser, bundle)
}

fn filter() -> Outcome {
    let bundle = ran()?;
    let all = records(&bundle)?;
    let mut browser = opened(&bundle)?;
    let shown = |browser: &mut Browser| browser.number("state.list.length").map(|n| n as usize);
    type Field = (&'static str, &'static str, fn(&Value) -> bool);
    let fields: [Field; 3] = [
        ("by-lane", "init", |r| r["lane"] == "init"),
        ("by-outcome", "1", |r| r["expected"].is_string()),
        ("by-name", "mount", |r| r["call"] == "mount"),
    ];
    for (field, value, fits) in fields {
        set(&mut browser, field, &format!("'{value}'"))?;
        same(field, shown(&mut browser)?, all.iter().filter(|r| fits(r)).count())?;
        browser.value("document.getElementById('filters').reset()")?;
        browser.value("new Promise((done) => setTimeout(done))")?;
        same("all calls", shown(&mut browser)?, all.len())?;
    }
    // ENTER in the field leads to the call of that name, not to another one that has the word in it.
    search(&mut browser, "clone")?;
    browser.key("/")?;
    browser.key("Enter")?;
    same("the call that was searched", browser.text("state.call.name")?.as_str(), "clone3")?;
    same("the focus", browser.text("document.activeElement.id")?.as_str(), "calls")?;
    // Escape closes the keys, then clears the search; a milestone that the filter hides is told.
    let said = "document.getElementById('said').textContent";
    browser.key("?")?;
    let top = "document.getElementById('filters').getBoundingClientRect().top";
    let before = browser.number(top)?;
    browser.key("Escape")?;
    holds(browser.number("Number(document.getElementById('help').hidden)")? == 1.0, "Escape does not close the keys")?;
    holds(browser.number(top)? == before, "the keys push the page down")?;
    search(&mut browser, "getpid")?;
    browser.key("m")?;
    ensure!(browser.text(said)?.contains("The filter hides the milestone"), "{}", browser.text(said)?);
    browser.key("Escape")?;
    same("all calls", shown(&mut browser)?, all.len())?;
    browser.key("m")?;
    holds(browser.number("Number(isMark(state.call))")? == 1.0, "m leads to no milestone")?;
    browser.key("?")?;
    browser.key("l")?;
    holds(browser.number("Number(document.getElementById('help').hidden)")? == 1.0, "a lesson has the keys")?;
    browser.key("l")?;
    search(&mut browser, "/dev/pts")?;
    let found = shown(&mut browser)?;
    ensure!(found > 0 && found < 12, "{found} calls are about /dev/pts");
    let said = browser.text("document.getElementById('found').textContent")?;
    same("what is said of it", said, format!("{found} of {} calls", all.len()))?;
    let option = browser.text("document.querySelector('[role=option]').getAttribute('aria-setsize')")?;
    same("rows of the list", option, found.to_string())?;
    closed(browser, bundle)
}

fn themes() -> Outcome {
    let bundle = ran()?;
    let mut browser = opened(&bundle)?;
    let back = "getComputedStyle(document.body).backgroundColor";
    let axis = "[...pen.getImageData(2, 60, 1, 1).data].join()";
    let prefers = |browser: &mut Browser, scheme: &str| {
        let feature = json!({"features": [{"name": "prefers-color-scheme", "value": scheme}]});
        browser.ask("Emulation.setEmulatedMedia", feature)?;
        browser.value("new Promise((done) => requestAnimationFrame(() => requestAnimationFrame(done)))").map(drop)
    };
    prefers(&mut browser, "light")?;
    let light = (browser.text(back)?, browser.text(axis)?);
    prefers(&mut browser, "dark")?;
    let dark = (browser.text(back)?, browser.text(axis)?);
    ensure!(light.0 != dark.0 && light.1 != dark.1, "dark is as light: {light:?} {dark:?}");
    // The switch wins over what the system says.
    browser.tab_to("theme")?;
    browser.key("Enter")?;
    browser.value("new Promise((done) => requestAnimationFrame(() => requestAnimationFrame(done)))")?;
    same("the theme `light`", (browser.text(back)?, browser.text(axis)?), light)?;
    closed(browser, bundle)
}

fn paper() -> Outcome {
    let bundle = ran()?;
    let calls = records(&bundle)?.len();
    let mut browser = opened(&bundle)?;
    browser.value(
        "window.rows = 0; new MutationObserver(() => { window.rows = Math.max(window.rows, document.querySelectorAll('#paper tbody tr').length); }).observe(document.getElementById('paper'), { childList: true })",
    )?;
    let paper = browser.ask("Page.printToPDF", json!({}))?;
    let pdf = paper["data"].as_str().unwrap_or_default();
    // "%PDF" in base64.
    ensure!(pdf.starts_with("JVBER") && pdf.len() > 20_000, "that is no document: {} bytes", pdf.len());
    same("rows on paper", browser.number("window.rows")? as usize, calls)?;
    same("rows on the screen afterwards", browser.number("document.querySelectorAll('#paper tr').length")?, 0.0)?;
    closed(browser, bundle)
}

fn aloud() -> Outcome {
    let bundle = ran()?;
    let mut browser = opened(&bundle)?;
    choose(&mut browser, "clone3")?;
    let tree = browser.ask("Accessibility.getFullAXTree", json!({}))?;
    let nodes = tree["nodes"].as_array().cloned().unwrap_or_default();
    let named = |role: &str, name: &str| {
        let is = |node: &&Value| {
            node["role"]["value"] == role && node["name"]["value"].as_str().is_some_and(|n| n.contains(name))
        };
        nodes.iter().any(|node| is(&node))
    };
    for (role, name) in [
        ("listbox", "Calls"),
        ("option", "clone3("),
        ("button", "The next call"),
        ("searchbox", "Search"),
        ("combobox", "Lane"),
        ("heading", "Trace of "),
        ("region", "Step"),
        ("rowheader", "result"),
    ] {
        ensure!(named(role, name), "there is no {role} `{name}`");
    }
    let live = browser.text("document.getElementById('sentence').getAttribute('aria-live')")?;
    same("news are told", live.as_str(), "polite")?;
    let nameless = browser.value("[...document.querySelectorAll('button, select, input')].filter((one) => !(one.textContent.trim() || one.getAttribute('aria-label') || one.closest('label'))).length")?;
    same("fields without a name", nameless, json!(0))?;
    closed(browser, bundle)
}

fn hostile() -> Outcome {
    const NAMES: &[&str] = &[
        "</script><script>window.bad = 1</script>",
        "<img src=x onerror='window.bad = 2'>",
        "\u{202e}turned\u{2066}",
        "line\nbreak \u{1b}[31m {DATA} {SCRIPT} <!--",
    ];
    let mut bundle = Bundle::plain()?;
    let words: Vec<&str> = ["true"].iter().chain(NAMES).copied().collect();
    bundle.set("/process/args", json!(words))?;
    bundle.set("/hostname", json!("<b>name</b>"))?;
    for name in &NAMES[..2] {
        let place = format!("/tmp/{}", name.replace('/', "|"));
        bundle.set("/mounts/-", json!({"destination": place, "type": "tmpfs", "source": "tmpfs"}))?;
    }
    bundle.bundled(&["run"])?.ok()?;
    let path = page(&bundle, &[&bundle.id])?;
    let text = fs::read_to_string(&path)?;
    ensure!(!text.contains(['\u{202e}', '\u{2066}', '\u{1b}']), "a sign that turns text is in the page");
    same("scripts", text.matches("<script").count(), 2)?;
    same("places of names", (text.matches("<img").count(), text.matches("<!--").count()), (0, 0))?;
    let mut browser = Browser::start(1280, 800)?;
    browser.open(&path)?;
    choose(&mut browser, "execve")?;
    let detail = browser.text("document.getElementById('detail').textContent")?;
    browser.value("document.getElementById('by-name').value = ''")?;
    ensure!(detail.contains("window.bad = 1") && detail.contains("\\u{202e}turned"), "{detail}");
    search(&mut browser, "onerror")?;
    same("markup of the container's", browser.value("window.bad ?? 0")?, json!(0))?;
    same("pictures", browser.value("document.images.length")?, json!(0))?;
    // Even a fault in the script could make no markup: the browser refuses it.
    let made =
        "(() => { try { document.body.innerHTML = '<b>'; return 'made'; } catch (error) { return error.name; } })()";
    same("markup out of a string", browser.text(made)?.as_str(), "TypeError")?;
    browser.events.retain(|event| event["method"] != "Log.entryAdded");
    closed(browser, bundle)
}

fn several() -> Outcome {
    let bundle = ran()?;
    bundle.bundled(&["run"])?.ok()?;
    let older = format!("{}~2", bundle.id);
    let path = page(&bundle, &[&bundle.id, &older])?;
    let mut browser = Browser::start(1280, 800)?;
    browser.open(&path)?;
    same("traces", browser.text("traces.map((trace) => trace.name).join(' ')")?, format!("{} {older}", bundle.id))?;
    same("where they meet at first", browser.text("state.zero")?.as_str(), "*")?;
    let marks = browser.number("commonMarks().length")? as usize;
    ensure!(marks >= 10, "{marks} milestones are common to both");
    // Any of them can be the place where both meet, and all of them at once.
    let apart = "Math.max(...commonMarks().slice(PART).map((name) => Math.abs(placeOf(traces[0], markTime(traces[0], name)) - placeOf(traces[1], markTime(traces[1], name)))))";
    set(&mut browser, "zero", "commonMarks()[4]")?;
    holds(browser.number(&apart.replace("PART", "4, 5"))? < 1e-6, "the traces do not meet at a milestone")?;
    set(&mut browser, "zero", "'*'")?;
    let whole = browser.number("state.most - state.least")?;
    holds(browser.number(&apart.replace("PART", "0"))? < whole / 1e6, "the traces do not meet at all milestones")?;
    // The other trace is chosen by its field, and its calls are those of the list.
    set(&mut browser, "trace", "'1'")?;
    same("the trace of the list", browser.text("state.list[0].trace.name")?, older)?;
    closed(browser, bundle)
}

fn many() -> Outcome {
    let bundle = Bundle::shell("i=0; while [ $i -lt 2200 ]; do : < /dev/null; i=$((i + 1)); done")?;
    bundle.bundled(&["run", "--watch=all"])?;
    let path = page(&bundle, &[&bundle.id])?;
    let mut browser = Browser::start(1280, 800)?;
    browser.open(&path)?;
    let calls = browser.number("traces[0].calls.length")? as usize;
    ensure!(calls >= 10_000, "the trace has {calls} records");
    let loaded = browser.number("performance.getEntriesByType('navigation')[0].loadEventEnd")?;
    let drawn = browser.value(
        "(() => { const all = []; for (let i = 0; i < 60; i++) { zoom(i < 30 ? 0.8 : 1.25, (state.least + state.most) / 2); const begin = performance.now(); draw(); all.push(performance.now() - begin); } all.sort((a, b) => a - b); return [all[30], all[59]]; })()",
    )?;
    let stepped = browser
        .number("(() => { const begin = performance.now(); step(5000); return performance.now() - begin; })()")?;
    eprintln!(
        "html: {calls} records, {} bytes: loaded in {loaded:.0} ms; a frame takes {:.1} ms, at the most {:.1} ms; a step over 5000 calls {stepped:.1} ms",
        fs::metadata(&path)?.len(),
        drawn[0].as_f64().unwrap_or(0.0),
        drawn[1].as_f64().unwrap_or(0.0),
    );
    // The list has only the rows that can be seen.
    let rows = browser.number("document.querySelectorAll('[role=option]').length")?;
    holds(rows < 60.0, &format!("{rows} rows are in the page"))?;
    closed(browser, bundle)
}
