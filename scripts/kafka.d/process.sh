# shellcheck shell=bash
# Processes of a cluster: starting them out of the caller's reach, telling a live one from a stale pid file, asking whether
# they answer, and ending them. Sourced by scripts/kafka.
#
# A node is a directory (node-1, zookeeper …) with the files `pid` and `server.log`. `pid` holds the process id and the time
# the kernel says the process began, so that another process that got the same id later is not mistaken for the node.

# How often a condition is looked at while waiting for it, in seconds.
readonly POLL_INTERVAL=0.05

# process_facts PID: prints "STATE START_TIME" of a process; fails if there is none.
process_facts() {
    local stat fields
    { stat=$(<"/proc/$1/stat"); } 2>/dev/null || return 1
    # The second field is the program's name in parentheses and may hold blanks: count from behind it.
    read -ra fields <<<"${stat##*) }"
    echo "${fields[0]} ${fields[19]}"
}

# spawn DIR COMMAND…: runs a node in a session of its own, so that a Ctrl-C in the caller's terminal does not reach it.
spawn() {
    local dir=$1 pid state began
    shift
    [[ ! -e $dir/server.log ]] || mv "$dir/server.log" "$dir/server.log.1"
    setsid "$@" </dev/null >"$dir/server.log" 2>&1 {cluster_lock}>&- &
    pid=$!
    disown "$pid" # else bash reports on it when it is killed
    read -r state began < <(process_facts "$pid") || die 1 "could not start '$1' (state '${state:-gone}')"
    echo "$pid $began" >"$dir/pid"
}

# node_pid DIR: prints the id of the node's process; fails if it is not running.
node_pid() {
    local pid began state now_began threads
    { read -r pid began <"$1/pid"; } 2>/dev/null || return 1
    read -r state now_began < <(process_facts "$pid") || return 1
    [[ $began == "$now_began" ]] || return 1
    if [[ $state == Z ]]; then
        # Its files and ports are closed only when its last thread is gone too.
        threads=("/proc/$pid/task"/*)
        ((${#threads[@]} > 1)) || return 1
    fi
    echo "$pid"
}

# node_state DIR: running or paused, with the process id; stopped (as asked); or dead (ended by itself or by somebody else).
node_state() {
    local pid state
    if pid=$(node_pid "$1") && state=$(process_facts "$pid"); then
        [[ $state == T* ]] && echo "paused $pid" || echo "running $pid"
    elif [[ -e $1/pid ]]; then
        echo dead
    else
        echo stopped
    fi
}

node_is_gone() {
    ! node_pid "$1" >/dev/null
}

# signal_node DIR SIGNAL: to the node's process, if it runs.
signal_node() {
    local pid
    if pid=$(node_pid "$1"); then
        # It may end between the look and the signal; then there is nothing left to do.
        kill -s "$2" "$pid" 2>/dev/null || true
    fi
}

# wait_until SECONDS CONDITION…: looks at the condition until it holds; fails after the deadline.
wait_until() {
    local deadline=$((SECONDS + $1))
    shift
    until "$@"; do
        ((SECONDS < deadline)) || return 1
        sleep "$POLL_INTERVAL"
    done
}

# kill_node DIR: kill -9, and wait until the kernel has let go of it.
kill_node() {
    signal_node "$1" KILL
    wait_until 10 node_is_gone "$1" || die 1 "the process of $1 did not go away after SIGKILL"
    rm -f "$1/pid"
}

# stop_nodes SECONDS DIR…: asks all of them to end, together; kills what is left at the deadline.
stop_nodes() {
    local patience=$1 dir
    shift
    for dir; do
        signal_node "$dir" TERM
        signal_node "$dir" CONT # a paused process sees no signal but this one
    done
    for dir; do
        if ! wait_until "$patience" node_is_gone "$dir"; then
            note "$(basename "$dir") did not end within $patience s and is killed"
        fi
        kill_node "$dir"
    done
}

# port_is_taken PORT: does anything listen on it, on any address? Asked of the kernel, without a connection.
port_is_taken() {
    local hex
    hex=$(printf '%04X' "$1")
    awk -v port=":$hex\$" '$4 == "0A" && $2 ~ port { found = 1 } END { exit !found }' \
        < <(cat /proc/net/tcp /proc/net/tcp6 2>/dev/null)
}

# broker_members PORT: asks the broker for the cluster's members in Kafka's own protocol and prints their ids as " 1 2 3 ".
# Fails unless it answers and knows a controller.
#
# Request: Metadata (key 3) version 1 for no topics. Answer: [node id, host, port, rack]…, controller id, [topic]….
broker_members() (
    exec 2>/dev/null
    exec {socket}<>"/dev/tcp/127.0.0.1/$1" || exit 1
    printf '\0\0\0\x0e\0\x03\0\x01\0\0\0\x01\xff\xff\0\0\0\0' >&"$socket"
    mapfile -t -d ' ' b < <(timeout 2 head -c 4 <&"$socket" | decimal_bytes)
    ((${#b[@]} == 4)) || exit 1
    size=$((b[0] << 24 | b[1] << 16 | b[2] << 8 | b[3]))
    mapfile -t -d ' ' b < <(timeout 2 head -c "$size" <&"$socket" | decimal_bytes)
    ((${#b[@]} == size && size >= 12)) || exit 1
    count=$((b[6] << 8 | b[7])) at=8 members=' '
    while ((count-- > 0)); do
        members+="$((b[at + 2] << 8 | b[at + 3])) "
        at=$((at + 4 + 2 + (b[at + 4] << 8 | b[at + 5]) + 4))
        # A rack of length -1 is none.
        ((b[at] == 255)) && at=$((at + 2)) || at=$((at + 2 + (b[at] << 8 | b[at + 1])))
    done
    ((b[at] != 255)) || exit 1
    echo "$members"
)

# decimal_bytes: standard input as decimal numbers, each with one blank behind it.
decimal_bytes() {
    od -An -v -tu1 | tr -s ' \n' '\n' | sed '/^$/d' | tr '\n' ' '
}

# zookeeper_says PORT WORD: ZooKeeper's answer to one of its four-letter words.
zookeeper_says() (
    exec 2>/dev/null
    exec {socket}<>"/dev/tcp/127.0.0.1/$1" || exit 1
    printf '%s' "$2" >&"$socket"
    timeout 2 cat <&"$socket"
)
