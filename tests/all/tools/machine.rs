//! A machine of its own: QEMU without KVM, a kernel, an initramfs, two serial lines. Where QEMU or the kernel is not
//! there, the cases that need one are listed as ignored, and the word behind their area says what is missing.

use crate::bundle::{Bundle, Done, runtime, tool};
use crate::{Case, Failed, Outcome, area, ensure};
use libtest_mimic::Trial;
use serde_json::{Value, json};
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

/// What scripts/kernel has put there.
pub fn kernels(name: &str) -> PathBuf {
    let kernels = Path::new(env!("CARGO_MANIFEST_DIR")).join("target/lab");
    kernels.join(name)
}

/// The kernel: `NK_KERNEL`, or Debian's.
pub fn kernel() -> PathBuf {
    std::env::var_os("NK_KERNEL").map_or_else(|| kernels("vmlinux"), PathBuf::from)
}

pub const QEMU: &str = "qemu-system-x86_64";

/// The cases of an area that boots machines.
pub fn cases(name: &str, cases: &[Case]) -> Vec<Trial> {
    let all = [kernel(), kernels("vmlinuz"), kernels("vmlinux-cloud")];
    let missing = match (tool(QEMU), all.iter().all(|kernel| kernel.exists())) {
        (Err(_), _) => "without_qemu",
        (_, false) => "without_kernel",
        _ => return area(name, cases),
    };
    let all = area(&format!("{name}::{missing}"), cases);
    all.into_iter().map(|trial| trial.with_ignored_flag(true)).collect()
}

/// The cases of an area whose machines need these modules.
pub fn cases_with(name: &str, wanted: &[&str], list: &[Case]) -> Vec<Trial> {
    let there = modules().is_some_and(|(_, depends)| {
        wanted.iter().all(|module| depends.lines().any(|line| named(line.split(':').next().unwrap_or(""), module)))
    });
    match there {
        true => cases(name, list),
        false => {
            let all = area(&format!("{name}::without_modules"), list);
            all.into_iter().map(|trial| trial.with_ignored_flag(true)).collect()
        }
    }
}

/// The folder with the modules of the kernel that machines boot, and their list (modules.dep).
fn modules() -> Option<(PathBuf, String)> {
    let folders = fs::read_dir(kernels("lib/modules")).ok()?;
    let mut folders: Vec<PathBuf> = folders.filter_map(|folder| Some(folder.ok()?.path())).collect();
    folders.retain(|folder| !folder.to_string_lossy().contains("cloud"));
    folders.sort();
    let folder = folders.pop()?;
    let depends = fs::read_to_string(folder.join("modules.dep")).ok()?;
    Some((folder, depends))
}

/// Whether a path is that of a module.
fn named(path: &str, module: &str) -> bool {
    path.rsplit('/').next().is_some_and(|file| file.split('.').next() == Some(module))
}

/// A machine of another kind: scripts/cross builds the program for it, scripts/kernel --arch fetches its kernel.
pub struct Other {
    pub arch: &'static str,
    target: &'static str,
    /// The smallest kernel.
    kernel: &'static str,
    pub cpu: &'static str,
    pub console: &'static str,
    pub memory: &'static str,
    /// The most memory that the runtime may take there, in KiB.
    pub peak: u32,
}

pub const OTHERS: &[Other] = &[
    Other {
        arch: "aarch64",
        target: "aarch64-unknown-linux-gnu",
        kernel: "vmlinux-cloud",
        // To sign addresses as the standard says takes the emulation long.
        cpu: "max,pauth-impdef=on",
        console: "ttyAMA0",
        memory: "64",
        peak: 3072,
    },
    Other {
        arch: "riscv64",
        target: "riscv64gc-unknown-linux-gnu",
        kernel: "vmlinux",
        cpu: "rv64",
        console: "ttyS0",
        memory: "128",
        peak: 3072,
    },
];

impl Other {
    pub fn kernel(&self) -> PathBuf {
        kernels(self.arch).join(self.kernel)
    }

    pub fn program(&self) -> PathBuf {
        let built = Path::new(env!("CARGO_MANIFEST_DIR")).join("target/cross/built");
        built.join(self.target).join("release/nk-runtime")
    }

    pub fn qemu(&self) -> String {
        format!("qemu-system-{}", self.arch)
    }

    pub fn is_there(&self) -> bool {
        tool(&self.qemu()).is_ok() && self.kernel().exists() && self.program().exists()
    }
}

/// What a machine has said.
pub struct Ended {
    /// The lines of its console.
    pub lines: Vec<String>,
    /// What came over the second serial line.
    pub status: String,
}

impl Ended {
    pub fn has(&self, words: &str) -> Result<(), Failed> {
        let found = self.lines.iter().any(|line| line.contains(words));
        ensure!(found, "the console should say `{words}`:\n{}", self.text());
        Ok(())
    }

    pub fn text(&self) -> String {
        self.lines.join("\n")
    }
}

/// Boots an initramfs and waits for the machine's end. microvm has no power switch: it ends by a restart.
pub fn boot(bundle: &Bundle, image: &Path, append: &str) -> Result<Ended, Failed> {
    let machine = "-M microvm,acpi=off,rtc=on -no-reboot -m 128";
    boot_on(machine, &kernel(), bundle, image, &format!("nk.end=reboot {append}"))
}

/// The same on a machine of these words of QEMU's.
pub fn boot_on(machine: &str, kernel: &Path, bundle: &Bundle, image: &Path, append: &str) -> Result<Ended, Failed> {
    let status = bundle.path("status");
    let mut command = Command::new(tool(QEMU)?);
    command
        .args(machine.split(' '))
        .args("-accel tcg -cpu max -nodefaults -display none -serial stdio".split(' '))
        .arg("-chardev")
        .arg(format!("file,id=status,path={}", status.display()))
        .args(["-device", "isa-serial,chardev=status,index=1"])
        .arg("-kernel")
        .arg(kernel)
        .arg("-initrd")
        .arg(image)
        .arg("-append")
        .arg(format!("console=ttyS0 panic=-1 reboot=t quiet no_timer_check {append}"))
        .stdin(std::process::Stdio::null());
    let done = bundle.finish(command)?;
    ensure!(done.status == 0, "QEMU: {done:?}");
    Ok(Ended {
        lines: done.out.lines().map(|line| line.trim_end().into()).collect(),
        status: fs::read_to_string(status)?.trim_end().into(),
    })
}

/// An initramfs with this bundle, by scripts/initramfs; `--demo`: with none.
pub fn image(bundle: &Bundle, what: &str) -> Result<PathBuf, Failed> {
    image_with(bundle, what, &runtime())
}

/// The same with another nk-runtime.
pub fn image_with(bundle: &Bundle, what: &str, runtime: &Path) -> Result<PathBuf, Failed> {
    let image = bundle.path("image");
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("scripts/initramfs");
    let mut command = Command::new(script);
    command.arg(what).arg(&image).env("NK_RUNTIME", runtime);
    let done: Done = bundle.finish(command)?;
    done.ok()?;
    Ok(image)
}

/// What lies in an initramfs with several bundles.
pub struct Tree {
    pub bundle: Bundle,
}

impl Tree {
    pub fn new() -> Result<Tree, Failed> {
        let bundle = Bundle::plain()?;
        fs::create_dir(bundle.path("tree"))?;
        fs::copy(runtime(), bundle.path("tree/init"))?;
        Ok(Tree { bundle })
    }

    pub fn path(&self, below: &str) -> PathBuf {
        self.bundle.path("tree").join(below)
    }

    /// Adds a file.
    pub fn file(&self, below: &str, text: &str) -> Outcome {
        let path = self.path(below);
        if let Some(above) = path.parent() {
            fs::create_dir_all(above)?;
        }
        Ok(fs::write(path, text)?)
    }

    /// Adds a bundle with busybox in a rootfs that can be written, and with these arguments of its program.
    pub fn add(&mut self, below: &str, args: Value) -> Outcome {
        self.bundle.set("/process/args", args)?;
        self.bundle.set("/root/readonly", json!(false))?;
        self.file(&format!("{below}/config.json"), &self.bundle.config.to_string())?;
        let mut copy = Command::new("cp");
        copy.arg("-a").arg(self.bundle.path("rootfs")).arg(self.path(below));
        self.bundle.finish(copy)?.ok().map(drop)
    }

    /// Takes a namespace out of a bundle's configuration.
    pub fn without_namespace(&self, below: &str, kind: &str) -> Outcome {
        let path = self.path(below).join("config.json");
        let mut config: Value = serde_json::from_str(&fs::read_to_string(&path)?)?;
        let list = config["linux"]["namespaces"].as_array_mut().ok_or("no namespaces")?;
        list.retain(|one| one["type"] != kind);
        Ok(fs::write(path, config.to_string())?)
    }

    /// Adds modules of the kernel, and those that they need, in the order of loading.
    pub fn modules(&self, wanted: &[&str]) -> Outcome {
        let (folder, depends) = modules().ok_or("no modules of the kernel: scripts/kernel puts them there")?;
        let mut all: Vec<&str> = Vec::new();
        for module in wanted {
            let line = depends.lines().find(|line| named(line.split(':').next().unwrap_or(""), module));
            let (path, below) = line.and_then(|line| line.split_once(':')).ok_or(format!("no module {module}"))?;
            // depmod(8) names what a module needs in the order from the nearest on.
            for path in below.split_whitespace().rev().chain([path]) {
                if !all.contains(&path) {
                    all.push(path);
                }
            }
        }
        let mut list = String::new();
        fs::create_dir_all(self.path("nk/modules"))?;
        for path in all {
            let name = path.rsplit('/').next().unwrap_or(path);
            fs::copy(folder.join(path), self.path("nk/modules").join(name))?;
            list += &format!("{name}\n");
        }
        self.file("nk/modules/list", &list)
    }

    /// The image of it.
    pub fn pack(&self) -> Result<PathBuf, Failed> {
        let image = self.bundle.path("image");
        let mut pack = Command::new("sh");
        pack.arg("-c")
            .arg("cd \"$1\" && find . | cpio --quiet -o -H newc | gzip -1 > ../image")
            .args(["pack", &self.path("").to_string_lossy()]);
        self.bundle.finish(pack)?.ok()?;
        Ok(image)
    }

    /// Boots it as [`boot`] does.
    pub fn boot(&self, append: &str) -> Result<Ended, Failed> {
        boot(&self.bundle, &self.pack()?, append)
    }
}
