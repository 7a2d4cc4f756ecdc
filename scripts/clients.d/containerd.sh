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
        has "$(nk-runtime --root /run/containerd/runc/default trace failing | grep move_mount)" "= -1 E"
    fi
}
ctr_case_many() {
    local n
    for n in 1 2 3 4 5 6 7 8; do cbox -d "many$n" sleep 1000 & done
    wait
    same "$(c task ls -q | wc -l)" 8
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
cri_clean() { :; }
cri_end() { :; }

# The handler that README.md's RuntimeClass names; without one, containerd takes runc.
cri() {
    local handler=
    [ "$runtime" != nk-runtime ] || handler=$(snippet RuntimeClass | sed -n 's/^handler: *//p')
    python3 scripts/clients.d/cri.py /run/containerd/containerd.sock "$image" "$handler" "$1"
}
cri_case_pod() { cri pod; }
cri_case_failing() { cri failing; }
cri_case_host_network() { cri host; }
