//! What a topic may be called: the rules of Apache Kafka's `org.apache.kafka.common.internals.Topic`, with its messages.
//!
//! Invariant: a name that passes holds only ASCII letters, digits, `.`, `_` and `-`, so it is also a safe file name.

/// The longest name in bytes: with a dash, the number of the partition and a suffix it still fits into a file name.
const LONGEST: usize = 249;

/// The topics that Apache Kafka keeps its own state in. They can be created here, but mean nothing.
const INTERNAL: [&str; 3] = ["__consumer_offsets", "__transaction_state", "__share_group_state"];

/// Whether a topic may have this name; what is wrong with it otherwise.
pub(crate) fn check(name: &str) -> Result<(), String> {
    let problem = match name {
        "" => "the empty string is not allowed".to_owned(),
        "." | ".." => format!("'{name}' is not allowed"),
        _ if name.len() > LONGEST => {
            format!("the length of '{name}' is longer than the max allowed length {LONGEST}")
        }
        _ if !name.bytes().all(legal) => format!(
            "'{name}' contains one or more characters other than ASCII alphanumerics, '.', '_' and '-'"
        ),
        _ => return Ok(()),
    };
    Err(format!("Topic name is invalid: {problem}"))
}

fn legal(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'_' | b'-')
}

/// Whether two different names become one where `.` is written as `_`, as metrics do.
pub(super) fn collide(one: &str, other: &str) -> bool {
    let folded = |byte: u8| if byte == b'.' { b'_' } else { byte };
    one != other && one.bytes().map(folded).eq(other.bytes().map(folded))
}

/// Whether Apache Kafka would call the topic internal.
pub(crate) fn is_internal(name: &str) -> bool {
    INTERNAL.contains(&name)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_follow_kafkas_rules() {
        for name in ["a", "sensor-data", "A.b_c-9", "...", &"n".repeat(LONGEST)] {
            assert_eq!(check(name), Ok(()), "{name}");
        }
        for name in ["", ".", "..", "a b", "a/b", "ä", "a\0", &"n".repeat(LONGEST + 1)] {
            assert!(check(name).is_err(), "{name:?}");
        }
    }

    #[test]
    fn a_point_and_an_underscore_are_the_same_to_metrics() {
        assert!(collide("a.b", "a_b"));
        assert!(!collide("a.b", "a.b"), "a name does not collide with itself");
        assert!(!collide("a-b", "a_b"));
        assert!(!collide("a.b", "a_bc"));
    }
}
