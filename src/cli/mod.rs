//! The command line.

/// Runs the command that the arguments name.
pub fn run() -> std::process::ExitCode {
    let args: Vec<String> = std::env::args().collect();
    match args.get(1).map(String::as_str) {
        Some("-c") if args.get(3).map(String::as_str) == Some("serve") => {
            crate::daemon::serve(std::path::Path::new(&args[2]))
        }
        _ => std::process::ExitCode::from(2),
    }
}
