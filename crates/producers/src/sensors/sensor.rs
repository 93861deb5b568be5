//! One simulated sensor: where it stands, its own traits, and what it measures.
//!
//! With *s* and *w* the warmth that season and weather bring to its place (see the climate module), a sensor measures
//!
//! - temperature = level + exposure · (*s* + *w*) + load + drift + noise,
//! - humidity = level + exposure · moisture + drift − slope · (exposure · *w* + load + temperature drift) + noise, from 3
//!   to 100 %: warmer air of the same moisture is relatively drier, so the two are negatively correlated; over the
//!   seasons the moisture follows the warmth,
//! - pressure = pressure of the place + bias + noise.
//!
//! Level, bias and strength of noise are drawn once per sensor, the drifts are slow walks of its own. Outdoors the
//! exposure is full. Indoors it is slight. A machine room is warm and has a load that rises and falls within minutes,
//! so that it is now and then hotter than [`WARNING_ABOVE`]; a sensor that hot reports `warning`.

use model::Location;
use model::reading::Tail;

use super::climate::{Climate, PLACES};
use crate::noise::{Noise, Position, Purpose, Walk};

/// Above this temperature, in °C, a sensor reports the status `warning`.
pub const WARNING_ABOVE: f64 = 30.0;

/// About how far sensors of a place stand from its centre, degrees.
const SCATTER_DEGREES: f64 = 0.03;

/// The three measurements of a reading: °C, %, hPa.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub(super) struct Values {
    pub(super) temperature: f64,
    pub(super) humidity: f64,
    pub(super) pressure: f64,
}

impl Values {
    /// Rounded to two decimals, as a device would report.
    pub(super) fn rounded(self) -> Self {
        let round = |value: f64| nearest(value * 100.0) / 100.0;
        Self {
            temperature: round(self.temperature),
            humidity: round(self.humidity),
            pressure: round(self.pressure),
        }
    }
}

/// What the surroundings of a sensor are like.
#[derive(Debug, Clone, Copy)]
struct Surroundings {
    /// Mean temperature and humidity; `None` for those of the place.
    levels: Option<(f64, f64)>,
    /// How much of the weather's warmth and moisture is felt.
    exposure: f64,
    /// Half the range of the load, °C.
    load: f64,
    /// Percentage points of humidity lost per °C.
    slope: f64,
}

const OUTDOORS: Surroundings = Surroundings { levels: None, exposure: 1.0, load: 0.0, slope: 2.0 };
const INDOORS: Surroundings =
    Surroundings { levels: Some((21.3, 46.0)), exposure: 0.12, load: 0.0, slope: 1.5 };
const MACHINE_ROOM: Surroundings =
    Surroundings { levels: Some((27.6, 38.0)), exposure: 0.08, load: 3.5, slope: 1.2 };

/// Surroundings in turn, so that even a handful of sensors has some of each.
const IN_TURN: [Surroundings; 5] = [MACHINE_ROOM, OUTDOORS, INDOORS, OUTDOORS, INDOORS];

/// A sensor and the state of its slow drifts.
#[derive(Debug, Clone)]
pub(super) struct Sensor {
    pub(super) id: Box<str>,
    /// Location and status as encoded, with the status `active` and with `warning`: a sensor does not move.
    active: Tail,
    warning: Tail,
    /// The number of readings taken so far.
    pub(super) sequence: u64,
    place: usize,
    surroundings: Surroundings,
    levels: Values,
    noise_levels: Values,
    load_period: f64,
    load_phase: f64,
    /// The grid point of the climate that the drifts stand at.
    knot: i64,
    warmth_drift: Position,
    humidity_drift: Position,
    slow: Noise,
    noise: Noise,
}

/// The drifts of all sensors follow the same law.
#[derive(Debug, Clone, Copy)]
pub(super) struct Drifts {
    warmth: Walk,
    humidity: Walk,
}

impl Drifts {
    pub(super) fn new() -> Self {
        Self { warmth: Climate::walk(0.35, 6.0 * 3_600.0), humidity: Climate::walk(1.5, 6.0 * 3_600.0) }
    }
}

impl Sensor {
    /// The sensor with this index, counted from 0.
    pub(super) fn new(seed: u64, index: usize, id: String, drifts: &Drifts, climate: &Climate) -> Self {
        let place = index % PLACES.len();
        let site = PLACES[place];
        let surroundings = IN_TURN[index % IN_TURN.len()];
        let mut traits = Noise::new(seed, Purpose::Traits, index as u64);
        let mut slow = Noise::new(seed, Purpose::Slow, index as u64);
        let (temperature, humidity) =
            surroundings.levels.unwrap_or((site.mean_temperature, site.mean_humidity));
        let degrees = |value: f64| (value * 10_000.0).round() / 10_000.0;
        let location = Location {
            latitude: degrees(site.latitude + SCATTER_DEGREES * traits.normal()),
            longitude: degrees(site.longitude + SCATTER_DEGREES * traits.normal()),
        };
        Self {
            id: id.into_boxed_str(),
            active: Tail::new(Some(location), Some("active")),
            warning: Tail::new(Some(location), Some("warning")),
            sequence: 0,
            place,
            surroundings,
            levels: Values {
                temperature: temperature + 0.6 * traits.normal(),
                humidity: humidity + 3.0 * traits.normal(),
                pressure: 0.3 * traits.normal(),
            },
            noise_levels: Values {
                temperature: traits.between(0.05, 0.25),
                humidity: traits.between(0.2, 0.7),
                pressure: traits.between(0.03, 0.12),
            },
            load_period: traits.between(120.0, 360.0),
            load_phase: traits.uniform(),
            knot: climate.knot(),
            warmth_drift: drifts.warmth.begin(&mut slow),
            humidity_drift: drifts.humidity.begin(&mut slow),
            slow,
            noise: Noise::new(seed, Purpose::Reading, index as u64),
        }
    }

    /// Takes the next reading at `seconds` since the epoch, where the climate stands; its noise is `gain` times the
    /// usual.
    pub(super) fn measure(&mut self, seconds: f64, climate: &Climate, drifts: &Drifts, gain: f64) -> Values {
        self.sequence += 1;
        if self.knot != climate.knot() {
            let steps = (climate.knot() - self.knot).unsigned_abs();
            self.knot = climate.knot();
            drifts.warmth.advance(&mut self.warmth_drift, steps, &mut self.slow);
            drifts.humidity.advance(&mut self.humidity_drift, steps, &mut self.slow);
        }
        let weather = climate.weather(self.place);
        let fraction = climate.fraction();
        let Surroundings { exposure, load, slope, .. } = self.surroundings;
        let warmth = exposure * weather.warmth + load * self.load(seconds) + self.warmth_drift.at(fraction);
        let season = exposure * weather.season;
        let humidity = self.levels.humidity + exposure * weather.moisture + self.humidity_drift.at(fraction)
            - slope * warmth;
        let spread = &self.noise_levels;
        Values {
            temperature: self.levels.temperature
                + season
                + warmth
                + gain * spread.temperature * self.noise.normal(),
            humidity: (humidity + gain * spread.humidity * self.noise.normal()).clamp(3.0, 100.0),
            pressure: weather.pressure + self.levels.pressure + gain * spread.pressure * self.noise.normal(),
        }
    }

    /// Location and status, encoded, of a reading with this temperature.
    pub(super) fn tail(&self, temperature: f64) -> &Tail {
        if temperature > WARNING_ABOVE { &self.warning } else { &self.active }
    }

    /// The machines' load, from −1 to 1, rising and falling evenly.
    fn load(&self, seconds: f64) -> f64 {
        let turns = seconds / self.load_period + self.load_phase;
        1.0 - 4.0 * (turns - nearest(turns)).abs()
    }
}

/// The nearest whole number, for values below 2^51. Adding 1.5 · 2^52 leaves no bits for a fraction; unlike
/// `f64::round` this is no function call on a processor without SSE 4.1, for which Rust compiles by default.
fn nearest(value: f64) -> f64 {
    const NO_FRACTION: f64 = 6_755_399_441_055_744.0;
    (value + NO_FRACTION) - NO_FRACTION
}

#[cfg(test)]
mod tests {
    use super::*;

    /// 2024-04-01 00:00:00 UTC.
    const APRIL: f64 = 1_711_929_600.0;

    /// Every `step` seconds a reading, over `days`.
    fn sample(index: usize, step: f64, days: f64) -> Vec<Values> {
        let drifts = Drifts::new();
        let mut climate = Climate::new(1, APRIL);
        let mut sensor = Sensor::new(1, index, "SENSOR_001".into(), &drifts, &climate);
        let steps = (days * 86_400.0 / step) as u32;
        (0..steps)
            .map(|number| {
                let seconds = APRIL + f64::from(number) * step;
                climate.advance(seconds);
                sensor.measure(seconds, &climate, &drifts, 1.0)
            })
            .collect()
    }

    fn correlation(values: &[Values]) -> f64 {
        let count = values.len() as f64;
        let mean = |pick: fn(&Values) -> f64| values.iter().map(pick).sum::<f64>() / count;
        let (mean_t, mean_h) = (mean(|v| v.temperature), mean(|v| v.humidity));
        let sum = |pick: &dyn Fn(&Values) -> f64| values.iter().map(pick).sum::<f64>();
        sum(&|v| (v.temperature - mean_t) * (v.humidity - mean_h))
            / (sum(&|v| (v.temperature - mean_t).powi(2)) * sum(&|v| (v.humidity - mean_h).powi(2))).sqrt()
    }

    #[test]
    fn temperature_and_humidity_are_negatively_correlated() {
        // Of single sensors over a month, the weaker ones too, and of all of them on average.
        let all: Vec<f64> = (0..20).map(|index| correlation(&sample(index, 300.0, 30.0))).collect();
        assert!(all.iter().all(|one| (-0.999..-0.25).contains(one)), "{all:?}");
        let mean = all.iter().sum::<f64>() / all.len() as f64;
        assert!((-0.95..-0.6).contains(&mean), "{mean}: {all:?}");
    }

    #[test]
    fn a_machine_room_is_sometimes_too_hot() {
        for index in [0, 5, 10, 15, 20] {
            let values = sample(index, 5.0, 1.0);
            let hot = values.iter().filter(|values| values.temperature > WARNING_ABOVE).count();
            let share = hot as f64 / values.len() as f64;
            assert!((0.01..0.5).contains(&share), "sensor {index} is hot for {share} of a day");
        }
    }

    #[test]
    fn an_outdoor_sensor_follows_the_day() {
        let values = sample(1, 600.0, 30.0);
        let mean_at = |hour: usize| {
            let slot = hour * 6;
            values.iter().skip(slot).step_by(144).map(|v| v.temperature).sum::<f64>() / 30.0
        };
        // Madrid, half an hour of solar time behind UTC: 2 × 6.5 °C between night and afternoon.
        let range = mean_at(15) - mean_at(3);
        assert!((10.0..16.0).contains(&range), "{range}");
    }

    #[test]
    fn values_stay_physical() {
        for index in 0..10 {
            for values in sample(index, 300.0, 100.0) {
                assert!((-45.0..55.0).contains(&values.temperature), "{values:?}");
                assert!((3.0..=100.0).contains(&values.humidity), "{values:?}");
                assert!((870.0..1_080.0).contains(&values.pressure), "{values:?}");
            }
        }
    }

    #[test]
    fn rounding_is_to_two_decimals() {
        let values = Values { temperature: -3.456, humidity: 65.199_999, pressure: 1_013.254_9 }.rounded();
        assert_eq!(values, Values { temperature: -3.46, humidity: 65.2, pressure: 1_013.25 });
    }
}
