//! What the members of a consumer group are subscribed to: the coordinator looks into their metadata for nothing but
//! the names of topics, to know which offsets are still in use.
//!
//! The metadata is Kafka's `ConsumerProtocolSubscription`, whose versions all begin alike: version (i16), topics
//! (i32 count, each an i16 length and UTF-8). It comes from clients: no number in it is believed.

use super::group::Group;

/// The topics that members are subscribed to; `None` if that cannot be told of every member.
pub(super) fn subscribed_topics(group: &Group) -> Option<Vec<String>> {
    let protocol = group.protocol.as_deref()?;
    let mut topics = Vec::new();
    for member in group.members.values() {
        topics.extend(topics_of(&member.metadata(protocol).0)?);
    }
    Some(topics)
}

fn topics_of(metadata: &[u8]) -> Option<Vec<String>> {
    let (_version, rest) = metadata.split_first_chunk::<2>()?;
    let (count, mut rest) = rest.split_first_chunk::<4>()?;
    let mut topics = Vec::new();
    for _ in 0..i32::from_be_bytes(*count) {
        let (length, after) = rest.split_first_chunk::<2>()?;
        let length = usize::try_from(i16::from_be_bytes(*length)).ok()?;
        let (name, after) = after.split_at_checked(length)?;
        topics.push(String::from_utf8(name.to_vec()).ok()?);
        rest = after;
    }
    Some(topics)
}

#[cfg(test)]
mod tests {
    use super::topics_of;

    #[test]
    fn topics_are_read_and_lies_are_not_believed() {
        let metadata = b"\0\x01\0\0\0\x02\0\x01a\0\x02bc\xff\xff\xff\xff";
        assert_eq!(topics_of(metadata), Some(vec!["a".to_owned(), "bc".to_owned()]));
        assert_eq!(topics_of(b"\0\x01\x7f\xff\xff\xff\0\x01a"), None);
        assert_eq!(topics_of(b"\0\x01\0\0\0\x01\xff\xffa"), None);
        assert_eq!(topics_of(b""), None);
    }
}
