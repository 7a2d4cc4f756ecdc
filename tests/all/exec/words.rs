//! `exec`'s command line: what its options, its file and its other words make of the process.

use crate::cgroup::{end, start};
use crate::exec::{box_of_sleep, exec, failed};
use crate::{Outcome, area, ensure, same};
use libtest_mimic::Trial;
use serde_json::{Value, json};
use std::fs;

pub fn cases() -> Vec<Trial> {
    area(
        "execs",
        &[
            ("options", options),
            ("user_and_groups", user),
            ("capabilities", capabilities),
            ("numbers_are_numbers", numbers),
            ("a_process_from_a_file", process_file),
            ("what_the_file_says_is_checked", bad_file),
            ("on_some_processors", affinity),
            ("a_bundle_that_has_changed", changed_config),
            ("alone_it_is_a_shell", shell),
            ("a_line_for_the_shell", line),
            ("a_missing_program", missing),
            ("home_is_looked_up_inside", home),
        ],
    )
}

fn options() -> Outcome {
    let bundle = box_of_sleep()?;
    start(&bundle)?;
    let options = ["--env", "A=1", "-e", "B=x=y", "--env=PATH=/bin", "--cwd", "/tmp", "--no-new-privs"];
    let line = "echo $A $B $PATH $NK_TEST; pwd; grep NoNewPrivs /proc/self/status";
    let done = exec(&bundle, &options, &["sh", "-c", line])?.ok()?;
    let wanted = format!("1 x=y /bin {}\n/tmp\nNoNewPrivs:\t1\n", bundle.id);
    same("inside", done.out, wanted)?;
    // What stands behind the ID is the program's.
    let done = exec(&bundle, &[], &["echo", "--env", "-t", "--", "-x"])?.ok()?;
    same("arguments", done.out.as_str(), "--env -t -- -x\n")?;
    let done = exec(&bundle, &["--cwd", "/nosuch"], &["true"])?;
    failed(done, "chdir(\"/nosuch\") = -1 ENOENT")?;
    end(bundle)
}

fn user() -> Outcome {
    let bundle = box_of_sleep()?;
    start(&bundle)?;
    let line = "id -u; id -g; grep ^Groups /proc/self/status";
    for (options, wanted) in [
        (&["--user", "1000"][..], "1000\n0\nGroups:\t \n"),
        (&["-u", "1000:100", "-g", "5", "-g", "7"], "1000\n100\nGroups:\t5 7 \n"),
    ] {
        let done = exec(&bundle, options, &["sh", "-c", line])?.ok()?;
        same("ids", done.out.as_str(), wanted)?;
    }
    end(bundle)
}

fn capabilities() -> Outcome {
    let mut bundle = box_of_sleep()?;
    bundle.capable(&json!(["CAP_KILL"]))?;
    start(&bundle)?;
    let line = ["grep", "^Cap", "/proc/self/status"];
    let line = ["sh", "-c", &line.join(" ")];
    let done = exec(&bundle, &[], &line)?.ok()?;
    same("as config.json says", done.out.matches("0000000000000020").count(), 5)?;
    let done = exec(&bundle, &["--cap", "CAP_NET_ADMIN", "-c", "CAP_CHOWN"], &line)?.ok()?;
    let more = "0000000000001021";
    for set in ["CapPrm", "CapEff", "CapBnd"] {
        ensure!(done.out.contains(&format!("{set}:\t{more}")), "{done:?}");
    }
    end(bundle)
}

fn numbers() -> Outcome {
    let bundle = box_of_sleep()?;
    start(&bundle)?;
    for (options, word) in [
        (["--user", "root"], "`root` is no id"),
        (["--user", "+1"], "`+1` is no id"),
        (["--user", "1:"], "`` is no id"),
        (["--user", "1:2:3"], "`2:3` is no id"),
        (["--user", "4294967295"], "`4294967295` is no id"),
        (["--user", "4294967296"], "`4294967296` is no id"),
        (["--additional-gids", "0x5"], "`0x5` is no id"),
        (["--cap", "NET_ADMIN"], "`NET_ADMIN` is no capability"),
    ] {
        failed(exec(&bundle, &options, &["true"])?, word)?;
    }
    end(bundle)
}

/// The program is the file's alone: nothing of config.json's is mixed into it. What confines it and is not in the file
/// stays the container's (`absent` has each).
fn process_file() -> Outcome {
    let mut bundle = box_of_sleep()?;
    bundle.set("/process/noNewPrivileges", json!(true))?;
    start(&bundle)?;
    let file = bundle.path("process.json").to_string_lossy().into_owned();
    let line = "id -u; echo $A.$NK_TEST; pwd; ulimit -n; cat /proc/self/oom_score_adj; umask; \
                grep NoNewPrivs /proc/self/status";
    let process = json!({
        "user": {"uid": 7, "gid": 8, "additionalGids": [9], "umask": 0o27}, "args": ["sh", "-c", line],
        "env": ["PATH=/bin", "A=b"], "cwd": "/tmp", "oomScoreAdj": 77,
        "rlimits": [{"type": "RLIMIT_NOFILE", "soft": 99, "hard": 99}],
    });
    fs::write(&file, process.to_string())?;
    let done = exec(&bundle, &["--process", &file], &[])?.ok()?;
    let wanted = "7\nb.\n/tmp\n99\n77\n0027\nNoNewPrivs:\t1\n";
    same("inside", done.out.as_str(), wanted)?;
    for option in [&["--env", "A=1"][..], &["--user", "1"], &["--cwd", "/"], &["--exec", "id"]] {
        let options = [&["--process", &file], option].concat();
        failed(exec(&bundle, &options, &[])?, "leave out")?;
    }
    let done = exec(&bundle, &["--process", &file], &["id"])?;
    failed(done, "leave out the program")?;
    end(bundle)
}

fn affinity() -> Outcome {
    let bundle = box_of_sleep()?;
    start(&bundle)?;
    let file = bundle.path("process.json").to_string_lossy().into_owned();
    let line = "grep ^Cpus_allowed_list /proc/self/status";
    let mut process = json!({
        "user": {"uid": 0, "gid": 0}, "args": ["sh", "-c", line], "env": ["PATH=/bin"], "cwd": "/",
    });
    let status = fs::read_to_string("/proc/self/status")?;
    let mut lines = status.lines();
    let all = lines.find(|line| line.starts_with("Cpus_allowed_list"));
    let all = all.ok_or("no list of processors")?;
    for affinity in [json!({"initial": "0"}), json!({"initial": "0", "final": "0"}), json!({"final": "0-0,0"})] {
        process["execCPUAffinity"] = affinity;
        fs::write(&file, process.to_string())?;
        let done = exec(&bundle, &["--process", &file], &[])?.ok()?;
        // Without `final` it may use what the container's cgroup allows (config.md, "execCPUAffinity").
        let wanted = match process["execCPUAffinity"].get("final") {
            Some(_) => "Cpus_allowed_list:\t0\n".into(),
            None => format!("{all}\n"),
        };
        same("processors", done.out, wanted)?;
    }
    for (list, words) in [("x", "no list of processors"), ("1-0", "no list"), ("1023", "sched_setaffinity(0, ")] {
        process["execCPUAffinity"] = json!({"final": list});
        fs::write(&file, process.to_string())?;
        let done = exec(&bundle, &["--process", &file], &[])?;
        ensure!(done.err.contains("/execCPUAffinity/final"), "{done:?}");
        failed(done, words)?;
    }
    end(bundle)
}

fn bad_file() -> Outcome {
    let bundle = box_of_sleep()?;
    start(&bundle)?;
    let file = bundle.path("process.json").to_string_lossy().into_owned();
    let options = ["--process", &file];
    failed(exec(&bundle, &options, &[])?, "no such file or directory")?;
    for (text, words) in [
        ("{", "process.json"),
        ("[]", "process.json"),
        ("null", "process.json"),
        (r#"{"args": [], "cwd": "/"}"#, "process.json /args"),
        (r#"{"args": ["true"], "cwd": "x"}"#, "process.json /cwd"),
        (r#"{"args": ["true"], "cwd": "/", "rlimits": [{"type": "RLIMIT_X", "soft": 1, "hard": 1}]}"#, "/rlimits/0"),
        (r#"{"args": ["true"], "cwd": "/", "user": {"uid": "root"}}"#, "/user/uid"),
    ] {
        fs::write(&file, text)?;
        failed(exec(&bundle, &options, &[])?, words)?;
    }
    end(bundle)
}

/// What became of the bundle since then is not trusted.
fn changed_config() -> Outcome {
    let bundle = box_of_sleep()?;
    start(&bundle)?;
    let options = ["-e", "A=1", "-u", "1:1", "-g", "5", "-c", "CAP_KILL"];
    let user = json!({"process": {"cwd": "/", "user": [1]}, "ociVersion": "1.0.0", "root": {"path": "rootfs"}});
    for config in [json!([]), json!(null), json!({"process": []}), json!({"process": "x"}), user] {
        fs::write(bundle.path("config.json"), config.to_string())?;
        for options in [&options[..], &[]] {
            let done = exec(&bundle, options, &["true"])?;
            ensure!([0, 255].contains(&done.status) && done.messages() < 2, "{config}: {done:?}");
        }
    }
    end(bundle)
}

fn shell() -> Outcome {
    let bundle = box_of_sleep()?;
    start(&bundle)?;
    fs::write(bundle.path("typed"), "cd /tmp\npwd\nexit 5\n")?;
    let mut command = bundle.command(&["exec", &bundle.id])?;
    command.stdin(fs::File::open(bundle.path("typed"))?);
    let done = bundle.finish(command)?;
    ensure!(done.status == 5 && done.out == "/tmp\n", "{done:?}");
    end(bundle)
}

fn line() -> Outcome {
    let bundle = box_of_sleep()?;
    start(&bundle)?;
    let done = exec(&bundle, &["--exec", "echo a b | cat; echo $((2+3))"], &[])?.ok()?;
    same("said", done.out.as_str(), "a b\n5\n")?;
    failed(exec(&bundle, &["--exec", "id"], &["id"])?, "leave out the program")?;
    end(bundle)
}

/// The words by which engines tell 127 from 126, and the container goes on.
fn missing() -> Outcome {
    let bundle = box_of_sleep()?;
    fs::write(bundle.rootfs("etc/notexec"), "x")?;
    start(&bundle)?;
    let pid = bundle.path("pid").to_string_lossy().into_owned();
    for (program, words) in [
        ("nosuch", "exec: \"nosuch\": executable file not found in $PATH"),
        ("/no/such", "exec: \"/no/such\": stat /no/such: no such file or directory"),
        ("/etc/notexec", "exec: \"/etc/notexec\": permission denied"),
        ("/etc", "exec: \"/etc\": permission denied"),
    ] {
        for detach in [&[][..], &["--detach"]] {
            let options = [&["--pid-file", &pid], detach].concat();
            failed(exec(&bundle, &options, &[program])?, words)?;
            ensure!(!bundle.path("pid").exists(), "a pid file of {program}");
        }
    }
    same("status", bundle.status()?, "running".into())?;
    let log = bundle.path("log").to_string_lossy().into_owned();
    let words = ["--log", &log, "--log-format=json", "exec", &bundle.id, "nosuch"];
    bundle.call(&words)?;
    let told: Value = serde_json::from_str(&fs::read_to_string(&log)?)?;
    same("level", told["level"].as_str(), Some("error"))?;
    end(bundle)
}

fn home() -> Outcome {
    let bundle = box_of_sleep()?;
    fs::write(bundle.rootfs("etc/passwd"), "a:x:5:5::/home/of/a:/bin/sh\n")?;
    start(&bundle)?;
    let done = exec(&bundle, &["--user", "5"], &["sh", "-c", "echo $HOME"])?.ok()?;
    same("HOME", done.out.as_str(), "/home/of/a\n")?;
    // A link out of the container leads to what is there inside.
    fs::remove_file(bundle.rootfs("etc/passwd"))?;
    std::os::unix::fs::symlink("/../../etc/passwd", bundle.rootfs("etc/passwd"))?;
    let done = exec(&bundle, &["--user", "5"], &["sh", "-c", "echo $HOME"])?.ok()?;
    same("HOME", done.out.as_str(), "/\n")?;
    let done = exec(&bundle, &["--env", "HOME=/x"], &["sh", "-c", "echo $HOME"])?.ok()?;
    same("HOME", done.out.as_str(), "/x\n")?;
    end(bundle)
}
