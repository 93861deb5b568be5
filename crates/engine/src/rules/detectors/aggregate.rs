//! `mean`, `min`, `max`, `stddev`, `count`, `range`: figures over the last so long.
//!
//! The time is kept in [`PARTS`] parts, each with its own figures, of which the newest is still being filled; so the figures
//! reach back between `time` less one part and `time`: at most 1/12 shorter than asked for, never longer. The figures are
//! known once a reading came when half of the time had passed since the first.

use std::time::Duration;

use super::{Detector, Moment};

const PARTS: usize = 12;
/// Of each part: its number, count, mean, sum of squared deviations (Welford), smallest, largest.
const PART: usize = 6;
/// In front of the parts: the time of the first reading, and whether there was one.
const HEAD: usize = 2;

/// Which figure.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Figure {
    Mean,
    Min,
    Max,
    Stddev,
    Count,
    Range,
}

impl Figure {
    pub(super) fn named(function: &str) -> Option<Self> {
        Some(match function {
            "mean" => Self::Mean,
            "min" => Self::Min,
            "max" => Self::Max,
            "stddev" => Self::Stddev,
            "count" => Self::Count,
            "range" => Self::Range,
            _ => return None,
        })
    }
}

/// A figure over the last so long.
#[derive(Debug)]
pub(super) struct Aggregate {
    figure: Figure,
    time: Duration,
}

impl Aggregate {
    pub(super) fn new(figure: Figure, time: Duration) -> Self {
        Self { figure, time }
    }
}

impl Detector for Aggregate {
    fn words(&self) -> usize {
        HEAD + PARTS * PART
    }

    fn observe(&self, words: &mut [f64], moment: Moment) -> Option<f64> {
        let value = moment.value?;
        let length = self.time.as_secs_f64() / PARTS as f64;
        let number = (moment.seconds / length).floor();
        let (head, parts) = words.split_at_mut(HEAD);
        if head[1] == 0.0 {
            (head[0], head[1]) = (moment.seconds, 1.0);
        }
        let place = number.rem_euclid(PARTS as f64) as usize;
        let part = &mut parts[place * PART..][..PART];
        if part[1] == 0.0 || part[0] != number {
            part.copy_from_slice(&[number, 0.0, 0.0, 0.0, value, value]);
        }
        part[1] += 1.0;
        let from_old_mean = value - part[2];
        part[2] += from_old_mean / part[1];
        part[3] += from_old_mean * (value - part[2]);
        (part[4], part[5]) = (part[4].min(value), part[5].max(value));
        if moment.seconds - head[0] < self.time.as_secs_f64() / 2.0 {
            return None;
        }
        let (mut count, mut mean, mut squares) = (0.0, 0.0, 0.0);
        let (mut least, mut most) = (f64::INFINITY, f64::NEG_INFINITY);
        for part in parts.chunks_exact(PART) {
            if part[1] > 0.0 && part[0] > number - PARTS as f64 && part[0] <= number {
                // Chan's way of putting two series together.
                let whole = count + part[1];
                let between = part[2] - mean;
                squares += part[3] + between * between * count * part[1] / whole;
                mean += between * part[1] / whole;
                count = whole;
                (least, most) = (least.min(part[4]), most.max(part[5]));
            }
        }
        Some(match self.figure {
            Figure::Mean => mean,
            Figure::Min => least,
            Figure::Max => most,
            Figure::Stddev => (squares / count).sqrt(),
            Figure::Count => count,
            Figure::Range => most - least,
        })
    }

    fn window(&self) -> Option<Duration> {
        Some(self.time)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::super::tests::run;
    use super::*;

    #[test]
    fn it_is_known_after_half_of_the_time() {
        let mean = Aggregate::new(Figure::Mean, Duration::from_mins(1));
        let figures = run(&mean, (0..61).map(|second| (f64::from(second), f64::from(second))));
        assert_eq!((figures[29], figures[30]), (None, Some(15.0)));
        // 60 s back would be second 1; the part from second 0 to 5 is gone.
        assert_eq!(figures[60], Some(32.5));
    }

    proptest! {
        #[test]
        fn it_agrees_with_the_readings_kept(steps in prop::collection::vec((0.0..20.0_f64, -50.0..50.0_f64), 1..200)) {
            let mut at = 1e9;
            let moments: Vec<(f64, f64)> = steps.iter().map(|(step, value)| { at += step; (at, *value) }).collect();
            for figure in [Figure::Mean, Figure::Min, Figure::Max, Figure::Count, Figure::Range, Figure::Stddev] {
                let figures = run(&Aggregate::new(figure, Duration::from_mins(1)), moments.iter().copied());
                for (place, got) in figures.iter().enumerate() {
                    let Some(got) = got else { continue };
                    let now = (moments[place].0 / 5.0).floor();
                    let kept: Vec<f64> = moments[..=place].iter()
                        .filter(|(seconds, _)| (seconds / 5.0).floor() > now - 12.0).map(|(_, value)| *value).collect();
                    let count = kept.len() as f64;
                    let mean = kept.iter().sum::<f64>() / count;
                    let least = kept.iter().copied().fold(f64::INFINITY, f64::min);
                    let most = kept.iter().copied().fold(f64::NEG_INFINITY, f64::max);
                    let spread = (kept.iter().map(|value| (value - mean) * (value - mean)).sum::<f64>() / count).sqrt();
                    let expected = match figure {
                        Figure::Mean => mean, Figure::Min => least, Figure::Max => most,
                        Figure::Stddev => spread, Figure::Count => count, Figure::Range => most - least,
                    };
                    prop_assert!((got - expected).abs() < 1e-6, "{:?}: {} is not {}", figure, got, expected);
                }
            }
        }
    }
}
