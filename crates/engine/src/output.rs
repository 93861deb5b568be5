//! What the engine says: summaries of windows and alarms, to whoever listens.

use model::{Alert, EventCount, Summary};

/// Takes what the engine says, in order. The replay of a recovery listens with [`Suppressed`].
pub trait Output {
    /// A window of readings was closed, corrected or told early.
    fn summary(&mut self, summary: &Summary<'_>);
    /// A window of events was closed, corrected or told early.
    fn event_count(&mut self, count: &EventCount<'_>);
    /// An alarm fired, escalated or cleared.
    fn alarm(&mut self, alert: Alert);
}

/// Listens to nothing.
#[derive(Clone, Copy, Debug, Default)]
pub struct Suppressed;

impl Output for Suppressed {
    fn summary(&mut self, _: &Summary<'_>) {}
    fn event_count(&mut self, _: &EventCount<'_>) {}
    fn alarm(&mut self, _: Alert) {}
}

/// Keeps everything: for tests, and for trying rules on old readings.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Collected {
    /// Window summaries.
    pub summaries: Vec<Summary<'static>>,
    /// Counts of events.
    pub event_counts: Vec<EventCount<'static>>,
    /// Alarms.
    pub alarms: Vec<Alert>,
}

impl Output for Collected {
    fn summary(&mut self, summary: &Summary<'_>) {
        self.summaries.push(Summary {
            sensor_id: summary.sensor_id.clone().into_owned().into(),
            metric: summary.metric.clone().into_owned().into(),
            window: summary.window.clone().into_owned().into(),
            ..*summary
        });
    }

    fn event_count(&mut self, count: &EventCount<'_>) {
        self.event_counts.push(EventCount {
            event_type: count.event_type.clone().into_owned().into(),
            source: count.source.clone().into_owned().into(),
            window: count.window.clone().into_owned().into(),
            ..*count
        });
    }

    fn alarm(&mut self, alert: Alert) {
        self.alarms.push(alert);
    }
}
