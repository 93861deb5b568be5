# shellcheck shell=bash
# Kafka's own command-line tools by their usual names, and programs in Java. Sourced by scripts/kafka.

# tool_class VERSION NAME: the main class; the names are those of Kafka's kafka-NAME.sh scripts, the long ones shortened.
tool_class() {
    local tools=org.apache.kafka.tools
    case $2 in
        topics) echo $tools.TopicCommand ;;
        configs) echo kafka.admin.ConfigCommand ;;
        console-producer) [[ $1 == 3.9 ]] && echo kafka.tools.ConsoleProducer || echo $tools.ConsoleProducer ;;
        console-consumer) echo $tools.consumer.ConsoleConsumer ;;
        producer-perf) echo $tools.ProducerPerformance ;;
        consumer-perf) echo $tools.ConsumerPerformance ;;
        consumer-groups) echo $tools.consumer.group.ConsumerGroupCommand ;;
        get-offsets) echo $tools.GetOffsetShell ;;
        delete-records) echo $tools.DeleteRecordsCommand ;;
        leader-election) echo $tools.LeaderElectionCommand ;;
        log-dirs) echo $tools.LogDirsCommand ;;
        reassign-partitions) echo $tools.reassign.ReassignPartitionsCommand ;;
        transactions) echo $tools.TransactionsCommand ;;
        metadata-quorum) echo $tools.MetadataQuorumCommand ;;
        dump-log) echo kafka.tools.DumpLogSegments ;;
        *.*) echo "$2" ;;
        *) die "$EX_USAGE" "unknown tool '$2': see scripts/kafka --help; a full class name is accepted too" ;;
    esac
}

# tool_words NAME ARGUMENT…: sets words to the arguments, with the cluster's address where the user gave none.
tool_words() {
    local name=$1 word servers
    shift
    words=("$@")
    for word; do
        case $word in
            --bootstrap-server | --bootstrap-server=* | --bootstrap-controller | --broker-list | bootstrap.servers=*) return ;;
        esac
    done
    [[ -n ${port:-} ]] || return 0
    servers=$(bootstrap_servers client_port)
    case $name in
        dump-log | *.*) ;;
        # ProducerPerformance takes it as a property, among others that may follow one flag.
        producer-perf)
            words=()
            for word; do
                words+=("$word")
                [[ $word != --producer-props ]] || words+=("bootstrap.servers=$servers")
            done
            [[ " $* " == *" --producer-props "* ]] || words+=(--producer-props "bootstrap.servers=$servers")
            ;;
        *) words=(--bootstrap-server "$servers" "$@") ;;
    esac
}

# run_tool NAME ARGUMENT…: in place of this process, so that signals and the exit code are the tool's own.
run_tool() {
    local class
    class=$(tool_class "$version" "$1")
    case $1 in
        # What is measured or runs for long gets the JVM that Kafka's own scripts give it.
        *-perf | console-*) broker_jvm ;;
        *) jvm_words=("${SHORT_LIVED_JVM[@]}") ;;
    esac
    tool_words "$@"
    java_command "$version" tool-log4j.properties "${jvm_words[@]}"
    exec "${java_words[@]}" "$class" "${words[@]}"
}

# run_java FILE ARGUMENT…: compiles and runs a program of one file, in place of this process.
run_java() {
    exec java "${SHORT_LIVED_JVM[@]}" -Djava.awt.headless=true "-Dlog4j.configuration=file:$parts/tool-log4j.properties" \
        -cp "$(class_path "$(streams_home "$version")")" "$@"
}
