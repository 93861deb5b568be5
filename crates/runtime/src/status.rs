//! Readiness: which components are ready for work, and why those that are not are not.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// A shared register of components; clones share it.
#[derive(Debug, Clone, Default)]
pub struct Status {
    components: Arc<Mutex<BTreeMap<String, Option<String>>>>,
}

/// What a [`Status`] says at one moment.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StatusReport {
    /// True if there are components and none has a reason against it. A process whose components have not said anything
    /// yet is still starting.
    pub ready: bool,
    /// Each component with the reason why it is not ready; `None` means ready.
    pub components: BTreeMap<String, Option<String>>,
}

impl Status {
    /// A register without components.
    pub fn new() -> Self {
        Self::default()
    }

    /// Registers the component, or changes it, as ready.
    pub fn set_ready(&self, component: &str) {
        self.set(component, None);
    }

    /// Registers the component, or changes it, as not ready for this reason.
    pub fn set_unready(&self, component: &str, reason: impl Into<String>) {
        self.set(component, Some(reason.into()));
    }

    /// What holds now.
    pub fn report(&self) -> StatusReport {
        let components = self.lock().clone();
        let ready = !components.is_empty() && components.values().all(Option::is_none);
        StatusReport { ready, components }
    }

    fn set(&self, component: &str, reason: Option<String>) {
        let mut components = self.lock();
        match components.get_mut(component) {
            Some(known) => *known = reason,
            None => {
                components.insert(component.to_owned(), reason);
            }
        }
    }

    fn lock(&self) -> MutexGuard<'_, BTreeMap<String, Option<String>>> {
        self.components.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ready_only_when_every_component_is() {
        let status = Status::new();
        assert!(!status.report().ready);
        status.set_unready("kafka", "no broker answers");
        status.set_ready("http");
        let report = status.report();
        assert!(!report.ready);
        assert_eq!(report.components["kafka"].as_deref(), Some("no broker answers"));
        status.clone().set_ready("kafka");
        assert!(status.report().ready);
    }
}
