//! `hooks`: programs that are run at points of a container's life (config.md, "POSIX-platform Hooks"). May touch: serde.

use super::rules::{absolute, text, variable};
use super::schema::{At, Checked, schema};
use serde::Serialize;

schema! {
    /// The state keeps the last two lists: later commands run them.
    #[derive(Serialize, Clone)]
    #[serde(rename_all = "camelCase")]
    Hooks {
        #[serde(skip_serializing)]
        "prestart" prestart: Vec<Hook>;
        #[serde(skip_serializing)]
        "createRuntime" create_runtime: Vec<Hook>;
        #[serde(skip_serializing)]
        "createContainer" create_container: Vec<Hook>;
        #[serde(skip_serializing)]
        "startContainer" start_container: Vec<Hook>;
        "poststart" poststart: Vec<Hook>;
        "poststop" poststop: Vec<Hook>;
    }

    #[derive(Serialize, Clone)]
    Hook {
        "path" path: String => absolute;
        "args" args: Vec<String> => text;
        /// None: the environment of the runtime.
        "env" env: Option<Vec<String>> => variable;
        /// Seconds.
        "timeout" timeout: Option<i64> => not_over;
    }
}

fn not_over(seconds: &i64, at: &At) -> Checked {
    let problem = || format!("{seconds} seconds are over before the hook begins: leave it out for no limit");
    at.refuse(*seconds <= 0, problem)
}
