//! What can be wrong with settings. Every message names the place, the key and what to write instead.

use std::io;
use std::path::PathBuf;

use super::layer::Origin;
use super::plan::PlanMistake;

/// Why the settings were refused.
#[derive(Debug, thiserror::Error)]
pub(crate) enum SettingsError {
    /// The file cannot be read.
    #[error("cannot read the settings file {}", .path.display())]
    Unreadable {
        /// The file.
        path: PathBuf,
        /// The system's reason.
        source: io::Error,
    },
    /// The file is not TOML.
    #[error("{origin}: not valid TOML: {message}")]
    Syntax {
        /// The place in the file.
        origin: Origin,
        /// The parser's reason.
        message: String,
    },
    /// No such setting.
    #[error("{origin}: unknown setting {name:?}{}", suggestion(.nearest.as_deref()))]
    Unknown {
        /// Where it was set.
        origin: Origin,
        /// What was set.
        name: String,
        /// The known setting that looks most like it.
        nearest: Option<String>,
    },
    /// The value is of another kind than the setting.
    #[error("{origin}: {path} must be {wanted}, not {got}")]
    Kind {
        /// Where it was set.
        origin: Origin,
        /// The setting.
        path: String,
        /// The kind it has.
        wanted: &'static str,
        /// What was found.
        got: String,
    },
    /// The value is outside what the setting accepts.
    #[error("{origin}: {path} = {value}: {wanted}")]
    Value {
        /// Where it was set.
        origin: Origin,
        /// The setting.
        path: String,
        /// The value.
        value: String,
        /// What it must be.
        wanted: String,
    },
    /// Two settings do not go together.
    #[error("{} and {} do not go together: {reason}", .first, .second)]
    Conflict {
        /// A setting with its value and origin.
        first: String,
        /// The other one.
        second: String,
        /// Why, and what to do.
        reason: String,
    },
    /// Windows, rules or groups are wrong.
    #[error("{}", several(.mistakes))]
    Plan {
        /// Every mistake, in the order of the file; at least one.
        mistakes: Vec<PlanMistake>,
    },
    /// A property is not one that librdkafka takes, or would break a promise.
    #[error("{}{verdict}", .origin.as_ref().map(|origin| format!("{origin}: ")).unwrap_or_default())]
    Kafka {
        /// Where the property was set, if one is to blame.
        origin: Option<Origin>,
        /// The client library's verdict.
        verdict: kafka::SettingsError,
    },
    /// There is no place for the broker's data.
    #[error(
        "neither XDG_DATA_HOME nor HOME is set: say where the data is kept with --data-dir (broker.data_dir)"
    )]
    NoDataDirectory,
    /// The file with the broker's users is of no use.
    #[error("broker.security.users_file {}: {detail}", .path.display())]
    UsersFile {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        detail: String,
    },
    /// An environment variable is not text.
    #[error("environment variable {variable} is not valid UTF-8")]
    NotText {
        /// The variable.
        variable: String,
    },
}

fn suggestion(nearest: Option<&str>) -> String {
    nearest.map(|nearest| format!("; did you mean {nearest:?}?")).unwrap_or_default()
}

/// The first mistake, and where to see the others.
fn several(mistakes: &[PlanMistake]) -> String {
    let first = mistakes.first().map(ToString::to_string).unwrap_or_default();
    match mistakes.len() {
        ..=1 => first,
        2 => format!("{first} (and one more mistake: see streamgauge rules check)"),
        all => format!("{first} (and {} more mistakes: see streamgauge rules check)", all - 1),
    }
}
