# shellcheck shell=bash disable=SC2154 # the variables are those of scripts/clients
# containerd's own client, ctr; and containerd as Kubernetes calls it, by the Container Runtime Interface.

# shellcheck disable=SC2034
ctr_core="run missing terminal exec pause metrics why_it_failed"
# shellcheck disable=SC2034
cri_core="pod failing"

c() { ctr "$@"; }
cbox() { # OPTIONS ID PROGRAM ..: of the image
    local options=()
    while [ "${1#-}" != "$1" ]; do options+=("$1"); shift; done
    ctr run --runc-binary "$(command -v "$runtime")" ${options[@]+"${options[@]}"} "$image" "$@"
}

ctr_begin() {
    containerd_begin || return
    ctr images import "$work/box.tar"
    ctr images ls -q
}
ctr_version() { ctr version | awk '/^Server/ { server = 1 } server && /Version:/ { sub("^v", "", $2); print $2 }'; }
ctr_clean() {
    local id
    for id in $(ctr tasks ls -q); do ctr tasks kill -s KILL "$id"; done
    sleep 1
    for id in $(ctr tasks ls -q); do ctr tasks rm -f "$id"; done
    for id in $(ctr containers ls -q); do ctr containers rm "$id"; done
}
ctr_end() { ctr_clean; }

ctr_case_run() { same "$(cbox --rm one echo hello)" hello; }
ctr_case_status() {
    local status=0
    cbox --rm one sh -c 'exit 7' || status=$?
    same "$status" 7
}
ctr_case_missing() {
    local said
    said=$(cbox --rm one nosuch 2>&1) && return 1
    has "$said" "executable file not found"
}
ctr_case_terminal() {
    local said
    said=$(SLOW=3 typed 'tty\nexit\n' ctr run --runc-binary "$(command -v "$runtime")" --rm -t "$image" one sh)
    has "$said" /dev/pts/0
}
ctr_case_exec() {
    cbox -d one sleep 1000
    same "$(c task exec --exec-id e1 one echo inside)" inside
    has "$(SLOW=3 typed 'tty\nexit\n' ctr task exec -t --exec-id e2 one sh)" /dev/pts/0
}
ctr_case_pause() {
    cbox -d one sleep 1000
    c task pause one
    has "$(c task ls)" PAUSED
    c task resume one
    has "$(c task ls)" RUNNING
    has "$(c task ps one)" PID
}
ctr_case_kill_all() {
    cbox -d one sh -c 'sleep 1000 & sleep 1000'
    c task kill -a -s KILL one
    patiently sh -c 'ctr task ls | grep STOPPED'
}
ctr_case_metrics() {
    cbox -d one sleep 1000
    has "$(c task metrics one)" pids.current
}
ctr_case_why_it_failed() {
    local said
    mkdir -p "$work/gone"
    said=$(cbox "--mount=type=bind,src=$work/gone,dst=/etc/notexec,options=bind" failing true 2>&1) && return 1
    if [ "$runtime" = nk-runtime ]; then
        has "$said" "move_mount("
        has "$(nk-runtime --root /run/containerd/runc/default trace failing | grep move_mount)" "this ended the command"
    fi
}
ctr_case_watch() {
    local status=0
    cbox --annotation=nano-sandbox.watch=refused one sh -c 'echo out; touch /sys/x; exit 3' >"$work/out" || status=$?
    same "$status" 3
    same "$(cat "$work/out")" out
    watched "a mount: /mounts/" one --root /run/containerd/runc/default
    c containers rm one || true
    cbox -d --annotation=nano-sandbox.watch=refused one sleep 1000
    same "$(c task exec --exec-id e1 one echo inside)" inside
    c task kill -s KILL one
    patiently sh -c '! pgrep -x nk-runtime'
}
ctr_case_many() {
    local n
    for n in 1 2 3 4 5 6 7 8; do cbox -d "many$n" sleep 1000 & done
    wait
    same "$(c task ls -q | wc -l)" 8
}
ctr_case_null_io() {
    cbox --rm --null-io one echo unseen
    cbox -d --null-io one sh -c 'exec 3>/dev/null; echo x >&1 && sleep 1000'
    patiently sh -c 'ctr task ls | grep RUNNING'
}
ctr_case_limits() {
    cbox -d --memory-limit=52428800 --cpus=0.5 one sleep 1000
    same "$(cat /sys/fs/cgroup/default/one/memory.max /sys/fs/cgroup/default/one/cpu.max | tr '\n' ' ')" "52428800 50000 100000 "
}
# Through the plugins for networks that Kubernetes has; in a network of its own.
ctr_case_network() {
    mkdir -p /opt/cni
    ln -sfn /usr/lib/cni /opt/cni/bin
    has "$(cbox --rm --cni one ip addr show eth0)" "10.88.0."
    has "$(cbox --rm --net-host one ip addr show lo)" "127.0.0.1"
}
ctr_case_user_namespace() {
    same "$(cbox --rm --uidmap=0:100000:65536 --gidmap=0:100000:65536 one cat /proc/self/uid_map | tr -s ' ')" " 0 100000 65536"
}
ctr_case_options() {
    refused cbox --rm --read-only one touch /etc/x
    cbox --rm --privileged one mount -t tmpfs x /tmp
    same "$(cbox --rm --seccomp one sed -n 's/^Seccomp:\t//p' /proc/self/status)" 2
    same "$(cbox --rm --env=A=5 --cwd=/tmp one sh -c 'echo $A $PWD')" "5 /tmp"
    has "$(cbox --rm --mount=type=tmpfs,dst=/data,options=size=1m one df -k /data)" 1024
    cbox --rm --device=/dev/fuse one test -c /dev/fuse
    # A container among the processes of another.
    cbox -d one sleep 1234
    has "$(cbox --rm "--with-ns=pid:/proc/$(c task ls | awk '$1 == "one" { print $2 }')/ns/pid" two ps)" "sleep 1234"
}
least[ctr/user]=1.7
ctr_case_user() { same "$(cbox --rm --user=1000:1000 one id -u)" 1000; }
ctr_case_checkpoint() {
    cbox -d one sleep 1000
    local said
    if said=$(c task checkpoint --image-path "$work/checkpoint" one 2>&1); then
        return
    fi
    has "$said" checkpoint
    has "$(c task ls)" RUNNING
    same "$(c task exec --exec-id e1 one echo inside)" inside
}
ctr_case_attach() {
    # It looks at its terminal, though nothing stays at it.
    script -qec "ctr run --runc-binary $(command -v "$runtime") -d -t $image one sh" /dev/null </dev/null >/dev/null
    has "$(SLOW=3 typed 'echo one two\nexit\n' ctr task attach one)" "one two"
}
ctr_time() { cbox --rm timed true; }

# --- Kubernetes ---

cri_begin() {
    containerd_begin || return
    ctr -n k8s.io images import "$work/box.tar"
    # What holds a pod's namespaces: an image of the same layer, whose program waits.
    jq '.config.Cmd = ["sleep", "1000000"]' "$work/config.json" >"$work/pause.json"
    mkdir -p "$work/pause"
    cp "$work/layer.tar" "$work/pause/layer.tar"
    cp "$work/pause.json" "$work/pause/config.json"
    jq '.[0].RepoTags = ["localhost/pause:latest"]' "$work/manifest.json" >"$work/pause/manifest.json"
    tar -C "$work/pause" -cf "$work/pause.tar" manifest.json config.json layer.tar
    ctr -n k8s.io images import "$work/pause.tar"
    ctr -n k8s.io images ls -q
    if grep -q 'failed to load plugin.*grpc.v1.cri' /var/log/containerd; then
        grep 'plugin.*grpc.v1.cri' /var/log/containerd
        return 1
    fi
}
cri_version() { ctr_version; }
cri_clean() { :; }
cri_end() { :; }

# The handler that README.md's RuntimeClass names; without one, containerd takes runc.
cri() {
    local handler=$runtime
    [ "$runtime" != nk-runtime ] || handler=$(snippet RuntimeClass | sed -n 's/^handler: *//p')
    [ "$1" != systemd ] || handler+=-systemd
    python3 scripts/clients.d/cri.py /run/containerd/containerd.sock "$image" "$handler" "$1"
}
cri_case_pod() { cri pod; }
cri_case_failing() { cri failing; }
cri_case_watch() {
    [ "$runtime" = nk-runtime ] || return 0
    cri watch
}
cri_case_host_network() { cri host; }
# --- what newer ones have ---

least[cri/user_namespace]=2.0
cri_case_user_namespace() { cri userns; }
least[cri/recursive_read_only]=2.0
cri_case_recursive_read_only() {
    mkdir -p /srv/tree/sub
    mountpoint -q /srv/tree/sub || mount -t tmpfs x /srv/tree/sub
    cri rro
}
least[cri/image_volume]=2.1
cri_case_image_volume() { cri image; }
least[cri/groups_policy]=2.0
cri_case_groups_policy() { cri groups; }
# Limits changed while it runs, those of swap and of processors too.
least[cri/resize]=1.7
cri_case_resize() { cri resize; }
least[cri/streams]=1.7
cri_case_streams() { cri streams; }
cri_case_sandboxes() { cri two; }
cri_case_security() { cri security; }
cri_case_systemd_cgroups() { cri systemd; }
