//! The known name that a mistyped one most probably meant.

/// How alike two names must be, from 0 to 1: about one letter in three may differ.
const LIKENESS: f64 = 0.65;

/// The candidate most like `name`, if any is like it at all.
pub(crate) fn nearest<'a>(name: &str, candidates: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    let name = name.to_lowercase();
    let scored = candidates.into_iter().map(|candidate| {
        (strsim::normalized_damerau_levenshtein(&name, &candidate.to_lowercase()), candidate)
    });
    // The first of equals wins, so that the answer does not hang on the order of comparison.
    let best = scored.fold(None, |best: Option<(f64, &str)>, next| match best {
        Some(best) if best.0 >= next.0 => Some(best),
        _ => Some(next),
    });
    best.filter(|(likeness, _)| *likeness >= LIKENESS).map(|(_, candidate)| candidate)
}

/// The path most like `path`: by its last part within the same section, else the same last part elsewhere, else by
/// the whole.
pub(crate) fn nearest_path<'a>(path: &str, known: &[&'a str]) -> Option<&'a str> {
    let (section, key) = split(path);
    let siblings = known.iter().copied().filter(|known| split(known).0 == section);
    let sibling = nearest(key, siblings.map(|known| split(known).1))
        .and_then(|found| known.iter().copied().find(|known| split(known) == (section, found)));
    let elsewhere = || known.iter().copied().find(|known| split(known).1 == key);
    sibling.or_else(elsewhere).or_else(|| nearest(path, known.iter().copied()))
}

fn split(path: &str) -> (&str, &str) {
    path.rsplit_once('.').unwrap_or(("", path))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn slips_are_recognised() {
        let known = ["produce.num_sensors", "produce.interval", "produce.rate", "analyze.group", "log.level"];
        for (path, expected) in [
            ("produce.num_sensor", Some("produce.num_sensors")),
            ("produce.NUM-SENSORS", Some("produce.num_sensors")),
            ("produce.intreval", Some("produce.interval")),
            ("num_sensors", Some("produce.num_sensors")),
            ("produce.group", Some("analyze.group")),
            ("prodcue.rate", Some("produce.rate")),
            ("logs.level", Some("log.level")),
            ("produce.colour", None),
        ] {
            assert_eq!(nearest_path(path, &known), expected, "{path}");
        }
    }
}
