//! `gaps()`: how many readings are missing before this one, by the sensor's sequence numbers. A number that is not larger
//! than the one before is a sensor that began anew, and no gap.

use super::{Detector, Moment};

/// Missing sequence numbers.
#[derive(Debug)]
pub(super) struct Gaps;

impl Detector for Gaps {
    fn words(&self) -> usize {
        2 // Whether there was a number, and the newest.
    }

    fn observe(&self, words: &mut [f64], moment: Moment) -> Option<f64> {
        let sequence = moment.sequence? as f64;
        let missing = if words[0] > 0.0 { (sequence - words[1] - 1.0).max(0.0) } else { 0.0 };
        words.copy_from_slice(&[1.0, sequence]);
        Some(missing)
    }

    fn needs_sequence(&self) -> bool {
        true
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_missing_is_counted() {
        let mut words = [0.0; 2];
        let mut see = |sequence| Gaps.observe(&mut words, Moment { seconds: 0.0, value: None, sequence });
        assert_eq!(see(Some(7)), Some(0.0));
        assert_eq!(see(Some(8)), Some(0.0));
        assert_eq!(see(None), None);
        assert_eq!(see(Some(11)), Some(2.0));
        assert_eq!(see(Some(0)), Some(0.0), "a sensor that began anew");
        assert_eq!(see(Some(1)), Some(0.0));
    }
}
