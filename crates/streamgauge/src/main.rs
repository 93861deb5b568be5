//! The program `streamgauge`: it reads flags and settings, wires the libraries together, and chooses the exit code.
//!
//! The order at start is: arguments, settings, logs, then the command; a command that runs on adds signals and the
//! metrics endpoint. Invariants: logic that a library should own is not here; standard output carries results alone,
//! standard error logs and the one error line of [`exit`].

mod cli;
mod commands;
mod embedded;
mod exit;
mod output;
mod service;
mod settings;

use std::io::IsTerminal;
use std::panic;
use std::process::ExitCode;

use clap::Parser;

use crate::cli::{Cli, Command};
use crate::commands::Context;
use crate::exit::Ending;
use crate::settings::{LogSettings, SettingsError, Sources};

/// Records are allocated by one thread of the Kafka client and freed by another, several pieces each: this allocator
/// makes producing a third cheaper than the C library's. It serves librdkafka as well.
#[global_allocator]
static ALLOCATOR: tikv_jemallocator::Jemalloc = tikv_jemallocator::Jemalloc;

fn main() -> ExitCode {
    panic::set_hook(Box::new(log_panic));
    let cli = match Cli::try_parse() {
        Ok(cli) => cli,
        Err(error) => return exit::report_parse(&error),
    };
    exit::report(&run(&cli))
}

fn run(cli: &Cli) -> anyhow::Result<Ending> {
    if let Command::Completions(args) = &cli.command {
        // Completions are asked for while a shell starts: a broken settings file must not disturb that.
        return commands::completions::run(args);
    }
    let loaded = match settings::load(Sources::of_process(cli.settings_file(), cli.settings())) {
        Err(SettingsError::Plan { mistakes }) if looks_for_mistakes(cli) => {
            return commands::rules::tell_mistakes(&mistakes, cli.global.output);
        }
        loaded => loaded?,
    };
    start_logging(&loaded.settings.log)?;
    let output = cli.global.output;
    let context = Context { settings: loaded.settings.clone(), output, quiet: cli.global.quiet };
    match &cli.command {
        Command::Up(args) => commands::up::run(args, cli, &loaded, &context),
        Command::Broker(args) => commands::broker::run(args, &context),
        Command::Produce(args) => commands::produce::run(args, &context),
        Command::Analyze(args) => commands::analyze::run(args, &context),
        Command::Process(args) => commands::process::run(args, cli, &loaded, &context),
        Command::Store(args) => commands::store::run(args, &context),
        Command::Monitor(args) => commands::monitor::run(args, &context),
        Command::Alerts(args) => commands::alerts::run(args, &context),
        Command::Rules(args) => commands::rules::run(args, &loaded, &context),
        Command::Topics(args) => commands::topics::run(args, &context),
        Command::Groups(args) => commands::groups::run(args, &context),
        Command::Dlq(args) => commands::dlq::run(args, &context),
        Command::Doctor(_) => commands::doctor::run(&loaded, &context),
        Command::Config(args) => commands::config::run(args, &loaded, output),
        Command::Completions(args) => commands::completions::run(args),
    }
}

/// Whether mistakes in rules are the answer and not a failure.
fn looks_for_mistakes(cli: &Cli) -> bool {
    matches!(&cli.command, Command::Rules(args) if args.looks_for_mistakes())
}

fn start_logging(log: &LogSettings) -> anyhow::Result<()> {
    let colours =
        std::io::stderr().is_terminal() && std::env::var_os("NO_COLOR").is_none_or(|it| it.is_empty());
    Ok(runtime::init_logging(log.format, &log.filter, colours)?)
}

/// Logs a panic in one line. The thread's owner turns it into the program's failure.
fn log_panic(info: &panic::PanicHookInfo<'_>) {
    let thread = std::thread::current();
    let place = info.location().map(ToString::to_string).unwrap_or_default();
    let message = info.payload_as_str().unwrap_or("no message");
    tracing::error!(thread = thread.name().unwrap_or("unnamed"), place, message, "panic: this is a bug");
}
