//! A milter on indymilter that does nothing: what the library itself costs.
//! usage: empty_milter unix:PATH
//!
//! Negotiates like outgate (no connect, helo, eoh and body events, headers without answer) and
//! runs like it: one single-threaded runtime a core, which accept from the same socket.
use std::os::unix::net::UnixListener as StdListener;

use indymilter::{Callbacks, Config, ProtoOpts, Status};

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let address = std::env::args().nth(1).unwrap_or_default();
    let path = address.strip_prefix("unix:").ok_or("usage: empty_milter unix:PATH")?;
    let listener = StdListener::bind(path)?;
    listener.set_nonblocking(true)?;
    let cores = std::thread::available_parallelism()?.get();
    let threads: Vec<_> = (0..cores)
        .map(|_| listener.try_clone().map(|l| std::thread::spawn(move || serve(l))))
        .collect::<Result<_, _>>()?;
    for thread in threads {
        thread.join().map_err(|_| "a thread failed")??;
    }
    Ok(())
}

fn serve(listener: StdListener) -> Result<(), std::io::Error> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    runtime.block_on(async {
        let callbacks = Callbacks::<()>::new()
            .on_negotiate(|cx, _, _| {
                Box::pin(async {
                    cx.requested_opts |= ProtoOpts::NOREPLY_HEADER;
                    Status::Continue
                })
            })
            .on_mail(|_, _| Box::pin(async { Status::Continue }))
            .on_rcpt(|_, _| Box::pin(async { Status::Continue }))
            .on_data(|_| Box::pin(async { Status::Continue }))
            .on_header(|_, _, _| Box::pin(async { Status::Noreply }))
            .on_eom(|_| Box::pin(async { Status::Continue }));
        let config = Config { max_connections: 4096, ..Config::default() };
        let listener = tokio::net::UnixListener::from_std(listener)?;
        indymilter::run(listener, callbacks, config, std::future::pending::<()>()).await
    })
}
