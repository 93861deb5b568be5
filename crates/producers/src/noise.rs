//! Random numbers for what is simulated: a seeded generator per sensor, place or entity, and shapes drawn from it.
//!
//! Every sensor has generators of its own, so its readings do not depend on how many other sensors there are or
//! whether faults are injected elsewhere.

use rand_xoshiro::Xoroshiro128PlusPlus;
use rand_xoshiro::rand_core::{Rng, SeedableRng};

/// A generator for one purpose of one sensor or place.
#[derive(Debug, Clone)]
pub(crate) struct Noise(Xoroshiro128PlusPlus);

/// What a generator is for; part of its seed, so that the streams are independent.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Purpose {
    /// The fixed traits of a sensor.
    Traits = 1,
    /// What moves slowly at a sensor.
    Slow = 2,
    /// The noise of each reading.
    Reading = 3,
    /// Which faults begin when.
    Faults = 4,
    /// The weather of a place.
    Weather = 5,
    /// How often a sensor reports.
    Cadence = 6,
    /// The fixed traits of an entity that events are about.
    Entity = 7,
    /// What happens next to which entity.
    Happening = 8,
}

impl Noise {
    /// The generator of `purpose` for the sensor or place with this index.
    pub(crate) fn new(seed: u64, purpose: Purpose, index: u64) -> Self {
        let mixed = mix(mix(seed) ^ mix(index.wrapping_mul(8) + purpose as u64));
        Self(Xoroshiro128PlusPlus::seed_from_u64(mixed))
    }

    /// Uniform from 0 up to, not including, 1.
    pub(crate) fn uniform(&mut self) -> f64 {
        const UNIT: f64 = 1.0 / (1_u64 << 53) as f64;
        (self.0.next_u64() >> 11) as f64 * UNIT
    }

    /// Uniform from `low` up to `high`.
    pub(crate) fn between(&mut self, low: f64, high: f64) -> f64 {
        low + (high - low) * self.uniform()
    }

    /// A whole number from `low` to `high`, both included.
    pub(crate) fn whole(&mut self, low: u32, high: u32) -> u32 {
        let span = u64::from(high - low) + 1;
        // The multiply-shift picks evenly but for 1 part in 2^32, far below what a simulation can show.
        low + (((self.0.next_u64() >> 32) * span) >> 32) as u32
    }

    /// About normal with mean 0 and standard deviation 1, never beyond 3.5: the sum of four uniform numbers, which
    /// takes one step of the generator and no transcendental function.
    pub(crate) fn normal(&mut self) -> f64 {
        const MEAN: f64 = 2.0 * 65_535.0;
        /// Four uniform numbers on 0..=65535 have a variance of 4 (65536² − 1) / 12.
        const SCALE: f64 = 1.0 / 37_837.227_3;
        let bits = self.0.next_u64();
        let sum = (bits & 0xffff) + (bits >> 16 & 0xffff) + (bits >> 32 & 0xffff) + (bits >> 48);
        (sum as f64 - MEAN) * SCALE
    }
}

/// The finaliser of `SplitMix64`: spreads neighbouring numbers over the whole range.
fn mix(value: u64) -> u64 {
    let mut z = value.wrapping_add(0x9e37_79b9_7f4a_7c15);
    z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    z ^ (z >> 31)
}

/// A first-order autoregressive process on an even grid: a slow walk that is drawn back to zero.
///
/// With standard deviation σ and correlation time τ, the next value is `a·x + σ·√(1−a²)·N(0,1)` with
/// `a = exp(−grid/τ)`: an Ornstein-Uhlenbeck process sampled exactly. Between grid points it is a straight line.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Walk {
    /// What remains of a value after one step.
    keep: f64,
    sigma: f64,
}

/// Where a [`Walk`] stands: its values at the two grid points around the present.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Position {
    from: f64,
    to: f64,
}

impl Walk {
    /// A walk with this standard deviation and correlation time, on a grid of `grid_seconds`.
    pub(crate) fn new(sigma: f64, correlation_seconds: f64, grid_seconds: f64) -> Self {
        Self { keep: (-grid_seconds / correlation_seconds).exp(), sigma }
    }

    /// Begins somewhere typical.
    pub(crate) fn begin(self, noise: &mut Noise) -> Position {
        let from = self.sigma * noise.normal();
        Position { from, to: self.after(from, 1, noise) }
    }

    /// Moves on by `steps` grid points, at least one, in constant time.
    pub(crate) fn advance(self, position: &mut Position, steps: u64, noise: &mut Noise) {
        position.from = if steps > 1 { self.after(position.to, steps - 1, noise) } else { position.to };
        position.to = self.after(position.from, 1, noise);
    }

    fn after(self, value: f64, steps: u64, noise: &mut Noise) -> f64 {
        let keep =
            if steps == 1 { self.keep } else { self.keep.powi(i32::try_from(steps).unwrap_or(i32::MAX)) };
        keep * value + self.sigma * (1.0 - keep * keep).sqrt() * noise.normal()
    }
}

impl Position {
    /// The value at `fraction` (0 to 1) of the way to the next grid point.
    pub(crate) fn at(self, fraction: f64) -> f64 {
        self.from + (self.to - self.from) * fraction
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn moments(values: impl Iterator<Item = f64>) -> (f64, f64) {
        let values: Vec<f64> = values.collect();
        let mean = values.iter().sum::<f64>() / values.len() as f64;
        let variance = values.iter().map(|value| (value - mean).powi(2)).sum::<f64>() / values.len() as f64;
        (mean, variance.sqrt())
    }

    #[test]
    fn normal_has_mean_zero_and_deviation_one() {
        let mut noise = Noise::new(1, Purpose::Reading, 0);
        let (mean, deviation) = moments((0..200_000).map(|_| noise.normal()));
        assert!(mean.abs() < 0.01 && (deviation - 1.0).abs() < 0.01, "{mean} {deviation}");
    }

    #[test]
    fn whole_numbers_cover_their_range_evenly() {
        let mut noise = Noise::new(1, Purpose::Traits, 0);
        let mut counts = [0_u32; 5];
        for _ in 0..50_000 {
            counts[noise.whole(3, 7) as usize - 3] += 1;
        }
        assert!(counts.iter().all(|count| count.abs_diff(10_000) < 500), "{counts:?}");
    }

    #[test]
    fn a_walk_keeps_its_deviation_whatever_the_stride() {
        for stride in [1, 7, 10_000] {
            let walk = Walk::new(2.5, 6_000.0, 600.0);
            let mut noise = Noise::new(3, Purpose::Weather, 0);
            let mut position = walk.begin(&mut noise);
            let (mean, deviation) = moments((0..100_000).map(|_| {
                walk.advance(&mut position, stride, &mut noise);
                position.at(0.0)
            }));
            assert!(mean.abs() < 0.2 && (deviation - 2.5).abs() < 0.1, "{stride}: {mean} {deviation}");
        }
    }

    #[test]
    fn streams_differ_by_seed_purpose_and_index() {
        let first = |seed, purpose, index| Noise::new(seed, purpose, index).0.next_u64();
        let base = first(1, Purpose::Slow, 0);
        assert_eq!(base, first(1, Purpose::Slow, 0));
        for other in [first(2, Purpose::Slow, 0), first(1, Purpose::Reading, 0), first(1, Purpose::Slow, 1)] {
            assert_ne!(base, other);
        }
    }
}
