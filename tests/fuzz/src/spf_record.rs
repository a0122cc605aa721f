//! An SPF record prints as it is read.

use std::sync::Arc;

use outgate::spf::publication;
use outgate::spf::record::{MAX_RECORD, Record};

/// Input: the text of a record.
pub fn check(input: &[u8]) {
    let strings: [Arc<[u8]>; 2] = [Arc::from(input), Arc::from(&b"v=spf10 -all"[..])];
    let selected = publication::select(&strings);
    if let Ok(Some(text)) = &selected {
        assert!(***text == *input && text.len() <= MAX_RECORD);
    }
    let Ok(record) = publication::read(input) else {
        return;
    };
    // What can be read as a record is one, unless it is too long.
    assert!(!matches!(selected, Ok(None)));
    let printed = record.to_string();
    assert_eq!(Record::parse(&printed).as_ref(), Ok(&record), "{printed:?}");
    assert!(record.reachable().len() <= record.directives.len());
    if record.never_sends() {
        assert!(record.effective_redirect().is_none());
    }
}
