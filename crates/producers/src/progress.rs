//! What a run shows while it goes on: one line, written again and again, on a terminal; a log line now and then
//! elsewhere; and the same figures to whoever else wants them, for instance for metrics.
//!
//! A thread of its own does this, so that the line goes on while the sender waits for a broker that is away.

use std::io::Write as _;
use std::time::{Duration, Instant};

use kafka::{Producer, ProducerCounters};
use runtime::rate::RateMeter;
use runtime::{LatencySnapshot, Shutdown};

use crate::summary::{LatencyMillis, thousands};

/// How often the figures are taken and the terminal's line is written.
const TICK: Duration = Duration::from_millis(250);

/// Over how long the shown rate is taken.
const RATE_WINDOW: Duration = Duration::from_secs(3);

/// Without any acknowledgement for this long, although records wait for one, the brokers count as silent.
const SILENCE: Duration = Duration::from_secs(3);

/// Where progress is shown.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Display {
    /// Nowhere.
    Silent,
    /// As one line on standard error that is written again and again; for terminals.
    Terminal,
    /// As a log line this often.
    Log(Duration),
}

/// The figures at one moment of a run.
#[derive(Debug, Clone, PartialEq)]
pub struct Snapshot {
    /// Since the first record.
    pub elapsed: Duration,
    /// Accepted, acknowledged, failed, bytes.
    pub counters: ProducerCounters,
    /// Acknowledged records a second over the last seconds.
    pub records_per_second: f64,
    /// Time to acknowledgement so far.
    pub latency: LatencySnapshot,
    /// What is wrong with the brokers, while none can be reached or none acknowledges anything.
    pub broker_problem: Option<String>,
}

/// Whoever wants the figures, about four times a second and once at the end.
pub type Observer = Box<dyn FnMut(&Snapshot) + Send>;

/// How a run reports its progress.
pub struct Progress {
    /// Where it is shown.
    pub display: Display,
    /// Who else gets the figures.
    pub observer: Option<Observer>,
}

impl Progress {
    /// No progress at all, for tests.
    pub fn silent() -> Self {
        Self { display: Display::Silent, observer: None }
    }

    /// Reports until `done` is requested, and once more then.
    pub(crate) fn follow(mut self, producer: &Producer, done: &Shutdown) {
        let started = Instant::now();
        let mut meter = RateMeter::new(RATE_WINDOW);
        let mut line = String::new();
        let mut logged = started;
        let mut silence = Silence::new(started);
        loop {
            let ended = done.wait(TICK);
            let now = Instant::now();
            let counters = producer.counters();
            let silent = silence.observe(now, counters);
            let snapshot = Snapshot {
                elapsed: now - started,
                counters,
                records_per_second: meter.sample(now, counters.acknowledged),
                latency: producer.latency(),
                broker_problem: producer.broker_problem().or(silent),
            };
            if let Some(observer) = &mut self.observer {
                observer(&snapshot);
            }
            match self.display {
                Display::Terminal => show(&snapshot, ended, &mut line),
                Display::Log(every) if now - logged >= every => {
                    logged = now;
                    log(&snapshot);
                }
                Display::Silent | Display::Log(_) => {}
            }
            if ended {
                return;
            }
        }
    }
}

/// Notices brokers that are connected but acknowledge nothing, as when one hangs.
struct Silence {
    /// When something was acknowledged last, or nothing was waiting.
    heard: Instant,
    acknowledged: u64,
    reported: bool,
}

impl Silence {
    fn new(now: Instant) -> Self {
        Self { heard: now, acknowledged: 0, reported: false }
    }

    /// What there is to say about the brokers at `now`. The beginning and the end of a silence are logged.
    fn observe(&mut self, now: Instant, counters: ProducerCounters) -> Option<String> {
        if counters.acknowledged != self.acknowledged || counters.in_flight() == 0 {
            if std::mem::take(&mut self.reported) {
                let seconds = (now - self.heard).as_secs();
                tracing::info!(seconds, "the brokers acknowledge again");
            }
            (self.heard, self.acknowledged) = (now, counters.acknowledged);
        }
        let silent = now - self.heard;
        if silent < SILENCE {
            return None;
        }
        if !std::mem::replace(&mut self.reported, true) {
            tracing::warn!(in_flight = counters.in_flight(), "the brokers acknowledge nothing: records wait");
        }
        Some(format!("no acknowledgement for {} s", silent.as_secs()))
    }
}

/// Writes the line over the one before; at the end it is wiped, because the summary follows.
fn show(snapshot: &Snapshot, ended: bool, line: &mut String) {
    line.clear();
    line.push_str("\r\x1b[2K");
    if !ended {
        // Without wrapping, a terminal that is too narrow cuts the line instead of scrolling.
        line.push_str("\x1b[?7l");
        describe(snapshot, line);
        line.push_str("\x1b[?7h");
    }
    // A terminal that has gone away is no reason to stop producing; the summary goes elsewhere.
    drop(std::io::stderr().lock().write_all(line.as_bytes()));
}

fn describe(snapshot: &Snapshot, line: &mut String) {
    let Snapshot { elapsed, counters, records_per_second, latency, broker_problem } = snapshot;
    let (elapsed, rate) = (elapsed.as_secs(), thousands(records_per_second.round() as u64));
    let (acknowledged, in_flight) = (thousands(counters.acknowledged), thousands(counters.in_flight()));
    let text = if let Some(problem) = broker_problem {
        // What the client adds in parentheses about its own state only makes the line longer.
        let problem = problem.split(" (after ").next().unwrap_or_default();
        format!(
            "{elapsed:>4} s  waiting for Kafka  {acknowledged} acknowledged  {in_flight} in flight  {problem}"
        )
    } else {
        let LatencyMillis { p50, p99, .. } = (*latency).into();
        format!(
            "{elapsed:>4} s  {rate}/s  {acknowledged} acknowledged  {in_flight} in flight  p50 {p50:.1} p99 {p99:.1} ms"
        )
    };
    line.push_str(&text);
}

fn log(snapshot: &Snapshot) {
    tracing::info!(
        acknowledged = snapshot.counters.acknowledged,
        in_flight = snapshot.counters.in_flight(),
        failed = snapshot.counters.failed,
        records_per_second = snapshot.records_per_second.round(),
        p50_us = snapshot.latency.p50,
        p99_us = snapshot.latency.p99,
        broker_problem = snapshot.broker_problem,
        "producing"
    );
}

#[cfg(test)]
mod tests {
    use super::*;

    fn line(broker_problem: Option<&str>) -> String {
        let mut line = String::new();
        let snapshot = Snapshot {
            elapsed: Duration::from_secs(12),
            counters: ProducerCounters { accepted: 4_260_000, acknowledged: 4_251_212, failed: 0, bytes: 1 },
            records_per_second: 354_999.7,
            latency: LatencySnapshot { count: 1, p50: 3_100, p95: 5_000, p99: 8_400, max: 9_000 },
            broker_problem: broker_problem.map(str::to_owned),
        };
        describe(&snapshot, &mut line);
        line
    }

    #[test]
    fn silent_brokers_are_noticed_only_while_records_wait() {
        let start = Instant::now();
        let mut silence = Silence::new(start);
        let mut said = Vec::new();
        // Seconds, accepted, acknowledged.
        for (at, accepted, acknowledged) in
            [(1, 0, 0), (9, 5, 5), (12, 9, 5), (13, 9, 5), (14, 9, 9), (60, 9, 9)]
        {
            let counters = ProducerCounters { accepted, acknowledged, failed: 0, bytes: 0 };
            said.push(silence.observe(start + Duration::from_secs(at), counters));
        }
        let waiting = |seconds: u64| Some(format!("no acknowledgement for {seconds} s"));
        assert_eq!(said, [None, None, waiting(3), waiting(4), None, None]);
    }

    #[test]
    fn the_line_says_what_matters_and_fits_a_terminal() {
        let text = "  12 s  355,000/s  4,251,212 acknowledged  8,788 in flight  p50 3.1 p99 8.4 ms";
        assert_eq!(line(None), text);
        assert!(text.len() < 80);
        assert_eq!(
            line(Some("localhost:9092/1: Connect failed: Connection refused (after 0ms in state CONNECT)")),
            "  12 s  waiting for Kafka  4,251,212 acknowledged  8,788 in flight  localhost:9092/1: Connect failed: \
             Connection refused"
        );
    }
}
