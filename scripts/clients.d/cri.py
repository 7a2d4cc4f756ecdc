"""A small client of the Container Runtime Interface: what a kubelet asks, of containerd, one pod at a time.

    cri.py SOCKET IMAGE HANDLER pod|host|failing|userns|rro|image|groups|resize|streams|two|security|systemd|watch

Messages are of k8s.io/cri-api's api.proto, runtime.v1: here by the numbers of their fields alone.
"""
import socket as sockets
import subprocess
import sys
import time
import urllib.parse

import grpc

socket, image, handler, what = sys.argv[1:]
channel = grpc.insecure_channel("unix://" + socket)


def varint(number):
    out = bytearray()
    number &= (1 << 64) - 1
    while number > 127:
        out.append(number & 127 | 128)
        number >>= 7
    out.append(number)
    return bytes(out)


def message(fields):
    """{number: value}: text, bytes, a number, a message as such a dict, or a list of these."""
    out = b""
    for number, value in fields.items():
        for one in value if isinstance(value, list) else [value]:
            if isinstance(one, int):
                out += varint(number << 3) + varint(one)
                continue
            if isinstance(one, dict):
                one = message(one)
            elif isinstance(one, str):
                one = one.encode()
            out += varint(number << 3 | 2) + varint(len(one)) + one
    return out


def fields(data):
    """The same, read: {number: [values]}."""
    out, at = {}, 0

    def number():
        nonlocal at
        value = shift = 0
        while True:
            byte = data[at]
            at += 1
            value |= (byte & 127) << shift
            shift += 7
            if byte < 128:
                return value

    while at < len(data):
        key = number()
        if key & 7 == 0:
            value = number()
        elif key & 7 == 2:
            size = number()
            value = data[at : at + size]
            at += size
        else:
            raise ValueError(f"wire type {key & 7}")
        out.setdefault(key >> 3, []).append(value)
    return out


def call(method, **request):
    """Fields are given as f1=..., f2=..."""
    body = message({int(name[1:]): value for name, value in request.items()})
    stub = channel.unary_unary("/runtime.v1.RuntimeService/" + method)
    return fields(stub(body, timeout=120))


def text(answer, number):
    return answer.get(number, [b""])[0].decode()


def check(what, is_so):
    if not is_so:
        sys.exit(f"{what}: no")
    print(what)


# NamespaceOption: network of the node; or users of the pod's own: 0 to 65535 are 100000 to 165535.
IDS = {1: 100000, 2: 0, 3: 65536}
SPACES = {"host": {1: 2}, "userns": {5: {1: 0, 2: IDS, 3: IDS}}}.get(what, {})
POD = {1: {1: "pod", 2: "uid-1", 3: "default"}, 3: "/tmp", 8: {2: {1: SPACES}} if SPACES else {}}
if what == "watch":
    POD[7] = {1: "nano-sandbox.watch", 2: "refused"}
if what == "systemd":
    POD[8] = {1: "kubepods-burstable.slice"}


def container(name, command, linux=None, **more):
    config = {1: {1: name}, 2: {1: image}, 3: command}
    config.update({int(key[1:]): value for key, value in more.items()})
    linux = dict(linux or {})
    if SPACES:
        linux[2] = {**linux.get(2, {}), 3: SPACES}
    if linux:
        config[15] = linux
    return config


def started(name, command, **more):
    made = text(call("CreateContainer", f1=pod, f2=container(name, command, **more), f3=POD), 1)
    call("StartContainer", f1=made)
    return made


def run(made, *command):
    answer = call("ExecSync", f1=made, f2=list(command), f3=60)
    return text(answer, 1), text(answer, 2), answer.get(3, [0])[0]


FOREVER = ["sh", "-c", "trap 'exit 5' TERM; touch /dev/shm/ready; while :; do sleep 0.1; done"]


class Stream:
    """A WebSocket as kubectl opens one (v4.channel.k8s.io): each message begins with the number of its stream."""

    def __init__(self, url):
        at = urllib.parse.urlparse(url)
        self.socket = sockets.create_connection((at.hostname, at.port), timeout=60)
        lines = [f"GET {at.path} HTTP/1.1", f"Host: {at.netloc}", "Upgrade: websocket", "Connection: Upgrade"]
        lines += ["Sec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==", "Sec-WebSocket-Version: 13"]
        lines += ["Sec-WebSocket-Protocol: v4.channel.k8s.io", "", ""]
        self.socket.sendall("\r\n".join(lines).encode())
        self.data = b""
        while b"\r\n\r\n" not in self.data:
            self.more()
        head, self.data = self.data.split(b"\r\n\r\n", 1)
        check("the stream is there", b" 101 " in head)
        self.said = {}

    def more(self):
        got = self.socket.recv(65536)
        if not got:
            raise EOFError
        self.data += got

    def take(self, size):
        while len(self.data) < size:
            self.more()
        out, self.data = self.data[:size], self.data[size:]
        return out

    def send(self, stream, data):
        data = bytes([stream]) + data
        # Masked with zeros: it stays as it is (RFC 6455, 5.3).
        self.socket.sendall(bytes([0x82, 0x80 | len(data), 0, 0, 0, 0]) + data)

    def read(self):
        kind, size = self.take(2)
        if size & 127 > 125:
            size = int.from_bytes(self.take(2 if size == 126 else 8), "big")
        data = self.take(size)
        if kind & 15 == 8:
            raise EOFError
        if kind & 15 in (0, 1, 2) and data:
            self.said[data[0]] = self.said.get(data[0], b"") + data[1:]

    def until(self, stream, part):
        """Everything that was said on a stream, once that part is in it."""
        try:
            while part not in self.said.get(stream, b""):
                self.read()
        except EOFError:
            check(f"{part} is in {self.said}", False)
        return self.said[stream]


def userns():
    made = started("main", FOREVER)
    check("the pod has users of its own", run(made, "cat", "/proc/self/uid_map")[0].split() == ["0", "100000", "65536"])
    check("its files are root's", run(made, "stat", "-c", "%u", "/etc/passwd", "/tmp")[0].split() == ["0", "0"])
    check("and can be written", run(made, "touch", "/etc/new")[2] == 0)


def rro():
    mounts = [{1: "/data", 2: "/srv/tree", 3: 1, 8: 1}, {1: "/plain", 2: "/srv/tree", 3: 1}]
    made = started("main", FOREVER, f7=mounts)
    check("nothing below can be written", run(made, "touch", "/data/sub/x")[2] != 0)
    check("below one that is read-only itself, it can", run(made, "touch", "/plain/sub/x")[2] == 0)


def image_volume():
    made = started("main", FOREVER, f7={1: "/image", 3: 1, 9: {1: image}})
    check("the image is there", run(made, "cat", "/image/etc/notexec")[0] == "text\n")
    check("to be read", run(made, "touch", "/image/x")[2] != 0)


def groups():
    # Users by number; the image's /etc/group has user 1000 in group 1000 alone.
    one = started("merge", FOREVER, linux={2: {5: {1: 1000}, 8: [33, 44]}})
    check("groups", set(run(one, "id", "-G")[0].split()) >= {"1000", "33", "44"})
    two = started("strict", FOREVER, linux={2: {5: {1: 1000}, 12: {1: 77}, 8: [33], 17: 1}})
    check("only those named", sorted(run(two, "id", "-G")[0].split()) == ["33", "77"])


def resize():
    made = started("main", FOREVER, linux={1: {1: 100000, 2: 50000, 3: 512, 4: 64 << 20, 10: 96 << 20}})

    def limits():
        names = ["memory.max", "memory.swap.max", "cpu.max", "cpuset.cpus"]
        return run(made, "sh", "-c", "cd /sys/fs/cgroup; cat " + " ".join(names))[0].split("\n")

    check(f"{limits()}", limits()[:3] == [str(64 << 20), str(32 << 20), "50000 100000"])
    call("UpdateContainerResources", f1=made, f2={1: 100000, 2: 25000, 3: 256, 4: 48 << 20, 6: "0", 10: 48 << 20})
    check(f"{limits()}", limits()[:4] == [str(48 << 20), "0", "25000 100000", "0"])
    call("UpdateContainerResources", f1=made, f2={4: 80 << 20, 10: 160 << 20, 9: {1: "memory.high", 2: str(40 << 20)}})
    check(f"{limits()}", limits()[:2] == [str(80 << 20), str(80 << 20)])
    check("memory.high", run(made, "cat", "/sys/fs/cgroup/memory.high")[0] == f"{40 << 20}\n")


def streams():
    made = started("main", ["sh"], f12=1, f14=1)
    stream = Stream(text(call("Exec", f1=made, f2=["sh", "-c", "read x; echo got $x; echo err >&2; exit 3"], f4=1, f5=1, f6=1), 1))
    stream.send(0, b"typed\n")
    stream.until(1, b"got typed\n")
    stream.until(2, b"err\n")
    check("the exit code is said", b'"3"' in stream.until(3, b"}"))
    stream = Stream(text(call("Exec", f1=made, f2=["sh"], f3=1, f4=1, f5=1), 1))
    stream.send(4, b'{"Width":91,"Height":33}')
    stream.send(0, b"tty; sleep 1; stty size; exit\n")
    stream.until(1, b"/dev/pts/")
    stream.until(1, b"33 91")
    stream = Stream(text(call("Attach", f1=made, f2=1, f3=1, f4=1), 1))
    stream.send(0, b"echo $((40 + 2)) attached\n")
    stream.until(1, b"42 attached")


def two():
    one = started("one", ["sh", "-c", "echo here >/dev/shm/x; sleep 1000"])
    other = started("other", FOREVER)
    for _ in range(60):
        if run(other, "cat", "/dev/shm/x")[0] == "here\n":
            break
        time.sleep(1)
    check("what two containers share", run(other, "cat", "/dev/shm/x")[0] == "here\n")
    check("hostname", run(one, "hostname")[0] == run(other, "hostname")[0])
    listed = call("ListContainers")[1]
    check("both are listed", {fields(each)[1][0].decode() for each in listed} >= {one, other})


def systemd():
    made = started("main", FOREVER)
    scope = f"/sys/fs/cgroup/kubepods.slice/kubepods-burstable.slice/cri-containerd-{made}.scope"
    with open(scope + "/cgroup.procs") as file:
        check("its processes are in a scope of systemd's", file.read().split())
    while run(made, "test", "-e", "/dev/shm/ready")[2] != 0:
        time.sleep(1)
    call("StopContainer", f1=made, f2=30)
    status = fields(call("ContainerStatus", f1=made)[1][0])
    check(f"state {status[3][0]}, exit code {status[7][0]}", (status[3][0], status[7][0]) == (2, 5))


def watch():
    made = started("main", ["sh", "-c", "touch /sys/x; exit 3"])
    for _ in range(60):
        status = fields(call("ContainerStatus", f1=made)[1][0])
        if status[3][0] == 2:
            break
        time.sleep(1)
    check(f"state {status[3][0]}, exit code {status[7][0]}", (status[3][0], status[7][0]) == (2, 3))
    call("RemoveContainer", f1=made)
    trace = ["nk-runtime", "--root", "/run/containerd/runc/k8s.io", "trace", "--refused", made]
    said = subprocess.run(trace, capture_output=True, text=True).stdout
    check(f"its trace names what was refused: {said}", "a mount: /mounts/" in said)


def security():
    caps = {1: {1: ["NET_ADMIN"], 2: ["CHOWN"]}, 5: {1: 0}, 7: 1, 11: 1, 13: ["/proc/version"], 14: ["/proc/sys"]}
    made = started("main", FOREVER, linux={2: caps})
    check("read-only", run(made, "touch", "/etc/x")[2] != 0)
    check("no new privileges", "NoNewPrivs:\t1" in run(made, "cat", "/proc/self/status")[0])
    check("masked", run(made, "cat", "/proc/version")[0] == "")
    effective = int(run(made, "sed", "-n", "s/CapEff:.//p", "/proc/self/status")[0], 16)
    check("capabilities", effective >> 12 & 1 == 1 and effective & 1 == 0)


pod = text(call("RunPodSandbox", f1=POD, f2=handler), 1)
try:
    check("the pod runs", pod)
    if what == "failing":
        made = text(call("CreateContainer", f1=pod, f2=container("bad", ["/no/such"]), f3=POD), 1)
        try:
            call("StartContainer", f1=made)
            sys.exit("a program that is not there was started")
        except grpc.RpcError as error:
            print(error.details())
            check("the engine says why", "no such file or directory" in error.details())
        call("RemoveContainer", f1=made)
    elif what not in ("pod", "host"):
        {"image": image_volume}.get(what, globals().get(what))()
    else:
        limits = {15: {1: {4: 64 << 20, 3: 512}}}
        made = text(call("CreateContainer", f1=pod, f2={**container("main", FOREVER), **limits}, f3=POD), 1)
        call("StartContainer", f1=made)
        answer = call("ExecSync", f1=made, f2=["sh", "-c", "echo out; echo err >&2; exit 3"], f3=60)
        said = (text(answer, 1), text(answer, 2), answer[3][0])
        check(f"ExecSync says {said}", said == ("out\n", "err\n", 3))
        limit = text(call("ExecSync", f1=made, f2=["cat", "/sys/fs/cgroup/memory.max"], f3=60), 1)
        check(f"the limit is {limit.strip()}", limit == f"{64 << 20}\n")
        if what == "pod":
            address = text(call("ExecSync", f1=made, f2=["ip", "addr", "show", "eth0"], f3=60), 1)
            check("the pod has an address", "10.88.0." in address)
        call("UpdateContainerResources", f1=made, f2={4: 32 << 20})
        limit = text(call("ExecSync", f1=made, f2=["cat", "/sys/fs/cgroup/memory.max"], f3=60), 1)
        check(f"updated it is {limit.strip()}", limit == f"{32 << 20}\n")
        for _ in range(20):
            stats = fields(call("ContainerStats", f1=made)[1][0])
            if 2 in stats and 3 in stats:
                break
            time.sleep(1)
        check("there are statistics", fields(fields(stats[3][0])[2][0]).get(1, [0])[0] > 0)
        call("StopContainer", f1=made, f2=30)
        status = fields(call("ContainerStatus", f1=made)[1][0])
        check(f"state {status[3][0]}, exit code {status[7][0]}", (status[3][0], status[7][0]) == (2, 5))
        call("RemoveContainer", f1=made)
finally:
    call("StopPodSandbox", f1=pod)
    call("RemovePodSandbox", f1=pod)
print("the pod is gone")
