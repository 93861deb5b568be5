//! The command line: global flags and the commands. Each command's own flags are in its file under `commands/`.

use std::path::{Path, PathBuf};
use std::time::Duration;

use clap::{ArgAction, Args, Parser, Subcommand, ValueEnum};

use model::EventTime;

use crate::commands::{
    alerts, analyze, broker, completions, config, dlq, doctor, groups, monitor, process, produce, rules,
    store, topics, up,
};
use crate::settings::{Layer, NotADuration, Origin, Value, parse_duration};

/// Sensor readings through Apache Kafka to live analytics.
#[derive(Debug, Parser)]
#[command(
    name = "streamgauge",
    version,
    arg_required_else_help = true,
    subcommand_required = true,
    disable_help_subcommand = true,
    after_help = "Examples:
  streamgauge up                                                # everything in one process, with a broker of its own
  streamgauge doctor                                            # is Kafka there, are the topics right?
  streamgauge topics create
  streamgauge produce sensors --num-sensors 100 --interval 0.1
  streamgauge analyze\n\n\
                  Flags win over the environment (STREAMGAUGE__SECTION__KEY), that over the settings file, that over\n\
                  the built-in defaults. See all of them with: streamgauge config show\n\n\
                  Exit codes: 0 done, 1 failure, 2 usage, 69 Kafka unavailable, 74 input/output, 78 configuration,\n\
                  130/143 ended by SIGINT/SIGTERM."
)]
pub(crate) struct Cli {
    /// Flags of every command.
    #[command(flatten)]
    pub(crate) global: GlobalArgs,
    /// What to do.
    #[command(subcommand)]
    pub(crate) command: Command,
}

/// What to do.
#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    Up(up::UpArgs),
    Broker(broker::BrokerArgs),
    Produce(produce::ProduceArgs),
    Analyze(analyze::AnalyzeArgs),
    Process(process::ProcessArgs),
    Store(store::StoreArgs),
    Monitor(monitor::MonitorArgs),
    Alerts(alerts::AlertsArgs),
    Rules(rules::RulesArgs),
    Topics(topics::TopicsArgs),
    Groups(groups::GroupsArgs),
    Dlq(dlq::DlqArgs),
    Doctor(doctor::DoctorArgs),
    Config(config::ConfigArgs),
    Completions(completions::CompletionsArgs),
}

/// Flags of every command.
#[derive(Debug, Args)]
#[command(next_help_heading = "Global options")]
pub(crate) struct GlobalArgs {
    /// Settings file [default: ./streamgauge.toml, else ~/.config/streamgauge/config.toml]
    #[arg(short = 'c', long = "config", value_name = "FILE", global = true)]
    pub(crate) config: Option<PathBuf>,
    /// Kafka brokers to ask first, host:port, separated by commas
    #[arg(short = 'b', long = "bootstrap", value_name = "BOOTSTRAP", global = true)]
    pub(crate) bootstrap: Option<String>,
    /// A librdkafka property for every client, as in `-X sasl.username=me`; may be repeated
    #[arg(short = 'X', value_name = "KEY=VALUE", global = true, value_parser = property)]
    pub(crate) properties: Vec<(String, String)>,
    /// Output for people or for programs
    #[arg(short = 'o', long = "output", value_name = "FORMAT", global = true, default_value = "table")]
    pub(crate) output: OutputFormat,
    /// Log more: -v what happens, -vv details, -vvv everything
    #[arg(short = 'v', long = "verbose", global = true, action = ArgAction::Count, conflicts_with = "quiet")]
    pub(crate) verbose: u8,
    /// Print and log less
    #[arg(short = 'q', long = "quiet", global = true)]
    pub(crate) quiet: bool,
    /// Log lines on standard error as text or JSON
    #[arg(long, value_name = "FORMAT", global = true, value_parser = ["text", "json"])]
    pub(crate) log_format: Option<String>,
    /// Serve /metrics, /healthz, /readyz and /version here: HOST:PORT, or PORT on 127.0.0.1
    #[arg(long, value_name = "ADDR", global = true)]
    pub(crate) metrics_listen: Option<String>,
}

/// How results are printed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum OutputFormat {
    /// Aligned columns and plain sentences.
    Table,
    /// One JSON document, or one a line for streams.
    Json,
}

impl Cli {
    /// The settings file that was asked for.
    pub(crate) fn settings_file(&self) -> Option<&Path> {
        let own = match &self.command {
            Command::Rules(args) => args.file(),
            _ => None,
        };
        own.or(self.global.config.as_deref())
    }

    /// The settings that flags set.
    pub(crate) fn settings(&self) -> Layer {
        let mut layer = self.global.settings();
        match &self.command {
            Command::Up(args) => args.settings(&mut layer),
            Command::Broker(args) => args.settings(&mut layer),
            Command::Produce(args) => args.settings(&mut layer),
            Command::Analyze(args) => args.settings(&mut layer),
            Command::Process(args) => args.settings(&mut layer),
            Command::Store(args) => args.settings(&mut layer),
            Command::Monitor(args) => args.settings(&mut layer),
            Command::Topics(args) => args.settings(&mut layer),
            Command::Alerts(_)
            | Command::Rules(_)
            | Command::Groups(_)
            | Command::Dlq(_)
            | Command::Doctor(_)
            | Command::Config(_)
            | Command::Completions(_) => {}
        }
        layer
    }
}

impl GlobalArgs {
    fn settings(&self) -> Layer {
        let mut layer = Layer::default();
        let text = |text: &Option<String>| text.clone().map(Value::Text);
        for (property, value) in &self.properties {
            let origin = Origin::Flag(format!("-X {property}"));
            layer.set(format!("kafka.{property}"), Value::Text(value.clone()), origin);
        }
        layer.flag("kafka.bootstrap.servers", "-b", text(&self.bootstrap));
        layer.flag("log.format", "--log-format", text(&self.log_format));
        layer.flag("metrics.listen", "--metrics-listen", text(&self.metrics_listen));
        let (flag, level) = match (self.quiet, self.verbose) {
            (true, _) => ("-q", Some("error")),
            (_, 0) => ("", None),
            (_, 1) => ("-v", Some("info")),
            (_, 2) => ("-vv", Some("debug")),
            _ => ("-vvv", Some("trace")),
        };
        layer.flag("log.level", flag, level.map(|level| Value::Text(level.to_owned())));
        layer
    }
}

/// Reads a duration flag.
pub(crate) fn duration(text: &str) -> Result<Duration, NotADuration> {
    parse_duration(text)
}

/// Checks a duration flag and keeps its text.
pub(crate) fn duration_text(text: &str) -> Result<String, NotADuration> {
    parse_duration(text).map(|_| text.to_owned())
}

/// Reads a time flag.
pub(crate) fn time(text: &str) -> Result<EventTime, String> {
    EventTime::parse(text.as_bytes()).ok_or_else(|| "write it like 2024-11-07T10:15:30".to_owned())
}

/// Reads `key=value`.
pub(crate) fn property(text: &str) -> Result<(String, String), String> {
    match text.split_once('=') {
        Some((key, value)) if !key.trim().is_empty() => Ok((key.trim().to_owned(), value.to_owned())),
        _ => Err("write it as key=value, for instance -X linger.ms=5".to_owned()),
    }
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory;

    use super::*;

    #[test]
    fn the_command_line_is_consistent() {
        Cli::command().debug_assert();
    }

    #[test]
    fn every_command_has_examples() {
        fn check(command: &clap::Command, path: &str) {
            let path = format!("{path} {}", command.get_name());
            let help = command.get_after_help().map(ToString::to_string).unwrap_or_default();
            assert!(help.contains("Examples:\n") && help.contains(path.trim()), "{path} shows no example");
            for below in command.get_subcommands() {
                check(below, &path);
            }
        }
        check(&Cli::command(), "");
    }

    #[test]
    fn flags_become_settings() {
        let cli =
            Cli::try_parse_from(["streamgauge", "config", "check", "-b", "h:1", "-X", "linger.ms=3", "-vv"]);
        let layer = cli.expect("good arguments").global.settings();
        let set: Vec<String> =
            layer.iter().map(|(path, entry)| format!("{path}={} by {}", entry.value, entry.origin)).collect();
        let expected = [
            "kafka.bootstrap.servers=h:1 by -b",
            "kafka.linger.ms=3 by -X linger.ms",
            "log.level=debug by -vv",
        ];
        assert_eq!(set, expected);
    }
}
