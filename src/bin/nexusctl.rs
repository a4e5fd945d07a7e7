//! The administrator's program: speaks to the daemon.

fn main() -> std::process::ExitCode {
    nexus::cli::nexusctl()
}
