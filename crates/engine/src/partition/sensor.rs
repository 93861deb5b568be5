//! One sensor, or one type and source of events: its watermark, its open windows, and what the rules remember of it.

use model::{EventTime, Implausible, Reading};

use super::window::{Teller, Window};
use crate::metric_names::{MetricId, MetricNames};
use crate::output::Output;
use crate::plan::{Plan, Shape};
use crate::rules::{Class, Quiet, RuleState};
use crate::running::Running;

/// Intervals of which the usual one is a plain mean; after them the newest counts for one in so many.
const CADENCE_MEMORY: u8 = 16;
/// So many intervals must have been seen before one is called usual.
const CADENCE_KNOWN: u8 = 3;
/// A pause counts for at most so many usual intervals, so that an outage does not become usual.
const CADENCE_MOST: f64 = 4.0;

#[derive(Clone, Debug, PartialEq)]
pub(super) struct Sensor {
    pub(super) id: Box<str>,
    /// The newest event time; [`NEVER`] before the first acceptable reading.
    pub(super) newest: i64,
    /// The offset of the newest reading.
    pub(super) newest_offset: i64,
    /// The shard's clock when the newest reading came.
    pub(super) seen: i64,
    /// No watermark below this has anything to do. Derived: not stored.
    pub(super) deadline: i64,
    /// Readings since the counting began, for the list of the busiest. Not stored.
    pub(super) recent: u32,
    /// The usual interval between readings in seconds.
    pub(super) cadence: f32,
    pub(super) intervals: u8,
    /// Which windows select it. Derived: not stored.
    pub(super) selection: u16,
    /// Which rules look at it. Derived: not stored.
    pub(super) class: Class,
    pub(super) windows: Vec<Window>,
    pub(super) rules: RuleState,
}

/// Before the first reading.
pub(super) const NEVER: i64 = i64::MIN;

/// What a reading brings to windows.
pub(super) enum Input<'a> {
    /// A reading, and whether one of its values has to be kept out of windows.
    Reading { reading: &'a Reading<'a>, faulty: bool },
    /// An event.
    Event,
}

/// What became of a reading in the windows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Taken {
    /// At least one window has it, or none selects it.
    Yes,
    /// All windows that select it are past their grace.
    Late,
    /// One more window would be too many.
    TooMany,
}

impl Sensor {
    pub(super) fn new(id: &str, selection: u16, class: Class, clock: i64) -> Self {
        Self {
            id: id.into(),
            newest: NEVER,
            newest_offset: -1,
            seen: clock,
            deadline: i64::MAX,
            recent: 0,
            cadence: 0.0,
            intervals: 0,
            selection,
            class,
            windows: Vec::new(),
            rules: RuleState::default(),
        }
    }

    /// The usual interval between readings in seconds.
    pub(super) fn cadence(&self) -> Option<f64> {
        (self.intervals >= CADENCE_KNOWN).then_some(f64::from(self.cadence))
    }

    /// Notes the newest reading, which is not older than the one before.
    pub(super) fn move_on(&mut self, time: i64, offset: i64, clock: i64) {
        if self.newest != NEVER && time > self.newest {
            let interval = (time - self.newest) as f64 / 1e6;
            let usual = f64::from(self.cadence);
            let interval =
                if self.intervals >= CADENCE_KNOWN { interval.min(usual * CADENCE_MOST) } else { interval };
            self.intervals = (self.intervals + 1).min(CADENCE_MEMORY);
            self.cadence = (usual + (interval - usual) / f64::from(self.intervals)) as f32;
        }
        (self.newest, self.newest_offset, self.seen) = (time, offset, clock);
    }

    pub(super) fn quiet(&self, clock: i64) -> Quiet<'_> {
        Quiet {
            sensor_id: &self.id,
            newest: EventTime::from_micros(self.newest),
            offset: self.newest_offset,
            seen: EventTime::from_micros(self.seen),
            cadence: self.cadence(),
            clock: EventTime::from_micros(clock),
        }
    }

    /// Brings a reading into the windows that select it; `definitions` are those of the sensor's selection.
    pub(super) fn take<O: Output>(
        &mut self,
        definitions: &[u16],
        time: i64,
        input: &Input<'_>,
        names: &mut MetricNames,
        room: &mut Vec<Vec<super::cell::Cell>>,
        to: &mut Telling<'_, O>,
    ) -> Taken {
        let watermark = self.newest.max(time).saturating_sub(to.plan.time.disorder);
        if watermark >= self.deadline {
            self.close(watermark, names, room, to);
        }
        let most = to.plan.spec.limits.max_windows as usize;
        let new = definitions.iter().map(|at| to.plan.windows[usize::from(*at)].most_new()).sum::<usize>();
        if self.windows.len() + new > most && self.would_open(definitions, time, watermark, to.plan) > most {
            return Taken::TooMany;
        }
        let mut taken = definitions.is_empty();
        for &definition in definitions {
            taken |= match to.plan.windows[usize::from(definition)].shape {
                Shape::Aligned { size, hop } => {
                    self.take_aligned(definition, (size, hop), time, watermark, input, names, room, to)
                }
                Shape::Session { gap, max } => {
                    self.take_session(definition, (gap, max), time, watermark, input, names, room, to)
                }
            };
        }
        if taken { Taken::Yes } else { Taken::Late }
    }

    /// How many windows there would be with the ones that a reading opens.
    fn would_open(&self, definitions: &[u16], time: i64, watermark: i64, plan: &Plan) -> usize {
        let missing = definitions.iter().map(|&definition| {
            let window = &plan.windows[usize::from(definition)];
            let of = self.windows.iter().filter(|open| open.definition == definition);
            match window.shape {
                Shape::Aligned { size, hop } => {
                    let (first, last) = starts(time, size, hop, watermark - window.grace);
                    let wanted = if first > last { 0 } else { ((last - first) / hop + 1) as usize };
                    wanted.saturating_sub(of.filter(|open| open.start <= time && time < open.end).count())
                }
                Shape::Session { gap, .. } => {
                    let joins = |open: &Window| time < open.end && open.start - time < gap;
                    usize::from(!of.into_iter().any(joins))
                }
            }
        });
        self.windows.len() + missing.sum::<usize>()
    }

    #[expect(clippy::too_many_arguments, reason = "the borrowed parts of one partition")]
    fn take_aligned<O: Output>(
        &mut self,
        definition: u16,
        (size, hop): (i64, i64),
        time: i64,
        watermark: i64,
        input: &Input<'_>,
        names: &mut MetricNames,
        room: &mut Vec<Vec<super::cell::Cell>>,
        to: &mut Telling<'_, O>,
    ) -> bool {
        let spec = &to.plan.windows[usize::from(definition)];
        let (first, last) = starts(time, size, hop, watermark - spec.grace);
        if first > last {
            return false;
        }
        if first - hop > time - size {
            to.counters.windows[usize::from(definition)].partly_late += 1;
        }
        let mut missing = (last - first) / hop + 1;
        for at in 0..self.windows.len() {
            let window = &self.windows[at];
            if window.definition == definition && window.start <= time && time < window.end {
                self.put(at, time, watermark, input, names, to);
                missing -= 1;
            }
        }
        if missing > 0 {
            for number in 0..=(last - first) / hop {
                let start = first + number * hop;
                if !self.windows.iter().any(|open| open.definition == definition && open.start == start) {
                    let cells = room.pop().unwrap_or_default();
                    self.open(Window::new(definition, start, start + size, spec.early, cells));
                    self.put(self.windows.len() - 1, time, watermark, input, names, to);
                }
            }
        }
        true
    }

    /// A reading joins a session if the pause between them is shorter than the gap, and may so put two sessions together.
    /// Where the longest length forbids that, it goes to the earlier one that may take it, or begins another; only there
    /// the order of readings matters.
    #[expect(clippy::too_many_arguments, reason = "the borrowed parts of one partition")]
    fn take_session<O: Output>(
        &mut self,
        definition: u16,
        (gap, max): (i64, i64),
        time: i64,
        watermark: i64,
        input: &Input<'_>,
        names: &mut MetricNames,
        room: &mut Vec<Vec<super::cell::Cell>>,
        to: &mut Telling<'_, O>,
    ) -> bool {
        let spec = &to.plan.windows[usize::from(definition)];
        let fits =
            |open: &Window, from: i64, until: i64| until.max(open.end - gap) - from.min(open.start) <= max;
        // Sessions lie at least the gap apart: at most two are near enough.
        let (mut at, mut after) = (None, None);
        for (place, open) in self.windows.iter().enumerate() {
            let joins = open.definition == definition && time < open.end && open.start - time < gap;
            if joins && fits(open, time, time) {
                let first = at.replace(place);
                if let Some(first) = first {
                    let is_later = self.windows[first].start < open.start;
                    (at, after) =
                        if is_later { (Some(first), Some(place)) } else { (Some(place), Some(first)) };
                }
            }
        }
        let Some(at) = at else {
            if time + gap + spec.grace <= watermark {
                return false;
            }
            let cells = room.pop().unwrap_or_default();
            self.open(Window::new(definition, time, time + gap, spec.early, cells));
            self.put(self.windows.len() - 1, time, watermark, input, names, to);
            return true;
        };
        if time < self.windows[at].start {
            let id = &*self.id;
            let window = &mut self.windows[at];
            if window.is_known() {
                window.withdraw(id, &mut to.with(names));
            }
            window.start = time;
        }
        let window = &mut self.windows[at];
        window.end = window.end.max(time + gap);
        let joined = after.filter(|other| {
            let other = &self.windows[*other];
            fits(&self.windows[at], other.start, other.end - gap)
        });
        if let Some(other) = joined {
            let mut swallowed = self.windows[other].clone();
            let id = &*self.id;
            if swallowed.is_known() {
                swallowed.withdraw(id, &mut to.with(names));
            }
            let window = &mut self.windows[at];
            window.merge(&swallowed);
            window.end = window.end.max(swallowed.end);
        }
        self.put(at, time, watermark, input, names, to);
        if let Some(other) = joined {
            self.windows.remove(other);
        }
        true
    }

    fn open(&mut self, window: Window) {
        if self.windows.len() == self.windows.capacity() {
            // Exact: a sensor has as many windows as its definitions, and there are many sensors.
            self.windows.reserve_exact(1);
        }
        self.windows.push(window);
    }

    /// Adds a reading to a window, and tells it again if it was closed before.
    fn put<O: Output>(
        &mut self,
        at: usize,
        time: i64,
        watermark: i64,
        input: &Input<'_>,
        names: &mut MetricNames,
        to: &mut Telling<'_, O>,
    ) {
        let window = &mut self.windows[at];
        window.count = window.count.saturating_add(1);
        window.told = false;
        if let Input::Reading { reading, faulty } = input {
            window.warnings = window.warnings.saturating_add(u32::from(reading.is_warning()));
            add_values(window, reading, time, *faulty, names, to);
        }
        if window.end <= watermark {
            let id = &*self.id;
            window.tell(id, &mut to.with(names));
        }
        let grace = to.plan.windows[usize::from(window.definition)].grace;
        self.deadline = self.deadline.min(window.deadline(grace));
    }

    /// Tells the windows that the watermark has passed, and drops those past their grace.
    pub(super) fn close<O: Output>(
        &mut self,
        watermark: i64,
        names: &MetricNames,
        room: &mut Vec<Vec<super::cell::Cell>>,
        to: &mut Telling<'_, O>,
    ) {
        let plan = to.plan;
        let mut deadline = i64::MAX;
        let id = &*self.id;
        self.windows.retain_mut(|window| {
            let spec = &plan.windows[usize::from(window.definition)];
            if window.end <= watermark {
                if !window.told {
                    window.tell(id, &mut to.with(names));
                }
                if window.end + spec.grace <= watermark {
                    let mut cells = std::mem::take(&mut window.cells);
                    if room.len() < MOST_ROOM && cells.capacity() > 0 {
                        cells.clear();
                        room.push(cells);
                    }
                    return false;
                }
            } else if window.early_at <= watermark && !window.told {
                if window.revision == 0 {
                    window.tell_early(id, &mut to.with(names));
                }
                let early = spec.early.unwrap_or(i64::MAX);
                window.early_at += ((watermark - window.early_at) / early + 1) * early;
            }
            deadline = deadline.min(window.deadline(spec.grace));
            true
        });
        self.deadline = deadline;
    }

    /// Tells the windows that were not told yet, of a sensor that is silent. They stay open for their grace.
    pub(super) fn close_all<O: Output>(&mut self, names: &MetricNames, to: &mut Telling<'_, O>) {
        let id = &*self.id;
        for window in self.windows.iter_mut().filter(|window| !window.told) {
            window.tell(id, &mut to.with(names));
        }
        self.find_deadline(to.plan);
    }

    /// Computes what is not stored.
    pub(super) fn find_deadline(&mut self, plan: &Plan) {
        let of = |window: &Window| window.deadline(plan.windows[usize::from(window.definition)].grace);
        self.deadline = self.windows.iter().map(of).min().unwrap_or(i64::MAX);
    }

    /// The bytes on the heap.
    pub(super) fn heap_bytes(&self) -> usize {
        self.id.len()
            + self.windows.capacity() * size_of::<Window>()
            + self.windows.iter().map(Window::heap_bytes).sum::<usize>()
            + self.rules.heap_bytes()
    }
}

/// Cells of dropped windows that are kept for new ones.
const MOST_ROOM: usize = 1_024;

/// What telling needs but the names, which taking changes.
pub(super) struct Telling<'a, O> {
    pub(super) plan: &'a Plan,
    pub(super) source: &'a super::Source,
    pub(super) counters: &'a mut super::Counters,
    pub(super) out: &'a mut O,
}

impl<O> Telling<'_, O> {
    pub(super) fn with<'b>(&'b mut self, names: &'b MetricNames) -> Teller<'b, O> {
        Teller { plan: self.plan, names, source: self.source, counters: self.counters, out: self.out }
    }
}

/// The first and last beginning of the windows that hold this time and end after `expired`.
fn starts(time: i64, size: i64, hop: i64, expired: i64) -> (i64, i64) {
    let last = time.div_euclid(hop) * hop;
    let first = (time - size).div_euclid(hop) * hop + hop;
    // An end at or before `expired` is past its grace.
    let alive = (expired.saturating_sub(size)).div_euclid(hop).saturating_mul(hop).saturating_add(hop);
    (first.max(alive), last)
}

fn add_values<O: Output>(
    window: &mut Window,
    reading: &Reading<'_>,
    time: i64,
    faulty: bool,
    names: &mut MetricNames,
    to: &mut Telling<'_, O>,
) {
    let spec = &to.plan.windows[usize::from(window.definition)];
    let add = |window: &mut Window, metric: MetricId, value: f64| {
        let place = window.cell(metric, spec.quantiles);
        window.cells[place].add(time, value);
        if let Some(sketch) = window.sketch_mut(place) {
            sketch.add(value);
        }
    };
    let named = [reading.temperature, reading.humidity, reading.pressure];
    for (metric, value) in MetricId::NAMED.into_iter().zip(named) {
        let Some(value) = value else { continue };
        let name = MetricId::NAMES[metric.index()];
        if spec.takes(name) && !(faulty && is_faulty(name, value)) {
            add(window, metric, value);
        }
    }
    for (name, value) in reading.further() {
        if !spec.takes(name) || (faulty && is_faulty(name, value)) {
            continue;
        }
        let Some(metric) = names.intern(name) else {
            to.counters.untracked_values += 1;
            continue;
        };
        let limit = to.plan.spec.limits.max_metrics as usize;
        let known = window.cells.iter().any(|cell| cell.metric == metric);
        if !known && window.cells.iter().filter(|cell| !cell.metric.is_named()).count() >= limit {
            to.counters.untracked_values += 1;
            continue;
        }
        add(window, metric, value);
    }
}

fn is_faulty(name: &str, value: f64) -> bool {
    !Running::accepts(value) || Implausible::check(name, value).is_some()
}
