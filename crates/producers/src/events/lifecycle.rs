//! What can happen to an entity, in which order, and how likely.
//!
//! Each kind of entity is a small state machine. An event is only ever followed by one that can follow it in life:
//! nothing is shipped before it is paid, nobody logs out who is not logged in.

use crate::noise::Noise;

/// A kind of entity that events are about.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Kind {
    /// An order in a shop.
    Order,
    /// A user's logins.
    User,
    /// A device's life.
    Device,
    /// An error in a service, until it is resolved.
    Incident,
}

/// One event in a life: its name and what may follow, with weights. Nothing following is the end of the life.
#[derive(Debug)]
struct State {
    event: &'static str,
    next: &'static [(u32, usize)],
}

const fn state(event: &'static str, next: &'static [(u32, usize)]) -> State {
    State { event, next }
}

/// Leaving the machine: the entity's life is over.
const OVER: usize = usize::MAX;

const ORDER: &[State] = &[
    state("created", &[(85, 1), (10, 2), (5, 3)]),
    state("paid", &[(95, 4), (5, 8)]),
    state("payment-failed", &[(70, 1), (30, 3)]),
    state("cancelled", &[]),
    state("packed", &[(100, 5)]),
    state("shipped", &[(98, 6), (2, 9)]),
    state("delivered", &[(93, OVER), (7, 7)]),
    state("returned", &[(100, 9)]),
    // Cancelled when it was paid already, so the money goes back.
    state("cancelled", &[(100, 9)]),
    state("refunded", &[]),
];

const USER: &[State] = &[
    state("registered", &[(95, 1), (5, 2)]),
    state("logged-in", &[(85, 3), (10, 6), (5, 7)]),
    state("login-failed", &[(70, 1), (25, 2), (5, 4)]),
    state("logged-out", &[(88, 1), (12, 2)]),
    state("locked", &[(100, 5)]),
    state("unlocked", &[(90, 1), (10, 2)]),
    state("session-expired", &[(85, 1), (15, 2)]),
    state("password-changed", &[(90, 3), (10, 6)]),
];

const DEVICE: &[State] = &[
    state("provisioned", &[(100, 1)]),
    state("online", &[(60, 2), (20, 3), (15, 4), (5, 6)]),
    state("offline", &[(94, 1), (6, 6)]),
    state("firmware-updated", &[(100, 1)]),
    state("battery-low", &[(70, 5), (30, 2)]),
    state("battery-replaced", &[(80, 2), (20, 3)]),
    state("decommissioned", &[]),
];

const INCIDENT: &[State] = &[
    state("raised", &[(70, 1), (10, 2), (20, 3)]),
    state("acknowledged", &[(100, 3)]),
    state("escalated", &[(100, 1)]),
    state("resolved", &[(95, OVER), (5, 4)]),
    state("reopened", &[(100, 1)]),
];

impl Kind {
    /// Every kind, with its share of the entities in percent.
    pub(super) const SHARES: [(Self, u32); 4] =
        [(Self::Order, 45), (Self::User, 30), (Self::Device, 20), (Self::Incident, 5)];

    /// The name, as in entity ids and event types.
    pub fn name(self) -> &'static str {
        match self {
            Self::Order => "order",
            Self::User => "user",
            Self::Device => "device",
            Self::Incident => "incident",
        }
    }

    /// The source of its events: the part of the imagined system that they come from.
    pub(super) fn source(self) -> &'static str {
        match self {
            Self::Order => "/simulator/shop",
            Self::User => "/simulator/accounts",
            Self::Device => "/simulator/fleet",
            Self::Incident => "/simulator/operations",
        }
    }

    fn states(self) -> &'static [State] {
        match self {
            Self::Order => ORDER,
            Self::User => USER,
            Self::Device => DEVICE,
            Self::Incident => INCIDENT,
        }
    }
}

/// Where an entity stands in its life.
#[derive(Debug, Clone, Copy)]
pub(super) struct Life {
    kind: Kind,
    state: usize,
}

impl Life {
    /// The first event of a life.
    pub(super) fn begin(kind: Kind) -> Self {
        Self { kind, state: 0 }
    }

    /// The event's name.
    pub(super) fn event(self) -> &'static str {
        self.kind.states()[self.state].event
    }

    /// The next event, or `None` at the end.
    pub(super) fn next(self, noise: &mut Noise) -> Option<Self> {
        let next = self.kind.states()[self.state].next;
        let total: u32 = next.iter().map(|(weight, _)| weight).sum();
        let mut drawn = noise.whole(1, total.max(1));
        let (_, state) = next.iter().find(|(weight, _)| {
            let hit = drawn <= *weight;
            drawn = drawn.saturating_sub(*weight);
            hit
        })?;
        (*state != OVER).then_some(Self { state: *state, ..self })
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;
    use crate::noise::Purpose;

    #[test]
    fn every_state_can_be_reached_and_every_step_exists() {
        for (kind, _) in Kind::SHARES {
            let mut noise = Noise::new(1, Purpose::Happening, 0);
            let mut seen = BTreeSet::new();
            let mut life = Life::begin(kind);
            for _ in 0..20_000 {
                seen.insert(life.state);
                life = life.next(&mut noise).unwrap_or(Life::begin(kind));
            }
            assert_eq!(seen.len(), kind.states().len(), "{kind:?}");
        }
    }

    #[test]
    fn lives_are_believable() {
        let mut noise = Noise::new(1, Purpose::Happening, 0);
        for _ in 0..2_000 {
            let mut life = Life::begin(Kind::Order);
            let mut story = vec![life.event()];
            while let Some(next) = life.next(&mut noise) {
                life = next;
                story.push(life.event());
            }
            let at = |event| story.iter().position(|seen| *seen == event);
            assert_eq!(at("created"), Some(0));
            assert!(
                at("shipped").is_none_or(|shipped| at("paid").is_some_and(|paid| paid < shipped)),
                "{story:?}"
            );
            assert!(at("refunded").is_none_or(|_| at("paid").is_some()), "{story:?}");
            assert!(["delivered", "cancelled", "refunded"].contains(story.last().expect("not empty")));
        }
    }
}
