//! The events that outgate asks Postfix for, and nothing more: MAIL, RCPT, DATA, header fields and
//! their end without an answer, the end of the message. No body ever comes here.

use std::ffi::{CStr, CString};
use std::sync::Arc;

use indymilter::{
    Actions, Callbacks, Context, ContextActions, EomContext, MacroStage, NegotiateContext,
    ProtoOpts, Status,
};

use super::answer::status;
use super::session::Session;
use crate::engine::Engine;
use crate::journal::FrontEnd;

/// Macros by stage. Lists replace Postfix's own, so the defaults that are used stand here too.
const MACROS: [(MacroStage, &CStr); 4] = [
    (
        MacroStage::Mail,
        c"{auth_type} {auth_authen} {mail_addr} {client_addr} {client_port} {daemon_name} {daemon_port}",
    ),
    (MacroStage::Rcpt, c"i"),
    (MacroStage::Data, c"i"),
    (MacroStage::Eom, c"i"),
];

/// The callbacks of all sessions.
pub fn callbacks(engine: Arc<Engine>) -> Callbacks<Session> {
    let [e1, e2, e3, e4] = std::array::from_fn(|_| engine.clone());
    Callbacks::new()
        .on_negotiate(move |cx, actions, _| {
            negotiate(&e1, cx, actions);
            Box::pin(async { Status::Continue })
        })
        .on_mail(move |cx, arguments| Box::pin(mail(e2.clone(), cx, arguments)))
        .on_rcpt(move |cx, arguments| Box::pin(rcpt(e3.clone(), cx, arguments)))
        .on_header(|cx, name, value| {
            if let Some(session) = &mut cx.data {
                session.header(&name, &value);
            }
            Box::pin(async { Status::Noreply })
        })
        // Nothing to do there; but without it indymilter takes the end of a message that has not a
        // single header field for out of turn, and Postfix waits for an answer in vain.
        .on_eoh(|_| Box::pin(async { Status::Noreply }))
        // Comes before every DATA, from ourselves.
        .on_unknown(|_, _| Box::pin(async { Status::Noreply }))
        .on_eom(move |cx| Box::pin(eom(e4.clone(), cx)))
        .on_abort(|cx| {
            // Also after an accepted message, and before STARTTLS.
            if let Some(session) = &mut cx.data {
                session.close();
            }
            Box::pin(async { Status::Continue })
        })
}

fn negotiate(engine: &Engine, cx: &mut NegotiateContext<Session>, offered: Actions) {
    let settings = engine.settings();
    let mut session = Session::default();
    let wanted = Actions::ADD_HEADER | Actions::CHANGE_HEADER;
    let trace = settings.config.milter.trace_header.as_str();
    cx.requested_actions = Actions::empty();
    if !trace.is_empty() && offered.contains(wanted) {
        cx.requested_actions = wanted;
        trace.clone_into(&mut session.trace);
    }
    cx.requested_opts |= ProtoOpts::NOREPLY_HEADER
        | ProtoOpts::NOREPLY_EOH
        // None of Postfix's, and no answer to ours.
        | ProtoOpts::NO_UNKNOWN
        | ProtoOpts::NOREPLY_UNKNOWN;
    // indymilter asks for the first by itself, and for the second because DATA comes to it as RCPT.
    cx.requested_opts
        .remove(ProtoOpts::SKIP | ProtoOpts::NO_DATA);
    for (stage, names) in MACROS {
        cx.requested_macros.insert(stage, names.to_owned());
    }
    cx.data = Some(session);
}

async fn mail(engine: Arc<Engine>, cx: &mut Context<Session>, arguments: Vec<CString>) -> Status {
    let Some(session) = &mut cx.data else {
        return Status::Tempfail;
    };
    let asked = engine.clock.instant();
    let argument = arguments.first().map_or(&b""[..], |a| a.to_bytes());
    let reply = session.mail(&engine, &cx.macros, argument).await;
    engine.answered(FrontEnd::Milter, asked);
    status(reply.as_ref(), &mut cx.reply)
}

/// RCPT, or DATA in its clothes (see [`super::frames`]).
async fn rcpt(engine: Arc<Engine>, cx: &mut Context<Session>, arguments: Vec<CString>) -> Status {
    let Some(session) = &mut cx.data else {
        return Status::Tempfail;
    };
    let asked = engine.clock.instant();
    let reply = if arguments.first().is_some_and(|a| a.is_empty()) {
        session.data(&engine, &cx.macros).await
    } else {
        session.rcpt(&engine).await
    };
    engine.answered(FrontEnd::Milter, asked);
    status(reply.as_ref(), &mut cx.reply)
}

async fn eom(engine: Arc<Engine>, cx: &mut EomContext<Session>) -> Status {
    let Some(session) = &mut cx.data else {
        return Status::Tempfail;
    };
    let asked = engine.clock.instant();
    let ending = session.end(&engine, &cx.macros).await;
    engine.answered(FrontEnd::Milter, asked);
    session.close();
    let answer = status(ending.reply.as_ref(), &mut cx.reply);
    if ending.reply.is_some() || session.trace.is_empty() {
        return answer;
    }
    let user = ending.user.map(|id| id.to_string());
    match trace(&session.trace, session.traces, user.as_deref(), &cx.actions).await {
        Ok(()) => answer,
        Err(error) => {
            let error = error.to_string();
            tracing::warn!(error, "the trace header could not be set: message deferred");
            Status::Tempfail
        }
    }
}

/// Takes out what the client sent under this name, and adds the user's own.
async fn trace(
    name: &str,
    sent: i32,
    user: Option<&str>,
    actions: &impl ContextActions,
) -> Result<(), indymilter::ActionError> {
    // From the last to the first: the index counts what is still there.
    for index in (1..=sent).rev() {
        actions.change_header(name, index, None::<&str>).await?;
    }
    match user {
        Some(user) => actions.add_header(name, user).await,
        None => Ok(()),
    }
}
