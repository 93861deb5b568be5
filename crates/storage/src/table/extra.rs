//! The fields of a record that have no column, kept as JSON.

use std::collections::BTreeMap;

use model::write_string;
use serde_json::value::RawValue;

type Fields<'a> = BTreeMap<String, &'a RawValue>;

/// The fields of a JSON object whose names are not among `known`, each with its value as it was written; `None` if there
/// are none, or if it is no object.
pub(super) fn beyond(payload: &[u8], known: &[&str]) -> Option<String> {
    let fields: Fields<'_> = serde_json::from_slice(payload).ok()?;
    object(fields.iter().filter(|(name, _)| !known.contains(&name.as_str())))
}

/// The same of a reading, whose further numbers are measurements, and whose location may have fields of its own.
pub(super) fn beyond_reading(payload: &[u8], known: &[&str]) -> Option<String> {
    let mut fields: Fields<'_> = serde_json::from_slice(payload).ok()?;
    let location = fields.remove("location");
    fields.retain(|name, value| {
        !known.contains(&name.as_str())
            && !value.get().starts_with(|first: char| first == '-' || first.is_ascii_digit())
    });
    let more = location.and_then(|location| beyond(location.get().as_bytes(), &["latitude", "longitude"]));
    let more = more.and_then(|text| RawValue::from_string(text).ok());
    if let Some(more) = &more {
        fields.insert("location".to_owned(), more);
    }
    object(fields.iter())
}

fn object<'f>(fields: impl Iterator<Item = (&'f String, &'f &'f RawValue)>) -> Option<String> {
    let mut out = Vec::new();
    for (name, value) in fields {
        out.push(if out.is_empty() { b'{' } else { b',' });
        write_string(name, &mut out);
        out.push(b':');
        out.extend_from_slice(value.get().as_bytes());
    }
    if out.is_empty() {
        return None;
    }
    out.push(b'}');
    Some(String::from_utf8(out).expect("made of strings"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_has_no_column_is_kept_as_it_was_written() {
        let payload = br#"{"a":1,"b":1.50,"c":{"d":[1, 2]},"e \"f\"":null}"#;
        assert_eq!(beyond(payload, &["a"]).as_deref(), Some(r#"{"b":1.50,"c":{"d":[1, 2]},"e \"f\"":null}"#));
        assert_eq!(beyond(payload, &["a", "b", "c", "e \"f\""]), None);
    }

    #[test]
    fn a_readings_further_numbers_have_a_column_and_the_rest_of_its_location_has_none() {
        let payload =
            br#"{"sensor_id":"S","co2":4,"on":true,"location":{"latitude":1,"longitude":2,"floor":-1}}"#;
        let known = ["sensor_id", "location"];
        assert_eq!(
            beyond_reading(payload, &known).as_deref(),
            Some(r#"{"location":{"floor":-1},"on":true}"#)
        );
        assert_eq!(beyond_reading(br#"{"sensor_id":"S","location":null,"n":-1}"#, &known), None);
    }
}
