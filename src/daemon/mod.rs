//! The daemon: order of start and stop, signals, sockets.

use std::path::Path;
use std::process::ExitCode;

/// Runs until SIGTERM.
pub fn serve(config: &Path) -> ExitCode {
    let _ = config;
    ExitCode::SUCCESS
}
