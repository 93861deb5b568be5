//! What a place to store in has to do; the worker does the rest.

use kafka::TopicPartition;

use crate::table::Finished;
use crate::{Error, Table};

/// The stretch of a partition that is stored at once.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Span {
    /// The first offset; everything before it is stored.
    pub(crate) first: i64,
    /// The offset after the last.
    pub(crate) next: i64,
    /// Its records that went to the dead-letter topic.
    pub(crate) refused: u64,
    /// Its offsets that retention deleted before they could be read, which somebody has accepted.
    pub(crate) gap: u64,
}

/// Checks that a topic still has what comes next: `next` by what is stored, `low` and `high` by what the topic has. Where
/// it lost records before they were read, `accept_gaps` says whether that is known.
pub(crate) fn check(
    place: &TopicPartition,
    next: Option<i64>,
    (low, high): (i64, i64),
    accept_gaps: bool,
) -> Result<(), Error> {
    match next {
        Some(next) if next > high => Err(Error::Backwards { place: place.clone(), next, high }),
        Some(next) if next < low && !accept_gaps => Err(Error::Gap { place: place.clone(), next, low }),
        _ => Ok(()),
    }
}

/// What storing a stretch made.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Stored {
    pub(crate) files: u64,
    pub(crate) bytes: u64,
}

/// A place to store in.
///
/// # Guarantee
/// Rows and position become durable together: after a crash either both are there or neither. A sink that another one has
/// taken a partition over from stores nothing of it any more ([`Error::Fenced`]).
pub(crate) trait Sink {
    /// Where this is, for people; without secrets.
    fn name(&self) -> String;

    /// The next offset to store of a partition, whoever has it; `None` if nothing is stored of it.
    fn position(&mut self, place: &TopicPartition) -> Result<Option<i64>, Error>;

    /// Takes a partition over, from whoever has it. Where reading goes on; `None` if nothing is stored of it.
    fn take_over(&mut self, place: &TopicPartition, table: Table) -> Result<Option<i64>, Error>;

    /// Forgets a partition that was taken over.
    fn give_up(&mut self, place: &TopicPartition);

    /// Stores the rows of a stretch, if it has any, and that it is stored. Can be called again after a failure.
    fn store(&mut self, place: &TopicPartition, rows: Option<&Finished>, span: Span)
    -> Result<Stored, Error>;
}
