//! A headless Chromium, and what a person does with it: keys, the mouse, a look at the page. The tests talk to it over two pipes
//! in the protocol of its developer tools.

use crate::bundle::{PATIENCE, tool};
use crate::{Failed, Outcome, ensure};
use nix::sys::stat::Mode;
use nix::unistd::mkfifo;
use serde_json::{Value, json};
use std::fs::{File, OpenOptions};
use std::io::{BufRead, BufReader, Write};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::mpsc::{Receiver, channel};
use std::thread;
use tempfile::TempDir;

/// The browser takes its commands from descriptor 3, and answers on descriptor 4.
const START: &str = r#"exec "$0" --headless=new --no-sandbox --disable-gpu --no-first-run --disable-dev-shm-usage \
    --remote-debugging-pipe --user-data-dir="$1/profile" about:blank 3<"$1/commands" 4>"$1/answers" >"$1/browser.log" 2>&1"#;

pub struct Browser {
    child: Child,
    commands: File,
    answers: Receiver<Value>,
    session: String,
    sent: u64,
    /// What the browser has told without being asked.
    pub events: Vec<Value>,
    _folder: TempDir,
}

impl Browser {
    /// Starts one with a window of this size.
    pub fn start(width: u32, height: u32) -> Result<Browser, Failed> {
        let program = tool("chromium")?;
        let folder = tempfile::Builder::new().prefix("browser-").tempdir()?;
        let place = |name: &str| folder.path().join(name);
        for name in ["commands", "answers"] {
            mkfifo(&place(name), Mode::S_IRWXU)?;
        }
        let child =
            Command::new("sh").args(["-c", START]).arg(program).arg(folder.path()).stdin(Stdio::null()).spawn()?;
        let commands = OpenOptions::new().write(true).open(place("commands"))?;
        let answers = answers(File::open(place("answers"))?);
        let (session, events) = (String::new(), Vec::new());
        let mut browser = Browser { child, commands, answers, session, sent: 0, events, _folder: folder };
        let target = browser.ask("Target.createTarget", json!({"url": "about:blank"}))?["targetId"].clone();
        let attached = browser.ask("Target.attachToTarget", json!({"targetId": target, "flatten": true}))?;
        browser.session = attached["sessionId"].as_str().unwrap_or_default().into();
        for domain in ["Page", "Network", "Log", "Runtime"] {
            browser.ask(&format!("{domain}.enable"), json!({}))?;
        }
        let size = json!({"width": width, "height": height, "deviceScaleFactor": 1, "mobile": false});
        browser.ask("Emulation.setDeviceMetricsOverride", size)?;
        Ok(browser)
    }

    /// Asks for something, and waits for the answer.
    pub fn ask(&mut self, method: &str, params: Value) -> Result<Value, Failed> {
        self.sent += 1;
        let mut command = json!({"id": self.sent, "method": method, "params": params});
        if !self.session.is_empty() {
            command["sessionId"] = json!(self.session);
        }
        self.commands.write_all(format!("{command}\0").as_bytes())?;
        loop {
            let told = self.answers.recv_timeout(PATIENCE).map_err(|_| format!("{method}: the browser is silent"))?;
            if told["id"] != json!(self.sent) {
                self.events.push(told);
                continue;
            }
            ensure!(told["error"].is_null(), "{method}: {}", told["error"]);
            return Ok(told["result"].clone());
        }
    }

    /// Opens a file, and waits until it is there.
    pub fn open(&mut self, page: &Path) -> Outcome {
        self.events.clear();
        self.ask("Page.navigate", json!({"url": format!("file://{}", page.display())}))?;
        loop {
            if self.events.iter().any(|event| event["method"] == "Page.loadEventFired") {
                return Ok(());
            }
            let told = self.answers.recv_timeout(PATIENCE).map_err(|_| "the page does not load")?;
            self.events.push(told);
        }
    }

    /// The value of an expression in the page.
    pub fn value(&mut self, expression: &str) -> Result<Value, Failed> {
        let params = json!({"expression": expression, "returnByValue": true, "awaitPromise": true});
        let told = self.ask("Runtime.evaluate", params)?;
        ensure!(told["exceptionDetails"].is_null(), "{expression}: {}", told["exceptionDetails"]);
        Ok(told["result"]["value"].clone())
    }

    pub fn text(&mut self, expression: &str) -> Result<String, Failed> {
        Ok(self.value(expression)?.as_str().unwrap_or_default().into())
    }

    pub fn number(&mut self, expression: &str) -> Result<f64, Failed> {
        self.value(expression)?.as_f64().ok_or_else(|| format!("{expression} is no number").into())
    }

    /// Presses a key: its name, or the character that it writes.
    pub fn key(&mut self, name: &str) -> Outcome {
        let mut down = json!({"type": "keyDown", "key": name, "code": name});
        if name.chars().count() == 1 {
            down["text"] = json!(name);
        } else if let Some((_, code)) = CODES.iter().find(|(known, _)| *known == name) {
            down["windowsVirtualKeyCode"] = json!(code);
            down["text"] = json!(if name == "Enter" { "\r" } else { "" });
        }
        self.ask("Input.dispatchKeyEvent", down.clone())?;
        down["type"] = json!("keyUp");
        self.ask("Input.dispatchKeyEvent", down).map(drop)
    }

    /// Presses TAB until an element has the focus.
    pub fn tab_to(&mut self, id: &str) -> Outcome {
        for _ in 0..60 {
            if self.text("document.activeElement.id")? == id {
                return Ok(());
            }
            self.key("Tab")?;
        }
        Err(format!("TAB does not lead to {id}").into())
    }

    /// Something of the mouse at a place: `mouseMoved`, `mousePressed`, `mouseReleased`, `mouseWheel`.
    pub fn mouse(&mut self, what: &str, (x, y): (f64, f64), more: Value) -> Outcome {
        let mut params = json!({"type": what, "x": x, "y": y, "button": "left", "buttons": 0, "clickCount": 1});
        for (name, value) in more.as_object().into_iter().flatten() {
            params[name] = value.clone();
        }
        self.ask("Input.dispatchMouseEvent", params).map(drop)
    }

    pub fn click(&mut self, at: (f64, f64)) -> Outcome {
        self.mouse("mouseMoved", at, json!({"button": "none"}))?;
        self.mouse("mousePressed", at, json!({"buttons": 1}))?;
        self.mouse("mouseReleased", at, json!({}))
    }

    /// The page asked for nothing but itself, and the browser has nothing to complain of.
    pub fn is_content(&mut self) -> Outcome {
        self.value("1")?;
        let asked = |event: &&Value| event["method"] == "Network.requestWillBeSent";
        let requests: Vec<&Value> =
            self.events.iter().filter(asked).map(|event| &event["params"]["request"]["url"]).collect();
        ensure!(requests.len() <= 1, "the page asked for {requests:?}");
        let complains = |event: &&Value| {
            event["method"] == "Runtime.exceptionThrown" || event["params"]["entry"]["level"] == "error"
        };
        let complaint = self.events.iter().find(complains);
        ensure!(complaint.is_none(), "the browser says {complaint:?}");
        Ok(())
    }

    pub fn end(mut self) -> Outcome {
        self.session.clear();
        let _ = self.ask("Browser.close", json!({}));
        self.child.wait()?;
        Ok(())
    }
}

impl Drop for Browser {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// The numbers of keys that write nothing.
const CODES: &[(&str, u32)] = &[
    ("Tab", 9),
    ("Enter", 13),
    ("Escape", 27),
    ("PageUp", 33),
    ("PageDown", 34),
    ("End", 35),
    ("Home", 36),
    ("ArrowLeft", 37),
    ("ArrowUp", 38),
    ("ArrowRight", 39),
    ("ArrowDown", 40),
];

/// Messages as they come: each ends with a NUL.
fn answers(pipe: File) -> Receiver<Value> {
    let (send, receive) = channel();
    thread::spawn(move || {
        let mut pipe = BufReader::new(pipe);
        loop {
            let mut message = Vec::new();
            if pipe.read_until(0, &mut message).unwrap_or(0) == 0 {
                return;
            }
            message.pop();
            if serde_json::from_slice(&message).is_ok_and(|told| send.send(told).is_err()) {
                return;
            }
        }
    });
    receive
}
