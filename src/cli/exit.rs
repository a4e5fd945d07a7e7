//! How a program ends: what it says on standard error, and its exit code.

use super::log::in_text;
use super::plain::plain_lines;
use crate::core::{Error, Kind, Result, config};
use clap::Parser;
use std::error::Error as _;
use std::ffi::OsString;
use std::io::{IsTerminal as _, Write as _};
use std::process::ExitCode;

/// Parses, runs and ends: 0 done, 1 an error, 2 not found, 3 not allowed.
pub(super) fn main<P: Parser>(
    program: &str,
    arguments: impl IntoIterator<Item = OsString>,
    run: impl FnOnce(P) -> Result<()>,
) -> ExitCode {
    trace();
    let parsed = match P::try_parse_from(arguments) {
        Ok(parsed) => parsed,
        Err(e) => {
            let code = ExitCode::from(u8::from(e.use_stderr()));
            // Nobody is left to tell when standard error is closed.
            e.print().ok();
            return code;
        }
    };
    match run(parsed) {
        Ok(()) => ExitCode::SUCCESS,
        Err(e) if is_closed_pipe(&e) => ExitCode::SUCCESS,
        Err(e) => {
            let said = format!(
                "{program}: {}{}",
                plain_lines(&in_text(&told(&e))),
                hint(&e)
            );
            // Nobody may be there to hear it; that changes nothing of how it ended.
            writeln!(std::io::stderr(), "{said}").ok();
            ExitCode::from(code(e.kind()))
        }
    }
}

/// Logs to standard error, as `NEXUS_LOG` says (`debug`, `nexus=trace`, …); warnings when it says nothing.
fn trace() {
    let filter = tracing_subscriber::EnvFilter::builder()
        .with_default_directive(tracing::Level::WARN.into())
        .with_env_var("NEXUS_LOG")
        .from_env_lossy();
    tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_writer(std::io::stderr)
        // Else a line that finds no room on the disk ends the process: telling of that on stderr fails, too, and panics.
        .log_internal_errors(false)
        .with_ansi(std::io::stderr().is_terminal() && config::env("NO_COLOR").is_none())
        .init();
}

pub(super) fn code(kind: Kind) -> u8 {
    match kind {
        Kind::NotFound | Kind::NoAttribute => 2,
        Kind::Denied | Kind::NotPermitted => 3,
        Kind::Exists
        | Kind::ReadOnly
        | Kind::NotDirectory
        | Kind::IsDirectory
        | Kind::NotEmpty
        | Kind::CrossDevice
        | Kind::Invalid
        | Kind::NameTooLong
        | Kind::TooLarge
        | Kind::NoSpace
        | Kind::Io
        | Kind::Corrupt
        | Kind::SymlinkLoop
        | Kind::TooManyLinks
        | Kind::TooBig
        | Kind::Range
        | Kind::Unsupported
        | Kind::BadHandle
        | Kind::Busy
        | Kind::Conflict
        | Kind::Unavailable
        | Kind::Interrupted
        | Kind::Deadlock
        | Kind::NoLocks
        | Kind::Version => 1,
    }
}

/// Where a right on a path was lacking, what tells why.
fn hint(e: &Error) -> &'static str {
    let lacks = [
        "it belongs to somebody else",
        "no read permission",
        "no write permission",
        "no execute permission",
    ];
    if code(e.kind()) == 3 && lacks.iter().any(|end| e.message().ends_with(end)) {
        return " (`nexus why USER read|write|execute|own PATH` tells why)";
    }
    ""
}

/// The message, and what else said so: the operating system, SQLite, … Causes of our own are in the message already.
pub(super) fn told(e: &Error) -> String {
    let mut out = without_at(e.message());
    let mut next = e.source();
    while let Some(cause) = next {
        let text = cause.to_string();
        if !cause.is::<Error>() && !out.contains(&text) {
            out.push_str(": ");
            out.push_str(&text);
        }
        next = cause.source();
    }
    out
}

/// A message with the paths of a moment as people say them: `/.at/op:7/workspace/f` is `/workspace/f` as of op:7.
pub(super) fn without_at(message: &str) -> String {
    const AT: &str = "/.at/op:";
    let (mut out, mut rest, mut op) = (String::new(), message, None);
    while let Some((before, behind)) = rest.split_once(AT) {
        let digits = behind.find(|c: char| !c.is_ascii_digit());
        let (number, path) = behind.split_at(digits.unwrap_or(behind.len()));
        out.push_str(before);
        // In another directory it is a path that somebody has said, and so is what is no moment.
        if number.is_empty() || before.ends_with(|c: char| c.is_alphanumeric()) {
            out.push_str(AT);
            rest = behind;
            continue;
        }
        if !path.starts_with('/') {
            out.push('/');
        }
        op.get_or_insert(number);
        rest = path;
    }
    out.push_str(rest);
    op.map_or_else(|| out.clone(), |op| format!("{out}, as of op:{op}"))
}

/// Whether the reader of our output has gone, as in `nexus log | head`.
pub(super) fn is_closed_pipe(e: &Error) -> bool {
    let io = e.source().and_then(|s| s.downcast_ref::<std::io::Error>());
    io.is_some_and(|io| io.kind() == std::io::ErrorKind::BrokenPipe)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn exit_codes_tell_absence_and_refusal_apart() {
        assert_eq!(code(Kind::NotFound), 2);
        assert_eq!(code(Kind::Denied), 3);
        assert_eq!(code(Kind::Io), 1);
    }

    #[test]
    fn a_path_of_a_moment_is_told_as_it_was_said() {
        for (message, told) in [
            ("no /.at/op:7/workspace/f", "no /workspace/f, as of op:7"),
            (
                "/.at/op:7/a: no read permission",
                "/a: no read permission, as of op:7",
            ),
            ("/.at/op:7 is a directory", "/ is a directory, as of op:7"),
            ("no /a/.at/op:7/b", "no /a/.at/op:7/b"),
            ("no /.at/op:x/b", "no /.at/op:x/b"),
            ("no /workspace/f", "no /workspace/f"),
        ] {
            assert_eq!(without_at(message), told);
        }
    }

    #[test]
    fn who_lacks_a_right_on_a_path_is_told_what_tells_why() {
        let lacks = Error::new(Kind::Denied, "no write permission").context("/workspace/a");
        assert!(hint(&lacks).contains("nexus why"));
        let other = Error::new(Kind::NotPermitted, "only an administrator may do this");
        assert_eq!(hint(&other), "");
        assert_eq!(hint(&Error::new(Kind::NotFound, "no write permission")), "");
    }

    #[test]
    fn a_cause_is_told_once() {
        let io = std::io::Error::from(std::io::ErrorKind::PermissionDenied);
        let text = told(&Error::from(io).context("lock"));
        assert_eq!(text.matches("permission denied").count(), 1, "{text}");
    }

    #[test]
    fn a_reader_that_left_is_no_failure() {
        let pipe = std::io::Error::from(std::io::ErrorKind::BrokenPipe);
        assert!(is_closed_pipe(&Error::from(pipe)));
        assert!(!is_closed_pipe(&Error::new(Kind::Io, "x")));
    }
}
