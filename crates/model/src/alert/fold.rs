//! Alarms as they are now: the processor's records and those of people under the same id, put together.

use std::collections::BTreeMap;

use super::{Alert, AlertRecord, AlertState, PersonRecord, PersonState};
use crate::time::EventTime;

/// One alarm as it is now.
#[derive(Debug, Clone, PartialEq)]
pub struct Alarm {
    /// The processor's newest record.
    pub alert: Alert,
    /// Its record of the firing: why the alarm is there. The newest one, where the firing is not in the topic any more.
    pub fired: Alert,
    /// Who looks after it, newest first.
    pub acknowledged: Option<PersonRecord>,
    /// Who wants no one to hear of it, and until when.
    pub snoozed: Option<PersonRecord>,
    /// What was written down, oldest first.
    pub notes: Vec<PersonRecord>,
}

impl Alarm {
    /// Whether its rule still holds.
    pub fn is_active(&self) -> bool {
        self.alert.state != AlertState::Cleared
    }

    /// Whether nobody wants to hear of it at this time.
    pub fn is_snoozed(&self, now: EventTime) -> bool {
        self.snoozed.as_ref().and_then(|record| record.until).is_some_and(|until| now < until)
    }
}

/// All alarms of the records shown so far, by id.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Alarms {
    alarms: BTreeMap<String, Alarm>,
    /// What people did about alarms of which the processor's record was not there (yet).
    early: BTreeMap<String, Vec<PersonRecord>>,
}

impl Alarms {
    /// Takes the next record of the topic in.
    pub fn apply(&mut self, record: AlertRecord) {
        match record {
            AlertRecord::Alert(alert) => self.alert(*alert),
            AlertRecord::Person(record) => match self.alarms.get_mut(&record.id) {
                Some(alarm) => alarm.person(record),
                None => self.early.entry(record.id.clone()).or_default().push(record),
            },
        }
    }

    fn alert(&mut self, alert: Alert) {
        if let Some(alarm) = self.alarms.get_mut(&alert.id) {
            alarm.alert = alert;
            return;
        }
        let mut alarm =
            Alarm { fired: alert.clone(), alert, acknowledged: None, snoozed: None, notes: Vec::new() };
        for record in self.early.remove(&alarm.alert.id).unwrap_or_default() {
            alarm.person(record);
        }
        self.alarms.insert(alarm.alert.id.clone(), alarm);
    }

    /// Forgets alarms that are over, those cleared longest ago first, until there are at most `most` in all (or only active
    /// ones); for those who follow the topic without end.
    pub fn shrink(&mut self, most: usize) {
        let mut over: Vec<(EventTime, &String)> = self
            .alarms
            .iter()
            .filter(|(_, alarm)| !alarm.is_active())
            .map(|(id, alarm)| (alarm.alert.at, id))
            .collect();
        over.sort_unstable();
        let excess = self.alarms.len().saturating_sub(most);
        let forgotten: Vec<String> = over.into_iter().take(excess).map(|(_, id)| id.clone()).collect();
        for id in forgotten {
            self.alarms.remove(&id);
        }
        while self.early.len() > most {
            self.early.pop_first();
        }
    }

    /// One alarm.
    pub fn get(&self, id: &str) -> Option<&Alarm> {
        self.alarms.get(id)
    }

    /// All of them, by id.
    pub fn iter(&self) -> impl Iterator<Item = &Alarm> {
        self.alarms.values()
    }

    /// How many there are.
    pub fn len(&self) -> usize {
        self.alarms.len()
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.alarms.is_empty()
    }
}

impl Alarm {
    fn person(&mut self, record: PersonRecord) {
        match record.state {
            PersonState::Acknowledged => self.acknowledged = Some(record),
            PersonState::Snoozed => self.snoozed = Some(record),
            PersonState::Note => self.notes.push(record),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::tests::alert;
    use super::*;

    fn person(state: PersonState) -> PersonRecord {
        PersonRecord {
            id: alert().id,
            sensor_id: "S".into(),
            rule: "hot".into(),
            state,
            by: "ann".into(),
            at: EventTime::from_millis(0),
            until: Some(EventTime::from_millis(1_000)),
            text: None,
        }
    }

    #[test]
    fn records_of_one_id_are_one_alarm_in_whatever_order_they_come() {
        let mut alarms = Alarms::default();
        alarms.apply(AlertRecord::Person(person(PersonState::Note)));
        alarms.apply(AlertRecord::Alert(Box::new(alert())));
        alarms.apply(AlertRecord::Person(person(PersonState::Snoozed)));
        let cleared = Alert { state: AlertState::Cleared, ..alert() };
        alarms.apply(AlertRecord::Alert(Box::new(cleared)));
        assert_eq!(alarms.len(), 1);
        let alarm = alarms.get(&alert().id).expect("applied");
        assert!(!alarm.is_active() && alarm.fired.state == AlertState::Firing);
        assert_eq!((alarm.notes.len(), alarm.acknowledged.is_some()), (1, false));
        assert!(
            alarm.is_snoozed(EventTime::from_millis(999)) && !alarm.is_snoozed(EventTime::from_millis(1_000))
        );
    }
}
