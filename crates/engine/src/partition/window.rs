//! An open window of one sensor, or of one type and source of events.

use model::summary::Figures;
use model::{EventCount, EventTime, Summary};

use super::cell::{Cell, quantiles};
use super::counters::Counters;
use super::{EVENT_ID_SEPARATOR, Source};
use crate::metric_names::{MetricId, MetricNames};
use crate::output::Output;
use crate::plan::Plan;
use crate::sketch::Sketch;

/// An open window. It is open until its grace is over: until then it takes readings.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Window {
    /// Its place among the plan's windows.
    pub(super) definition: u16,
    /// Whether nothing came since it was told as closed.
    pub(super) told: bool,
    /// Whether it was told early.
    pub(super) told_early: bool,
    /// The revision that was told last; 0 while it was not told as closed.
    pub(super) revision: u32,
    /// Readings or events.
    pub(super) count: u32,
    /// Readings with a warning.
    pub(super) warnings: u32,
    pub(super) start: i64,
    /// Exclusive. A session's is its last reading's time and the gap.
    pub(super) end: i64,
    /// The watermark at which it is told early next.
    pub(super) early_at: i64,
    pub(super) cells: Vec<Cell>,
    /// In the order of the cells, if the plan wants quantiles.
    #[expect(clippy::box_collection, reason = "one word for the many windows without quantiles, not three")]
    pub(super) sketches: Option<Box<Vec<Sketch>>>,
}

/// What telling needs to know.
pub(super) struct Teller<'a, O> {
    pub(super) plan: &'a Plan,
    pub(super) names: &'a MetricNames,
    pub(super) source: &'a Source,
    pub(super) counters: &'a mut Counters,
    pub(super) out: &'a mut O,
}

impl Window {
    pub(super) fn new(definition: u16, start: i64, end: i64, early: Option<i64>, cells: Vec<Cell>) -> Self {
        let early_at = early.map_or(i64::MAX, |early| start + early);
        Self {
            definition,
            told: false,
            told_early: false,
            revision: 0,
            count: 0,
            warnings: 0,
            start,
            end,
            early_at,
            cells,
            sketches: None,
        }
    }

    /// The next watermark at which something is to be done.
    pub(super) fn deadline(&self, grace: i64) -> i64 {
        if self.told { self.end + grace } else { self.end.min(self.early_at) }
    }

    /// Whether a reader of what was told knows of it.
    pub(super) fn is_known(&self) -> bool {
        self.revision > 0 || self.told_early
    }

    /// The place of a measurement's cell, made if there is none.
    #[inline]
    pub(super) fn cell(&mut self, metric: MetricId, quantiles: bool) -> usize {
        if let Some(place) = self.cells.iter().position(|cell| cell.metric == metric) {
            return place;
        }
        if self.cells.len() == self.cells.capacity() {
            // Three measurements are usual; a sensor's set of them hardly ever grows.
            let room = if self.cells.is_empty() { 3 } else { 1 };
            self.cells.reserve_exact(room);
        }
        self.cells.push(Cell::new(metric));
        if quantiles {
            self.sketches.get_or_insert_default().push(Sketch::default());
        }
        self.cells.len() - 1
    }

    fn sketch(&self, cell: usize) -> Option<&Sketch> {
        self.sketches.as_ref()?.get(cell)
    }

    /// The sketch of a cell, if the plan wants quantiles.
    pub(super) fn sketch_mut(&mut self, cell: usize) -> Option<&mut Sketch> {
        self.sketches.as_mut()?.get_mut(cell)
    }

    /// Takes over what another window of the definition has.
    pub(super) fn merge(&mut self, other: &Self) {
        self.count = self.count.saturating_add(other.count);
        self.warnings = self.warnings.saturating_add(other.warnings);
        for (at, cell) in other.cells.iter().enumerate() {
            let sketch = other.sketch(at);
            let place = self.cell(cell.metric, sketch.is_some());
            self.cells[place].merge(cell);
            if let (Some(own), Some(sketch)) = (self.sketch_mut(place), sketch) {
                own.merge(sketch);
            }
        }
    }

    /// Tells the window as closed, with the next revision.
    pub(super) fn tell<O: Output>(&mut self, id: &str, to: &mut Teller<'_, O>) {
        let counters = &mut to.counters.windows[usize::from(self.definition)];
        if self.revision == 0 {
            counters.closed += 1;
        } else {
            counters.revisions += 1;
        }
        (self.revision, self.told) = (self.revision.saturating_add(1), true);
        self.say(id, self.revision, self.start, false, to);
    }

    /// Tells the window as it is, before it closes.
    pub(super) fn tell_early<O: Output>(&mut self, id: &str, to: &mut Teller<'_, O>) {
        to.counters.windows[usize::from(self.definition)].early += 1;
        self.told_early = true;
        self.say(id, 0, self.start, false, to);
    }

    /// Takes back what was told of it: its readings are in another window now.
    pub(super) fn withdraw<O: Output>(&mut self, id: &str, to: &mut Teller<'_, O>) {
        to.counters.windows[usize::from(self.definition)].withdrawn += 1;
        self.revision = self.revision.saturating_add(1);
        self.say(id, self.revision, self.start, true, to);
    }

    fn say<O: Output>(&self, id: &str, revision: u32, start: i64, empty: bool, to: &mut Teller<'_, O>) {
        let window = to.plan.spec.windows[usize::from(self.definition)].name.as_str();
        let (start, end) = (EventTime::from_micros(start), EventTime::from_micros(self.end));
        if let Some((event_type, source)) = id.split_once(EVENT_ID_SEPARATOR) {
            let count = if empty { 0 } else { u64::from(self.count) };
            let seconds = (self.end - self.start) as f64 / 1e6;
            to.out.event_count(&EventCount {
                event_type: event_type.into(),
                source: source.into(),
                window: window.into(),
                start,
                end,
                partition: to.source.partition,
                count,
                rate: count as f64 / seconds,
                revision,
            });
            return;
        }
        for (at, cell) in self.cells.iter().enumerate() {
            to.out.summary(&Summary {
                sensor_id: id.into(),
                metric: to.names.name(cell.metric).into(),
                window: window.into(),
                start,
                end,
                count: if empty { 0 } else { u64::from(cell.count) },
                figures: if empty { Figures::default() } else { cell.figures() },
                quantiles: self.sketch(at).filter(|_| !empty).and_then(quantiles),
                warnings: if empty { 0 } else { u64::from(self.warnings) },
                revision,
            });
        }
    }

    /// The bytes on the heap.
    pub(super) fn heap_bytes(&self) -> usize {
        self.cells.capacity() * size_of::<Cell>()
            + self.sketches.as_ref().map_or(0, |sketches| {
                size_of::<Vec<Sketch>>()
                    + sketches.capacity() * size_of::<Sketch>()
                    + sketches.iter().map(Sketch::heap_bytes).sum::<usize>()
            })
    }
}
