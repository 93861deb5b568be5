//! One `[[rules]]` table.

use std::collections::BTreeMap;

use engine::plan::RuleSpec;
use model::Severity;

use super::Defaults;
use super::form::Form;

/// The engine's fields that the file calls otherwise.
pub(super) const KEYS_OF_FIELDS: &[(&str, &[&str])] =
    &[("hold", &["for"]), ("clear_hold", &["clear_for"]), ("select", &["sensors"])];

/// More alarms an hour than this are no limit.
const MOST_PER_HOUR: u32 = 1_000_000;

/// Reads it; mistakes stay in the form.
pub(super) fn read(
    form: &mut Form<'_>,
    groups: &BTreeMap<String, Vec<String>>,
    defaults: &Defaults,
) -> Option<RuleSpec> {
    let severities = [Severity::Info, Severity::Warning, Severity::Critical]
        .map(|severity| (severity.to_string(), severity));
    let severities: Vec<(&str, Severity)> =
        severities.iter().map(|(name, severity)| (name.as_str(), *severity)).collect();
    let name = form.needed_text("name", "\"high-temperature\"");
    let when = form.needed_text("when", "\"temperature > 30\"");
    let spec = RuleSpec {
        name: String::new(),
        when: String::new(),
        clear: form.number("clear"),
        hold: form.duration("for").unwrap_or_default(),
        clear_hold: form.duration("clear_for").unwrap_or_default(),
        severity: form.choice("severity", &severities).unwrap_or_default(),
        escalate_after: form.some_time("escalate_after"),
        select: form.patterns("sensors", groups),
        max_per_hour: form.whole("max_per_hour", 1, MOST_PER_HOUR).unwrap_or(defaults.max_per_hour),
    };
    Some(RuleSpec { name: name?, when: when?, ..spec })
}
