//! Values with their origins, and how one source of settings is laid over another.
//!
//! A setting is addressed by its path, section and key joined by dots: `produce.num_sensors`. librdkafka's own names
//! have dots too, so `kafka.linger.ms` is the property `linger.ms` of every client and
//! `kafka.producer.linger.ms` that of producers alone.

use std::collections::BTreeMap;
use std::fmt;
use std::path::PathBuf;
use std::sync::Arc;

use super::item::Item;
use super::place::Place;

/// The sections whose keys are librdkafka's, the narrower ones first.
pub(crate) const KAFKA_SECTIONS: [&str; 3] = ["kafka.producer", "kafka.consumer", "kafka"];

/// Where a value came from. The later ones win over the earlier ones.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Origin {
    /// The embedded default file.
    Default,
    /// A place in a settings file.
    File {
        /// The file as it was named.
        path: Arc<PathBuf>,
        /// Where the key stands, or what is wrong with its value.
        place: Place,
    },
    /// An environment variable of this name.
    Environment(String),
    /// A flag as it is spelled, with the key for `-X`.
    Flag(String),
}

impl Origin {
    /// How near to the user the origin is: what is nearer wins.
    pub(super) fn nearness(&self) -> u8 {
        match self {
            Self::Default => 0,
            Self::File { .. } => 1,
            Self::Environment(_) => 2,
            Self::Flag(_) => 3,
        }
    }
}

impl fmt::Display for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Default => f.write_str("default"),
            Self::File { path, place } => write!(f, "{}:{}:{}", path.display(), place.line, place.column),
            Self::Environment(variable) => f.write_str(variable),
            Self::Flag(flag) => f.write_str(flag),
        }
    }
}

/// A setting's value.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Value {
    /// Text.
    Text(String),
    /// A whole number.
    Whole(i64),
    /// A number that may have a fraction.
    Number(f64),
    /// True or false.
    Switch(bool),
    /// Several texts.
    Texts(Vec<String>),
    /// Several tables, `[[rules]]` for instance; of several sources one wins as a whole.
    Items(Arc<Vec<Item>>),
}

impl Value {
    /// The kind of value in words, for messages.
    pub(crate) fn kind(&self) -> &'static str {
        match self {
            Self::Text(_) => "text",
            Self::Whole(_) => "a whole number",
            Self::Number(_) => "a number",
            Self::Switch(_) => "true or false",
            Self::Texts(_) => "a list of texts",
            Self::Items(_) => "a list of tables ([[ ]])",
        }
    }

    /// This value as one of `like`'s kind, if nothing is lost.
    pub(crate) fn coerce(self, like: &Self) -> Result<Self, Self> {
        match (self, like) {
            (Self::Whole(number), Self::Number(_)) => Ok(Self::Number(number as f64)),
            // A duration may be written as a bare number of seconds.
            (value @ (Self::Whole(_) | Self::Number(_)), Self::Text(text))
                if super::duration::parse(text).is_ok() =>
            {
                Ok(Self::Text(value.to_string()))
            }
            (value, like) if std::mem::discriminant(&value) == std::mem::discriminant(like) => Ok(value),
            (value, _) => Err(value),
        }
    }

    /// Reads text, from outside TOML, as a value of `like`'s kind.
    pub(crate) fn read(text: &str, like: &Self) -> Option<Self> {
        match like {
            Self::Text(_) => Some(Self::Text(text.to_owned())),
            Self::Whole(_) => text.trim().parse().ok().map(Self::Whole),
            Self::Number(_) => {
                text.trim().parse().ok().filter(|number: &f64| number.is_finite()).map(Self::Number)
            }
            Self::Switch(_) => text.trim().parse().ok().map(Self::Switch),
            // Only a file has room for them.
            Self::Texts(_) | Self::Items(_) => None,
        }
    }
}

/// The value as text without quotes, as librdkafka takes it.
impl fmt::Display for Value {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Text(text) => f.write_str(text),
            Self::Whole(number) => write!(f, "{number}"),
            Self::Number(number) => write!(f, "{number}"),
            Self::Switch(on) => write!(f, "{on}"),
            Self::Texts(texts) => write!(f, "{texts:?}"),
            Self::Items(items) => write!(f, "{} tables", items.len()),
        }
    }
}

/// A value and where it came from.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Entry {
    /// The value.
    pub(crate) value: Value,
    /// Its origin.
    pub(crate) origin: Origin,
}

/// Settings by path: those of one source, or those of several laid over each other.
#[derive(Debug, Clone, Default)]
pub(crate) struct Layer {
    entries: BTreeMap<String, Entry>,
}

impl Layer {
    /// Sets a path, replacing what it held.
    pub(crate) fn set(&mut self, path: impl Into<String>, value: Value, origin: Origin) {
        self.entries.insert(path.into(), Entry { value, origin });
    }

    /// Sets a path from a flag if the flag was given.
    pub(crate) fn flag(&mut self, path: &str, flag: &str, value: Option<Value>) {
        if let Some(value) = value {
            self.set(path, value, Origin::Flag(flag.to_owned()));
        }
    }

    /// What a path holds.
    pub(crate) fn get(&self, path: &str) -> Option<&Entry> {
        self.entries.get(path)
    }

    /// All paths with what they hold, in the order of the paths.
    pub(crate) fn iter(&self) -> impl Iterator<Item = (&str, &Entry)> {
        self.entries.iter().map(|(path, entry)| (path.as_str(), entry))
    }

    /// Lays `upper` over this. A property in `[kafka]` of the upper one also replaces that of the lower one's
    /// narrower sections: what is nearer to the user wins, wherever it was written.
    pub(crate) fn lay(&mut self, upper: Self) {
        for path in upper.entries.keys() {
            if let Some(("kafka", property)) = kafka_property(path) {
                for section in ["kafka.producer", "kafka.consumer"] {
                    self.entries.remove(&format!("{section}.{property}"));
                }
            }
        }
        self.entries.extend(upper.entries);
    }
}

/// The section and the property's name, if the path is that of one of librdkafka's properties.
pub(crate) fn kafka_property(path: &str) -> Option<(&'static str, &str)> {
    KAFKA_SECTIONS
        .into_iter()
        .find_map(|section| Some((section, path.strip_prefix(section)?.strip_prefix('.')?)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn kafka_paths_are_told_apart() {
        assert_eq!(kafka_property("kafka.linger.ms"), Some(("kafka", "linger.ms")));
        assert_eq!(kafka_property("kafka.producer.linger.ms"), Some(("kafka.producer", "linger.ms")));
        assert_eq!(kafka_property("kafkaesque.x"), None);
        assert_eq!(kafka_property("produce.rate"), None);
    }

    #[test]
    fn a_wide_property_above_replaces_a_narrow_one_below() {
        let text = |text: &str| Value::Text(text.to_owned());
        let mut lower = Layer::default();
        lower.set("kafka.producer.linger.ms", text("5"), Origin::Default);
        lower.set("kafka.consumer.check.crcs", text("true"), Origin::Default);
        let mut upper = Layer::default();
        upper.set("kafka.linger.ms", text("50"), Origin::Flag("-X".into()));
        upper.set("kafka.producer.acks", text("all"), Origin::Flag("-X".into()));
        lower.lay(upper);
        let paths: Vec<_> = lower.iter().map(|(path, _)| path.to_owned()).collect();
        assert_eq!(paths, ["kafka.consumer.check.crcs", "kafka.linger.ms", "kafka.producer.acks"]);
    }

    #[test]
    fn values_take_the_kind_of_the_default() {
        let like = Value::Number(1.0);
        assert_eq!(Value::Whole(30).coerce(&like), Ok(Value::Number(30.0)));
        assert_eq!(Value::Whole(3).coerce(&Value::Text("5s".into())), Ok(Value::Text("3".into())));
        assert!(Value::Whole(3).coerce(&Value::Text("group".into())).is_err());
        assert!(Value::Number(1.5).coerce(&Value::Whole(1)).is_err());
        assert_eq!(Value::read(" 7 ", &Value::Whole(1)), Some(Value::Whole(7)));
        assert_eq!(Value::read("seven", &Value::Whole(1)), None);
        assert_eq!(Value::read("inf", &like), None);
    }
}
