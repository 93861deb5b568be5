//! Which windows select which sensor: sensors that the same windows select share a number.

use crate::plan::{Plan, WindowInput};

/// The sets of windows that some sensor is selected by.
#[derive(Debug, Default)]
pub(super) struct Selections {
    sets: Vec<Box<[u16]>>,
}

impl Selections {
    /// The number of a sensor's set; for an event, `id` begins with its type.
    pub(super) fn of(&mut self, plan: &Plan, id: &str, event: bool) -> u16 {
        let name = if event { id.split(super::EVENT_ID_SEPARATOR).next().unwrap_or(id) } else { id };
        let over = if event { WindowInput::Events } else { WindowInput::Readings };
        let selecting = plan.windows.iter().enumerate();
        let selecting = selecting.filter(|(_, window)| window.over == over && window.select.matches(name));
        let set: Box<[u16]> = selecting.map(|(at, _)| at as u16).collect();
        let known = self.sets.iter().position(|known| *known == set);
        let number = known.unwrap_or_else(|| {
            self.sets.push(set);
            self.sets.len() - 1
        });
        number as u16
    }

    /// The windows of a set.
    #[inline]
    pub(super) fn definitions(&self, number: u16) -> &[u16] {
        &self.sets[usize::from(number)]
    }
}
