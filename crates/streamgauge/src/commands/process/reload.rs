//! Windows and rules that are read again while the processor runs.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use anyhow::Context as _;
use engine::Plan;
use engine::plan::WindowInput;
use processors::PlanHandle;
use runtime::{HangUps, Shutdown, StopReason, Tasks};
use tracing::{error, info, warn};

use crate::cli::Cli;
use crate::service::Service;
use crate::settings::{self, Layer, Loaded, ProcessSettings, SettingsError, Sources};

/// How often it is looked for a SIGHUP and a changed file.
const LOOK: Duration = Duration::from_millis(500);
/// How long the thread may take to end.
const STOP_WITHIN: Duration = Duration::from_secs(2);

/// The thread that looks for changed settings.
pub(crate) struct Reloading {
    shutdown: Shutdown,
    tasks: Tasks,
}

/// What settings are read again from, and the last that were.
struct Reload {
    /// The file asked for on the command line.
    asked: Option<PathBuf>,
    flags: Layer,
    /// The file that was read, if any.
    file: Option<PathBuf>,
    seen: Option<Stamp>,
    plan: PlanHandle,
    /// Whether the processor reads events: it does if a window needed them at the start.
    reads_events: bool,
    process: ProcessSettings,
}

/// What tells a changed file from the one that was read.
type Stamp = (SystemTime, u64);

fn counts_events(plan: &Plan) -> bool {
    plan.spec.windows.iter().any(|window| window.over == WindowInput::Events)
}

fn stamp(file: Option<&Path>) -> Option<Stamp> {
    let metadata = std::fs::metadata(file?).ok()?;
    Some((metadata.modified().ok()?, metadata.len()))
}

impl Reloading {
    /// Begins to look.
    pub(crate) fn start(
        plan: &PlanHandle,
        cli: &Cli,
        loaded: &Loaded,
        hang_ups: HangUps,
        service: &Service,
    ) -> anyhow::Result<Self> {
        let mut reload = Reload {
            asked: cli.settings_file().map(Path::to_owned),
            flags: cli.settings(),
            file: loaded.file.clone(),
            seen: stamp(loaded.file.as_deref()),
            plan: plan.clone(),
            reads_events: counts_events(&plan.current()),
            process: loaded.settings.process.clone(),
        };
        let shutdown = Shutdown::new();
        let mut tasks = Tasks::new(shutdown.clone());
        let (own, whole) = (shutdown.clone(), service.shutdown.clone());
        let work = move || {
            while !own.wait(LOOK) && !whole.is_requested() {
                let stamp = stamp(reload.file.as_deref());
                // A file that is away for a moment is about to be replaced.
                let changed = stamp.is_some() && stamp != reload.seen;
                if hang_ups.take() || changed {
                    reload.seen = stamp;
                    reload.read();
                }
            }
            Ok::<(), std::io::Error>(())
        };
        tasks.spawn("settings", work).context("cannot start the thread that reads settings again")?;
        Ok(Self { shutdown, tasks })
    }

    /// Ends the thread.
    pub(crate) fn stop(self) {
        self.shutdown.request(StopReason::Requested);
        if let Err(error) = self.tasks.join(STOP_WITHIN) {
            warn!(%error, "the thread that reads settings again did not end well");
        }
    }
}

impl Reload {
    fn read(&mut self) {
        let process = match settings::load(Sources::of_process(self.asked.as_deref(), self.flags.clone())) {
            Ok(loaded) => loaded.settings.process,
            Err(SettingsError::Plan { mistakes }) => {
                for mistake in &mistakes {
                    error!("{mistake}");
                }
                return error!("the settings have mistakes: the windows and rules in force stay");
            }
            Err(mistake) => return error!("{mistake}: the windows and rules in force stay"),
        };
        let plan = match Plan::compile(process.plan.clone()) {
            Ok(plan) => plan,
            Err(mistakes) => return error!(?mistakes, "the windows and rules in force stay"),
        };
        let (windows, rules) = (plan.spec.windows.len(), plan.spec.rules.len());
        if counts_events(&plan) && !self.reads_events {
            warn!("windows over events are new: events are read after a restart");
        }
        if self.plan.replace(Arc::new(plan)) {
            // Told even where only warnings are: whoever changed a rule wants to know.
            warn!(windows, rules, "the settings were read again: these windows and rules are in force now");
        } else {
            info!("the settings were read again: windows and rules are the same");
        }
        let rest = |settings: &ProcessSettings| ProcessSettings {
            plan: self.process.plan.clone(),
            ..settings.clone()
        };
        if rest(&process) != rest(&self.process) {
            warn!("other settings of the processor changed too: they hold after a restart");
        }
        self.process = process;
    }
}
