//! Bytes that are no request, requests that do not end, and too many of them: the others are served.

use std::io::{ErrorKind, Read, Write};
use std::net::{Shutdown, TcpStream};
use std::time::Duration;

use crate::site::{LONG, Site, until};
use crate::web::{Answer, Web, ready, site};

/// What comes until the other side closes. That it resets the connection is an end too.
fn rest(stream: &mut TcpStream) -> Vec<u8> {
    let mut all = Vec::new();
    let mut chunk = [0; 4096];
    loop {
        match stream.read(&mut chunk) {
            Ok(0) => return all,
            Ok(count) => all.extend_from_slice(&chunk[..count]),
            Err(error) if error.kind() == ErrorKind::ConnectionReset => return all,
            Err(error) => panic!("still open: {error}"),
        }
    }
}

/// Mail goes on, and so does monitoring.
fn serves(site: &Site, web: &Web) {
    assert_eq!(site.policy("a@example.com"), "DUNNO");
    assert_eq!(web.get("/healthz").status, 200);
    assert_eq!(web.scrape().value("outgate_panics_total"), 0.0);
}

fn resident(web: &Web) -> f64 {
    web.scrape().value("outgate_process_resident_memory_bytes")
}

#[test]
fn garbage_hears_400_or_nothing() {
    let site = site();
    let (_daemon, web) = ready(&site);
    site.shop();
    let long_target = [b"GET /", &[b'a'; 100_000][..], b" HTTP/1.1\r\n\r\n"].concat();
    for bytes in [
        &b"\0\0\0\0\r\n\r\n"[..],
        &[0xff; 100_000],
        b"request=smtpd_access_policy\nsasl_username=shop\n\n",
        b"VERSION\t1\t0\n",
        b"GET\r\n\r\n",
        b"GET / HTTP/9.9\r\n\r\n",
        b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
        b"GET /metrics HTTP/1.1\r\nbad header\r\n\r\n",
        b"GET /metrics HTTP/1.1\r\nContent-Length: -1\r\n\r\n",
        b"GET /metrics HTTP/1.1\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\n",
        b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03",
        &long_target,
    ] {
        let mut stream = web.connect();
        // It may be closed before all is written.
        let _ = stream.write_all(bytes);
        let _ = stream.shutdown(Shutdown::Write);
        let said = rest(&mut stream);
        if !said.is_empty() {
            let status = Answer::parse(&said).status;
            assert!((400..500).contains(&status), "{status} for {bytes:?}");
        }
    }
    serves(&site, &web);
}

#[test]
fn a_head_of_a_mebibyte_is_not_read() {
    let site = site();
    let (_daemon, web) = ready(&site);
    site.shop();
    let before = resident(&web);
    let line = [b"X-Padding: ", &[b'x'; 1 << 20][..], b"\r\n\r\n"].concat();
    let many = b"X-Padding: x\r\n".repeat(80_000);
    for head in [line, many] {
        for _ in 0..20 {
            let mut stream = web.connect();
            stream.write_all(b"GET /metrics HTTP/1.1\r\n").unwrap();
            let _ = stream.write_all(&head);
            let said = rest(&mut stream);
            if !said.is_empty() {
                assert_eq!(Answer::parse(&said).status, 431);
            }
        }
    }
    let grown = resident(&web) - before;
    assert!(grown < 8e6, "{grown} bytes more");
    serves(&site, &web);
}

#[test]
fn a_body_is_not_waited_for() {
    let site = site();
    let (_daemon, web) = ready(&site);
    for more in [
        "Content-Length: 1000000000\r\n",
        "Transfer-Encoding: chunked\r\n",
        "Content-Length: 5\r\nExpect: 100-continue\r\n",
    ] {
        assert_eq!(web.ask("POST", "/metrics", more).status, 405, "{more}");
        assert_eq!(web.ask("GET", "/healthz", more).status, 200, "{more}");
    }
}

#[test]
fn two_hundred_that_never_finish_are_sent_away() {
    let site = site();
    let (_daemon, web) = ready(&site);
    site.shop();
    let mut crowd: Vec<TcpStream> = (0..200)
        .map(|number| {
            let mut stream = web.connect();
            let head = if number % 2 == 0 {
                ""
            } else {
                "GET /metrics HTTP/1.1\r\nX: "
            };
            stream.write_all(head.as_bytes()).unwrap();
            stream
        })
        .collect();
    assert_eq!(site.policy("a@example.com"), "DUNNO");
    // One more byte now and then does not buy time.
    let mut slow = crowd.swap_remove(1);
    let mut silent = crowd.swap_remove(0);
    silent
        .set_read_timeout(Some(Duration::from_millis(100)))
        .unwrap();
    let _closed = until(
        LONG,
        || {
            let _ = slow.write_all(b"x");
            silent.read(&mut [0; 4096]).map_err(|error| error.kind())
        },
        |read| !matches!(read, Err(ErrorKind::WouldBlock)),
    );
    rest(&mut slow);
    drop(crowd);
    serves(&site, &web);
    let open = web
        .scrape()
        .value("outgate_connections{front_end=\"admin\"}");
    assert!(open <= 64.0, "{open}");
}

#[test]
fn who_asks_and_does_not_read_costs_no_memory() {
    let site = site();
    let (_daemon, web) = ready(&site);
    site.shop();
    let before = resident(&web);
    let greedy: Vec<TcpStream> = (0..20)
        .map(|_| {
            let stream = web.connect();
            stream.set_nonblocking(true).unwrap();
            let ask = b"GET /metrics HTTP/1.1\r\nHost: x\r\n\r\n".repeat(100);
            // Until nothing more fits.
            for _ in 0..1000 {
                if (&stream).write_all(&ask).is_err() {
                    break;
                }
            }
            stream
        })
        .collect();
    serves(&site, &web);
    let grown = resident(&web) - before;
    assert!(grown < 32e6, "{grown} bytes more");
    drop(greedy);
}
