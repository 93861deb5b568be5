//! librdkafka's configuration object, and what it knows of its own properties.

use std::collections::{BTreeMap, BTreeSet};
use std::ffi::{CStr, CString, c_char};
use std::sync::OnceLock;

use rdkafka::bindings as rd;

use crate::settings::{SettingsError, is_secret};

const ERROR_BYTES: usize = 512;

/// How alike two names must be (Jaro–Winkler, 0 to 1) for one to be suggested for the other.
const SUGGESTION_LIKENESS: f64 = 0.88;

/// An owned configuration, to be handed to a new client.
pub(crate) struct Conf(*mut rd::rd_kafka_conf_t);

impl Conf {
    /// Builds a configuration from properties; the first one that does not fit is the error.
    pub(crate) fn build(properties: &BTreeMap<String, String>) -> Result<Self, SettingsError> {
        // SAFETY: no arguments; never returns null.
        let conf = Self(unsafe { rd::rd_kafka_conf_new() });
        for (key, value) in properties {
            conf.set(key, value)?;
        }
        Ok(conf)
    }

    fn set(&self, key: &str, value: &str) -> Result<(), SettingsError> {
        let invalid = |detail: String| SettingsError::Invalid {
            key: key.to_owned(),
            value: if is_secret(key) { "***".into() } else { value.to_owned() },
            detail,
        };
        let (Ok(name), Ok(text)) = (CString::new(key), CString::new(value)) else {
            return Err(invalid("it contains a NUL byte".into()));
        };
        let mut error = [0 as c_char; ERROR_BYTES];
        // SAFETY: all pointers are valid for the call; the buffer's true length is passed.
        let result = unsafe {
            rd::rd_kafka_conf_set(self.0, name.as_ptr(), text.as_ptr(), error.as_mut_ptr(), error.len())
        };
        match result {
            rd::rd_kafka_conf_res_t::RD_KAFKA_CONF_OK => Ok(()),
            rd::rd_kafka_conf_res_t::RD_KAFKA_CONF_UNKNOWN => {
                Err(SettingsError::Unknown { key: key.to_owned(), nearest: nearest_property(key) })
            }
            rd::rd_kafka_conf_res_t::RD_KAFKA_CONF_INVALID => Err(invalid(text_of(&error))),
        }
    }

    pub(crate) fn as_ptr(&self) -> *mut rd::rd_kafka_conf_t {
        self.0
    }

    /// Gives the configuration away; the caller must free it or hand it to librdkafka.
    pub(crate) fn into_ptr(self) -> *mut rd::rd_kafka_conf_t {
        let pointer = self.0;
        std::mem::forget(self);
        pointer
    }
}

impl Drop for Conf {
    fn drop(&mut self) {
        // SAFETY: owned and not yet given away.
        unsafe { rd::rd_kafka_conf_destroy(self.0) }
    }
}

/// Checks one property by itself.
pub(crate) fn check_property(key: &str, value: &str) -> Result<(), SettingsError> {
    Conf::build(&BTreeMap::new())?.set(key, value)
}

/// All property names that librdkafka lists.
pub(crate) fn known_properties() -> &'static BTreeSet<String> {
    static KNOWN: OnceLock<BTreeSet<String>> = OnceLock::new();
    KNOWN.get_or_init(|| {
        let mut names = BTreeSet::new();
        // SAFETY: the dumps are arrays of `count` NUL-terminated strings, names and values in turn, freed by
        // their own function after the names were copied.
        unsafe {
            let conf = rd::rd_kafka_conf_new();
            let mut count = 0;
            let dump = rd::rd_kafka_conf_dump(conf, &raw mut count);
            collect_names(dump, count, &mut names);
            rd::rd_kafka_conf_dump_free(dump, count);
            rd::rd_kafka_conf_destroy(conf);
            let topic_conf = rd::rd_kafka_topic_conf_new();
            let dump = rd::rd_kafka_topic_conf_dump(topic_conf, &raw mut count);
            collect_names(dump, count, &mut names);
            rd::rd_kafka_conf_dump_free(dump, count);
            rd::rd_kafka_topic_conf_destroy(topic_conf);
        }
        // Unset properties and second names are not in the dump; these are the ones that people set most.
        for name in [
            "acks",
            "batch.size",
            "compression.type",
            "delivery.timeout.ms",
            "linger.ms",
            "max.in.flight",
            "retries",
            "sasl.mechanisms",
            "bootstrap.servers",
            "sasl.username",
            "sasl.password",
            "sasl.mechanism",
            "ssl.ca.location",
            "ssl.certificate.location",
            "ssl.key.location",
            "ssl.key.password",
            "group.id",
            "group.instance.id",
            "transactional.id",
            "client.rack",
        ] {
            names.insert(name.to_owned());
        }
        names
    })
}

/// SAFETY: `dump` must point to `count` valid C strings.
unsafe fn collect_names(dump: *mut *const c_char, count: usize, names: &mut BTreeSet<String>) {
    for index in (0..count).step_by(2) {
        // SAFETY: within the array by the loop's bound; each entry is a C string by contract.
        let name = unsafe { CStr::from_ptr(*dump.add(index)) };
        names.insert(name.to_string_lossy().into_owned());
    }
}

fn nearest_property(key: &str) -> Option<String> {
    known_properties()
        .iter()
        .map(|name| (strsim::jaro_winkler(key, name), name))
        .max_by(|left, right| left.0.total_cmp(&right.0))
        .filter(|(likeness, _)| *likeness >= SUGGESTION_LIKENESS)
        .map(|(_, name)| name.clone())
}

/// The text in a NUL-terminated buffer.
pub(crate) fn text_of(buffer: &[c_char]) -> String {
    let bytes: Vec<u8> =
        buffer.iter().take_while(|byte| **byte != 0).map(|byte| byte.cast_unsigned()).collect();
    String::from_utf8_lossy(&bytes).into_owned()
}
