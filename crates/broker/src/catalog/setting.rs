//! One setting of a topic: what it is called, what values it takes, what it does.
//!
//! Names, types, ranges and defaults are those of Apache Kafka's `LogConfig`, so that every tool that sets them finds
//! what it expects. [`find`] knows all of them; whatever it does not know is refused, never kept in silence.

mod table;

use table::TABLE;

/// What a setting is and does.
#[derive(Debug)]
pub(crate) struct Definition {
    /// The name that topics use.
    pub(crate) name: &'static str,
    /// What Apache Kafka calls the broker's default of it, if there is one.
    pub(crate) broker_name: Option<&'static str>,
    pub(crate) kind: Kind,
    /// The value if neither the topic nor the broker sets one.
    pub(crate) default: &'static str,
    pub(crate) documentation: &'static str,
}

/// The values that a setting takes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    Boolean,
    /// A number of 32 bits, and the least and the greatest one.
    Integer(i32, i32),
    /// A number of 64 bits, and the least one.
    Long(i64),
    /// From 0 to 1.
    Fraction,
    /// One of these.
    Choice(&'static [&'static str]),
    /// Any of these, with commas between them.
    List(&'static [&'static str]),
    /// Whatever it is; nothing depends on it.
    Text,
}

/// Every setting there is, by name.
pub(crate) fn all() -> &'static [Definition] {
    TABLE
}

/// The setting of this name.
pub(crate) fn find(name: &str) -> Option<&'static Definition> {
    TABLE.iter().find(|definition| definition.name == name)
}

impl Definition {
    /// Says what is wrong with a value, in Apache Kafka's words.
    pub(crate) fn check(&self, value: &str) -> Result<(), String> {
        let value = value.trim();
        let problem = match self.kind {
            Kind::Boolean if parse_boolean(value).is_none() => {
                "Expected value to be either true or false".to_owned()
            }
            Kind::Integer(least, most) => match value.parse::<i32>() {
                Err(_) => "Not a number of type INT".to_owned(),
                Ok(number) if number < least => format!("Value must be at least {least}"),
                Ok(number) if number > most => format!("Value must be no more than {most}"),
                Ok(_) => return Ok(()),
            },
            Kind::Long(least) => match value.parse::<i64>() {
                Err(_) => "Not a number of type LONG".to_owned(),
                Ok(number) if number < least => format!("Value must be at least {least}"),
                Ok(_) => return Ok(()),
            },
            Kind::Fraction => match value.parse::<f64>() {
                Err(_) => "Not a number of type DOUBLE".to_owned(),
                Ok(number) if !(0.0..=1.0).contains(&number) => "Value must be between 0 and 1".to_owned(),
                Ok(_) => return Ok(()),
            },
            Kind::Choice(choices) if !choices.contains(&value) => {
                format!("String must be one of: {}", choices.join(", "))
            }
            Kind::List(choices) if !elements(value).all(|element| choices.contains(&element)) => {
                format!("String must be one of: {}", choices.join(", "))
            }
            Kind::Boolean | Kind::Choice(_) | Kind::List(_) | Kind::Text => return Ok(()),
        };
        Err(format!("Invalid value {value} for configuration {}: {problem}", self.name))
    }

    /// The number of the type in `DescribeConfigs` (KIP-569).
    pub(crate) fn config_type(&self) -> i8 {
        match self.kind {
            Kind::Boolean => 1,
            Kind::Choice(_) | Kind::Text => 2,
            Kind::Integer(..) => 3,
            Kind::Long(_) => 5,
            Kind::Fraction => 6,
            Kind::List(_) => 7,
        }
    }

    pub(crate) fn is_list(&self) -> bool {
        matches!(self.kind, Kind::List(_))
    }
}

/// The elements of a list's value.
pub(crate) fn elements(value: &str) -> impl Iterator<Item = &str> {
    value.split(',').map(str::trim).filter(|element| !element.is_empty())
}

/// Reads a boolean as Apache Kafka does, in any case.
pub(super) fn parse_boolean(value: &str) -> Option<bool> {
    if value.eq_ignore_ascii_case("true") {
        Some(true)
    } else if value.eq_ignore_ascii_case("false") {
        Some(false)
    } else {
        None
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_default_is_valid_and_every_name_is_there_once() {
        for definition in all() {
            assert_eq!(definition.check(definition.default), Ok(()), "{}", definition.name);
            assert!(!definition.documentation.is_empty());
            assert_eq!(all().iter().filter(|other| other.name == definition.name).count(), 1);
        }
    }

    #[test]
    fn values_are_checked_by_type_and_range() {
        let accepted = |name: &str, value: &str| find(name).expect("known").check(value).is_ok();
        for (name, good, bad) in [
            ("retention.ms", ["-1", " 1000 "], ["-2", "1d"]),
            ("segment.bytes", ["14", "1073741824"], ["13", "2147483648"]),
            ("min.cleanable.dirty.ratio", ["0", "0.5"], ["1.1", "NaN"]),
            ("cleanup.policy", ["compact,delete", "compact, delete"], ["compact;delete", "none"]),
            ("message.timestamp.type", ["CreateTime", "LogAppendTime"], ["createtime", ""]),
            ("preallocate", ["true", "FALSE"], ["yes", "1"]),
        ] {
            assert!(good.iter().all(|value| accepted(name, value)), "{name}");
            assert!(!bad.iter().any(|value| accepted(name, value)), "{name}");
        }
        assert_eq!(
            find("retention.ms").expect("known").check("-5").expect_err("too small"),
            "Invalid value -5 for configuration retention.ms: Value must be at least -1"
        );
        assert!(find("retention.hours").is_none());
    }
}
