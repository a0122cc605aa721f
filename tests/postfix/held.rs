//! Sockets that outlive the daemon, as systemd holds them: bound here, and handed to one process after
//! the other.

use std::fs;
use std::os::fd::AsRawFd;
use std::os::unix::fs::PermissionsExt;
use std::os::unix::net::UnixListener;
use std::path::Path;
use std::process::Command;

use rustix::io::{FdFlags, fcntl_setfd};

const DOORS: [&str; 3] = ["auth", "policy", "milter"];

/// One socket for each front end.
pub struct Held([UnixListener; 3]);

impl Held {
    /// Binds them where Postfix looks for them.
    pub fn bind(directory: &Path) -> Held {
        Held(DOORS.map(|door| {
            let path = directory.join(format!("{door}.sock"));
            let socket = UnixListener::bind(&path).unwrap();
            fs::set_permissions(&path, fs::Permissions::from_mode(0o660)).unwrap();
            // Inherited by whoever is started from now on; the shell moves it into its place.
            fcntl_setfd(&socket, FdFlags::empty()).unwrap();
            socket
        }))
    }

    /// The same command, with the sockets.
    pub fn hand_over(&self, command: &Command) -> Command {
        let Held(sockets) = self;
        let moves: Vec<String> = sockets
            .iter()
            .zip(3..)
            .map(|(socket, place)| format!("{place}<&{}", socket.as_raw_fd()))
            .collect();
        let script = format!(
            "exec {}; export LISTEN_PID=$$ LISTEN_FDS=3 LISTEN_FDNAMES={}; exec \"$@\"",
            moves.join(" "),
            DOORS.join(":")
        );
        let mut shell = Command::new("bash");
        shell.args(["-c", &script, "bash"]);
        shell.arg(command.get_program()).args(command.get_args());
        shell
    }
}
