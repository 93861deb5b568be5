//! `produce sensors`: readings of simulated sensors, realistic or faulty on request, paced exactly.
//!
//! - [`Simulator`]: the fleet, without I/O; its module says what it promises.
//! - [`FaultPlan`]: which faults are injected, and how they are labelled.
//! - [`TimingFlags`]: how interval, rate and speed make one schedule.
//!
//! Every record has the header `sg-seq`, the number of the reading among those of its sensor in this run, from 1. A
//! record that a fault touched has its name in `sg-fault`. The record's own timestamp, by which Kafka deletes old
//! records, is the time of sending: simulated history would be deleted as soon as it was written otherwise.

mod climate;
mod condition;
mod faults;
mod key_format;
mod malformed;
mod sensor;
mod simulator;
mod timing;

use std::time::{Duration, Instant};

use kafka::{KafkaSettings, Outgoing, ProducerOptions};
use model::{EventTime, headers};
use runtime::Shutdown;

pub use faults::{Fault, FaultPlan, FaultPlanError};
pub use key_format::{KeyFormat, KeyFormatError};
pub use sensor::WARNING_ABOVE;
pub use simulator::{Cadence, Emission, MAX_SENSORS, Simulator, SimulatorCounts, SimulatorOptions};
pub use timing::{TimingError, TimingFlags};

use crate::delivery::{Outlet, Sent, Target, deliver};
use crate::digits::Digits;
use crate::error::Error;
use crate::pacing::{Pacer, Turn};
use crate::progress::Progress;
use crate::summary::{StoppedBy, Summary};

/// Live readings look at the wall clock once in so many records.
const LIVE_CLOCK_STRIDE: u32 = 16;

/// What `produce sensors` does.
#[derive(Debug, Clone)]
pub struct SensorsOptions {
    /// What is simulated.
    pub simulator: SimulatorOptions,
    /// The real time after which the run ends.
    pub duration: Option<Duration>,
    /// Where the readings go.
    pub target: Target,
}

/// Options of the simulator that cannot work.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
pub enum SensorsError {
    /// No sensors, or too many.
    #[error("--num-sensors {0} is not between 1 and {MAX_SENSORS}")]
    NumSensors(usize),
    /// The flags about time.
    #[error(transparent)]
    Timing(#[from] TimingError),
}

/// Simulates sensors and produces their readings until the count, the time or `shutdown` ends it.
pub fn run(
    options: &SensorsOptions,
    settings: &KafkaSettings,
    progress: Progress,
    shutdown: &Shutdown,
) -> Result<Summary, Error> {
    let prepared = Instant::now();
    let now = EventTime::from_micros(runtime::now_micros());
    let (mut simulator, timing) = Simulator::with_timing(&options.simulator, now)?;
    deliver(&options.target, settings, ProducerOptions::default(), progress, shutdown, |outlet, summary| {
        let mut run = Run {
            pacer: Pacer::start(timing.speed, options.duration),
            follows_clock: timing.start.is_none(),
            live: timing.interval_seconds.is_none(),
            refused: 0,
        };
        if run.follows_clock {
            // Connecting took a while; the first reading is of now.
            simulator.sleep(prepared.elapsed());
        }
        let stopped = run.produce(&mut simulator, outlet);
        let counts = simulator.counts();
        let labelled = Fault::ALL.into_iter().zip(counts.labelled).filter(|(_, count)| *count > 0);
        summary.faults = labelled.map(|(fault, count)| (fault.name(), count)).collect();
        summary.dropped_readings = counts.dropped;
        summary.unsent = run.refused + simulator.waiting();
        summary.moved_seconds = run.pacer.schedule().moved().as_secs_f64();
        summary.max_lateness_seconds = run.pacer.schedule().max_lateness().as_secs_f64();
        stopped
    })
}

struct Run {
    pacer: Pacer,
    /// Event time began at the wall clock's and stays with it.
    follows_clock: bool,
    /// Every reading bears the wall clock's time.
    live: bool,
    /// Records that were made and for which the client had no room before the end.
    refused: u64,
}

impl Run {
    fn produce(&mut self, simulator: &mut Simulator, outlet: &mut Outlet<'_>) -> Result<StoppedBy, Error> {
        let stopped = self.produce_on_time(simulator, outlet)?;
        // What faults hold back was taken before the end, so it is sent; nothing waits for its time any more.
        simulator.drain();
        while simulator.next_due().is_some() {
            if matches!(self.send_next(simulator, outlet)?, Sent::Stopped | Sent::TimeUp) {
                break;
            }
        }
        Ok(stopped)
    }

    fn produce_on_time(
        &mut self,
        simulator: &mut Simulator,
        outlet: &mut Outlet<'_>,
    ) -> Result<StoppedBy, Error> {
        let mut until_clock = 0;
        loop {
            if self.live && until_clock == 0 {
                simulator.set_now(runtime::now_micros());
                until_clock = LIVE_CLOCK_STRIDE;
            }
            until_clock = until_clock.saturating_sub(1);
            let Some(due) = simulator.next_due() else { return Ok(StoppedBy::Count) };
            match outlet.wait(&mut self.pacer, due)? {
                Turn::Due => {}
                Turn::NotYet => continue,
                Turn::TimeUp => return Ok(StoppedBy::Duration),
                Turn::Stopped => return Ok(outlet.stop_reason()),
            }
            if self.follows_clock {
                simulator.sleep(self.pacer.take_moved());
            }
            match self.send_next(simulator, outlet)? {
                Sent::Taken => {}
                Sent::TakenLate => until_clock = 0,
                Sent::TimeUp => return Ok(StoppedBy::Duration),
                Sent::Stopped => return Ok(outlet.stop_reason()),
            }
        }
    }

    fn send_next(&mut self, simulator: &mut Simulator, outlet: &mut Outlet<'_>) -> Result<Sent, Error> {
        let Some(emission) = simulator.next_emission() else { return Ok(Sent::Taken) };
        let digits = Digits::of(emission.sequence);
        let fault = emission.fault.map_or("", Fault::name);
        let headers = [(headers::SEQ, Some(digits.as_bytes())), (headers::FAULT, Some(fault.as_bytes()))];
        let record = Outgoing {
            key: Some(emission.key),
            value: Some(emission.payload),
            headers: if fault.is_empty() { &headers[..1] } else { &headers },
            ..Outgoing::default()
        };
        let sent = outlet.send(&record, &mut self.pacer)?;
        self.refused += u64::from(matches!(sent, Sent::Stopped | Sent::TimeUp));
        Ok(sent)
    }
}
