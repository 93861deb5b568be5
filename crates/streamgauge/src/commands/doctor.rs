//! `streamgauge doctor`: can the brokers be reached, which release are they, are the topics right, and what to do.
//!
//! Each check is one line: its outcome, what was looked at, what was found, and the fix if there is one. With `-o json`:
//! `{"ok": bool, "checks": [{"check", "outcome": "ok"|"warning"|"failed", "found", "fix"}]}`. A warning leaves the exit
//! code 0; a failure makes it 1, or that of the error if Kafka could not be reached at all.

mod network;
mod topics;

use std::collections::BTreeSet;
use std::io::Write as _;

use clap::Args;
use kafka::{Admin, CONNECT_TIMEOUT, Cluster};
use serde_json::json;

use crate::cli::OutputFormat;
use crate::commands::Context;
use crate::exit::{self, Ending};
use crate::output::{self, Table};
use crate::settings::Loaded;

/// Look for what is wrong: settings, brokers, their version, topics.
#[derive(Debug, Args)]
#[command(after_help = "Examples:
  streamgauge doctor
  streamgauge doctor -b broker-1:9092 -X security.protocol=SASL_SSL -X sasl.username=me
  streamgauge doctor -o json | jq -r '.checks[] | select(.outcome != \"ok\") | .fix'")]
pub(crate) struct DoctorArgs {}

/// How the client names releases that are not supported.
const TOO_OLD: &str = "older than 3.5";

/// How a check came out.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Outcome {
    /// As it should be.
    Ok,
    /// It works, and could be better.
    Warning,
    /// Something will not work.
    Failed,
}

impl Outcome {
    fn name(self) -> &'static str {
        match self {
            Self::Ok => "ok",
            Self::Warning => "warning",
            Self::Failed => "failed",
        }
    }
}

/// One thing that was looked at.
#[derive(Debug)]
struct Check {
    subject: String,
    outcome: Outcome,
    found: String,
    fix: Option<String>,
}

impl Check {
    fn ok(subject: impl Into<String>, found: impl Into<String>) -> Self {
        Self { subject: subject.into(), outcome: Outcome::Ok, found: found.into(), fix: None }
    }

    fn warning(subject: impl Into<String>, found: impl Into<String>, fix: impl Into<String>) -> Self {
        Self { outcome: Outcome::Warning, fix: Some(fix.into()), ..Self::ok(subject, found) }
    }

    fn failed(subject: impl Into<String>, found: impl Into<String>, fix: impl Into<String>) -> Self {
        Self { outcome: Outcome::Failed, ..Self::warning(subject, found, fix) }
    }
}

/// Looks at everything that can be looked at, prints it, and says whether all is well.
pub(crate) fn run(loaded: &Loaded, context: &Context) -> anyhow::Result<Ending> {
    let settings = &context.settings;
    let mut checks = vec![Check::ok("settings", crate::commands::config::read_from(loaded))];
    checks.extend(network::bootstrap(&settings.kafka));
    let connected = Admin::connect(&settings.kafka, CONNECT_TIMEOUT)
        .and_then(|admin| admin.cluster().map(|cluster| (admin, cluster)));
    let unreachable = match connected {
        Ok((admin, cluster)) => {
            checks.push(Check::ok("connection", brokers(&cluster)));
            checks.extend(network::advertised(&cluster));
            checks.push(releases(&admin));
            checks.extend(topics::check(&admin, &cluster, &settings.topics));
            None
        }
        Err(error) => {
            let fix = exit::advice(&error).unwrap_or_else(|| "look at the brokers' logs".to_owned());
            checks.push(Check::failed("connection", error.to_string(), fix));
            Some(error)
        }
    };
    print(&checks, context.output)?;
    match unreachable {
        Some(error) => Err(error.into()),
        None if checks.iter().any(|check| check.outcome == Outcome::Failed) => Ok(Ending::Unsatisfied),
        None => Ok(Ending::Done),
    }
}

fn brokers(cluster: &Cluster) -> String {
    let brokers: Vec<String> = cluster
        .brokers
        .iter()
        .map(|broker| format!("{} at {}:{}", broker.id, broker.host, broker.port))
        .collect();
    format!("{} brokers: {}", brokers.len(), brokers.join(", "))
}

/// Which releases the brokers are.
fn releases(admin: &Admin) -> Check {
    const CHECK: &str = "version";
    let releases = match admin.releases() {
        Ok(releases) => releases,
        Err(error) => return Check::warning(CHECK, error.to_string(), "look at that broker's log"),
    };
    let different: BTreeSet<&str> = releases.values().copied().collect();
    let found = format!("Kafka {}", different.iter().copied().collect::<Vec<_>>().join(" and "));
    if different.contains(TOO_OLD) {
        return Check::warning(CHECK, found, "Kafka 3.5 and later are supported");
    }
    if different.len() > 1 {
        return Check::warning(CHECK, found, "finish the upgrade");
    }
    Check::ok(CHECK, found)
}

fn print(checks: &[Check], format: OutputFormat) -> anyhow::Result<()> {
    let worst = checks.iter().map(|check| check.outcome).max().unwrap_or(Outcome::Ok);
    if format == OutputFormat::Json {
        let checks: Vec<_> = checks
            .iter()
            .map(|check| {
                let Check { subject, outcome, found, fix } = check;
                json!({"check": subject, "outcome": outcome.name(), "found": found, "fix": fix})
            })
            .collect();
        return output::print_json(&json!({"ok": worst != Outcome::Failed, "checks": checks}));
    }
    let mut table = Table::new(&["", "CHECK", "FOUND"]);
    for check in checks {
        table.row([check.outcome.name().to_owned(), check.subject.clone(), check.found.clone()]);
    }
    output::print(|out| {
        table.write(out)?;
        for check in checks {
            if let Some(fix) = &check.fix {
                writeln!(out, "fix {}: {fix}", check.subject)?;
            }
        }
        Ok(())
    })
}
