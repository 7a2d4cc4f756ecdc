# shellcheck shell=bash disable=SC2154 # the variables are those of scripts/clients
# podman, as root and as an ordinary user. Each podman_case_NAME is a case; $runtime is the runtime that it is about.

# shellcheck disable=SC2034
podman_core="run status missing not_executable terminal exec exec_terminal detached stop pause top update memory_limit
    pids_limit read_only user capabilities seccomp init volume port pod systemd_cgroups why_it_failed many"
# shellcheck disable=SC2034
rootless_core="run terminal exec limits stop"

p() { podman --runtime "$runtime" "$@"; }
# Without a network of its own, which takes podman seconds to set up and says nothing about the runtime.
box() { p run --network none "$@"; }

podman_begin() {
    podman load -q -i "$work/box.tar"
    podman info --format '{{.Host.OCIRuntime.Name}} {{.Host.CgroupManager}} {{.Store.GraphDriverName}} {{.Host.NetworkBackend}}'
}
podman_version() { podman version --format '{{.Client.Version}}'; }
podman_clean() {
    umount "$work/tree/sub" 2>/dev/null
    podman pod rm -af -t 0
    podman rm -af -t 0
    podman volume prune -f
    podman network prune -f
    [ -z "$(podman secret ls -q)" ] || podman secret rm -a
}
podman_end() { podman_clean; }

podman_case_run() { same "$(box --rm "$image" echo hello)" hello; }

# Without --runtime it is what containers.conf says.
podman_case_by_default() {
    podman run --network none -d --name default "$image" sleep 1000
    same "$(podman inspect -f '{{.OCIRuntime}}' default)" nk-runtime
    nk-runtime state "$(podman inspect -f '{{.ID}}' default)" | jq -e '.status == "running"'
}

podman_case_status() {
    local status=0
    box --rm "$image" sh -c 'exit 7' || status=$?
    same "$status" 7
    status=0
    # Not by itself: the kernel lets no signal of its own namespace end the first process.
    box --init --rm "$image" sh -c 'kill -9 $$' || status=$?
    same "$status" 137
}

podman_case_missing() {
    local status=0 said
    said=$(box --rm "$image" nosuch 2>&1) || status=$?
    has "$said" nosuch
    same "$status" 127
    status=0
    said=$(box --rm "$image" /no/such 2>&1) || status=$?
    same "$status" 127
}

podman_case_not_executable() {
    local status=0 said
    said=$(box --rm "$image" /etc/notexec 2>&1) || status=$?
    has "${said,,}" "permission denied"
    same "$status" 126
}

podman_case_stdin() { same "$(echo through | box -i --rm "$image" cat)" through; }

podman_case_environment() {
    local said
    said=$(box --rm -e A=1 -w /tmp -h named "$image" sh -c 'echo $A $PWD $(hostname) $container')
    same "$said" "1 /tmp named podman"
}

podman_case_terminal() {
    local said status=0
    said=$(typed 'tty; stty size >/dev/null \&\& echo sized; exit 3\n' podman --runtime "$runtime" run --network none -it --rm "$image" sh) || status=$?
    has "$said" /dev/pts/0
    has "$said" sized
    same "$status" 3
}

podman_case_exec() {
    local status=0
    box -d --name main "$image" sleep 1000
    same "$(p exec main echo inside)" inside
    same "$(echo through | p exec -i main cat)" through
    same "$(p exec -u 1000 -w /tmp -e A=5 main sh -c 'echo $(id -u) $PWD $A')" "1000 /tmp 5"
    p exec main sh -c 'exit 9' || status=$?
    same "$status" 9
    status=0
    p exec main nosuch || status=$?
    same "$status" 127
}

podman_case_exec_detached() {
    box -d --name main "$image" sleep 1000
    p exec -d main sh -c 'echo there > /tmp/file; sleep 1000'
    patiently p exec main test -e /tmp/file
}

podman_case_exec_terminal() {
    local said
    box -d --name main "$image" sleep 1000
    said=$(typed 'tty\nexit\n' podman --runtime "$runtime" exec -it main sh)
    has "$said" /dev/pts/0
}

podman_case_detached() {
    box -d --name main "$image" sh -c 'echo to the log; echo and err >&2'
    p wait main
    same "$(p logs main 2>/dev/null)" "to the log"
    same "$(p logs main 2>&1 >/dev/null)" "and err"
}

podman_case_stop() {
    box -d --name main "$image" sh -c 'trap "echo told; exit 5" TERM; echo ready; while :; do sleep 0.1; done'
    patiently sh -c "podman logs main | grep ready"
    p stop -t 30 main
    same "$(p inspect -f '{{.State.ExitCode}}' main)" 5
    has "$(p logs main)" told
}

podman_case_kill() {
    box -d --name main "$image" sh -c 'trap "echo usr1" USR1; echo ready; while :; do sleep 0.1; done'
    patiently sh -c "podman logs main | grep ready"
    p kill -s USR1 main
    patiently sh -c "podman logs main | grep usr1"
    p kill main
    p wait main
    same "$(p inspect -f '{{.State.ExitCode}}' main)" 137
}

podman_case_restart() {
    box -d --name main "$image" sh -c 'echo again; sleep 1000'
    local before
    before=$(p inspect -f '{{.State.Pid}}' main)
    p restart -t 0 main
    patiently sh -c '[ "$(podman logs main | grep -c again)" = 2 ]'
    [ "$before" != "$(p inspect -f '{{.State.Pid}}' main)" ]
    p stop -t 0 main
    p start main
    patiently sh -c '[ "$(podman logs main | grep -c again)" = 3 ]'
}

podman_case_pause() {
    box -d --name main "$image" sleep 1000
    p pause main
    same "$(p inspect -f '{{.State.Status}}' main)" paused
    refused p exec main true
    p unpause main
    same "$(p inspect -f '{{.State.Status}}' main)" running
    p exec main true
}

podman_case_stats() {
    box -d --name main "$image" sh -c 'while :; do :; done'
    sleep 2
    p stats --no-stream --format '{{.Name}} {{.CPUPerc}} {{.MemUsage}} {{.PIDs}}' main | tee /dev/stderr | grep '^main [1-9]'
}

podman_case_top() {
    box -d --name main "$image" sleep 1000
    has "$(p top main)" "sleep 1000"
    has "$(p top main pid,comm)" sleep
}

podman_case_update() {
    box -d --name main -m 100m "$image" sleep 1000
    p update --memory 50m --cpus 0.25 main
    local group
    group=/sys/fs/cgroup$(cut -d : -f 3 <"/proc/$(p inspect -f '{{.State.Pid}}' main)/cgroup")
    same "$(cat "$group/memory.max")" 52428800
    same "$(cat "$group/cpu.max")" "25000 100000"
}

podman_case_memory_limit() {
    local status=0
    box --name main -m 20m --memory-swap 20m "$image" sh -c 'exec tail -c 90m /dev/zero' || status=$?
    same "$status" 137
}

podman_case_pids_limit() {
    local said
    said=$(box --rm --pids-limit 5 "$image" sh -c 'for n in 1 2 3 4 5 6 7 8 9; do sleep 5 & done' 2>&1) || true
    has "$said" fork
}

podman_case_read_only() {
    refused box --rm --read-only "$image" touch /etc/x
    box --rm --read-only "$image" touch /tmp/x
}

podman_case_user() { same "$(box --rm -u 1000:1000 "$image" id -u)" 1000; }

podman_case_capabilities() {
    refused box --rm --cap-drop all "$image" chown 1 /tmp
    box --rm --cap-drop all --cap-add chown "$image" chown 1 /tmp
    refused box --rm "$image" mount -t tmpfs x /tmp
    box --rm --cap-add sys_admin --security-opt seccomp=unconfined --security-opt apparmor=unconfined "$image" mount -t tmpfs x /tmp
}

podman_case_seccomp() {
    same "$(box --rm "$image" sed -n 's/^Seccomp:\t//p' /proc/self/status)" 2
    same "$(box --rm --security-opt seccomp=unconfined "$image" sed -n 's/^Seccomp:\t//p' /proc/self/status)" 0
}

podman_case_privileged() { box --rm --privileged "$image" mount -t tmpfs x /tmp; }
podman_case_no_new_privileges() {
    same "$(box --rm --security-opt no-new-privileges "$image" sed -n 's/^NoNewPrivs:\t//p' /proc/self/status)" 1
}
podman_case_init() { has "$(box --rm --init "$image" ps)" init; }

podman_case_volume() {
    mkdir -p "$work/volume"
    echo outside >"$work/volume/file"
    same "$(box --rm -v "$work/volume:/data" "$image" sh -c 'cat /data/file; echo inside > /data/new')" outside
    same "$(cat "$work/volume/new")" inside
    refused box --rm -v "$work/volume:/data:ro" "$image" touch /data/x
    box --rm -v named:/data "$image" sh -c 'echo kept > /data/file'
    same "$(box --rm -v named:/data "$image" cat /data/file)" kept
}

podman_case_tmpfs() { has "$(box --rm --tmpfs /data:size=1m "$image" df -k /data)" 1024; }
podman_case_device() { box --rm --device /dev/fuse "$image" test -c /dev/fuse; }
podman_case_sysctl() { same "$(box --rm --sysctl kernel.shmmni=777 "$image" cat /proc/sys/kernel/shmmni)" 777; }
podman_case_ulimit() { same "$(box --rm --ulimit nofile=77:88 "$image" sh -c 'ulimit -n')" 77; }
podman_case_host_pids() { box --rm --pid host "$image" sh -c 'test "$(ls -d /proc/[0-9]* | wc -l)" -gt 10'; }
podman_case_user_namespace() {
    same "$(box --rm --uidmap 0:100000:65536 "$image" sh -c 'cat /proc/self/uid_map' | tr -s ' ')" " 0 100000 65536"
}
podman_case_cgroupfs() {
    same "$(podman --cgroup-manager cgroupfs --runtime "$runtime" run --network none --rm -m 50m "$image" cat /sys/fs/cgroup/memory.max)" 52428800
}
podman_case_systemd_cgroups() {
    podman --cgroup-manager systemd --runtime "$runtime" run --network none -d --name main -m 50m "$image" sleep 1000
    has "$(cat "/proc/$(p inspect -f '{{.State.Pid}}' main)/cgroup")" "machine.slice/libpod-"
    same "$(p exec main cat /sys/fs/cgroup/memory.max)" 52428800
}
podman_case_no_cgroups() { box --rm --cgroups disabled "$image" true; }

podman_case_port() {
    p run -d --name web -p 8080:80 "$image" sh -c 'echo served > /var/index.html; exec httpd -f -p 80 -h /var'
    patiently /bin/busybox wget -q -O "$work/page" http://127.0.0.1:8080/index.html
    same "$(cat "$work/page")" served
}

podman_case_pod() {
    podman --runtime "$runtime" pod create --name pod --network none --infra-command "sleep 1000" --infra-image "$image"
    p run -d --pod pod --name one "$image" sh -c 'echo here > /dev/shm/x; sleep 1000'
    patiently p exec one test -e /dev/shm/x
    same "$(p run --rm --pod pod "$image" cat /dev/shm/x)" here
    podman --runtime "$runtime" pod stop -t 0 pod
}

podman_case_healthcheck() {
    box -d --name main --health-cmd 'test -e /tmp/well' --health-interval disable "$image" sleep 1000
    refused p healthcheck run main
    p exec main touch /tmp/well
    p healthcheck run main
}

podman_case_build() {
    mkdir -p "$work/build"
    printf 'FROM %s\nRUN echo made > /made\nCMD cat /made\n' "$image" >"$work/build/Containerfile"
    p build --network none --isolation oci -q -t localhost/made "$work/build"
    same "$(box --rm localhost/made)" made
}

podman_case_why_it_failed() {
    local said id
    mkdir -p "$work/gone"
    # A place that cannot be mounted on: the name is a file of the image.
    said=$(box --name failing -v "$work/gone:/etc/notexec" "$image" true 2>&1) && return 1
    id=$(p inspect -f '{{.ID}}' failing)
    if [ "$runtime" = nk-runtime ]; then
        has "$said" "move_mount("
        has "$(nk-runtime trace "$id" | grep move_mount)" "this ended the command"
    fi
}

podman_case_causes() {
    tell_causes 126 box --rm
}

# A watcher that an annotation asks for: nothing else is as it was without one.
podman_case_watch() {
    local id watch=(--annotation nano-sandbox.watch=refused) status=0
    box -d --name main "${watch[@]}" "$image" sh -c 'echo out; echo err >&2; touch /sys/x; exit 3'
    id=$(p inspect -f '{{.ID}}' main)
    same "$(p wait main)" 3
    same "$(p logs main 2>/dev/null)" out
    watched "a mount: /mounts/" "$id"
    p rm main
    watched "/sys is mounted read-only" "$id"
    same "$(box --rm "${watch[@]}" "$image" sh -c 'cat; exit 4' </dev/null || echo $?)" 4
    box -d --name main "${watch[@]}" "$image" sh -c 'trap "echo told; exit 5" TERM; echo ready; while :; do sleep 0.1; done'
    patiently sh -c "podman logs main | grep ready"
    same "$(p exec main echo inside)" inside
    p pause main
    p unpause main
    p stop -t 30 main
    same "$(p inspect -f '{{.State.ExitCode}}' main)" 5
    same "$(typed 'tty; exit 6\n' podman --runtime "$runtime" run --network none "${watch[@]}" -it --rm "$image" sh | grep -c '^/dev/pts/0')" 1
    box --rm --init "${watch[@]}" "$image" sh -c 'kill -9 $$' || status=$?
    same "$status" 137
    box -d --name killed "${watch[@]}" "$image" sleep 1000
    p rm -f -t 0 killed
    patiently sh -c '! pgrep -x nk-runtime'
}

podman_case_many() {
    local n
    for n in 1 2 3 4 5 6 7 8; do box -d --name "many$n" "$image" sleep 1000 & done
    wait
    same "$(p ps -q | wc -l)" 8
    p rm -af -t 0
    same "$(p ps -aq | wc -l)" 0
}

# --- what newer ones have ---

# A unit that podman's generator makes of a few lines, and that tells systemd when it is ready.
least[podman/quadlet]=4.4
podman_case_quadlet() {
    mkdir -p /etc/containers/systemd
    printf '[Container]\nContainerName=main\nImage=%s\nPull=never\nNetwork=none\nGlobalArgs=--runtime %s\nExec=sh -c "echo from a unit; sleep 1000"\n' \
        "$image" "$runtime" >/etc/containers/systemd/quadlet.container
    systemctl daemon-reload
    timeout 60 systemctl start quadlet
    rm /etc/containers/systemd/quadlet.container
    same "$(p inspect -f '{{.OCIRuntime}} {{.State.Status}}' main)" "$runtime running"
    has "$(cat "/proc/$(p inspect -f '{{.State.Pid}}' main)/cgroup")" quadlet.service
    same "$(p exec main echo inside)" inside
    timeout 60 systemctl stop quadlet
    refused p container exists main
}
podman_case_userns_auto() {
    local said
    said=$(box --rm --userns auto:size=1500 "$image" cat /proc/self/uid_map | tr -s ' ')
    same "$(echo "$said" | cut -d ' ' -f 2,4)" "0 1500"
    box -d --name main --userns auto -v named:/data:U "$image" sh -c 'echo mine >/data/file; sleep 1000'
    patiently p exec main test -e /data/file
    same "$(p exec main id -u)" 0
}
podman_case_userns_keep_pod() {
    podman --runtime "$runtime" pod create --name pod --network none --userns auto --infra-command "sleep 1000" --infra-image "$image"
    p run -d --pod pod --name one "$image" sleep 1000
    p run -d --pod pod --name two "$image" sleep 1000
    same "$(p exec one cat /proc/self/uid_map)" "$(p exec two cat /proc/self/uid_map)"
}
podman_case_pod_pids() {
    podman --runtime "$runtime" pod create --name pod --network none --share pid,ipc,uts,net --infra-command "sleep 1000" --infra-image "$image"
    p run -d --pod pod --name one "$image" sleep 1234
    has "$(p run --rm --pod pod "$image" ps)" "sleep 1234"
    podman --runtime "$runtime" pod restart pod
    has "$(p exec one ps)" "sleep 1234"
    podman --runtime "$runtime" pod pause pod
    podman --runtime "$runtime" pod unpause pod
    p exec one true
}
least[podman/update_more]=5.0
podman_case_update_more() {
    box -d --name main -m 100m "$image" sleep 1000
    p update --memory 60m --memory-swap 80m --memory-reservation 30m --pids-limit 33 --cpu-shares 512 --cpuset-cpus 0 main
    local group
    group=/sys/fs/cgroup$(cut -d : -f 3 <"/proc/$(p inspect -f '{{.State.Pid}}' main)/cgroup")
    same "$(cd "$group" && cat memory.max memory.swap.max memory.low pids.max cpuset.cpus | tr '\n' ' ')" "62914560 20971520 31457280 33 0 "
    p restart -t 0 main
    same "$(p exec main cat /sys/fs/cgroup/memory.max)" 62914560
}
# By systemd's timer, and what follows of it.
least[podman/healthcheck_timer]=4.3
podman_case_healthcheck_timer() {
    box -d --name main --health-cmd 'test ! -e /tmp/ill' --health-interval 1s --health-retries 1 --health-on-failure kill "$image" sleep 1000
    patiently sh -c '[ "$(podman inspect -f "{{.State.Health.Status}}" main)" = healthy ]'
    p exec main touch /tmp/ill
    patiently sh -c '[ "$(podman inspect -f "{{.State.Status}}" main)" = exited ]'
}
# A runtime that has no checkpoints says so, and the container runs on.
least[podman/checkpoint]=5.0
podman_case_checkpoint() {
    local said
    box -d --name main "$image" sleep 1000
    if said=$(p container checkpoint main 2>&1); then
        p container restore main
    elif [ "$runtime" = nk-runtime ]; then
        has "$said" "does not support checkpoint"
    fi
    p exec main true
}
podman_case_masks() {
    refused box --rm "$image" sh -c 'ls /proc/scsi/* 2>/dev/null || head -c 1 /proc/kcore'
    box --rm --security-opt unmask=ALL "$image" sh -c 'head -c 1 /proc/timer_list >/dev/null'
    refused box --rm --security-opt mask=/proc/version "$image" grep Linux /proc/version
    has "$(box --rm --security-opt proc-opts=hidepid=2 "$image" grep ' /proc proc' /proc/mounts)" "hidepid="
}
podman_case_mounts() {
    mkdir -p "$work/tree/sub"
    mount -t tmpfs x "$work/tree/sub"
    echo low >"$work/tree/file"
    has "$(box --rm --mount "type=bind,src=$work/tree,dst=/data,ro" "$image" grep ' /data ' /proc/mounts)" " ro,"
    # Changes stay with the container.
    box --rm -v "$work/tree:/data:O" "$image" sh -c 'echo high >/data/file'
    same "$(cat "$work/tree/file")" low
    same "$(box --rm --mount "type=image,src=$image,dst=/image" "$image" cat /image/etc/notexec)" text
    same "$(box --rm --mount "type=tmpfs,dst=/etc,tmpcopyup" "$image" sh -c 'echo more >/etc/new; cat /etc/notexec')" text
    box --rm --mount "type=bind,src=$work/tree,dst=/not/yet/there" "$image" test -e /not/yet/there/file
    box --rm -v "$work/tree:/data:rslave,noexec,nosuid" "$image" true
}
least[podman/mount_subpath]=5.4
podman_case_mount_subpath() {
    p volume create named
    box --rm -v named:/data "$image" sh -c 'mkdir /data/part; echo kept >/data/part/file'
    same "$(box --rm --mount type=volume,src=named,dst=/data,subpath=/part "$image" cat /data/file)" kept
}
least[podman/idmap]=4.4
podman_case_idmap() {
    mkdir -p "$work/mapped"
    touch "$work/mapped/file"
    same "$(box --rm --uidmap 0:100000:65536 -v "$work/mapped:/data:idmap" "$image" stat -c %u /data/file)" 0
}
podman_case_secret() {
    echo hidden | p secret create secret - >/dev/null
    same "$(box --rm --secret secret "$image" cat /run/secrets/secret)" hidden
}
podman_case_read_only_all() {
    refused box --rm --read-only --read-only-tmpfs=false "$image" touch /tmp/x
    box --rm --read-only --read-only-tmpfs=false "$image" true
}
podman_case_namespaces() {
    box -d --name main --ipc shareable "$image" sh -c 'echo here >/dev/shm/x; sleep 1234'
    patiently p exec main test -e /dev/shm/x
    same "$(box --rm --ipc container:main "$image" cat /dev/shm/x)" here
    has "$(box --rm --pid container:main "$image" ps)" "sleep 1234"
    p run --rm --network container:main "$image" true
    p run --rm --network host --uts host --cgroupns host --ipc host "$image" true
}
podman_case_process() {
    same "$(box --rm --umask 0077 "$image" sh -c umask)" 0077
    same "$(box --rm --oom-score-adj 500 "$image" cat /proc/self/oom_score_adj)" 500
    same "$(box --rm --group-add 33,44 "$image" id -G)" "0 33 44"
    same "$(box --rm --ulimit core=0 "$image" sh -c 'ulimit -c')" 0
    same "$(box --rm --shm-size 3m "$image" df -k /dev/shm | awk 'NR == 2 { print $2 }')" 3072
    same "$(box --rm --env PATH=/bin --entrypoint '["echo", "entered"]' "$image")" entered
    same "$(box --rm --personality LINUX32 "$image" uname -m)" i686
}
podman_case_systemd_mode() {
    box -d --name main --systemd always "$image" sh -c 'trap exit 37; while :; do sleep 0.1; done'
    p exec main sh -c 'test -d /run/lock && test -w /sys/fs/cgroup && grep -q "/run tmpfs" /proc/mounts && mkdir /sys/fs/cgroup/below'
}
podman_case_attach_detach() {
    box -dit --name main "$image" sh
    typed 'echo one two\n|\x10|\x11' podman --runtime "$runtime" attach main >"$work/seen" || true
    has "$(cat "$work/seen")" "one two"
    same "$(p inspect -f '{{.State.Status}}' main)" running
    typed 'echo three\n|\x10|\x11' podman --runtime "$runtime" exec -it main sh >"$work/seen" || true
    has "$(cat "$work/seen")" three
}
podman_case_files() {
    box -d --name main "$image" sleep 1000
    echo copied >"$work/copied"
    p cp "$work/copied" main:/tmp/copied
    same "$(p exec main cat /tmp/copied)" copied
    has "$(p diff main)" /tmp/copied
    p commit -q main localhost/committed
    same "$(box --rm localhost/committed cat /tmp/copied)" copied
}
least[podman/kube]=4.4
podman_case_kube() {
    printf 'apiVersion: v1\nkind: Pod\nmetadata:\n  name: kube\nspec:\n  containers:\n  - name: one\n    image: %s\n    imagePullPolicy: Never\n    command: [sleep, "1000"]\n    resources:\n      limits:\n        memory: 50Mi\n' "$image" >"$work/kube.yaml"
    p kube play --network none "$work/kube.yaml"
    same "$(p exec kube-one echo inside)" inside
    p kube down "$work/kube.yaml"
}
podman_case_networks() {
    p network create inner
    p run -d --name web --network inner "$image" sh -c 'echo served > /var/index.html; exec httpd -f -p 80 -h /var'
    patiently p run --rm --network inner "$image" wget -q -O - http://web/index.html
}
least[podman/buildah]=5.0
podman_case_buildah() {
    local made
    printf 'FROM %s\nRUN --mount=type=tmpfs,target=/scratch touch /scratch/x && echo made > /made\nRUN id -u > /who\n' "$image" >"$work/Containerfile"
    mkdir -p "$work/nothing"
    buildah build --runtime "$(command -v "$runtime")" --isolation oci --network none -q -t localhost/built -f "$work/Containerfile" "$work/nothing"
    made=$(buildah from --pull-never localhost/built)
    same "$(buildah run --runtime "$(command -v "$runtime")" --isolation oci --network none "$made" cat /made)" made
    buildah rm "$made"
}

podman_case_root_folder() {
    mkdir -p "$work/root/proc" "$work/root/bin"
    cp /bin/busybox "$work/root/bin/sh"
    box --rm --rootfs "$work/root:O" /bin/sh -c 'echo x >/new'
    refused test -e "$work/root/new"
    same "$(box --rm --rootfs "$work/root" /bin/sh -c 'echo from a folder')" "from a folder"
}
podman_case_cgroups_split() {
    # Below what the caller is in, as a unit asks for it.
    has "$(systemd-run --quiet --pipe --wait -p Delegate=yes podman --runtime "$runtime" run --network none --rm --cgroups split --cgroupns host "$image" cat /proc/self/cgroup)" run-
}
podman_case_limits_of_time() {
    local status=0
    box --rm --timeout 2 "$image" sleep 1000 || status=$?
    [ "$status" = 255 ] || same "$status" 137
    same "$(box --rm --stop-signal USR1 --tz UTC "$image" date +%Z)" UTC
}
least[podman/glob]=5.0
podman_case_glob() {
    mkdir -p "$work/many"
    touch "$work/many/a.x" "$work/many/b.x" "$work/many/c.y"
    same "$(box --rm --mount "type=glob,src=$work/many/*.x,dst=/many" "$image" ls /many | tr '\n' ' ')" "a.x b.x "
}
podman_case_map_by_name() {
    # A range in the middle of others, and a volume that takes the container's ids.
    same "$(box --rm --uidmap 0:300000:1000 --uidmap 1000:400000:1 --gidmap 0:300000:1000 --gidmap 1000:400000:1 -u 1000:1000 "$image" id -u)" 1000
    box --rm --uidmap 0:300000:5000 -v owned:/data:U "$image" sh -c 'touch /data/file; test "$(stat -c %u /data/file)" = 0'
}
podman_time() { box --rm "$image" true; }

# --- as an ordinary user ---

# With a session of the user's own: his systemd gives him cgroups.
u() {
    setpriv --reuid user --regid user --init-groups env -i -C /home/user HOME=/home/user USER=user PATH="$PATH" \
        XDG_RUNTIME_DIR="/run/user/$(id -u user)" DBUS_SESSION_BUS_ADDRESS="unix:path=/run/user/$(id -u user)/bus" "$@"
}
up() { u podman --runtime "$runtime" "$@"; }

rootless_begin() {
    usermod -aG audio user
    loginctl enable-linger user
    patiently test -S "/run/user/$(id -u user)/bus"
    # Layers on top of each other take a newer kernel, for who is not root.
    u mkdir -p .config/containers
    u sh -c 'printf "[storage]\ndriver = \"vfs\"\n" > .config/containers/storage.conf'
    chmod 644 "$work/box.tar"
    u podman load -q -i "$work/box.tar"
}
rootless_version() { podman_version; }
rootless_clean() { u podman pod rm -af -t 0; u podman rm -af -t 0; }
rootless_end() { rootless_clean; }

rootless_case_run() {
    same "$(up run --network none --rm "$image" sh -c 'id -u; cat /proc/self/uid_map | head -n 1' | tr -s ' ' | tr '\n' ';')" "0; 0 $(id -u user) 1;"
}
rootless_case_status() {
    local status=0
    up run --network none --rm "$image" sh -c 'exit 7' || status=$?
    same "$status" 7
}
rootless_case_missing() {
    local status=0
    up run --network none --rm "$image" nosuch || status=$?
    same "$status" 127
}
rootless_case_terminal() {
    local said
    said=$(typed 'tty\nexit\n' setpriv --reuid user --regid user --init-groups env -i -C /home/user HOME=/home/user USER=user PATH="$PATH" \
        XDG_RUNTIME_DIR="/run/user/$(id -u user)" DBUS_SESSION_BUS_ADDRESS="unix:path=/run/user/$(id -u user)/bus" \
        podman --runtime "$runtime" run --network none -it --rm "$image" sh)
    has "$said" /dev/pts/0
}
rootless_case_exec() {
    up run --network none -d --name main "$image" sleep 1000
    same "$(up exec main echo inside)" inside
    same "$(up exec -u 1000 main id -u)" 1000
}
rootless_case_limits() {
    same "$(up run --network none --rm -m 50m --pids-limit 33 "$image" cat /sys/fs/cgroup/memory.max /sys/fs/cgroup/pids.max | tr '\n' ' ')" "52428800 33 "
}
rootless_case_why_it_failed() {
    local said
    said=$(up run --network none --name failing "$image" /etc/notexec 2>&1) && return 1
    [ "$runtime" = nk-runtime ] || return 0
    has "$said" "/etc/notexec has no x bit: permission denied"
    # shellcheck disable=SC2046 # one word each
    has "$(u $(more "$said"))" "/etc/notexec has no x bit"
}
rootless_case_watch() {
    local id said
    up run --network none -d --name main --annotation nano-sandbox.watch=refused "$image" sh -c 'echo out; touch /sys/x; exit 3'
    id=$(up inspect -f '{{.ID}}' main)
    same "$(up wait main)" 3
    same "$(up logs main)" out
    patiently sh -c '! pgrep -x nk-runtime'
    up rm main
    [ "$runtime" = nk-runtime ] || return 0
    # podman makes a user namespace, and calls the runtime as its root.
    said=$(u podman unshare nk-runtime trace --refused "$id" || u nk-runtime --root "/run/user/$(id -u user)/nano-sandbox" trace --refused "$id")
    has "$said" "a mount: /mounts/"
}
rootless_case_no_cgroups() { up --cgroup-manager cgroupfs run --network none --cgroups disabled --rm "$image" true; }
rootless_case_stop() {
    up run --network none -d --name main "$image" sleep 1000
    up pause main
    up unpause main
    up stop -t 0 main
    same "$(up inspect -f '{{.State.ExitCode}}' main)" 137
}
# With the groups that its user has, which no map has.
rootless_case_keep_groups() {
    has "$(up run --network none --rm --group-add keep-groups "$image" id -G)" 65534
}
rootless_case_keep_id() {
    same "$(up run --network none --rm --userns keep-id "$image" sh -c 'id -u; id -g' | tr '\n' ' ')" "$(id -u user) $(id -g user) "
}
rootless_case_network() {
    up run -d --name web -p 8085:80 "$image" sh -c 'echo served > /var/index.html; exec httpd -f -p 80 -h /var'
    patiently /bin/busybox wget -q -O "$work/page" http://127.0.0.1:8085/index.html
    same "$(cat "$work/page")" served
}
least[rootless/network]=5.0
rootless_case_pod() {
    up pod create --name pod --network none --infra-command "sleep 1000" --infra-image "$image"
    up run -d --pod pod --name one "$image" sleep 1000
    up exec one true
    up pod rm -f -t 0 pod
}
rootless_case_privileged() { up run --network none --rm --privileged "$image" mount -t tmpfs x /tmp; }
rootless_case_build() {
    u mkdir -p build
    printf 'FROM %s\nRUN echo made > /made\n' "$image" | u tee build/Containerfile >/dev/null
    up build --network none --isolation oci -q -t localhost/made build
    same "$(up run --network none --rm localhost/made cat /made)" made
}
