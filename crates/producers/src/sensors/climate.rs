//! The places where sensors stand, and the weather there.
//!
//! Each place has a mean temperature with a yearly cycle (warmest in late July) and a daily one (warmest at 15 h local
//! solar time), on top of which the weather moves slowly: temperature, moisture and air pressure each by a [`Walk`]
//! with a correlation time of half a day to a day and a half. Air pressure has the small tide of twelve hours that
//! real barometers show. Everything is computed on a grid of ten minutes and is a straight line in between, so a
//! reading costs no sine, and the weather is the same however often it is sampled.

use crate::noise::{Noise, Position, Purpose, Walk};

/// Seconds between grid points.
const GRID_SECONDS: f64 = 600.0;
const DAY_SECONDS: f64 = 86_400.0;
const YEAR_SECONDS: f64 = 365.25 * DAY_SECONDS;
/// Seconds from 1 January to the warmest day, in late July.
const WARMEST_OF_YEAR: f64 = 204.0 * DAY_SECONDS;
/// The warmest and the first pressure-peak hour of a day, local solar time, in seconds.
const WARMEST_OF_DAY: f64 = 15.0 * 3_600.0;
const PRESSURE_PEAK: f64 = 10.0 * 3_600.0;
/// Half the range of the pressure tide, hPa.
const PRESSURE_TIDE: f64 = 0.6;
/// Pressure at sea level, hPa, and the height in metres over which it falls by a factor of e.
const SEA_LEVEL_PRESSURE: f64 = 1_013.25;
const SCALE_HEIGHT: f64 = 8_434.0;

/// What is fixed about a place.
#[derive(Debug, Clone, Copy)]
pub(super) struct Place {
    /// Degrees north.
    pub(super) latitude: f64,
    /// Degrees east.
    pub(super) longitude: f64,
    /// Yearly mean temperature, °C.
    pub(super) mean_temperature: f64,
    /// Half the range of the yearly and of the daily cycle, °C.
    yearly: f64,
    daily: f64,
    /// Mean relative humidity, %.
    pub(super) mean_humidity: f64,
    /// Metres above the sea.
    altitude: f64,
}

const fn place(
    [latitude, longitude]: [f64; 2],
    [mean_temperature, yearly, daily]: [f64; 3],
    mean_humidity: f64,
    altitude: f64,
) -> Place {
    Place { latitude, longitude, mean_temperature, yearly, daily, mean_humidity, altitude }
}

/// Amsterdam, Madrid, Berlin, Athens, Vienna, Lisbon, Helsinki, Istanbul.
pub(super) const PLACES: [Place; 8] = [
    place([52.3676, 4.9041], [10.5, 7.5, 3.5], 78.0, 2.0),
    place([40.4168, -3.7038], [15.0, 10.0, 6.5], 55.0, 657.0),
    place([52.5200, 13.4050], [10.3, 9.5, 4.5], 72.0, 34.0),
    place([37.9838, 23.7275], [18.5, 9.0, 4.5], 62.0, 70.0),
    place([48.2082, 16.3738], [11.5, 10.5, 4.5], 70.0, 171.0),
    place([38.7223, -9.1393], [17.3, 6.0, 4.5], 70.0, 15.0),
    place([60.1699, 24.9384], [6.5, 11.5, 3.5], 77.0, 26.0),
    place([41.0082, 28.9784], [15.0, 9.5, 3.5], 72.0, 39.0),
];

/// The weather of one place at one moment.
#[derive(Debug, Clone, Copy)]
pub(super) struct Weather {
    /// °C above or below the place's yearly mean, by the season.
    pub(super) season: f64,
    /// °C above or below that, by the hour and the weather.
    pub(super) warmth: f64,
    /// Percentage points of relative humidity above or below what the temperature alone explains.
    pub(super) moisture: f64,
    /// Air pressure at the place's altitude, hPa.
    pub(super) pressure: f64,
}

/// The weather of all places, moved on with simulated time. Time never runs backwards.
#[derive(Debug, Clone)]
pub(super) struct Climate {
    /// The grid point before the present, counted from the epoch.
    knot: i64,
    /// How far the present lies between that grid point and the next, 0 to 1.
    fraction: f64,
    sites: Vec<Site>,
    walks: Walks,
}

#[derive(Debug, Clone, Copy)]
struct Walks {
    warmth: Walk,
    moisture: Walk,
    pressure: Walk,
}

#[derive(Debug, Clone)]
struct Site {
    place: Place,
    /// hPa at its altitude.
    mean_pressure: f64,
    noise: Noise,
    warmth: Position,
    moisture: Position,
    pressure: Position,
    /// The cycles at the two grid points around the present.
    from: Cycles,
    to: Cycles,
}

/// What the calendar alone decides.
#[derive(Debug, Clone, Copy)]
struct Cycles {
    season: f64,
    hour: f64,
    tide: f64,
}

impl Climate {
    /// The climate at `seconds` since the epoch.
    pub(super) fn new(seed: u64, seconds: f64) -> Self {
        let knot = knot_before(seconds);
        let walks = Walks {
            warmth: Walk::new(2.5, 1.5 * DAY_SECONDS, GRID_SECONDS),
            moisture: Walk::new(5.0, 0.5 * DAY_SECONDS, GRID_SECONDS),
            pressure: Walk::new(8.0, 1.5 * DAY_SECONDS, GRID_SECONDS),
        };
        let site = |(index, place): (usize, Place)| {
            let mut noise = Noise::new(seed, Purpose::Weather, index as u64);
            Site {
                place,
                mean_pressure: SEA_LEVEL_PRESSURE * (-place.altitude / SCALE_HEIGHT).exp(),
                warmth: walks.warmth.begin(&mut noise),
                moisture: walks.moisture.begin(&mut noise),
                pressure: walks.pressure.begin(&mut noise),
                from: cycles(place, knot),
                to: cycles(place, knot + 1),
                noise,
            }
        };
        let sites = PLACES.into_iter().enumerate().map(site).collect();
        let mut climate = Self { knot, fraction: 0.0, sites, walks };
        climate.advance(seconds);
        climate
    }

    /// Moves the present to `seconds` since the epoch.
    pub(super) fn advance(&mut self, seconds: f64) {
        let mut fraction = seconds / GRID_SECONDS - self.knot as f64;
        if fraction >= 1.0 {
            self.cross(knot_before(seconds));
            fraction = seconds / GRID_SECONDS - self.knot as f64;
        }
        self.fraction = fraction.clamp(0.0, 1.0);
    }

    /// The grid point before the present, for sensors whose own walks follow the same grid.
    pub(super) fn knot(&self) -> i64 {
        self.knot
    }

    /// How far the present lies between two grid points.
    pub(super) fn fraction(&self) -> f64 {
        self.fraction
    }

    /// The weather now at the place with this index.
    pub(super) fn weather(&self, place: usize) -> Weather {
        let site = &self.sites[place];
        let fraction = self.fraction;
        let between = |from: f64, to: f64| from + (to - from) * fraction;
        Weather {
            season: between(site.from.season, site.to.season),
            warmth: between(site.from.hour, site.to.hour) + site.warmth.at(fraction),
            moisture: site.moisture.at(fraction),
            pressure: site.mean_pressure + between(site.from.tide, site.to.tide) + site.pressure.at(fraction),
        }
    }

    /// A walk on this grid.
    pub(super) fn walk(sigma: f64, correlation_seconds: f64) -> Walk {
        Walk::new(sigma, correlation_seconds, GRID_SECONDS)
    }

    fn cross(&mut self, knot: i64) {
        let steps = (knot - self.knot).unsigned_abs();
        let walks = self.walks;
        self.knot = knot;
        for site in &mut self.sites {
            walks.warmth.advance(&mut site.warmth, steps, &mut site.noise);
            walks.moisture.advance(&mut site.moisture, steps, &mut site.noise);
            walks.pressure.advance(&mut site.pressure, steps, &mut site.noise);
            site.from = cycles(site.place, knot);
            site.to = cycles(site.place, knot + 1);
        }
    }
}

fn knot_before(seconds: f64) -> i64 {
    (seconds / GRID_SECONDS).floor() as i64
}

fn cycles(place: Place, knot: i64) -> Cycles {
    let seconds = knot as f64 * GRID_SECONDS;
    let turn = |seconds: f64, period: f64| (std::f64::consts::TAU * seconds / period).cos();
    let solar = seconds + place.longitude / 360.0 * DAY_SECONDS;
    Cycles {
        season: place.yearly * turn(seconds - WARMEST_OF_YEAR, YEAR_SECONDS),
        hour: place.daily * turn(solar - WARMEST_OF_DAY, DAY_SECONDS),
        tide: PRESSURE_TIDE * turn(solar - PRESSURE_PEAK, DAY_SECONDS / 2.0),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// 2024-07-01 00:00:00 UTC.
    const JULY: f64 = 1_719_792_000.0;

    #[test]
    fn the_day_is_warmest_in_the_afternoon() {
        let mut climate = Climate::new(1, JULY);
        let mut by_hour = [0.0; 24];
        for hour in 0..24 * 60 {
            climate.advance(JULY + f64::from(hour) * 3_600.0);
            by_hour[hour as usize % 24] += climate.weather(0).warmth / 60.0;
        }
        let warmest = (0..24).max_by(|a, b| f64::total_cmp(&by_hour[*a], &by_hour[*b])).expect("24 hours");
        // Amsterdam is 20 minutes of solar time ahead of UTC.
        assert!((14..=16).contains(&warmest), "{by_hour:?}");
        let range = by_hour[warmest] - by_hour[(warmest + 12) % 24];
        assert!((range - 7.0).abs() < 1.0, "daily range {range}");
    }

    #[test]
    fn the_weather_does_not_depend_on_how_often_it_is_sampled() {
        let mut often = Climate::new(1, JULY);
        let mut seldom = Climate::new(1, JULY);
        for second in 0..7_200 {
            often.advance(JULY + f64::from(second));
            if second % 500 == 0 {
                seldom.advance(JULY + f64::from(second));
                assert_eq!(often.weather(3).warmth.to_bits(), seldom.weather(3).warmth.to_bits());
            }
        }
    }

    #[test]
    fn pressure_moves_slowly_around_that_of_the_altitude() {
        let mut climate = Climate::new(1, JULY);
        let mut before = climate.weather(1).pressure;
        let mut sum = 0.0;
        for minute in 1..=100_000 {
            climate.advance(JULY + f64::from(minute) * 60.0);
            let pressure = climate.weather(1).pressure;
            assert!((pressure - before).abs() < 0.5, "{before} to {pressure} in a minute");
            (before, sum) = (pressure, sum + pressure);
        }
        let mean = sum / 100_000.0;
        assert!((mean - 937.0).abs() < 4.0, "Madrid lies at 657 m, its mean pressure is {mean}");
    }

    #[test]
    fn a_leap_of_years_is_survived() {
        let mut climate = Climate::new(1, -1.0e9);
        climate.advance(JULY);
        climate.advance(JULY + 10.0 * YEAR_SECONDS);
        assert!(climate.weather(0).warmth.abs() < 20.0);
        assert!((climate.weather(0).season - 7.0).abs() < 1.0, "early July is nearly the warmest");
    }
}
