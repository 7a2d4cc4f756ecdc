"""A small client of the Container Runtime Interface: what a kubelet asks, of containerd, one pod at a time.

    cri.py SOCKET IMAGE HANDLER pod|host|failing

Messages are of k8s.io/cri-api's api.proto, runtime.v1: here by the numbers of their fields alone.
"""
import sys
import time

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


POD = {1: {1: "pod", 2: "uid-1", 3: "default"}, 3: "/tmp", 8: {}}
if what == "host":
    POD[8] = {2: {1: {1: 2}}}  # network: that of the node


def container(name, command, **more):
    config = {1: {1: name}, 2: {1: image}, 3: command}
    config.update({int(key[1:]): value for key, value in more.items()})
    return config


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
    else:
        limits = {15: {1: {4: 64 << 20, 3: 512}}}
        script = ["sh", "-c", "trap 'exit 5' TERM; while :; do sleep 0.1; done"]
        made = text(call("CreateContainer", f1=pod, f2={**container("main", script), **limits}, f3=POD), 1)
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
