//! The everyday program: mounts, files, the log.

fn main() -> std::process::ExitCode {
    nexus::cli::nexus()
}
