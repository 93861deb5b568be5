//! What has to be done for logs without anybody asking: retention, compaction, checkpoints and `flush.ms`.
//!
//! One task does it for all partitions, one partition after the other on a thread that may wait for the disk. So a
//! thousand idle partitions cost no timer and no thread, and a compaction never takes more than one core. Flushing has a
//! thread of its own, because a long compaction must not put it off.

use std::sync::Arc;
use std::time::Duration;

use tokio::time;

use super::configuration::Overrides;
use super::{Catalog, setting};
use crate::log::{Log, LogError};

/// The shortest time between two flushes, whatever the topics' settings say: more often would do nothing else.
const SHORTEST_FLUSH: Duration = Duration::from_millis(10);

/// Looks after all partitions every so often; it has no end of its own. When it is dropped, a pass that goes on ends with
/// the partition it is at as soon as the catalog is closed.
pub(crate) async fn keep_house(catalog: Arc<Catalog>, every: Duration) {
    let sweeps = async {
        loop {
            time::sleep(every).await;
            blocking(&catalog, Catalog::sweep).await;
        }
    };
    let flushes = async {
        loop {
            let flush = catalog.shortest_flush().unwrap_or(Duration::MAX);
            tokio::select! {
                () = time::sleep(flush) => blocking(&catalog, Catalog::flush).await,
                () = catalog.changed.notified() => {}
            }
        }
    };
    let ((), ()) = tokio::join!(sweeps, flushes);
}

/// Runs a pass where waiting for the disk is allowed.
async fn blocking(catalog: &Arc<Catalog>, pass: fn(&Catalog)) {
    let catalog = Arc::clone(catalog);
    if let Err(error) = tokio::task::spawn_blocking(move || pass(&catalog)).await {
        tracing::error!(%error, "looking after the logs failed");
    }
}

impl Catalog {
    /// Retention, compaction and checkpoints of all partitions.
    pub(super) fn sweep(&self) {
        self.remove_deleted();
        self.each(|_| true, |log| log.housekeep(crate::now_ms()));
    }

    /// Writes the partitions of topics with `flush.ms` to the disk.
    fn flush(&self) {
        self.each(|overrides| self.flush_ms(overrides).is_some(), Log::flush);
    }

    fn each(&self, wanted: impl Fn(&Overrides) -> bool, work: impl Fn(&Log) -> Result<(), LogError>) {
        for topic in self.all().iter().filter(|topic| wanted(&topic.overrides)) {
            for (partition, log) in topic.partitions.iter().enumerate() {
                let closed = self.closed.read().expect("no work on a log panics");
                if *closed {
                    return;
                }
                if let Err(error) = work(log)
                    && !matches!(error, LogError::Deleted)
                {
                    tracing::error!(topic = %topic.name.0, partition, %error, "cannot look after a log");
                }
            }
        }
    }

    /// How often a topic wants to be written to the disk, in milliseconds; `None` for never.
    fn flush_ms(&self, overrides: &Overrides) -> Option<u64> {
        let definition = setting::find("flush.ms").expect("the name is in the table");
        let flush_ms: i64 =
            self.defaults.value(overrides, definition).parse().expect("the value was checked");
        Some(flush_ms).filter(|flush_ms| *flush_ms != i64::MAX).map(|flush_ms| flush_ms as u64)
    }

    pub(super) fn shortest_flush(&self) -> Option<Duration> {
        let shortest =
            self.topics().by_name.values().filter_map(|topic| self.flush_ms(&topic.overrides)).min()?;
        Some(Duration::from_millis(shortest).max(SHORTEST_FLUSH))
    }
}
