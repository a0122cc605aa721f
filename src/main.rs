//! The program `outgate`: the daemon and its command line.

fn main() -> std::process::ExitCode {
    outgate::cli::run()
}
