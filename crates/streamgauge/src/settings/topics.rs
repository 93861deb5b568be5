//! The topic catalogue as these settings want it.

use model::topics::{ALERTS, ANALYTICS, EVENTS};
use model::{TopicSpec, catalogue, is_dead_letter_topic};

use super::{TopicSettings, TopicShape};

impl TopicSettings {
    /// Every topic of the catalogue.
    pub(crate) fn catalogue(&self) -> Vec<TopicSpec> {
        catalogue().into_iter().map(|spec| self.shaped(spec)).collect()
    }

    /// One topic: as in the catalogue, or as the dead-letter topic that its name says, or else like `sensor-data`.
    pub(crate) fn spec(&self, name: &str) -> TopicSpec {
        let known = catalogue().into_iter().find(|spec| spec.name == name);
        let spec = known.unwrap_or_else(|| {
            let origin = name.strip_suffix(".dlq").filter(|origin| !origin.is_empty());
            let mut spec = origin.map_or_else(
                || catalogue().into_iter().next().expect("the catalogue is not empty"),
                TopicSpec::dead_letters,
            );
            name.clone_into(&mut spec.name);
            spec
        });
        self.shaped(spec)
    }

    fn shaped(&self, mut spec: TopicSpec) -> TopicSpec {
        let shape = self.shape(&spec.name);
        spec.partitions = shape.partitions;
        spec.retention = shape.retention;
        spec.replication_factor = self.replication_factor;
        if let Some(replicas) = self.min_insync_replicas {
            spec.config.insert("min.insync.replicas".to_owned(), replicas.to_string());
        }
        spec
    }

    fn shape(&self, name: &str) -> TopicShape {
        match name {
            EVENTS => self.events,
            ALERTS => self.alerts,
            ANALYTICS => self.analytics,
            name if is_dead_letter_topic(name) => self.dead_letters,
            // Readings, and what is in no catalogue.
            _ => self.sensor_data,
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use model::topics::SENSOR_DATA;

    use super::*;

    #[test]
    fn settings_shape_the_catalogue() {
        let day = Duration::from_hours(24);
        let shape = |partitions| TopicShape { partitions, retention: day * partitions as u32 };
        let settings = TopicSettings {
            replication_factor: Some(3),
            min_insync_replicas: Some(2),
            sensor_data: shape(6),
            events: shape(5),
            alerts: shape(4),
            analytics: shape(3),
            dead_letters: shape(2),
        };
        let catalogue = settings.catalogue();
        assert_eq!(catalogue.len(), 8);
        assert!(catalogue.iter().all(|spec| spec.config["min.insync.replicas"] == "2"));
        for (name, partitions) in
            [(SENSOR_DATA, 6), (EVENTS, 5), (ALERTS, 4), ("events.dlq", 2), ("mine", 6), ("mine.dlq", 2)]
        {
            let spec = settings.spec(name);
            let is = (spec.name.as_str(), spec.partitions, spec.retention, spec.replication_factor);
            assert_eq!(is, (name, partitions, day * partitions as u32, Some(3)));
            assert_eq!(spec.config.contains_key("max.message.bytes"), is_dead_letter_topic(name));
        }
    }
}
