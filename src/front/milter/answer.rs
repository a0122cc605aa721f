//! Replies in the words of the milter protocol.

use indymilter::{SetErrorReply, SmtpReply, Status};

use crate::model::reply::Reply;

/// Lets the milter reply carry a refusal verbatim; without one, the session goes on. Never ACCEPT:
/// that would end the checks of this message.
pub fn status(reply: Option<&Reply>, out: &mut SmtpReply) -> Status {
    let Some(reply) = reply else {
        return Status::Continue;
    };
    // Postfix takes "%%" for "%" and drops a single one.
    let text = reply.text.replace('%', "%%");
    let said = out.set_error_reply(
        &reply.code.to_string(),
        Some(reply.enhanced),
        [text.as_str()],
    );
    if let Err(error) = said {
        // Our own words, so this is a fault of ours: without them, but not without refusing.
        let error = error.to_string();
        tracing::error!(error, "a reply could not be said to Postfix");
    }
    // indymilter uses the reply only if its class is that of the status.
    if reply.code >= 500 {
        Status::Reject
    } else {
        Status::Tempfail
    }
}
