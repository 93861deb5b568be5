//! The bytes of a shard.
//!
//! Stored format, version 1; numbers are little-endian, texts and lists have their length in front of them (u32):
//!
//! ```text
//! u32 version, u64 fingerprint of the plan, u16 shard, i64 next offset, u64 last sequence, i64 clock (µs)
//! names of measurements: list of texts
//! sensors: list of
//!     text id, i64 newest (µs), i64 its offset, i64 seen (µs), f32 cadence (s), u8 intervals
//!     windows: list of
//!         u16 definition, u8 flags (1 told, 2 told early, 4 quantiles), u32 revision, u32 count, u32 warnings,
//!         i64 start, i64 end, i64 early at (µs)
//!         cells: list of u16 name, u32 count, i64 first at, i64 last at, f64 first, last, min, max, sum (2), squares (2)
//!         with quantiles, for each cell: u32 zeros, negative and positive: list of i16 bucket, u32 count
//!     the rules' state, as the rules write it
//! ```
//!
//! Only the plan of the fingerprint can read it: definitions and rules are numbers of it. Reading checks every length
//! against what is left before anything is allocated, and never panics.

use model::EventTime;

use super::cell::Cell;
use super::sensor::{NEVER, Sensor};
use super::shard::{self, Shard, Shared};
use super::window::Window;
use super::{EVENT_ID_SEPARATOR, SnapshotError};
use crate::exact::Sum;
use crate::metric_names::{MetricId, MetricNames};
use crate::plan::{LONGEST, Plan, micros};
use crate::rules::RuleBook;
use crate::sketch::{MAX_BUCKETS, Sketch};

const VERSION: u32 = 1;
const TOLD: u8 = 1;
const TOLD_EARLY: u8 = 2;
const QUANTILES: u8 = 4;
/// The bytes of the smallest sensor, window, cell and bucket: what a length is checked with.
const LEAST_SENSOR: usize = 4 + 8 + 8 + 8 + 4 + 1 + 4;
const LEAST_WINDOW: usize = 2 + 1 + 4 + 4 + 4 + 8 + 8 + 8 + 4;
const CELL: usize = 2 + 4 + 8 + 8 + 8 * 8;
const BUCKET: usize = 2 + 4;

/// Appends the bytes of a shard.
pub(super) fn write(
    plan: &Plan,
    book: &RuleBook,
    names: &MetricNames,
    (number, shard): (usize, &Shard),
    next_offset: i64,
    out: &mut Vec<u8>,
) {
    out.extend_from_slice(&VERSION.to_le_bytes());
    out.extend_from_slice(&plan.fingerprint().to_le_bytes());
    out.extend_from_slice(&(number as u16).to_le_bytes());
    out.extend_from_slice(&next_offset.to_le_bytes());
    out.extend_from_slice(&shard.last_sequence.to_le_bytes());
    out.extend_from_slice(&shard.clock.to_le_bytes());
    length(names.len(), out);
    for name in names.iter() {
        text(name, out);
    }
    length(shard.sensors.len(), out);
    for sensor in &shard.sensors {
        text(&sensor.id, out);
        for number in [sensor.newest, sensor.newest_offset, sensor.seen] {
            out.extend_from_slice(&number.to_le_bytes());
        }
        out.extend_from_slice(&sensor.cadence.to_le_bytes());
        out.push(sensor.intervals);
        length(sensor.windows.len(), out);
        for window in &sensor.windows {
            write_window(window, out);
        }
        if !sensor.id.contains(EVENT_ID_SEPARATOR) {
            book.encode_state(sensor.class, &sensor.rules, out);
        }
    }
}

fn write_window(window: &Window, out: &mut Vec<u8>) {
    let quantiles = window.sketches.is_some();
    out.extend_from_slice(&window.definition.to_le_bytes());
    let flag = |set: bool, flag: u8| if set { flag } else { 0 };
    out.push(flag(window.told, TOLD) | flag(window.told_early, TOLD_EARLY) | flag(quantiles, QUANTILES));
    for number in [window.revision, window.count, window.warnings] {
        out.extend_from_slice(&number.to_le_bytes());
    }
    for number in [window.start, window.end, window.early_at] {
        out.extend_from_slice(&number.to_le_bytes());
    }
    length(window.cells.len(), out);
    for cell in &window.cells {
        out.extend_from_slice(&(cell.metric.index() as u16).to_le_bytes());
        out.extend_from_slice(&cell.count.to_le_bytes());
        out.extend_from_slice(&cell.first_at.to_le_bytes());
        out.extend_from_slice(&cell.last_at.to_le_bytes());
        let Cell { first, last, min, max, sum, squares, .. } = cell;
        for number in [*first, *last, *min, *max, sum.high, sum.low, squares.high, squares.low] {
            out.extend_from_slice(&number.to_le_bytes());
        }
    }
    for sketch in window.sketches.iter().flat_map(|sketches| sketches.iter()) {
        out.extend_from_slice(&sketch.zeros.to_le_bytes());
        for buckets in [&sketch.negative, &sketch.positive] {
            length(buckets.len(), out);
            for (number, values) in buckets {
                out.extend_from_slice(&number.to_le_bytes());
                out.extend_from_slice(&values.to_le_bytes());
            }
        }
    }
}

fn length(length: usize, out: &mut Vec<u8>) {
    out.extend_from_slice(&(length as u32).to_le_bytes());
}

fn text(text: &str, out: &mut Vec<u8>) {
    length(text.len(), out);
    out.extend_from_slice(text.as_bytes());
}

/// Puts the state of the bytes into a shard that is as if new.
pub(super) fn read(
    shared: &mut Shared<'_>,
    number: usize,
    bytes: &[u8],
    shard: &mut Shard,
) -> Result<(), SnapshotError> {
    let mut from = Reader { left: bytes };
    let version = from.u32("the version")?;
    if version != VERSION {
        return Err(SnapshotError::Version(version));
    }
    let fingerprint = from.u64("the plan")?;
    if fingerprint != shared.plan.fingerprint() {
        return Err(SnapshotError::OtherPlan(fingerprint));
    }
    let other = usize::from(from.u16("the shard")?);
    if other != number {
        return Err(SnapshotError::OtherShard(other));
    }
    shard.next_offset = from.i64("the next offset")?;
    shard.last_sequence = from.u64("the last sequence")?;
    shard.clock = from.time("the clock")?;
    let count = from.length("the names", 4)?;
    let mut names = Vec::new();
    for _ in 0..count {
        let name = from.text("a name")?;
        names.push(shared.names.intern(name).ok_or_else(|| from.damaged("a name"))?);
    }
    for _ in 0..from.length("the sensors", LEAST_SENSOR)? {
        let sensor = read_sensor(shared, number, &names, &mut from)?;
        shard.insert(sensor);
    }
    if !from.left.is_empty() {
        return Err(from.damaged("the end"));
    }
    // A change of rules may have come after the last tick: what is due is found with the next.
    shard.due_at = shard::AT_ONCE;
    Ok(())
}

fn read_sensor(
    shared: &mut Shared<'_>,
    shard: usize,
    names: &[MetricId],
    from: &mut Reader<'_>,
) -> Result<Sensor, SnapshotError> {
    let id = from.text("a sensor's id")?;
    if shard::of_id(id) != shard {
        return Err(from.damaged("a sensor's id"));
    }
    let event = id.contains(EVENT_ID_SEPARATOR);
    let selection = shared.selections.of(shared.plan, id, event);
    let class = if event { 0 } else { shared.book.class_of(id) };
    let mut sensor = Sensor::new(id, selection, class, 0);
    sensor.newest = match from.i64("the newest reading")? {
        NEVER => NEVER,
        newest => from.in_range(newest, "the newest reading")?,
    };
    sensor.newest_offset = from.i64("the newest reading's offset")?;
    sensor.seen = from.time("when it came")?;
    sensor.cadence = f32::from_le_bytes(from.array("the cadence")?);
    sensor.intervals = from.u8("the intervals")?;
    let windows = from.length("the windows", LEAST_WINDOW)?;
    sensor.windows.reserve_exact(windows);
    for _ in 0..windows {
        sensor.windows.push(read_window(shared.plan, names, from)?);
    }
    if !event {
        let state = shared.book.decode_state(class, &mut from.left);
        sensor.rules = state.map_err(|_| from.damaged("the rules' state"))?;
    }
    sensor.find_deadline(shared.plan);
    Ok(sensor)
}

fn read_window(plan: &Plan, names: &[MetricId], from: &mut Reader<'_>) -> Result<Window, SnapshotError> {
    let definition = from.u16("a window's definition")?;
    if usize::from(definition) >= plan.windows.len() {
        return Err(from.damaged("a window's definition"));
    }
    let flags = from.u8("a window's flags")?;
    let (revision, count, warnings) =
        (from.u32("a revision")?, from.u32("a count")?, from.u32("the warnings")?);
    let (start, end) = (from.time("a start")?, from.time("an end")?);
    let early_at = match from.i64("an early time")? {
        i64::MAX => i64::MAX,
        early_at => from.in_range(early_at, "an early time")?,
    };
    let cells = from.length("the cells", CELL)?;
    let mut window = Window::new(definition, start, end, None, Vec::new());
    (window.told, window.told_early) = (flags & TOLD != 0, flags & TOLD_EARLY != 0);
    (window.revision, window.count, window.warnings, window.early_at) = (revision, count, warnings, early_at);
    window.cells.reserve_exact(cells);
    for _ in 0..cells {
        let metric = names.get(usize::from(from.u16("a cell's name")?));
        let mut cell = Cell::new(*metric.ok_or_else(|| from.damaged("a cell's name"))?);
        cell.count = from.u32("a cell's count")?;
        (cell.first_at, cell.last_at) = (from.i64("a cell's first")?, from.i64("a cell's last")?);
        for value in [&mut cell.first, &mut cell.last, &mut cell.min, &mut cell.max] {
            *value = from.f64("a cell's values")?;
        }
        for sum in [&mut cell.sum, &mut cell.squares] {
            *sum = Sum { high: from.f64("a cell's sums")?, low: from.f64("a cell's sums")? };
        }
        let Cell { first, last, min, max, sum, squares, .. } = &cell;
        let numbers = [*first, *last, *min, *max, sum.high, sum.low, squares.high, squares.low];
        // Only cells with a value are made.
        if cell.count == 0 || min > max || !numbers.iter().all(|number| number.is_finite()) {
            return Err(from.damaged("a cell's values"));
        }
        window.cells.push(cell);
    }
    if flags & QUANTILES != 0 {
        for _ in 0..cells {
            let mut sketch = Sketch { zeros: from.u32("a sketch's zeros")?, ..Sketch::default() };
            for buckets in [&mut sketch.negative, &mut sketch.positive] {
                let count = from.length("a sketch's buckets", BUCKET)?;
                if count > MAX_BUCKETS {
                    return Err(from.damaged("a sketch's buckets"));
                }
                for _ in 0..count {
                    let number = i16::from_le_bytes(from.array("a bucket")?);
                    buckets.push((number, from.u32("a bucket")?));
                }
                if !buckets.is_sorted_by(|a, b| a.0 < b.0) {
                    return Err(from.damaged("a sketch's buckets"));
                }
            }
            window.sketches.get_or_insert_default().push(sketch);
        }
    }
    Ok(window)
}

struct Reader<'a> {
    left: &'a [u8],
}

impl<'a> Reader<'a> {
    fn damaged(&self, what: &'static str) -> SnapshotError {
        SnapshotError::Damaged { what, left: self.left.len() }
    }

    fn array<const N: usize>(&mut self, what: &'static str) -> Result<[u8; N], SnapshotError> {
        let (array, rest) = self.left.split_first_chunk().ok_or_else(|| self.damaged(what))?;
        self.left = rest;
        Ok(*array)
    }

    fn u8(&mut self, what: &'static str) -> Result<u8, SnapshotError> {
        self.array(what).map(u8::from_le_bytes)
    }

    fn u16(&mut self, what: &'static str) -> Result<u16, SnapshotError> {
        self.array(what).map(u16::from_le_bytes)
    }

    fn u32(&mut self, what: &'static str) -> Result<u32, SnapshotError> {
        self.array(what).map(u32::from_le_bytes)
    }

    fn u64(&mut self, what: &'static str) -> Result<u64, SnapshotError> {
        self.array(what).map(u64::from_le_bytes)
    }

    fn i64(&mut self, what: &'static str) -> Result<i64, SnapshotError> {
        self.array(what).map(i64::from_le_bytes)
    }

    /// A time that event times and the lengths of windows can make, so that sums of it cannot overflow.
    fn time(&mut self, what: &'static str) -> Result<i64, SnapshotError> {
        let time = self.i64(what)?;
        self.in_range(time, what)
    }

    fn in_range(&self, time: i64, what: &'static str) -> Result<i64, SnapshotError> {
        let longest = micros(LONGEST);
        let range = EventTime::MIN.micros() - longest..=EventTime::MAX.micros() + longest;
        if range.contains(&time) { Ok(time) } else { Err(self.damaged(what)) }
    }

    fn f64(&mut self, what: &'static str) -> Result<f64, SnapshotError> {
        self.array(what).map(f64::from_le_bytes)
    }

    /// The length of a list whose elements have at least so many bytes.
    fn length(&mut self, what: &'static str, least: usize) -> Result<usize, SnapshotError> {
        let length = self.u32(what)? as usize;
        if length > self.left.len() / least.max(1) { Err(self.damaged(what)) } else { Ok(length) }
    }

    fn text(&mut self, what: &'static str) -> Result<&'a str, SnapshotError> {
        let length = self.length(what, 1)?;
        let (text, rest) = self.left.split_at_checked(length).ok_or_else(|| self.damaged(what))?;
        self.left = rest;
        std::str::from_utf8(text).map_err(|_| self.damaged(what))
    }
}
