//! Readings: one wide row each.
//!
//! | column | |
//! |---|---|
//! | `sensor_id` | text |
//! | `time` | the reading's time |
//! | `temperature`, `humidity`, `pressure` | °C, %, hPa |
//! | `further` | the other measurements, by name |
//! | `latitude`, `longitude` | degrees (WGS 84) |
//! | `status` | text |

use arrow_array::ArrayRef;
use arrow_array::builder::{Float64Builder, MapBuilder, StringBuilder, TimestampMicrosecondBuilder};
use arrow_schema::{DataType, Field};
use kafka::Record;
use model::Scratch;

use super::rows::{Columns, Row, Words, append_key, finished, names_and_values, utc};
use super::{Reject, extra, map, number, time, words};

/// The fields of a reading that have a column.
const KNOWN: [&str; 7] =
    ["sensor_id", "timestamp", "temperature", "humidity", "pressure", "location", "status"];

pub(super) fn fields() -> Vec<Field> {
    vec![
        words("sensor_id", false),
        time("time", false),
        number("temperature"),
        number("humidity"),
        number("pressure"),
        map("further", DataType::Float64),
        number("latitude"),
        number("longitude"),
        words("status", true),
    ]
}

pub(super) struct Readings {
    scratch: Scratch,
    sensors: Words,
    times: TimestampMicrosecondBuilder,
    named: [Float64Builder; 3],
    further: MapBuilder<StringBuilder, Float64Builder>,
    latitudes: Float64Builder,
    longitudes: Float64Builder,
    statuses: Words,
}

impl Default for Readings {
    fn default() -> Self {
        Self {
            scratch: Scratch::new(),
            sensors: Words::new(),
            times: utc(),
            named: Default::default(),
            further: names_and_values(Float64Builder::new()),
            latitudes: Float64Builder::new(),
            longitudes: Float64Builder::new(),
            statuses: Words::new(),
        }
    }
}

impl Columns for Readings {
    #[inline]
    fn append(&mut self, _: &Record<'_>, payload: &[u8]) -> Result<Row, Reject> {
        let reading = model::decode(payload, &mut self.scratch)
            .map_err(|reject| Reject { class: reject.reason(), message: reject.to_string() })?;
        let key = append_key(&mut self.sensors, reading.sensor_id);
        self.times.append_value(reading.time.micros());
        let values = [reading.temperature, reading.humidity, reading.pressure];
        for (column, value) in self.named.iter_mut().zip(values) {
            column.append_option(value);
        }
        let (mut bytes, mut is_empty) = (0, true);
        for (name, value) in reading.further() {
            self.further.keys().append_value(name);
            self.further.values().append_value(value);
            (bytes, is_empty) = (bytes + name.len() + 20, false);
        }
        self.further.append(!is_empty).expect("as many names as values");
        self.latitudes.append_option(reading.location.map(|location| location.latitude));
        self.longitudes.append_option(reading.location.map(|location| location.longitude));
        self.statuses.append_option(reading.status);
        let extra = if reading.has_unknown_fields() { extra::beyond_reading(payload, &KNOWN) } else { None };
        Ok(Row { key: Some(key), time: Some(reading.time.micros()), extra, bytes })
    }

    fn row_bytes(&self) -> usize {
        // Two keys of 4 bytes, six numbers and times of 8, an offset of the map of 4.
        60
    }

    fn finish(&mut self) -> Vec<ArrayRef> {
        let [temperature, humidity, pressure] = &mut self.named;
        vec![
            finished(&mut self.sensors),
            finished(&mut self.times),
            finished(temperature),
            finished(humidity),
            finished(pressure),
            finished(&mut self.further),
            finished(&mut self.latitudes),
            finished(&mut self.longitudes),
            finished(&mut self.statuses),
        ]
    }
}
