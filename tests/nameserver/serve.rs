//! The test name server as a program, for the demonstration and for people who try things out:
//!
//!     nameserver ZONEFILE [ADDRESS:PORT]
//!
//! Says `listening ADDRESS:PORT` on stdout (127.0.0.1 and a free port unless told otherwise), and
//! reads the file again at SIGHUP; a file with an error leaves the earlier zone in force. SIGTERM
//! and SIGINT end it. A line of the file is a name, a type and data; `#` and `;` begin a comment
//! line. Names are always whole, with or without the last dot.
//!
//!     $TTL 300                             of records, in seconds
//!     $DENIAL-TTL 30                       of "no such name" and "no data"
//!     $NO-SOA                              denials come without their SOA
//!     example.com       TXT "v=spf1 include:" "spf.relay.test -all"
//!     example.com       A 192.0.2.1        AAAA, MX 10 mail.example.com, CNAME other.test
//!     *.many.test       TXT "v=spf1 -all"  all names below, as far as they have no line
//!     example.com       EMPTY              exists, without records
//!     slow.test         DELAY 200ms        what it has comes late
//!     broken.test       SERVFAIL           or REFUSE, DROP, TRUNCATE (whole over TCP only),
//!                                          TRUNCATE-ALWAYS, WRONG-NAME, WRONG-ID, GARBAGE,
//!                                          CODE 3 (its records under that response code)

#![allow(
    clippy::print_stdout,
    clippy::print_stderr,
    reason = "a program for people"
)]

#[path = "mod.rs"]
mod nameserver;

use std::env;
use std::fs;
use std::net::{Ipv4Addr, SocketAddr};
use std::process::ExitCode;

use tokio::signal::unix::{SignalKind, signal};

use nameserver::{Server, Zone};

#[tokio::main(flavor = "current_thread")]
async fn main() -> ExitCode {
    match run().await {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("nameserver: {error}");
            ExitCode::FAILURE
        }
    }
}

async fn run() -> Result<(), String> {
    let mut arguments = env::args().skip(1);
    let file = arguments
        .next()
        .ok_or("usage: nameserver ZONEFILE [ADDRESS:PORT]")?;
    let address = match arguments.next() {
        Some(text) => text.parse().map_err(|e| format!("{text}: {e}"))?,
        None => SocketAddr::from((Ipv4Addr::LOCALHOST, 0)),
    };
    let mut hangup = signal(SignalKind::hangup()).map_err(|e| e.to_string())?;
    let mut end = signal(SignalKind::terminate()).map_err(|e| e.to_string())?;
    let server = Server::start_on(address, read(&file)?)
        .map_err(|e| format!("cannot listen on {address}: {e}"))?;
    println!("listening {}", server.address());
    loop {
        tokio::select! {
            _ = hangup.recv() => match read(&file) {
                Ok(zone) => server.set(zone),
                Err(error) => eprintln!("nameserver: {error}; the earlier zone stays"),
            },
            _ = end.recv() => return Ok(()),
        }
    }
}

fn read(file: &str) -> Result<Zone, String> {
    let text = fs::read_to_string(file).map_err(|e| format!("cannot read {file}: {e}"))?;
    Zone::parse(&text).map_err(|e| format!("{file}, {e}"))
}
