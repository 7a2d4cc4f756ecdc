//! Machines that the kernel's command line and the image tell to load modules, to mount disks and shares, and to bring the
//! network up: src/guest. The devices are those of virtio, as every hypervisor has them.

use crate::bundle::{Bundle, runtime, tool};
use crate::machine::{self, Ended, boot_on, kernel, kernels};
use crate::{Failed, Outcome, ensure, same};
use libtest_mimic::Trial;
use serde_json::json;
use std::fs;
use std::io::{Read, Write};
use std::net::TcpListener;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::{Path, PathBuf};
use std::process::{Child, Command};

pub fn cases() -> Vec<Trial> {
    machine::cases(
        "disks",
        &[
            ("erofs_as_root", || from_disk("erofs")),
            ("squashfs_as_root", || from_disk("squashfs")),
            ("ext4_as_root", || from_disk("ext4")),
            ("shared_by_9p_as_root", from_9p),
            ("shared_by_virtiofs_as_root", from_virtiofs),
            ("without_an_overlay_the_disk_is_written", written),
            ("a_configuration_of_the_initramfs_and_a_rootfs_of_the_disk", apart),
            ("what_is_missing_is_named", missing),
            ("a_share_beside_the_root", beside),
            ("words_that_do_not_go_together", words),
            ("network_by_words", network),
            ("network_device_in_a_namespace_of_its_own", moved),
        ],
    )
}

/// virtiofsd speaks no devices of the old kind.
const MICROVM: &str = "-M microvm,acpi=on,rtc=on -no-reboot -m 256 -global virtio-mmio.force-legacy=false";

/// The folder of modules of the kernel that is booted.
fn modules() -> Result<PathBuf, Failed> {
    let all = fs::read_dir(kernels("lib/modules"))?;
    let usual = all.flatten().map(|one| one.path()).find(|path| !path.to_string_lossy().contains("cloud"));
    Ok(usual.ok_or("needs the modules that scripts/kernel fetches")?)
}

/// Runs scripts/initramfs, which gets the file to be written as its last word.
fn script(bundle: &Bundle, words: &[&str], out: &str) -> Result<PathBuf, Failed> {
    let image = bundle.path(out);
    let mut command = Command::new(Path::new(env!("CARGO_MANIFEST_DIR")).join("scripts/initramfs"));
    command.args(words).arg(&image).env("NK_RUNTIME", runtime());
    bundle.finish(command)?.ok()?;
    Ok(image)
}

/// An initramfs with these modules and, if one is named, this bundle.
fn initramfs(bundle: &Bundle, names: &str, what: &str) -> Result<PathBuf, Failed> {
    let modules = modules()?;
    script(bundle, &["--modules", &modules.to_string_lossy(), names, what], "image")
}

/// Such a machine has no clock by which the kernel could measure its processor's counter, which is the host's.
fn start(bundle: &Bundle, image: &Path, machine: &str, append: &str) -> Result<Ended, Failed> {
    let told = fs::read_to_string("/proc/cpuinfo")?;
    let mhz =
        told.lines().find_map(|line| line.strip_prefix("cpu MHz")?.trim_start_matches(['\t', ' ', ':']).parse().ok());
    let khz = mhz.map_or(2_500_000, |mhz: f64| (mhz * 1000.0) as u64);
    let append = format!("nk.end=reboot tsc_early_khz={khz} {append}");
    boot_on(&format!("{MICROVM} {machine}"), &kernel(), bundle, image, &append)
}

/// The program, for which each kind of file lies in its rootfs, and what it says.
const LOOKS: &str = "cd /kept; for f in *; do stat -c '%n %F %a %u %g %h %t %T' $f; done; readlink soft; cat five hard
    stat -c %a /; stat -c '%u %g' /
    ./busybox grep CapEff /proc/self/status
    echo new > mine/new && echo more >> mine/old && cat mine/old; echo status $?";
const SEEN: &[&str] = &[
    "busybox regular file 755 0 0 1 0 0",
    "dir directory 1700 0 0 2 0 0",
    "five regular file 4755 7 8 2 0 0",
    "hard regular file 4755 7 8 2 0 0",
    "mine directory 755 1000 1000 2 0 0",
    "null character special file 644 0 0 1 1 3",
    "pipe fifo 644 0 0 1 0 0",
    "soft symbolic link 777 0 0 1 0 0",
    "../else/where",
    "five",
    "five",
    "751",
    "0 9",
    // CAP_NET_BIND_SERVICE, which a file gives to a user without it.
    "CapEff:\t0000000000000400",
    "old",
    "more",
    "status 0",
];

/// A bundle in a folder of its own, with the program as user 1000.
fn kept() -> Result<(Bundle, PathBuf), Failed> {
    let mut bundle = Bundle::shell(LOOKS)?;
    for applet in ["stat", "readlink"] {
        symlink("busybox", bundle.rootfs("bin").join(applet))?;
    }
    let made = Command::new("sh")
        .arg("-ec")
        .arg(
            "mkdir kept kept/dir kept/mine; cd kept; echo five >five; chown 7:8 five; chmod 4755 five; ln five hard
            ln -s ../else/where soft; chmod 1700 dir; mknod null c 1 3; mkfifo pipe; echo old >mine/old; chown -R 1000:1000 mine
            cp ../bin/busybox .; setcap cap_net_bind_service=ep busybox; chown 0:9 ..; chmod 751 ..",
        )
        .current_dir(bundle.rootfs(""))
        .output()?;
    ensure!(made.status.success(), "{made:?}");
    bundle.set("/process/user", json!({"uid": 1000, "gid": 1000}))?;
    bundle.set("/process/noNewPrivileges", json!(false))?;
    bundle.set("/process/capabilities", json!({"bounding": ["CAP_NET_BIND_SERVICE"]}))?;
    bundle.set("/root/readonly", json!(false))?;
    let folder = apart_from_the_rest(&bundle)?;
    Ok((bundle, folder))
}

/// Moves a bundle into a folder that holds nothing else.
fn apart_from_the_rest(bundle: &Bundle) -> Result<PathBuf, Failed> {
    let folder = bundle.path("whole");
    fs::create_dir(&folder)?;
    fs::rename(bundle.rootfs(""), folder.join("rootfs"))?;
    fs::write(folder.join("config.json"), bundle.config.to_string())?;
    fs::set_permissions(&folder, fs::Permissions::from_mode(0o755))?;
    Ok(folder)
}

/// What the program said.
fn said(ended: &Ended) -> Vec<&str> {
    let from = ended.lines.iter().map(String::as_str).skip_while(|line| !line.starts_with("busybox regular"));
    from.filter(|line| !line.starts_with('[')).take_while(|line| !line.starts_with("nk-runtime: ")).collect()
}

const DRIVE: &str = "-device virtio-blk-device,drive=disk -drive if=none,id=disk,format=raw,file=";
const BASE: &str = "virtio_mmio overlay";

fn disk(bundle: &Bundle, kind: &str, folder: &Path) -> Result<PathBuf, Failed> {
    script(bundle, &["--image", kind, "--free", "1", &folder.to_string_lossy()], "disk")
}

/// The disk can be written, and is not.
fn from_disk(kind: &str) -> Outcome {
    let (bundle, folder) = kept()?;
    let disk = disk(&bundle, kind, &folder)?;
    let before = fs::read(&disk)?;
    let image = initramfs(&bundle, &format!("{BASE} virtio_blk {kind}"), "--bare")?;
    let ended = start(&bundle, &image, &format!("{DRIVE}{}", disk.display()), "nk.root=/dev/vda")?;
    ensure!(said(&ended) == SEEN, "{:#?}\nand not {SEEN:#?}\n{}", said(&ended), ended.text());
    ended.has("nk-runtime: exit status 0")?;
    ensure!(fs::read(&disk)? == before, "the disk has changed");
    Ok(())
}

/// QEMU hands out attributes of users alone: capabilities of files do not arrive.
fn without_capabilities() -> Vec<&'static str> {
    let lost = |line: &&'static str| if line.starts_with("CapEff") { "CapEff:\t0000000000000000" } else { line };
    SEEN.iter().map(lost).collect()
}

fn from_9p() -> Outcome {
    let (bundle, folder) = kept()?;
    let image = initramfs(&bundle, &format!("{BASE} 9p 9pnet_virtio"), "--bare")?;
    let share = format!(
        "-fsdev local,id=share,security_model=passthrough,readonly=on,path={} -device virtio-9p-device,fsdev=share,mount_tag=the-root",
        folder.display()
    );
    let ended = start(&bundle, &image, &share, "nk.root=the-root nk.rootfstype=9p")?;
    let wanted = without_capabilities();
    ensure!(said(&ended) == wanted, "{:#?}\nand not {wanted:#?}\n{}", said(&ended), ended.text());
    ensure!(!folder.join("rootfs/kept/mine/new").exists(), "the share was written");
    Ok(())
}

/// Debian's virtiofsd, which ends with the machine.
fn virtiofsd() -> Result<PathBuf, Failed> {
    let places = ["/usr/libexec/virtiofsd", "/usr/lib/qemu/virtiofsd"].map(PathBuf::from);
    Ok(places.into_iter().find(|place| place.exists()).ok_or("needs virtiofsd")?)
}

struct Served(Child);

impl Drop for Served {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

fn serve(bundle: &Bundle, folder: &Path) -> Result<(Served, String), Failed> {
    let socket = bundle.path("socket");
    let child = Command::new(virtiofsd()?)
        .arg(format!("--socket-path={}", socket.display()))
        .args(["-o", &format!("source={},xattr,sandbox=chroot", folder.display())])
        .stderr(fs::File::create(bundle.path("said/virtiofsd"))?)
        .spawn()?;
    let served = Served(child);
    crate::bundle::patiently("virtiofsd's socket", || Ok(socket.exists()))?;
    let words = format!(
        "-object memory-backend-memfd,id=memory,size=256M,share=on -machine memory-backend=memory \
         -chardev socket,id=share,path={} -device vhost-user-fs-device,chardev=share,tag=the-root",
        socket.display()
    );
    Ok((served, words))
}

fn from_virtiofs() -> Outcome {
    let (bundle, folder) = kept()?;
    let image = initramfs(&bundle, &format!("{BASE} virtiofs"), "--bare")?;
    let (_served, share) = serve(&bundle, &folder)?;
    let ended = start(&bundle, &image, &share, "nk.root=the-root nk.rootfstype=virtiofs")?;
    ensure!(said(&ended) == SEEN, "{:#?}\nand not {SEEN:#?}\n{}", said(&ended), ended.text());
    ensure!(!folder.join("rootfs/kept/mine/new").exists(), "the share was written");
    Ok(())
}

/// An ext4 whose disk is whole when the machine has ended: nothing is left in its journal.
fn written() -> Outcome {
    let (bundle, folder) = kept()?;
    let disk = disk(&bundle, "ext4", &folder)?;
    let image = initramfs(&bundle, "virtio_mmio virtio_blk ext4", "--bare")?;
    let ended = start(&bundle, &image, &format!("{DRIVE}{}", disk.display()), "nk.root=/dev/vda nk.overlay=no")?;
    ensure!(said(&ended) == SEEN, "{:#?}\nand not {SEEN:#?}\n{}", said(&ended), ended.text());
    let ask = |words: &str| -> Result<String, Failed> {
        let done = Command::new(tool("debugfs")?).args(["-R", words]).arg(&disk).output()?;
        Ok(String::from_utf8_lossy(&done.stdout).into_owned())
    };
    same("the new file", ask("cat /rootfs/kept/mine/new")?.as_str(), "new\n")?;
    same("the old file", ask("cat /rootfs/kept/mine/old")?.as_str(), "old\nmore\n")?;
    let told = ask("features")?;
    ensure!(told.contains("has_journal") && !told.contains("needs_recovery"), "{told}");
    let checked = Command::new(tool("e2fsck")?).arg("-fn").arg(&disk).output()?;
    ensure!(checked.status.success(), "{checked:?}");
    // A disk that cannot be written is no failure where the program does not mind.
    let readonly = format!("{DRIVE}{},readonly=on", disk.display());
    let ended = start(&bundle, &image, &readonly, "nk.root=/dev/vda nk.overlay=no")?;
    ended.has("Read-only file system")?;
    ended.has("CapEff:\t0000000000000400")
}

/// The initramfs has the configuration. The disk has a rootfs, once by itself and once in a bundle, of which the configuration
/// does not count. The container's root is read-only.
fn apart() -> Outcome {
    let mut bundle = Bundle::shell("for f in /*; do echo $f; done; cat /proc/mounts | grep ' / '; touch /new; exit 6")?;
    symlink("busybox", bundle.rootfs("bin/grep"))?;
    let folder = apart_from_the_rest(&bundle)?;
    fs::write(folder.join("config.json"), "{}")?;
    let configured = bundle.path("configured");
    fs::create_dir(&configured)?;
    bundle.set("/hostname", json!("other"))?;
    fs::write(configured.join("config.json"), bundle.config.to_string())?;
    let image = initramfs(&bundle, &format!("{BASE} virtio_blk squashfs"), &configured.to_string_lossy())?;
    for whole in [folder.join("rootfs"), folder] {
        let disk = disk(&bundle, "squashfs", &whole)?;
        let drive = format!("{DRIVE}{},readonly=on", disk.display());
        let ended = start(&bundle, &image, &drive, "nk.root=/dev/vda nk.status=/dev/ttyS1")?;
        same("status", ended.status.as_str(), "6")?;
        ended.has("overlay / overlay ro,")?;
        ended.has("touch: /new: Read-only file system")?;
        ensure!(ended.lines.iter().any(|line| line == "/bin"), "no rootfs:\n{}", ended.text());
        ensure!(!ended.lines.iter().any(|line| line == "/rootfs"), "the bundle as a rootfs:\n{}", ended.text());
    }
    Ok(())
}

fn missing() -> Outcome {
    let (bundle, folder) = kept()?;
    let disk = disk(&bundle, "erofs", &folder)?;
    let drive = format!("{DRIVE}{}", disk.display());
    let none = initramfs(&bundle, "virtio_mmio virtio_blk", "--bare")?;
    let ended = start(&bundle, &none, &drive, "nk.root=/dev/vda")?;
    ended.has("the kernel has no erofs")?;
    ended.has("scripts/initramfs --modules")?;
    let image = initramfs(&bundle, "virtio_mmio virtio_blk erofs", "--bare")?;
    let ended = start(&bundle, &image, &drive, "nk.root=/dev/vda")?;
    ended.has("the kernel has no overlay")?;
    let ended = start(&bundle, &image, "", "nk.root=/dev/vda")?;
    ended.has("cannot open the device /dev/vda: no such file or directory")?;
    ended.has("it did not appear within ten seconds")?;
    let ended = start(&bundle, &image, &drive, "nk.root=the-root nk.rootfstype=9p")?;
    ended.has("the kernel has no 9p")?;
    // A disk without a file system.
    fs::write(&disk, vec![0; 1 << 20])?;
    let ended = start(&bundle, &image, &drive, "nk.root=/dev/vda")?;
    ended.has("/dev/vda has no file system that is known here: erofs, squashfs or ext4")?;
    let ended = start(&bundle, &image, &drive, "nk.root=/dev/vda nk.rootfstype=erofs")?;
    ended.has("cannot mount /dev/vda at /nk/low as erofs: invalid argument")?;
    // A tag that no device has; and a module that this kernel does not take.
    let image = initramfs(&bundle, "virtio_mmio 9p 9pnet_virtio", "--bare")?;
    let ended = start(&bundle, &image, "", "nk.root=the-root nk.rootfstype=9p")?;
    ended.has("within ten seconds no 9p share with this tag appeared")
}

/// nk.mount, for writing and not; a bind mount of the configuration brings it into the container.
fn beside() -> Outcome {
    let mut bundle = Bundle::shell("cat /data/given; echo back > /data/back; echo no > /fixed/no; cat /fixed/given")?;
    bundle.set(
        "/mounts/-",
        json!({"destination": "/data", "type": "bind", "source": "/srv/data", "options": ["rbind"]}),
    )?;
    bundle.set(
        "/mounts/-",
        json!({"destination": "/fixed", "type": "bind", "source": "/srv/fixed", "options": ["rbind"]}),
    )?;
    let folder = apart_from_the_rest(&bundle)?;
    for name in ["data", "fixed"] {
        fs::create_dir(bundle.path(name))?;
        fs::write(bundle.path(name).join("given"), format!("{name} given\n"))?;
        fs::create_dir(folder.join("rootfs").join(name))?;
    }
    let image = initramfs(&bundle, "virtio_mmio 9p 9pnet_virtio", &folder.to_string_lossy())?;
    let share = |name: &str| {
        format!(
            "-fsdev local,id={name},security_model=none,path={} -device virtio-9p-device,fsdev={name},mount_tag={name}",
            bundle.path(name).display()
        )
    };
    let machine = format!("{} {}", share("data"), share("fixed"));
    let words = "nk.mount=9p:data:/srv/data nk.mount=9p:fixed:/srv/fixed:ro";
    let ended = start(&bundle, &image, &machine, words)?;
    ended.has("data given")?;
    ended.has("fixed given")?;
    ended.has("Read-only file system")?;
    same("what came back", fs::read_to_string(bundle.path("data/back"))?.as_str(), "back\n")
}

fn words() -> Outcome {
    let bundle = Bundle::plain()?;
    let image = script(&bundle, &["--bare"], "image")?;
    for (words, named) in [
        ("nk.root=vda", "nk.root: `vda` is no device: write one as /dev/vda"),
        ("nk.root=/dev/vda nk.rootfstype=vfat", "nk.rootfstype: write erofs, squashfs, ext4, 9p or virtiofs"),
        ("nk.overlay=no", "nk.overlay: there is no nk.root that it is for"),
        ("nk.ip=10.0.2.15", "nk.ip: write ADDR/LEN"),
        ("ip=dhcp", "ip=: this kernel configures no network itself (CONFIG_IP_PNP): write nk.ip="),
    ] {
        let ended = start(&bundle, &image, "", words)?;
        ended.has(named)?;
        ended.has("nk-runtime: exit status 1")?;
    }
    Ok(())
}

const NETWORK: &str = "-netdev user,id=net,ipv4=on,ipv6=on -device virtio-net-device,netdev=net";

/// One who answers a request, as a web server would.
fn server() -> Result<u16, Failed> {
    let listener = TcpListener::bind("127.0.0.1:0")?;
    let port = listener.local_addr()?.port();
    std::thread::spawn(move || {
        for stream in listener.incoming().flatten() {
            let mut stream = stream;
            let _ = stream.read(&mut [0; 1024]);
            let _ = stream.write_all(b"HTTP/1.0 200 OK\r\nContent-Length: 8\r\n\r\nanswered");
        }
    });
    Ok(port)
}

/// The container shares the machine's network: it has no network namespace of its own.
fn network() -> Outcome {
    let port = server()?;
    let script = format!(
        "wget -q -O - http://10.0.2.2:{port}/; echo; ip address show; ip -6 route; cat /etc/resolv.conf
        wget -q -O - http://127.0.0.1:1/ 2>&1"
    );
    let mut bundle = Bundle::shell(&script)?;
    for applet in ["wget", "ip"] {
        symlink("busybox", bundle.rootfs("bin").join(applet))?;
    }
    fs::write(bundle.rootfs("etc/resolv.conf"), "")?;
    let list = bundle.config["linux"]["namespaces"].as_array_mut().ok_or("no namespaces")?;
    list.retain(|one| one["type"] != "network");
    let servers = json!({"destination": "/etc/resolv.conf", "type": "bind", "source": "/run/nk/resolv.conf", "options": ["bind", "ro"]});
    bundle.set("/mounts/-", servers)?;
    let folder = apart_from_the_rest(&bundle)?;
    let image = initramfs(&bundle, "virtio_mmio virtio_net", &folder.to_string_lossy())?;
    let append = "nk.ip=10.0.2.15/24,10.0.2.2,10.0.2.3 nk.ip=fec0::15/64,fec0::2 ip=:::::eth0:off:1.2.3.4";
    let ended = start(&bundle, &image, NETWORK, append)?;
    ended.has("answered")?;
    ended.has("inet 10.0.2.15/24")?;
    ended.has("inet6 fec0::15/64")?;
    let tentative = ended.lines.iter().any(|line| line.contains("fec0::15") && line.contains("tentative"));
    ensure!(!tentative, "the address is not in use yet:\n{}", ended.text());
    ended.has("default via fec0::2 dev eth0")?;
    for server in ["nameserver 10.0.2.3", "nameserver 1.2.3.4"] {
        ended.has(server)?;
    }
    // lo is up: the port is closed, and that is known at once.
    ended.has("Connection refused")?;
    // Without the driver, and with a gateway in another network.
    let bare = script_of_nothing(&bundle)?;
    let ended = start(&bundle, &bare, NETWORK, "nk.ip=10.0.2.15/24")?;
    ended.has("cannot find eth0, which nk.ip is for: no such device")?;
    ended.has("virtio_net with virtio_mmio or virtio_pci")?;
    let ended = start(&bundle, &image, NETWORK, "nk.ip=10.0.2.15/24,10.0.9.1")?;
    ended.has("cannot make 10.0.9.1 the gateway, as nk.ip asks: network is unreachable")
}

fn script_of_nothing(bundle: &Bundle) -> Result<PathBuf, Failed> {
    script(bundle, &["--demo"], "nothing")
}

/// linux.netDevices moves eth0 in: the container reaches the network that the address is in.
fn moved() -> Outcome {
    let port = server()?;
    let mut bundle = Bundle::shell(&format!("wget -q -O - http://10.0.2.2:{port}/; echo; ip address show eth0"))?;
    for applet in ["wget", "ip"] {
        symlink("busybox", bundle.rootfs("bin").join(applet))?;
    }
    bundle.set("/linux/netDevices", json!({"eth0": {}}))?;
    let folder = apart_from_the_rest(&bundle)?;
    let image = initramfs(&bundle, "virtio_mmio virtio_net", &folder.to_string_lossy())?;
    let ended = start(&bundle, &image, NETWORK, "nk.ip=10.0.2.15/24,10.0.2.2")?;
    ended.has("answered")?;
    ended.has("inet 10.0.2.15/24")
}
