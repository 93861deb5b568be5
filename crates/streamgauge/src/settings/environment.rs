//! Settings from environment variables: `STREAMGAUGE__SECTION__KEY`.
//!
//! The section's dots become two underscores, a dash in a name one: `topics.sensor-data.partitions` is
//! `STREAMGAUGE__TOPICS__SENSOR_DATA__PARTITIONS`. In the kafka sections every single underscore of the property stands
//! for a dot, which loses nothing because none of librdkafka's settable properties has an underscore in its name.

use std::ffi::OsString;

use super::error::SettingsError;
use super::layer::{KAFKA_SECTIONS, Layer, Origin, Value};
use super::nearest::nearest;
use super::schema::Schema;

/// What every variable of ours begins with.
const PREFIX: &str = "STREAMGAUGE__";

/// Reads the settings among these variables; others are left alone.
pub(crate) fn read(
    variables: impl IntoIterator<Item = (OsString, OsString)>,
    schema: &Schema,
) -> Result<Layer, SettingsError> {
    let mut layer = Layer::default();
    let mut ours: Vec<(String, OsString)> = variables
        .into_iter()
        .filter_map(|(name, value)| Some((name.into_string().ok()?, value)))
        .filter(|(name, _)| name.starts_with(PREFIX))
        .collect();
    // The first mistake in the order of the names is the one reported, however the system orders its variables.
    ours.sort();
    for (variable, value) in ours {
        let Ok(text) = value.into_string() else { return Err(SettingsError::NotText { variable }) };
        let (path, value) = setting(&variable, text, schema)?;
        layer.set(path, value, Origin::Environment(variable));
    }
    Ok(layer)
}

fn setting(variable: &str, text: String, schema: &Schema) -> Result<(String, Value), SettingsError> {
    if let Some(path) = kafka_path(variable) {
        return Ok((path, Value::Text(text)));
    }
    let Some(path) = schema.closed_paths().find(|path| variable_of(path) == variable) else {
        let known: Vec<String> = schema.closed_paths().map(variable_of).collect();
        let nearest = nearest(variable, known.iter().map(String::as_str)).map(str::to_owned);
        let origin = Origin::Environment(variable.to_owned());
        let name = variable.trim_start_matches(PREFIX).to_lowercase().replace("__", ".");
        return Err(SettingsError::Unknown { origin, name, nearest });
    };
    let like = &schema.default_of(path).expect("the path is one of the known ones").value;
    let value = Value::read(&text, like).ok_or_else(|| SettingsError::Kind {
        origin: Origin::Environment(variable.to_owned()),
        path: path.to_owned(),
        wanted: like.kind(),
        got: format!("{text:?}"),
    })?;
    Ok((path.to_owned(), value))
}

/// The variable that sets this path.
pub(crate) fn variable_of(path: &str) -> String {
    format!("{PREFIX}{}", path.replace('.', "__").replace('-', "_").to_uppercase())
}

/// The path that a variable of a kafka section sets.
fn kafka_path(variable: &str) -> Option<String> {
    KAFKA_SECTIONS.into_iter().find_map(|section| {
        let property = variable.strip_prefix(&variable_of(section))?.strip_prefix("__")?;
        Some(format!("{section}.{}", property.to_lowercase().replace('_', ".")))
    })
}
