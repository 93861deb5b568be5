# shellcheck shell=bash
# Bringing nodes up, and taking down again what did not come up. Sourced by scripts/kafka.
#
# Invariant: bring_up returns only when every broker it started has answered a client's request and counts the others among
# the cluster's members; otherwise, whatever the reason, the processes it started are gone when the script ends.

readonly START_PATIENCE=120

# need_free_ports N…: those of brokers that are to start, and of ZooKeeper if it must start too.
need_free_ports() {
    local n wanted
    for wanted in $(for n; do node_ports "$n"; done) $(missing_zookeeper_port); do
        ! port_is_taken "$wanted" ||
            die "$EX_UNAVAILABLE" "port $wanted is in use: stop what listens there, or choose another --port"
    done
}

missing_zookeeper_port() {
    if uses_zookeeper && node_is_gone "$cluster_dir/zookeeper"; then
        zookeeper_port
    fi
}

# give_up: on the way out of a start that did not get to its end, whatever the reason.
give_up() {
    local dir
    ((${#started[@]} == 0)) || note "stopping again what was started"
    for dir in "${started[@]}"; do
        kill_node "$dir"
    done
}

# show_failure DIR REASON: the end of the node's log, and the reason in it if one stands out.
show_failure() {
    local log=$1/server.log reason
    reason=$(grep -aE '(ERROR|FATAL|Exception|Error:)' "$log" | tail -n 1) || true
    tail -n 15 "$log" >&2
    die 1 "$(basename "$1") $2${reason:+: $reason} (the end of $log is above)"
}

# node_settled DIR CONDITION…: the condition holds, or waiting for it has become pointless.
node_settled() {
    local dir=$1
    shift
    "$@" || node_is_gone "$dir"
}

# await_node DIR CONDITION…
await_node() {
    wait_until "$START_PATIENCE" node_settled "$@" || show_failure "$1" "did not answer within $START_PATIENCE s"
    ! node_is_gone "$1" || show_failure "$1" "ended while starting"
}

zookeeper_answers() {
    [[ $(zookeeper_says "$(zookeeper_port)" ruok) == imok ]]
}

# no_trace_of N…: ZooKeeper remembers a killed broker until its session ends, and refuses its successor until then.
no_trace_of() {
    local dump n
    dump=$(zookeeper_says "$(zookeeper_port)" dump) || return 1
    for n; do
        ! grep -qE "^\s*/brokers/ids/$n\$" <<<"$dump" || return 1
    done
}

start_zookeeper() {
    local dir=$cluster_dir/zookeeper
    mkdir -p "$dir"
    write_zookeeper_properties
    java_command "$version" broker-log4j.properties "${SHORT_LIVED_JVM[@]}"
    started+=("$dir")
    spawn "$dir" "${java_words[@]}" org.apache.zookeeper.server.quorum.QuorumPeerMain "$dir/zookeeper.properties"
    await_node "$dir" zookeeper_answers
}

# format_storage N: KRaft wants its directory prepared once.
format_storage() {
    local dir
    dir=$(node_dir "$1")
    [[ ! -e $dir/formatted ]] || return 0
    java_command "$version" tool-log4j.properties "${SHORT_LIVED_JVM[@]}"
    "${java_words[@]}" kafka.tools.StorageTool format --ignore-formatted --cluster-id "$cluster_id" \
        --config "$dir/server.properties" >"$dir/format.log" 2>&1 ||
        die 1 "could not format the storage of $dir: $(grep -m 1 . "$dir/format.log") (see $dir/format.log)"
    touch "$dir/formatted"
}

# prepare_brokers N…: directories, settings and, for KRaft, formatted storage.
prepare_brokers() {
    local n pids=() pid
    for n; do
        mkdir -p "$(node_dir "$n")"
        write_server_properties "$n"
    done
    ! uses_zookeeper || return 0
    for n; do
        format_storage "$n" &
        pids+=($!)
    done
    for pid in "${pids[@]}"; do
        wait "$pid" || exit 1
    done
}

# knows_members PORT N…: the broker at the port answers and counts these among the cluster's members.
knows_members() {
    local members n
    members=$(broker_members "$1") || return 1
    shift
    for n; do
        [[ $members == *" $n "* ]] || return 1
    done
}

# brokers_settled N…: each of them counts each among the members, or waiting for that has become pointless.
brokers_settled() {
    local n
    for n; do
        ! node_is_gone "$(node_dir "$n")" || return 0
    done
    for n; do
        knows_members "$(client_port "$n")" "$@" || return 1
    done
}

# await_brokers N…: waits until every one of them answers and knows of each.
await_brokers() {
    local n in_time=yes
    wait_until "$START_PATIENCE" brokers_settled "$@" || in_time=no
    for n; do
        ! node_is_gone "$(node_dir "$n")" || show_failure "$(node_dir "$n")" "ended while starting"
        [[ $in_time == yes ]] || knows_members "$(client_port "$n")" "$@" ||
            show_failure "$(node_dir "$n")" "did not answer, or did not find the others, within $START_PATIENCE s"
    done
}

# start_brokers N…: all at once.
start_brokers() {
    local n
    broker_jvm
    java_command "$version" broker-log4j.properties "${jvm_words[@]}"
    for n; do
        started+=("$(node_dir "$n")")
        spawn "$(node_dir "$n")" "${java_words[@]}" kafka.Kafka "$(node_dir "$n")/server.properties"
    done
}

# bring_up N…: makes these brokers run, and ZooKeeper before them. On any failure what it started is killed.
bring_up() {
    started=()
    trap give_up EXIT
    trap 'exit 130' INT
    trap 'exit 143' TERM
    if [[ -n $(missing_zookeeper_port) ]]; then
        start_zookeeper
    fi
    prepare_brokers "$@"
    if uses_zookeeper; then
        await_node "$cluster_dir/zookeeper" no_trace_of "$@"
    fi
    start_brokers "$@"
    await_brokers "$@"
    [[ $sasl_tls != yes ]] || make_scram_user
    trap - EXIT INT TERM
}
