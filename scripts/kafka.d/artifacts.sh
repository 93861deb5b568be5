# shellcheck shell=bash
# Where Kafka's jars come from, and the Java command lines that run them. Sourced by scripts/kafka.
#
#   CACHE/kafka-<version>/            the jars
#   CACHE/kafka-streams-<version>/    those of programs that use Kafka Streams
#   CACHE/kafka-<version>-<java>.jsa  their classes as this Java loads them, so that it need not do so anew at every start
#
# Invariant: what has one of these names is complete. It is made under another name and renamed at the end, so whatever is
# interrupted leaves nothing that could be taken for Kafka. An empty archive says that this Java cannot make one.

readonly SHORT_VERSIONS=(3.9 4.1)
readonly OLDEST_JAVA=17
# The heap of one broker: three of them, their clients and a compiler fit on an 8 GB machine.
readonly BROKER_HEAP=-Xmx512m
# What Kafka's own start scripts pass; benchmarks against Kafka are honest only under Kafka's own settings.
readonly KAFKA_JVM_DEFAULTS=(
    -server -XX:+UseG1GC -XX:MaxGCPauseMillis=20 -XX:InitiatingHeapOccupancyPercent=35
    -XX:+ExplicitGCInvokesConcurrent -XX:MaxInlineLevel=15
)
# For commands that live a second (formatting, topic administration) and for ZooKeeper: start quickly, stay small.
readonly SHORT_LIVED_JVM=(-Xmx256m -XX:+UseSerialGC -XX:TieredStopAtLevel=1)

# full_version 3.9 -> 3.9.1
full_version() {
    case $1 in
        3.9) echo 3.9.1 ;;
        4.1) echo 4.1.1 ;;
        *) die "$EX_USAGE" "unknown Kafka version '$1': choose one of ${SHORT_VERSIONS[*]}" ;;
    esac
}

cache_dir() {
    echo "${XDG_CACHE_HOME:-${HOME:?HOME is not set, so there is no place for the cache: set XDG_CACHE_HOME}/.cache}/streamgauge"
}

kafka_home() {
    echo "$(cache_dir)/kafka-$(full_version "$1")"
}

# need PROGRAM PACKAGE: says what to install, in Debian's name, when a program is missing.
need() {
    command -v "$1" >/dev/null ||
        die "$EX_UNAVAILABLE" "'$1' is not installed: on Debian or Ubuntu, apt-get install $2"
}

# need_java: sets java_identity. A Java that has an archive has been looked at before.
need_java() {
    local text major
    need java openjdk-17-jre-headless
    java_identity=$(stat -c '%n %s %Y' "$(readlink -f "$(command -v java)")" | cksum | cut -d ' ' -f 1)
    ! compgen -G "$(cache_dir)/*-$java_identity.jsa" >/dev/null || return 0
    text=$(java -version 2>&1) || die "$EX_UNAVAILABLE" "'java -version' failed: $text"
    major=$(sed -nE '1s/.*version "([0-9]+).*/\1/p' <<<"$text")
    if [[ -z $major ]] || ((major < OLDEST_JAVA)); then
        die "$EX_UNAVAILABLE" "Kafka needs Java $OLDEST_JAVA or later, this is '$(head -n 1 <<<"$text")':" \
            "on Debian or Ubuntu, apt-get install openjdk-17-jre-headless"
    fi
}

# fetch_version 4.1: fills the cache unless it is there.
fetch_version() {
    fetch_jars "$(kafka_home "$1")" pom.xml "$1" "Apache Kafka $(full_version "$1")" "about 45 MB"
}

streams_home() {
    echo "$(cache_dir)/kafka-streams-$(full_version "$1")"
}

# fetch_streams 4.1: the same for programs that use Kafka Streams.
fetch_streams() {
    fetch_jars "$(streams_home "$1")" streams-pom.xml "$1" "Kafka Streams $(full_version "$1")" "about 25 MB"
}

# fetch_jars DIRECTORY POM VERSION WHAT SIZE: unless they are there. Only one process at a time does so; others wait for it.
fetch_jars() {
    local home=$1 pom=$2 fetched=$1.partial log=$1.log fetch_lock
    [[ -d $home ]] && return
    need mvn maven
    mkdir -p "$(cache_dir)"
    exec {fetch_lock}>"$home.lock"
    flock "$fetch_lock"
    if [[ ! -d $home ]]; then
        note "fetching $4 to $home (once, $5)"
        rm -rf "$fetched"
        if ! mvn -B -q -Dstyle.color=never -f "$parts/$pom" -Dkafka.version="$(full_version "$3")" \
            -DincludeScope=runtime -DoutputDirectory="$fetched" dependency:copy-dependencies >"$log" 2>&1; then
            tail -n 15 "$log" >&2
            die "$EX_UNAVAILABLE" "Maven could not fetch it (its output is above and in $log): is the network there?"
        fi
        mv -T "$fetched" "$home"
        rm -f "$log"
    fi
    exec {fetch_lock}>&-
}

class_archive() {
    echo "$(kafka_home "$1")-$java_identity.jsa"
}

# archive_classes 4.1: has a broker of this version note, as it ends, the classes it loaded. Saves a third of every start.
archive_classes() {
    local archive archive_lock code=0
    archive=$(class_archive "$1")
    [[ ! -e $archive ]] || return 0
    # Who else starts this version for the first time waits, and then has the archive too.
    exec {archive_lock}>"$archive.lock"
    flock "$archive_lock"
    if [[ ! -e $archive ]]; then
        note "preparing Apache Kafka $(full_version "$1") to start quickly on this Java (once, about 10 s)"
        # The trial run must neither use an archive nor try to make one.
        : >"$archive"
        trial_run "$1" "$archive" >/dev/null 2>&1 || code=$?
        # Interrupted by the user, who means all of it.
        ((code <= 128)) || exit "$code"
        if ((code != 0)); then
            rm -f "$archive"
            note "that did not work, and is tried again at the next start"
        elif ! mv -f "$archive.partial" "$archive" 2>/dev/null; then
            note "this Java keeps no such archive: brokers will take longer to start"
        fi
    fi
    exec {archive_lock}>&-
}

# trial_run VERSION ARCHIVE: a cluster of one broker in a temporary directory, and a topic; makes ARCHIVE.partial.
trial_run() (
    archive=$2
    dir=$(mktemp -d)
    trap '"$here/kafka" destroy --dir "$dir/cluster"; rm -rf "$dir"' EXIT
    trap 'rm -f "$archive"; exit 130' INT TERM
    # At random, since others may look for a free port on this machine at this moment.
    free=$((40000 + RANDOM % 200 * PORT_SPAN))
    while port_is_taken "$free"; do
        free=$((free + PORT_SPAN))
    done
    options="$BROKER_HEAP ${KAFKA_JVM_DEFAULTS[*]} -XX:ArchiveClassesAtExit=$archive.partial"
    KAFKA_JVM_OPTS=$options "$here/kafka" start --version "$1" --port "$free" --dir "$dir/cluster" &&
        "$here/kafka" tool --dir "$dir/cluster" topics --create --topic trial &&
        "$here/kafka" stop --dir "$dir/cluster"
)

# class_path DIRECTORY: the jars in a fixed order, which a class archive depends on.
class_path() {
    local LC_ALL=C jars
    jars=("$1"/*.jar)
    (IFS=:; echo "${jars[*]}")
}

# java_command VERSION LOG4J_FILE JVM_OPTION…: sets java_words to the command up to, and without, the main class.
java_command() {
    local version=$1 log4j=$2 archive
    shift 2
    java_words=(java "$@")
    archive=$(class_archive "$version")
    # An archive that does not fit after all is ignored by the JVM, and need not be mentioned.
    [[ ! -s $archive ]] || java_words+=(-Xshare:auto "-XX:SharedArchiveFile=$archive" -Xlog:cds=off -Xlog:cds+dynamic=off)
    java_words+=(
        -Djava.awt.headless=true "-Dlog4j.configuration=file:$parts/$log4j" -Dlog4j2.statusLoggerLevel=OFF
        -cp "$(class_path "$(kafka_home "$version")")"
    )
}

# broker_jvm: sets jvm_words to the options of a broker's JVM. KAFKA_JVM_OPTS replaces them.
broker_jvm() {
    if [[ -n ${KAFKA_JVM_OPTS:-} ]]; then
        read -ra jvm_words <<<"$KAFKA_JVM_OPTS"
    else
        jvm_words=("$BROKER_HEAP" "${KAFKA_JVM_DEFAULTS[@]}")
    fi
}
