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
podman_clean() { podman pod rm -af -t 0; podman rm -af -t 0; podman volume prune -f; }
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
    ! p exec main true
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
    ! box --rm --read-only "$image" touch /etc/x
    box --rm --read-only "$image" touch /tmp/x
}

podman_case_user() { same "$(box --rm -u 1000:1000 "$image" id -u)" 1000; }

podman_case_capabilities() {
    ! box --rm --cap-drop all "$image" chown 1 /tmp
    box --rm --cap-drop all --cap-add chown "$image" chown 1 /tmp
    ! box --rm "$image" mount -t tmpfs x /tmp
    box --rm --cap-add sys_admin --security-opt seccomp=unconfined --security-opt apparmor=unconfined "$image" mount -t tmpfs x /tmp
}

podman_case_seccomp() {
    same "$(box --rm "$image" sed -n 's/^Seccomp:\t//p' /proc/self/status)" 2
    ! box --rm --cap-add sys_admin "$image" sh -c 'unshare -U true && exit 0; keyctl 2>/dev/null; exit 1'
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
    ! box --rm -v "$work/volume:/data:ro" "$image" touch /data/x
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
    ! p healthcheck run main
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
        has "$(nk-runtime trace "$id" | grep move_mount)" "= -1 E"
    fi
}

podman_case_many() {
    local n
    for n in 1 2 3 4 5 6 7 8; do box -d --name "many$n" "$image" sleep 1000 & done
    wait
    same "$(p ps -q | wc -l)" 8
    p rm -af -t 0
    same "$(p ps -aq | wc -l)" 0
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
    loginctl enable-linger user
    patiently test -S "/run/user/$(id -u user)/bus"
    # Layers on top of each other take a newer kernel, for who is not root.
    u mkdir -p .config/containers
    u sh -c 'printf "[storage]\ndriver = \"vfs\"\n" > .config/containers/storage.conf'
    chmod 644 "$work/box.tar"
    u podman load -q -i "$work/box.tar"
}
rootless_clean() { u podman rm -af -t 0; }
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
rootless_case_no_cgroups() { up --cgroup-manager cgroupfs run --network none --cgroups disabled --rm "$image" true; }
rootless_case_stop() {
    up run --network none -d --name main "$image" sleep 1000
    up pause main
    up unpause main
    up stop -t 0 main
    same "$(up inspect -f '{{.State.ExitCode}}' main)" 137
}
