//! One `[[windows]]` table.

use std::collections::BTreeMap;

use engine::plan::{WindowInput, WindowShape, WindowSpec};

use super::Defaults;
use super::form::Form;

/// The engine's fields that the file calls otherwise.
pub(super) const KEYS_OF_FIELDS: &[(&str, &[&str])] =
    &[("select", &["sensors", "types"]), ("shape", &["size", "hop", "gap"]), ("max", &["max_length"])];

/// Reads it; mistakes stay in the form.
pub(super) fn read(
    form: &mut Form<'_>,
    groups: &BTreeMap<String, Vec<String>>,
    defaults: &Defaults,
) -> Option<WindowSpec> {
    let name = form.needed_text("name", "\"1m\"");
    let inputs = [("readings", WindowInput::Readings), ("events", WindowInput::Events)];
    let over = form.choice("over", &inputs).unwrap_or(WindowInput::Readings);
    let shape = shape(form, defaults);
    let grace = form.duration("grace").unwrap_or(defaults.grace);
    let (sensors, types) = (form.patterns("sensors", groups), form.texts("types"));
    let (metrics, quantiles) = (form.texts("metrics"), form.switch("quantiles").unwrap_or(false));
    let early = form.some_time("early");
    match over {
        WindowInput::Readings if form.has("types") => {
            form.complain_of(
                "types",
                "only a window over events selects types; over readings it has sensors",
            );
        }
        WindowInput::Events => {
            for key in ["sensors", "metrics", "quantiles"] {
                if form.has(key) {
                    form.complain_of(key, "only a window over readings has it; over events it selects types");
                }
            }
        }
        WindowInput::Readings => {}
    }
    let select = if over == WindowInput::Events { types } else { sensors };
    Some(WindowSpec { name: name?, over, shape: shape?, grace, select, metrics, quantiles, early })
}

fn shape(form: &mut Form<'_>, defaults: &Defaults) -> Option<WindowShape> {
    let (has_size, has_gap) = (form.has("size"), form.has("gap"));
    let (size, hop, gap) = (form.some_time("size"), form.some_time("hop"), form.some_time("gap"));
    let max = form.some_time("max_length").unwrap_or(defaults.max_length);
    for (key, other) in [("size", "gap"), ("hop", "gap")] {
        if has_gap && form.has(key) {
            form.complain_of(
                key,
                format!("a window with a {other} is a session and has no {key}; leave one out"),
            );
            return None;
        }
    }
    if form.has("max_length") && !has_gap {
        form.complain_of("max_length", "only a session (a window with a gap) has it");
    }
    if !has_gap && !has_size {
        form.complain("it needs a size, as in size = \"1m\", or a gap, if it is to be a session");
        return None;
    }
    match (size, hop, gap) {
        // A hop that is there and could not be read is no reason to take the window for another kind.
        (Some(_), None, _) if form.has("hop") => None,
        (Some(size), None, _) => Some(WindowShape::Tumbling { size }),
        (Some(size), Some(hop), _) => Some(WindowShape::Hopping { size, hop }),
        (None, _, Some(gap)) => Some(WindowShape::Session { gap, max }),
        (None, _, None) => None,
    }
}
