//! Why a record is no event, for people (a sentence) and for counters (a label).

use thiserror::Error;

/// Why a record is no event. Names in a message are cut after 64 characters.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum EventReject {
    /// Neither mode.
    #[error("the record is no event: no ce_ header and no content-type application/cloudevents+json")]
    NotAnEvent,
    /// In structured mode, a value that is not a JSON object.
    #[error("the structured event is not a JSON object: {detail}")]
    NotJson {
        /// What is wrong with it.
        detail: String,
    },
    /// A `specversion` other than 1.0.
    #[error("specversion is {found}, only 1.0 is understood")]
    UnsupportedVersion {
        /// What it says.
        found: String,
    },
    /// A required attribute is missing.
    #[error("attribute {name} is missing")]
    MissingAttribute {
        /// Its name.
        name: &'static str,
    },
    /// An attribute that breaks a rule.
    #[error("attribute {name} is invalid: {problem}")]
    InvalidAttribute {
        /// Its name.
        name: String,
        /// The rule.
        problem: &'static str,
    },
    /// An attribute, or the data, twice.
    #[error("attribute {name} occurs twice")]
    DuplicateAttribute {
        /// Its name.
        name: String,
    },
    /// `data_base64` that is not base64.
    #[error("data_base64 is not base64 (RFC 4648, padded)")]
    InvalidBase64,
}

impl EventReject {
    /// Every label that [`EventReject::reason`] gives.
    pub const REASONS: &[&str] = &[
        "not-an-event",
        "not-json",
        "unsupported-version",
        "missing-attribute",
        "invalid-attribute",
        "duplicate-attribute",
        "invalid-base64",
    ];

    /// A stable label for metrics and the dead letter's header.
    pub fn reason(&self) -> &'static str {
        match self {
            Self::NotAnEvent => "not-an-event",
            Self::NotJson { .. } => "not-json",
            Self::UnsupportedVersion { .. } => "unsupported-version",
            Self::MissingAttribute { .. } => "missing-attribute",
            Self::InvalidAttribute { .. } => "invalid-attribute",
            Self::DuplicateAttribute { .. } => "duplicate-attribute",
            Self::InvalidBase64 => "invalid-base64",
        }
    }
}
