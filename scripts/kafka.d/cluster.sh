# shellcheck shell=bash
# What one cluster is: its record, its directories, its ports and the settings of its nodes. Sourced by scripts/kafka.
#
#   DIR/cluster.conf            version, number of brokers, port, SASL and TLS, the user's properties
#   DIR/node-N/                 server.properties, data/, server.log, pid; N from 1, also the broker's id
#   DIR/zookeeper/              the same for ZooKeeper (3.9)
#   DIR/tls/                    certificates, password, settings for Java clients (--sasl-tls)
#
# Ports, all on 127.0.0.1, for a cluster at PORT and its broker N; two clusters need ports at least 50 apart:
#   PORT+N-1 PLAINTEXT · PORT+9+N SASL_SSL · PORT+19+N SSL · PORT+29+N KRaft controller · PORT+40 ZooKeeper (2181 at 9092)

readonly PORT_SPAN=50
# A killed broker is noticed after this long; Kafka's defaults, 9 s and 18 s, only make tests wait.
readonly BROKER_SESSION_MS=6000

node_dir() {
    echo "$cluster_dir/node-$1"
}

broker_numbers() {
    seq 1 "$brokers"
}

client_port() {
    echo $((port + $1 - 1))
}

sasl_port() {
    echo $((port + 9 + $1))
}

ssl_port() {
    echo $((port + 19 + $1))
}

controller_port() {
    echo $((port + 29 + $1))
}

zookeeper_port() {
    ((port == 9092)) && echo 2181 || echo $((port + 40))
}

uses_zookeeper() {
    [[ $version == 3.9 ]]
}

# all_node_dirs: brokers first, since ZooKeeper must outlive them.
all_node_dirs() {
    local n
    for n in $(broker_numbers); do
        node_dir "$n"
    done
    if uses_zookeeper; then
        echo "$cluster_dir/zookeeper"
    fi
}

# load_cluster: reads the record into version, brokers, port, sasl_tls, cluster_id and properties; fails if there is none.
load_cluster() {
    local key value
    [[ -e $cluster_dir/cluster.conf ]] || return 1
    properties=()
    while IFS='=' read -r key value; do
        case $key in
            version) version=$value ;;
            brokers) brokers=$value ;;
            port) port=$value ;;
            sasl_tls) sasl_tls=$value ;;
            cluster_id) cluster_id=$value ;;
            property) properties+=("$value") ;;
            *) die 1 "$cluster_dir/cluster.conf: unknown key '$key'; destroy the cluster and start it again" ;;
        esac
    done <"$cluster_dir/cluster.conf"
}

save_cluster() {
    {
        printf '%s\n' "version=$version" "brokers=$brokers" "port=$port" "sasl_tls=$sasl_tls" "cluster_id=$cluster_id"
        ((${#properties[@]} == 0)) || printf 'property=%s\n' "${properties[@]}"
    } >"$cluster_dir/cluster.conf.partial"
    mv "$cluster_dir/cluster.conf.partial" "$cluster_dir/cluster.conf"
}

# new_cluster_id: 16 random bytes in Kafka's notation, which may not begin with a dash.
new_cluster_id() {
    echo "S$(head -c 32 /dev/urandom | base64 | tr -d '+/=\n' | cut -c 1-21)"
}

# bootstrap_servers PORT_FUNCTION: for example client_port.
bootstrap_servers() {
    local n list=
    for n in $(broker_numbers); do
        list+=${list:+,}127.0.0.1:$("$1" "$n")
    done
    echo "$list"
}

# node_ports N: every port that broker N binds.
node_ports() {
    client_port "$1"
    if [[ $sasl_tls == yes ]]; then
        sasl_port "$1"
        ssl_port "$1"
    fi
    uses_zookeeper || controller_port "$1"
}

write_zookeeper_properties() {
    cat >"$cluster_dir/zookeeper/zookeeper.properties" <<END
dataDir=$cluster_dir/zookeeper/data
clientPort=$(zookeeper_port)
clientPortAddress=127.0.0.1
admin.enableServer=false
maxClientCnxns=0
tickTime=500
minSessionTimeout=1000
maxSessionTimeout=60000
4lw.commands.whitelist=ruok,dump
END
}

# role_properties N: what makes the node a ZooKeeper broker, or a combined KRaft broker and controller.
role_properties() {
    local n voters=
    if uses_zookeeper; then
        printf '%s\n' "broker.id=$1" "zookeeper.connect=127.0.0.1:$(zookeeper_port)" \
            "zookeeper.session.timeout.ms=$BROKER_SESSION_MS"
    else
        for n in $(broker_numbers); do
            voters+=${voters:+,}$n@127.0.0.1:$(controller_port "$n")
        done
        printf '%s\n' "node.id=$1" process.roles=broker,controller controller.listener.names=CONTROLLER \
            "controller.quorum.voters=$voters" "broker.session.timeout.ms=$BROKER_SESSION_MS"
    fi
}

# listener_properties N
listener_properties() {
    local clients controller=
    clients=PLAINTEXT://127.0.0.1:$(client_port "$1")
    if [[ $sasl_tls == yes ]]; then
        clients+=,SASL_SSL://127.0.0.1:$(sasl_port "$1"),SSL://127.0.0.1:$(ssl_port "$1")
    fi
    uses_zookeeper || controller=,CONTROLLER://127.0.0.1:$(controller_port "$1")
    printf '%s\n' "listeners=$clients$controller" "advertised.listeners=$clients" \
        inter.broker.listener.name=PLAINTEXT \
        listener.security.protocol.map=PLAINTEXT:PLAINTEXT,SSL:SSL,SASL_SSL:SASL_SSL,CONTROLLER:PLAINTEXT
}

# write_server_properties N: the user's properties come last, and the last one wins.
write_server_properties() {
    local replicas=$((brokers < 3 ? brokers : 3)) min_isr=$((brokers < 3 ? 1 : 2))
    {
        role_properties "$1"
        listener_properties "$1"
        [[ $sasl_tls != yes ]] || tls_properties
        cat <<END
log.dirs=$(node_dir "$1")/data
# A missing topic shall be seen, not made up with the wrong number of partitions.
auto.create.topics.enable=false
num.partitions=3
default.replication.factor=$replicas
min.insync.replicas=$min_isr
offsets.topic.replication.factor=$replicas
transaction.state.log.replication.factor=$replicas
transaction.state.log.min.isr=$min_isr
# Sized for a small machine: fewer internal partitions to create and recover, fewer threads, smaller buffers.
offsets.topic.num.partitions=10
transaction.state.log.num.partitions=10
num.io.threads=4
background.threads=4
log.cleaner.dedupe.buffer.size=16777216
# A consumer group starts at once, and a stop does not wait for a controller that stops too.
group.initial.rebalance.delay.ms=0
controlled.shutdown.max.retries=1
END
        ((${#properties[@]} == 0)) || printf '%s\n' "${properties[@]}"
    } >"$(node_dir "$1")/server.properties"
}
