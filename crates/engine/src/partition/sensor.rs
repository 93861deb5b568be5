//! One sensor: its watermark and its open windows.

use model::summary::Figures;
use model::{EventTime, Reading, Summary};

use super::counters::Counters;
use crate::output::Output;
use crate::plan::{Plan, WindowShape};
use crate::running::Running;

#[derive(Debug)]
pub(super) struct Sensor {
    pub(super) id: Box<str>,
    newest: i64,
    windows: Vec<Window>,
}

#[derive(Debug)]
struct Window {
    definition: usize,
    start: i64,
    end: i64,
    cells: Vec<Cell>,
    warnings: u64,
    revision: u32,
}

/// A measurement's name and statistics, and its first and last value with their times.
type Cell = (String, Running, (i64, f64), (i64, f64));

impl Sensor {
    pub(super) fn new(id: &str) -> Self {
        Self { id: id.into(), newest: i64::MIN, windows: Vec::new() }
    }

    /// Takes a reading into its windows. Whether one took it, or none selects it.
    pub(super) fn observe<O: Output>(
        &mut self,
        plan: &Plan,
        counters: &mut Counters,
        reading: &Reading<'_>,
        out: &mut O,
    ) -> bool {
        let time = reading.time.micros();
        self.newest = self.newest.max(time);
        let watermark = self.newest - plan.spec.time.disorder.as_micros() as i64;
        self.close(plan, counters, watermark, out);
        let (mut taken, mut selected) = (false, false);
        for (definition, spec) in plan.spec.windows.iter().enumerate() {
            let WindowShape::Tumbling { size } = spec.shape else { continue };
            let size = size.as_micros() as i64;
            selected = true;
            let start = time.div_euclid(size) * size;
            if start + size + spec.grace.as_micros() as i64 <= watermark {
                continue;
            }
            taken = true;
            let known = self
                .windows
                .iter()
                .position(|window| (window.definition, window.start) == (definition, start));
            let place = known.unwrap_or_else(|| {
                let (cells, end) = (Vec::new(), start + size);
                self.windows.push(Window { definition, start, end, cells, warnings: 0, revision: 0 });
                self.windows.len() - 1
            });
            let window = &mut self.windows[place];
            window.add(reading);
            if window.end <= watermark {
                window.tell(&self.id, &spec.name, out);
                counters.windows[definition].revisions += 1;
            }
        }
        taken || !selected
    }

    fn close<O: Output>(&mut self, plan: &Plan, counters: &mut Counters, watermark: i64, out: &mut O) {
        for window in &mut self.windows {
            if window.end <= watermark && window.revision == 0 {
                window.tell(&self.id, &plan.spec.windows[window.definition].name, out);
                counters.windows[window.definition].closed += 1;
            }
        }
        self.windows.retain(|window| {
            window.end + plan.spec.windows[window.definition].grace.as_micros() as i64 > watermark
        });
    }
}

impl Window {
    fn add(&mut self, reading: &Reading<'_>) {
        self.warnings += u64::from(reading.is_warning());
        for (metric, value) in reading.measurements() {
            if !Running::accepts(value) || model::Implausible::check(metric, value).is_some() {
                continue;
            }
            let at = (reading.time.micros(), value);
            let known = self.cells.iter().position(|(name, ..)| name == metric);
            let place = known.unwrap_or_else(|| {
                self.cells.push((metric.to_owned(), Running::EMPTY, at, at));
                self.cells.len() - 1
            });
            let (_, running, first, last) = &mut self.cells[place];
            running.add(value);
            if at < *first {
                *first = at;
            }
            if at > *last {
                *last = at;
            }
        }
    }

    fn tell<O: Output>(&mut self, id: &str, name: &str, out: &mut O) {
        self.revision += 1;
        for (metric, running, first, last) in &self.cells {
            out.summary(&Summary {
                sensor_id: id.into(),
                metric: metric.into(),
                window: name.into(),
                start: EventTime::from_micros(self.start),
                end: EventTime::from_micros(self.end),
                count: running.count(),
                figures: Figures {
                    mean: running.mean().unwrap_or_default(),
                    min: running.min().unwrap_or_default(),
                    max: running.max().unwrap_or_default(),
                    stddev: running.stddev().unwrap_or_default(),
                    first: first.1,
                    last: last.1,
                },
                quantiles: None,
                warnings: self.warnings,
                revision: self.revision,
            });
        }
    }
}
