//! What `up` shows: what runs where at the start, a line of figures that is written again and again, the totals at the
//! end.

use std::io::Write as _;
use std::time::{Duration, Instant};

use runtime::RateMeter;
use serde_json::json;

use super::pipeline::{Pipeline, Source, Totals};
use crate::cli::OutputFormat;
use crate::commands::Context;
use crate::commands::status_line::{Look, StatusLine};
use crate::output;
use crate::service::Service;

/// How often a failed part, and the first result, are looked for.
const WATCH: Duration = Duration::from_millis(20);
/// The shown rate of the analytics is that of so much time.
const RATE_WINDOW: Duration = Duration::from_secs(3);

/// Shows the pipeline until a signal ends it or a part fails; then stops it and prints the totals.
pub(super) fn follow(pipeline: Pipeline, context: &Context, service: &Service) -> anyhow::Result<()> {
    announce(&pipeline, context)?;
    let (mut line, mut rate) = (StatusLine::new(context), RateMeter::new(RATE_WINDOW));
    let mut first_result = None;
    while !service.shutdown.wait(WATCH) && !pipeline.has_failed() {
        if first_result.is_none() && pipeline.analytics.progress().is_some_and(|seen| seen.readings > 0) {
            first_result = Some(pipeline.started.elapsed());
        }
        update(&mut line, &mut rate, &pipeline);
    }
    line.wipe();
    let totals = pipeline.stop()?;
    print_totals(&totals, first_result, context)
}

fn announce(pipeline: &Pipeline, context: &Context) -> anyhow::Result<()> {
    let (home, settings) = (&pipeline.home, &context.settings);
    let metrics = settings.metrics_listen.as_deref();
    if context.output == OutputFormat::Json {
        let (directory, continued) = home.data.as_ref().map(|(path, used)| (path, *used)).unzip();
        let start = json!({"bootstrap": home.bootstrap, "embedded": home.data.is_some(), "data_dir": directory,
            "continued": continued, "metrics": metrics, "store": pipeline.store, "page": pipeline.page_url()});
        return output::print(|out| writeln!(out, "{start}"));
    }
    let mut rows = Vec::new();
    rows.push(("page", pipeline.page_url().unwrap_or_else(|| "off".to_owned())));
    match &home.data {
        Some((directory, used_before)) => {
            rows.push(("broker", format!("{}, embedded: Kafka clients connect here", home.bootstrap)));
            let state = if *used_before { "continued" } else { "new" };
            rows.push(("data", format!("{} ({state})", directory.display())));
        }
        None => rows.push(("broker", home.bootstrap.clone())),
    }
    let produce = &settings.produce;
    if pipeline.simulated {
        let pace = match (produce.rate, produce.interval) {
            (Some(rate), _) => format!("{rate} readings/s"),
            (None, interval) => {
                format!("each once per {} s", interval.unwrap_or_default().as_secs_f64())
            }
        };
        rows.push(("sensors", format!("{} simulated, {pace}, to sensor-data", produce.num_sensors)));
        rows.push(("events", "simulated, to events".to_owned()));
    } else {
        rows.push(("sensors", "yours: readings are expected in sensor-data".to_owned()));
    }
    let bound = settings.analyze.high_temperature;
    rows.push(("analytics", format!("group {}, alerts above {bound} °C", settings.analyze.group)));
    let plan = &settings.process.plan;
    let (windows, rules) = (plan.windows.len(), plan.rules.len());
    rows.push((
        "processor",
        format!("{windows} windows to analytics, {rules} rules to alerts, exactly once"),
    ));
    let stored = match &pipeline.store {
        Some(path) => format!("Parquet in {}", path.display()),
        None => "off; store.parquet.path turns it on".to_owned(),
    };
    rows.push(("storage", stored));
    rows.push(("metrics", metrics.map_or("off; --metrics-listen turns them on".to_owned(), str::to_owned)));
    rows.push(("try", format!("streamgauge -b {} analyze --group mine", home.bootstrap)));
    output::print(|out| {
        writeln!(out, "streamgauge is up; Ctrl-C stops it in order")?;
        rows.iter().try_for_each(|(name, text)| writeln!(out, "  {name:<10} {text}"))
    })
}

fn print_totals(totals: &Totals, first_result: Option<Duration>, context: &Context) -> anyhow::Result<()> {
    let Totals { sensors, events, analytics, processor, storage } = totals;
    if context.output == OutputFormat::Json {
        let end = json!({"sensors": sensors, "events": events, "analytics": analytics, "processor": processor,
            "storage": storage,
            "first_analytics_seconds": first_result.map(|it| it.as_secs_f64())});
        return output::print(|out| writeln!(out, "{end}"));
    }
    output::print(|out| {
        for (name, summary) in [("sensors", sensors), ("events", events)] {
            if let Some(summary) = summary {
                write!(out, "{name}\n{summary}")?;
            }
        }
        if let Some(summary) = analytics {
            write!(out, "analytics\n{summary}")?;
        }
        if let Some(summary) = processor {
            write!(out, "processor\n{summary}")?;
        }
        if let Some(summary) = storage {
            write!(out, "storage\n{summary}")?;
        }
        if let Some(first) = first_result {
            writeln!(out, "first result       {:>11.2} s  after the start", first.as_secs_f64())?;
        }
        Ok(())
    })
}

fn update(line: &mut StatusLine, rate: &mut RateMeter, pipeline: &Pipeline) {
    let Some(look) = line.due() else { return };
    let seen = pipeline.analytics.progress().unwrap_or_default();
    let processed = pipeline.processor.progress().unwrap_or_default();
    let stored = pipeline.storage.progress().unwrap_or_default();
    let rate = rate.sample(Instant::now(), seen.readings);
    let (sensors, events) = (per_second(&pipeline.sensors), per_second(&pipeline.events));
    let problem = seen.problem.as_ref().or(processed.problem.as_ref()).or(stored.problem.as_ref());
    let rows = stored.all_rows();
    match look {
        Look::Logged => tracing::info!(
            sensors_per_second = sensors,
            events_per_second = events,
            readings = seen.readings,
            windows = processed.windows_closed,
            alarms = processed.alarms_fired,
            stored = rows,
            dead_letters = seen.dead_letters + processed.dead_letters,
            lag = seen.lag,
            problem,
            "up"
        ),
        Look::Shown { elapsed } => line.show(&match problem {
            Some(problem) => format!("{elapsed:>4} s  waiting: {problem}"),
            None => format!(
                "{elapsed:>4} s  sensors {sensors:.0}/s  events {events:.0}/s  analytics {rate:.0}/s  \
                 {} sensors  {} windows  {} alarms  {rows} stored  {} dead letters  lag {}",
                seen.sensors,
                processed.windows_closed,
                processed.alarms_fired,
                seen.dead_letters + processed.dead_letters,
                seen.lag
            ),
        }),
    }
}

/// Acknowledged records a second of a source that may not have begun.
fn per_second(source: &Source) -> f64 {
    source.latest().map_or(0.0, |snapshot| snapshot.records_per_second)
}
