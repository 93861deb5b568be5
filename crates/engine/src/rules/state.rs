//! What the rules remember of one sensor, and its bytes in a snapshot.
//!
//! Stored format, little-endian: u32 numbers of the detectors, each f64; u32 lives, each u16 rule, u8 phase, u8 escalated,
//! i64 since, i64 clear since, i64 hour (µs), u64 id, u16 fired. The order of numbers is that of the rules of the sensor's
//! class, so it depends on the plan.

/// What the rules remember of one sensor. Empty for a sensor at rest whose rules are thresholds: no heap.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct RuleState {
    /// The detectors' numbers, one after the other in the order of the class; empty before the first reading.
    pub(super) words: Box<[f64]>,
    /// The alarms that are under way, or were within the hour.
    pub(super) lives: Vec<Life>,
}

impl RuleState {
    /// The bytes on the heap.
    pub fn heap_bytes(&self) -> usize {
        size_of_val(&*self.words) + self.lives.capacity() * size_of::<Life>()
    }
}

/// What a rule is about with one sensor. Times are event times in microseconds.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Life {
    /// The rule's place in the book, or [`CLOCK_SKEW`].
    pub(super) rule: u16,
    pub(super) phase: Phase,
    pub(super) escalated: bool,
    /// Since when the condition holds.
    pub(super) since: i64,
    /// Since when it does not hold any more, while the alarm waits to be cleared; [`NOT_CLEARING`] otherwise.
    pub(super) clear_since: i64,
    /// When the hour began in which alarms are counted.
    pub(super) hour: i64,
    /// The alarm's own part of its id.
    pub(super) id: u64,
    /// Alarms in the hour.
    pub(super) fired: u16,
}

/// The place of the built-in rule.
pub(super) const CLOCK_SKEW: u16 = u16::MAX;
/// The alarm is not about to be cleared.
pub(super) const NOT_CLEARING: i64 = i64::MAX;

/// How far an alarm is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Phase {
    /// There is none; only the hour's alarms are remembered.
    Resting,
    /// The condition holds, not yet for long enough.
    Pending,
    /// It fires.
    Firing,
    /// It would fire, but there were too many within the hour.
    Muted,
}

impl Phase {
    const ALL: [Self; 4] = [Self::Resting, Self::Pending, Self::Firing, Self::Muted];
}

impl Life {
    pub(super) fn new(rule: u16) -> Self {
        Self {
            rule,
            phase: Phase::Resting,
            escalated: false,
            since: 0,
            clear_since: NOT_CLEARING,
            hour: i64::MIN,
            id: 0,
            fired: 0,
        }
    }

    /// Whether clearing is asked about, not firing.
    pub(super) fn is_on(&self) -> bool {
        matches!(self.phase, Phase::Firing | Phase::Muted)
    }
}

/// Bytes that are no state of this class.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct BadState;

const LIFE: usize = 2 + 1 + 1 + 8 * 4 + 2;

pub(super) fn encode(state: &RuleState, out: &mut Vec<u8>) {
    out.extend_from_slice(&(state.words.len() as u32).to_le_bytes());
    for word in &state.words {
        out.extend_from_slice(&word.to_le_bytes());
    }
    out.extend_from_slice(&(state.lives.len() as u32).to_le_bytes());
    for life in &state.lives {
        out.extend_from_slice(&life.rule.to_le_bytes());
        out.extend_from_slice(&[life.phase as u8, u8::from(life.escalated)]);
        for time in [life.since, life.clear_since, life.hour] {
            out.extend_from_slice(&time.to_le_bytes());
        }
        out.extend_from_slice(&life.id.to_le_bytes());
        out.extend_from_slice(&life.fired.to_le_bytes());
    }
}

/// Takes a state of so many numbers (or none) and rules off the front of `bytes`.
pub(super) fn decode(words: usize, rules: usize, bytes: &mut &[u8]) -> Result<RuleState, BadState> {
    let count = u32::from_le_bytes(array(bytes)?) as usize;
    if count != 0 && count != words || count > bytes.len() / 8 {
        return Err(BadState);
    }
    let words = (0..count).map(|_| array(bytes).map(f64::from_le_bytes)).collect::<Result<_, _>>()?;
    let count = u32::from_le_bytes(array(bytes)?) as usize;
    if count > bytes.len() / LIFE {
        return Err(BadState);
    }
    let mut lives = Vec::with_capacity(count);
    for _ in 0..count {
        let rule = u16::from_le_bytes(array(bytes)?);
        let [phase, escalated] = array(bytes)?;
        let phase = *Phase::ALL.get(usize::from(phase)).ok_or(BadState)?;
        if usize::from(rule) >= rules && rule != CLOCK_SKEW {
            return Err(BadState);
        }
        let mut time = || array(bytes).map(i64::from_le_bytes);
        let (since, clear_since, hour) = (time()?, time()?, time()?);
        let id = u64::from_le_bytes(array(bytes)?);
        let fired = u16::from_le_bytes(array(bytes)?);
        lives.push(Life { rule, phase, escalated: escalated != 0, since, clear_since, hour, id, fired });
    }
    Ok(RuleState { words, lives })
}

fn array<const N: usize>(bytes: &mut &[u8]) -> Result<[u8; N], BadState> {
    let (array, rest) = bytes.split_first_chunk().ok_or(BadState)?;
    *bytes = rest;
    Ok(*array)
}
