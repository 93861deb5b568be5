//! Precedence, names, kinds, ranges and rules, seen from outside: sources in, settings or a message out.

use std::path::Path;

use super::*;

/// Loads a file's text, variables and flags over the defaults, without touching the process's own environment.
fn load_from(file: &str, variables: &[(&str, &str)], flags: &[(&str, &str)]) -> Result<Loaded, String> {
    let schema = Schema::embedded();
    let mut entries = schema.defaults().clone();
    let run = || -> Result<Loaded, SettingsError> {
        entries.lay(file::read_text(file, Path::new("streamgauge.toml"), &schema)?);
        let variables = variables.iter().map(|(name, value)| (OsString::from(name), OsString::from(value)));
        entries.lay(environment::read(variables, &schema)?);
        let mut layer = Layer::default();
        for (path, value) in flags {
            let kind =
                schema.default_of(path).map_or(Value::Text(String::new()), |entry| entry.value.clone());
            let value = Value::read(value, &kind).expect("a value of the right kind");
            layer.set(*path, value, Origin::Flag("--flag".to_owned()));
        }
        entries.lay(layer);
        let settings = validate::validate(&entries)?;
        fit::check(&entries)?;
        Ok(Loaded { settings, entries, file: None })
    };
    run().map_err(|error| error.to_string())
}

fn loaded(file: &str, variables: &[(&str, &str)], flags: &[(&str, &str)]) -> Loaded {
    load_from(file, variables, flags).expect("good settings")
}

fn refused(file: &str, variables: &[(&str, &str)], flags: &[(&str, &str)]) -> String {
    load_from(file, variables, flags).expect_err("bad settings")
}

#[test]
fn the_default_file_gives_every_setting_and_is_valid() {
    // Loading reads the closed part into structs that deny unknown fields and have no default of their own.
    let settings = loaded("", &[], &[]).settings;
    assert_eq!(settings.kafka.bootstrap(), "localhost:9092");
    assert_eq!(settings.kafka.producer["acks"], "all");
    assert_eq!(settings.kafka.producer["partitioner"], "murmur2_random");
    assert_eq!(settings.kafka.consumer["auto.offset.reset"], "earliest");
    assert_eq!(settings.kafka.consumer["session.timeout.ms"], "10000");
    assert_eq!(settings.analyze.group, "analytics-group");
    assert_eq!(settings.analyze.commit, CommitMode::Interval(Duration::from_secs(5)));
    assert_eq!((settings.analyze.max_poll_records.get(), settings.analyze.workers), (500, None));
    assert_eq!(
        settings.topics.sensor_data,
        TopicShape { partitions: 3, retention: Duration::from_hours(7 * 24) }
    );
    assert_eq!((settings.metrics_listen, settings.topics.replication_factor), (None, None));
}

#[test]
fn the_seed_file_is_valid_and_sets_the_seeds_values() {
    let settings = loaded(include_str!("../../../../config/seed.toml"), &[], &[]).settings;
    assert_eq!(settings.kafka.producer["retries"], "3");
    assert_eq!(settings.kafka.producer["batch.num.messages"], "100");
    assert_eq!(settings.kafka.producer["compression.type"], "none");
}

#[test]
fn flag_over_environment_over_file_over_default() {
    let file = "[produce]\nnum_sensors = 20\ninterval = '2s'\nseed = 7\n";
    let variables = [("STREAMGAUGE__PRODUCE__NUM_SENSORS", "30"), ("STREAMGAUGE__PRODUCE__INTERVAL", "3s")];
    let loaded = loaded(file, &variables, &[("produce.num_sensors", "40")]);
    let produce = &loaded.settings.produce;
    assert_eq!((produce.num_sensors, produce.interval, produce.seed), (40, Some(Duration::from_secs(3)), 7));
    assert_eq!(produce.key_format.key(7), "SENSOR_007");
    let origins: Vec<String> = ["num_sensors", "interval", "seed", "key_format"]
        .map(|key| loaded.entries.get(&format!("produce.{key}")).expect("set").origin.to_string())
        .to_vec();
    assert_eq!(origins, ["--flag", "STREAMGAUGE__PRODUCE__INTERVAL", "streamgauge.toml:4:1", "default"]);
}

#[test]
fn of_interval_and_rate_the_nearer_one_counts() {
    let second = Some(Duration::from_secs(1));
    for (file, flag, expected) in [
        ("", None, (second, None)),
        ("[produce]\nrate = 50\n", None, (None, Some(50.0))),
        ("[produce]\nrate = 50\ninterval = '1s'\n", None, (second, Some(50.0))),
        ("[produce]\nrate = 50\n", Some(("produce.interval", "1s")), (second, None)),
        ("[produce]\ninterval = '3s'\n", Some(("produce.rate", "7")), (None, Some(7.0))),
        ("[produce]\nrate = 50\n", Some(("produce.rate", "0")), (second, None)),
    ] {
        let flags: Vec<_> = flag.into_iter().collect();
        let produce = loaded(file, &[], &flags).settings.produce;
        assert_eq!((produce.interval, produce.rate), expected, "{file:?} {flags:?}");
    }
}

#[test]
fn kafka_properties_may_be_quoted_dotted_or_variables() {
    let file = "[kafka]\nbootstrap.servers = 'a:1'\n\"client.id\" = 'me'\n[kafka.producer]\nlinger.ms = 7\n";
    let variables = [
        ("STREAMGAUGE__KAFKA__BOOTSTRAP_SERVERS", "b:2"),
        ("STREAMGAUGE__KAFKA__CONSUMER__FETCH_MIN_BYTES", "9"),
    ];
    let kafka = loaded(file, &variables, &[]).settings.kafka;
    assert_eq!((kafka.bootstrap(), kafka.common["client.id"].as_str()), ("b:2", "me"));
    assert_eq!(
        (kafka.producer["linger.ms"].as_str(), kafka.consumer["fetch.min.bytes"].as_str()),
        ("7", "9")
    );
}

#[test]
fn a_flag_for_all_clients_wins_over_a_producers_file() {
    let kafka = loaded("[kafka.producer]\nlinger.ms = 7\n", &[], &[("kafka.linger.ms", "9")]).settings.kafka;
    assert_eq!((kafka.common["linger.ms"].as_str(), kafka.producer.get("linger.ms")), ("9", None));
}

#[test]
fn other_variables_are_left_alone() {
    loaded("", &[("STREAMGAUGE_PORT", "tcp://10.0.0.1:80"), ("PATH", "/bin")], &[]);
}

#[test]
fn mistakes_are_named_with_their_place_and_a_suggestion() {
    for (file, message) in [
        (
            "[produce]\n\nnum_sensor = 3\n",
            "streamgauge.toml:3:1: unknown setting \"produce.num_sensor\"; did you mean \"produce.num_sensors\"?",
        ),
        ("[analyse]\n", "streamgauge.toml:1:2: unknown setting \"analyse\"; did you mean \"analyze\"?"),
        ("[produce]\ncolour = 1\n", "streamgauge.toml:2:1: unknown setting \"produce.colour\""),
        (
            "[produce]\nnum_sensors = 'ten'\n",
            "streamgauge.toml:2:1: produce.num_sensors must be a whole number, not text (ten)",
        ),
        ("produce = 3\n", "streamgauge.toml:1:1: produce must be a section, not integer"),
        (
            "[produce.seed]\nx = 1\n",
            "streamgauge.toml:1:10: produce.seed must be a whole number, not a section",
        ),
        ("[produce]\nseed = [1]\n", "streamgauge.toml:2:1: produce.seed must be a whole number, not array"),
        (
            "[produce]\nnum_sensors = 0\n",
            "streamgauge.toml:2:1: produce.num_sensors = 0: it must be a whole number from 1 to 1000000",
        ),
        (
            "[analyze]\ncommit = 'each_batch'\n",
            "streamgauge.toml:2:1: analyze.commit = \"each_batch\": it must be one of interval, each-batch; did you mean \"each-batch\"?",
        ),
        (
            "[produce]\nkey_format = 'SENSOR'\n",
            "streamgauge.toml:2:1: produce.key_format = \"SENSOR\": key format \"SENSOR\": ",
        ),
        ("[produce.events]\nrate = 'fast'\n", "produce.events.rate = \"fast\": \"fast\" is not a rate"),
        (
            "[log]\nlevel = 'warning'\n",
            "streamgauge.toml:2:1: log.level = \"warning\": it must be one of error, warn, info, debug, trace, off",
        ),
        (
            "[kafka]\nbootstrap.servers = ['a']\n",
            "streamgauge.toml:2:11: kafka.bootstrap.servers must be text",
        ),
        ("kafka = 1\n", "streamgauge.toml:1:1: kafka must be a section"),
        ("[produce]\nseed = \n", "streamgauge.toml:2:8: not valid TOML: "),
        ("[analyze]\nstall_timeout = 'soon'\n", "\"soon\" is not a duration; write a number with a unit"),
        (
            "[analyze]\nstall_timeout = 0\n",
            "streamgauge.toml:2:1: analyze.stall_timeout = \"0\": it must be longer",
        ),
    ] {
        let refusal = refused(file, &[], &[]);
        assert!(refusal.contains(message), "{file:?}\n  gave {refusal}\n  not  {message}");
    }
}

#[test]
fn mistakes_in_variables_are_named() {
    for (variable, value, message) in [
        (
            "STREAMGAUGE__PRODUCE__NUM_SENSOR",
            "3",
            "STREAMGAUGE__PRODUCE__NUM_SENSOR: unknown setting \"produce.num_sensor\"; did you mean \"STREAMGAUGE__PRODUCE__NUM_SENSORS\"?",
        ),
        (
            "STREAMGAUGE__PRODUCE__NUM_SENSORS",
            "ten",
            "STREAMGAUGE__PRODUCE__NUM_SENSORS: produce.num_sensors must be a whole number, not \"ten\"",
        ),
        ("STREAMGAUGE__TOPICS__SENSOR_DATA__PARTITIONS", "0", "topics.sensor-data.partitions = 0"),
    ] {
        let refusal = refused("", &[(variable, value)], &[]);
        assert!(refusal.contains(message), "{refusal}");
    }
}

#[test]
fn a_bad_kafka_property_is_named_with_its_place() {
    let refusal = refused("[kafka.producer]\n\"linger.mss\" = 5\n", &[], &[]);
    assert!(refusal.starts_with("streamgauge.toml:2:1: ") && refusal.contains("linger.ms"), "{refusal}");
}

#[test]
fn rules_name_both_keys() {
    for (file, parts) in [
        (
            "[topics]\nreplication_factor = 1\nmin_insync_replicas = 2\n",
            [
                "topics.min_insync_replicas = 2 (streamgauge.toml:3:1)",
                "topics.replication_factor = 1 (streamgauge.toml:2:1)",
            ],
        ),
        (
            "[analyze]\nstall_timeout = '5s'\n",
            ["analyze.stall_timeout = \"5s\"", "kafka.consumer.session.timeout.ms = 10000 (default)"],
        ),
        (
            "[kafka]\nheartbeat.interval.ms = 20000\n",
            ["kafka.heartbeat.interval.ms = 20000", "kafka.consumer.session.timeout.ms = 10000"],
        ),
        (
            "[kafka]\nmax.in.flight = 6\n",
            ["kafka.max.in.flight = 6", "kafka.producer.enable.idempotence = true (default)"],
        ),
        ("[kafka]\nsasl.username = 'me'\n", ["kafka.sasl.username = \"me\"", "security.protocol"]),
    ] {
        let refusal = refused(file, &[], &[]);
        for part in parts {
            assert!(refusal.contains(part), "{file:?} gave {refusal}");
        }
    }
}

#[test]
fn the_file_is_found_in_order() {
    let directory = std::env::temp_dir().join(format!("streamgauge-settings-{}", std::process::id()));
    std::fs::create_dir_all(directory.join("streamgauge")).expect("a directory");
    let own = directory.join("streamgauge/config.toml");
    std::fs::write(&own, "").expect("a file");
    assert_eq!(
        file::find(Some(Path::new("given.toml")), Some(&directory)),
        Some(PathBuf::from("given.toml"))
    );
    assert_eq!(file::find(None, Some(&directory)), Some(own));
    std::fs::remove_dir_all(&directory).expect("removed");
    assert_eq!(file::find(None, Some(&directory)), None);
}
