# shellcheck shell=bash disable=SC2154 # the variables are those of scripts/clients
# dockerd, on containerd. Each docker_case_NAME is a case; $runtime is the runtime that it is about.

# shellcheck disable=SC2034
docker_core="run missing not_executable terminal exec exec_terminal detached stop pause top update read_only user
    capabilities seccomp init port why_it_failed"

d() { docker "$@"; }
dbox() { docker run --runtime "$runtime" --network none "$@"; }

# containerd is one for all that stand on it.
containerd_begin() {
    local name
    [ ! -S /run/containerd/containerd.sock ] || return 0
    mkdir -p /etc/containerd /etc/cni/net.d
    {
        printf 'version = 2\n[plugins."io.containerd.grpc.v1.cri"]\nsandbox_image = "localhost/pause:latest"\n'
        printf '[plugins."io.containerd.grpc.v1.cri".cni]\nbin_dir = "/usr/lib/cni"\n'
        snippet /etc/containerd/config.toml
        # The same for crun, which cases are compared with.
        snippet /etc/containerd/config.toml | sed '/runtimes.nk-runtime/,$!d; s|nk-runtime|crun|g; s|/usr/local/bin|/usr/bin|'
        # And each with systemd's cgroups, as Kubernetes sets a node up.
        for name in nk-runtime runc crun; do
            snippet /etc/containerd/config.toml | sed '/runtimes.nk-runtime/,$!d' |
                sed "s,/usr/local/bin/nk-runtime,$(command -v $name),; s,nk-runtime],$name-systemd],; s,nk-runtime.options],$name-systemd.options],"
            echo SystemdCgroup = true
        done
    } >/etc/containerd/config.toml
    cat >/etc/cni/net.d/10-pods.conflist <<'JSON'
{"cniVersion": "0.4.0", "name": "pods", "plugins": [
  {"type": "bridge", "bridge": "cni0", "isGateway": true, "ipMasq": false,
   "ipam": {"type": "host-local", "ranges": [[{"subnet": "10.88.0.0/24"}]]}},
  {"type": "portmap", "capabilities": {"portMappings": true}}]}
JSON
    containerd >/var/log/containerd 2>&1 &
    patiently ctr version || { tail -n 20 /var/log/containerd; return 1; }
}

docker_begin() {
    containerd_begin || return
    put /etc/docker/daemon.json
    jq '.runtimes.crun = { path: "/usr/bin/crun" }' /etc/docker/daemon.json >"$work/daemon.json"
    cp "$work/daemon.json" /etc/docker/daemon.json
    # What BuildKit calls, each case says.
    printf '#!/bin/sh\necho "$(cat /run/buildkit-runtime) $*" >>/run/buildkit-calls\nexec "$(cat /run/buildkit-runtime)" "$@"\n' >/usr/local/bin/buildkit-runtime
    chmod 755 /usr/local/bin/buildkit-runtime
    DOCKER_BUILDKIT_RUNC_COMMAND=/usr/local/bin/buildkit-runtime dockerd --containerd /run/containerd/containerd.sock >/var/log/dockerd 2>&1 &
    patiently docker version || { tail -n 20 /var/log/dockerd; return 1; }
    docker load -q -i "$work/box.tar"
    docker info --format '{{.Driver}} {{.CgroupDriver}} {{.CgroupVersion}} {{json .Runtimes}}'
}
docker_version() { docker version --format '{{.Server.Version}}'; }
docker_clean() {
    local all
    umount "$work/tree/sub" 2>/dev/null
    all=$(docker ps -aq)
    # shellcheck disable=SC2086 # one word each
    [ -z "$all" ] || docker rm -f $all
    docker network prune -f
}
docker_end() { :; }

docker_case_run() { same "$(dbox --rm "$image" echo hello)" hello; }

docker_case_status() {
    local status=0
    dbox --rm "$image" sh -c 'exit 7' || status=$?
    same "$status" 7
}
docker_case_missing() {
    local status=0 said
    said=$(dbox --rm "$image" nosuch 2>&1) || status=$?
    has "$said" "executable file not found"
    same "$status" 127
    status=0
    dbox --rm "$image" /no/such || status=$?
    same "$status" 127
}
docker_case_not_executable() {
    local status=0
    dbox --rm "$image" /etc/notexec || status=$?
    same "$status" 126
}
docker_case_stdin() { same "$(echo through | dbox -i --rm "$image" cat)" through; }
docker_case_terminal() {
    local said status=0
    said=$(typed 'tty; stty size >/dev/null \&\& echo sized; exit 3\n' docker run --runtime "$runtime" --network none -it --rm "$image" sh) || status=$?
    has "$said" /dev/pts/0
    has "$said" sized
    same "$status" 3
}
docker_case_exec() {
    local status=0
    dbox -d --name main "$image" sleep 1000
    same "$(d exec main echo inside)" inside
    same "$(d exec -u 1000 -w /tmp -e A=5 main sh -c 'echo $(id -u) $PWD $A')" "1000 /tmp 5"
    d exec main sh -c 'exit 9' || status=$?
    same "$status" 9
    status=0
    d exec main nosuch || status=$?
    # 126 with runc, which dockerd makes of it.
    [ "$status" = 126 ] || same "$status" 127
}
docker_case_exec_terminal() {
    local said
    dbox -d --name main "$image" sleep 1000
    said=$(typed 'tty\nexit\n' docker exec -it main sh)
    has "$said" /dev/pts/
}
docker_case_detached() {
    dbox -d --name main "$image" sh -c 'echo to the log'
    d wait main
    same "$(d logs main)" "to the log"
}
docker_case_stop() {
    dbox -d --name main "$image" sh -c 'trap "echo told; exit 5" TERM; echo ready; while :; do sleep 0.1; done'
    patiently sh -c "docker logs main | grep ready"
    d stop -t 30 main
    same "$(d inspect -f '{{.State.ExitCode}}' main)" 5
}
docker_case_kill() {
    dbox -d --name main "$image" sh -c 'trap "echo usr1" USR1; echo ready; while :; do sleep 0.1; done'
    patiently sh -c "docker logs main | grep ready"
    d kill -s USR1 main
    patiently sh -c "docker logs main | grep usr1"
    d kill main
    same "$(d wait main)" 137
}
docker_case_restart() {
    dbox -d --name main "$image" sh -c 'echo again; sleep 1000'
    d restart -t 0 main
    patiently sh -c '[ "$(docker logs main | grep -c again)" = 2 ]'
}
docker_case_pause() {
    dbox -d --name main "$image" sleep 1000
    d pause main
    same "$(d inspect -f '{{.State.Status}}' main)" paused
    refused d exec main true
    d unpause main
    d exec main true
}
docker_case_stats() {
    dbox -d --name main "$image" sh -c 'while :; do :; done'
    sleep 2
    d stats --no-stream --format '{{.Name}} {{.CPUPerc}} {{.MemUsage}} {{.PIDs}}' main | tee /dev/stderr | grep '^main [1-9]'
}
docker_case_top() {
    dbox -d --name main "$image" sleep 1000
    has "$(d top main)" "sleep 1000"
}
docker_case_update() {
    dbox -d --name main -m 100m --memory-swap 100m "$image" sleep 1000
    d update --memory 50m --memory-swap 50m --cpus 0.25 --pids-limit 55 main
    same "$(d exec main cat /sys/fs/cgroup/memory.max /sys/fs/cgroup/cpu.max /sys/fs/cgroup/pids.max | tr '\n' ' ')" "52428800 25000 100000 55 "
}
docker_case_memory_limit() {
    dbox --name main -m 20m --memory-swap 20m "$image" sh -c 'exec tail -c 90m /dev/zero' || true
    same "$(d inspect -f '{{.State.OOMKilled}} {{.State.ExitCode}}' main)" "true 137"
}
docker_case_pids_limit() {
    local said
    said=$(dbox --rm --pids-limit 5 "$image" sh -c 'for n in 1 2 3 4 5 6 7 8 9; do sleep 5 & done' 2>&1) || true
    has "$said" fork
}
docker_case_read_only() { refused dbox --rm --read-only "$image" touch /etc/x; }
docker_case_user() { same "$(dbox --rm -u 1000:1000 "$image" id -u)" 1000; }
docker_case_capabilities() {
    refused dbox --rm --cap-drop all "$image" chown 1 /tmp
    dbox --rm --cap-drop all --cap-add chown "$image" chown 1 /tmp
}
docker_case_seccomp() {
    same "$(dbox --rm "$image" sed -n 's/^Seccomp:\t//p' /proc/self/status)" 2
    same "$(dbox --rm --security-opt seccomp=unconfined "$image" sed -n 's/^Seccomp:\t//p' /proc/self/status)" 0
}
docker_case_privileged() { dbox --rm --privileged "$image" mount -t tmpfs x /tmp; }
docker_case_init() { has "$(dbox --rm --init "$image" ps)" init; }
docker_case_volume() {
    mkdir -p "$work/volume"
    echo outside >"$work/volume/file"
    same "$(dbox --rm -v "$work/volume:/data" "$image" cat /data/file)" outside
    dbox --rm -v named:/data "$image" sh -c 'echo kept > /data/file'
    same "$(dbox --rm -v named:/data "$image" cat /data/file)" kept
}
docker_case_host_pids() { dbox --rm --pid host "$image" sh -c 'test "$(ls -d /proc/[0-9]* | wc -l)" -gt 10'; }
docker_case_port() {
    docker run --runtime "$runtime" -d --name web -p 8081:80 "$image" sh -c 'echo served > /var/index.html; exec httpd -f -p 80 -h /var'
    patiently /bin/busybox wget -q -O "$work/page" http://127.0.0.1:8081/index.html
    same "$(cat "$work/page")" served
}
docker_case_healthcheck() {
    dbox -d --name main --health-cmd 'true' --health-interval 1s "$image" sleep 1000
    patiently sh -c '[ "$(docker inspect -f "{{.State.Health.Status}}" main)" = healthy ]'
}
docker_case_why_it_failed() {
    local said id
    mkdir -p "$work/gone"
    d create --runtime "$runtime" --network none --name failing -v "$work/gone:/etc/notexec" "$image" true
    said=$(d start failing 2>&1) && return 1
    id=$(d inspect -f '{{.ID}}' failing)
    if [ "$runtime" = nk-runtime ]; then
        has "$said" "move_mount("
        has "$(nk-runtime --root /run/docker/runtime-runc/moby trace "$id" | grep move_mount)" "this ended the command"
    fi
}
docker_case_causes() {
    tell_causes 127 dbox --rm
}

least[docker/watch]=24
docker_case_watch() {
    local id watch=(--annotation nano-sandbox.watch=refused)
    dbox -d --name main "${watch[@]}" "$image" sh -c 'echo out; touch /sys/x; exit 3'
    id=$(d inspect -f '{{.ID}}' main)
    same "$(d wait main)" 3
    same "$(d logs main)" out
    watched "a mount: /mounts/" "$id" --root /run/docker/runtime-runc/moby
    d rm main
    same "$(dbox --rm "${watch[@]}" "$image" sh -c 'exit 4' || echo $?)" 4
    dbox -d --name main "${watch[@]}" "$image" sh -c 'trap "exit 5" TERM; echo ready; while :; do sleep 0.1; done'
    patiently sh -c "docker logs main | grep ready"
    same "$(d exec main echo inside)" inside
    d stop -t 30 main
    same "$(d inspect -f '{{.State.ExitCode}}' main)" 5
    patiently sh -c '! pgrep -x nk-runtime'
}
docker_case_many() {
    local n
    for n in 1 2 3 4 5 6 7 8; do dbox -d --name "many$n" "$image" sleep 1000 & done
    wait
    same "$(d ps -q | wc -l)" 8
}

# --- what newer ones have, and what projects of several containers ask for ---

docker_case_networks() {
    d network create inner
    docker run --runtime "$runtime" -d --name web --network inner --network-alias site "$image" \
        sh -c 'echo served > /var/index.html; exec httpd -f -p 80 -h /var'
    patiently docker run --runtime "$runtime" --rm --network inner "$image" wget -q -O - http://web/index.html
    same "$(docker run --runtime "$runtime" --rm --network inner "$image" wget -q -O - http://site/index.html)" served
    docker run --runtime "$runtime" --rm --network container:web "$image" wget -q -O - http://127.0.0.1/index.html
    docker run --runtime "$runtime" --rm --network host "$image" true
}
docker_case_system_paths() {
    dbox --rm "$image" grep -q ' /proc/sys ' /proc/mounts
    dbox --rm --security-opt systempaths=unconfined "$image" sh -c 'grep -q " /proc/" /proc/mounts && exit 1; head -c 1 /proc/timer_list >/dev/null'
}
docker_case_detach_keys() {
    dbox -dit --name main "$image" sh
    typed 'echo one two\n|\x18' docker attach --detach-keys ctrl-x main >"$work/seen" || true
    has "$(cat "$work/seen")" "one two"
    same "$(d inspect -f '{{.State.Status}}' main)" running
    typed 'echo three\n|\x18' docker exec --detach-keys ctrl-x -it main sh >"$work/seen" || true
    has "$(cat "$work/seen")" three
    d exec main true
}
# dockerd's own BuildKit takes the program named in its environment (docker_begin).
least[docker/build]=23
docker_case_build() {
    mkdir -p "$work/docker-build"
    printf 'FROM %s\nRUN --mount=type=tmpfs,target=/scratch touch /scratch/x && echo made > /made\nUSER 1000\nRUN id -u > /tmp/who\n' "$image" >"$work/docker-build/Dockerfile"
    command -v "$runtime" >/run/buildkit-runtime
    : >/run/buildkit-calls
    DOCKER_BUILDKIT=1 docker build --network none --no-cache -q -t localhost/made "$work/docker-build"
    same "$(dbox --rm localhost/made sh -c 'cat /made /tmp/who' | tr '\n' ' ')" "made 1000 "
    has "$(cat /run/buildkit-calls)" "$runtime"
}
least[docker/recursive_read_only]=25
docker_case_recursive_read_only() {
    mkdir -p "$work/tree/sub"
    mount -t tmpfs x "$work/tree/sub"
    refused dbox --rm --mount "type=bind,src=$work/tree,dst=/data,readonly,bind-recursive=readonly,bind-propagation=rprivate" "$image" touch /data/sub/x
    dbox --rm --mount "type=bind,src=$work/tree,dst=/data,readonly,bind-recursive=writable" "$image" touch /data/sub/x
}
least[docker/mounts]=26
docker_case_mounts() {
    dbox --rm -v named:/data "$image" sh -c 'mkdir -p /data/part; echo kept >/data/part/file'
    same "$(dbox --rm --mount type=volume,src=named,dst=/data,volume-subpath=part "$image" cat /data/file)" kept
    has "$(dbox --rm --tmpfs /data:size=1m,mode=1770 "$image" df -k /data)" 1024
    dbox --rm -v "$work:/not/yet/there:ro" "$image" test -e /not/yet/there/box.tar
    dbox --rm --read-only --tmpfs /run "$image" touch /run/x
}
docker_case_process() {
    same "$(dbox --rm --oom-score-adj 500 "$image" cat /proc/self/oom_score_adj)" 500
    same "$(dbox --rm --group-add 33 --group-add 44 "$image" id -G | tr ' ' '\n' | tail -n 2 | tr '\n' ' ')" "33 44 "
    same "$(dbox --rm --ulimit nofile=77:88 "$image" sh -c 'ulimit -n')" 77
    same "$(dbox --rm --sysctl kernel.shmmni=777 "$image" cat /proc/sys/kernel/shmmni)" 777
    same "$(dbox --rm --shm-size 3m "$image" df -k /dev/shm | awk 'NR == 2 { print $2 }')" 3072
    same "$(dbox --rm --security-opt no-new-privileges "$image" sed -n 's/^NoNewPrivs:\t//p' /proc/self/status)" 1
    dbox --rm --device /dev/fuse:/dev/other:rw "$image" test -c /dev/other
    dbox --rm --cgroupns host --ipc host --uts host --pid host "$image" true
}
docker_case_files() {
    dbox -d --name main "$image" sleep 1000
    echo copied >"$work/copied"
    d cp "$work/copied" main:/tmp/copied
    same "$(d exec main cat /tmp/copied)" copied
    has "$(d diff main)" /tmp/copied
    d commit main localhost/committed
    same "$(dbox --rm localhost/committed cat /tmp/copied)" copied
}
docker_case_exec_more() {
    dbox -d --name main -w /not/there --cap-drop all "$image" sleep 1000
    same "$(d exec main pwd)" /not/there
    refused d exec main chown 1 /tmp
    d exec --privileged main chown 1 /tmp
    same "$(echo through | d exec -i main cat)" through
    has "$(dbox --rm --pid container:main "$image" ps)" "sleep 1000"
    d exec -d main sh -c 'echo there >/tmp/file; sleep 1000'
    patiently docker exec main test -e /tmp/file
}
docker_case_stop_signal() {
    dbox -d --name main --stop-signal USR1 "$image" sh -c 'trap "exit 4" USR1; echo ready; while :; do sleep 0.1; done'
    patiently sh -c "docker logs main | grep ready"
    d stop -t 30 main
    same "$(d wait main)" 4
}
