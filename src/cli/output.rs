//! What the programs print: tables and sentences for people, JSON for programs.

use super::plain::{plain, plain_lines};
use crate::api::{Progress, to_json};
use crate::core::Result;
use comfy_table::{Table, presets};
use indicatif::{ProgressBar, ProgressStyle};
use serde::Serialize;
use std::io::{self, IsTerminal as _, Write as _};
use std::time::Duration;

/// Prints one JSON value on a line.
pub(super) fn json(value: &impl Serialize) -> Result<()> {
    let mut line = to_json(value)?;
    line.push(b'\n');
    raw(&line)
}

/// Prints a line, and no more than one.
pub(super) fn line(text: impl AsRef<str>) -> Result<()> {
    raw(format!("{}\n", plain(text.as_ref())).as_bytes())
}

/// Prints a text of one line or several.
pub(super) fn lines(text: impl AsRef<str>) -> Result<()> {
    raw(format!("{}\n", plain_lines(text.as_ref())).as_bytes())
}

/// Prints several things at once: a JSON value each for programs, a line each for people.
pub(super) fn each<T: Serialize>(
    json_wanted: bool,
    all: &[T],
    shown: impl Fn(&T) -> String,
) -> Result<()> {
    let mut out = Vec::new();
    for one in all {
        if json_wanted {
            out.extend(to_json(one)?);
        } else {
            out.extend(plain(&shown(one)).into_bytes());
        }
        out.push(b'\n');
    }
    raw(&out)
}

/// Prints bytes as they are.
pub(super) fn raw(bytes: &[u8]) -> Result<()> {
    let mut out = io::stdout().lock();
    out.write_all(bytes)?;
    Ok(out.flush()?)
}

/// Prints a table with a head and no frame; nothing when there are no rows.
pub(super) fn table(head: &[&str], rows: impl IntoIterator<Item = Vec<String>>) -> Result<()> {
    let mut table = Table::new();
    table.load_style(presets::NOTHING);
    table.set_header(head.iter().map(|h| h.to_uppercase()));
    for row in rows {
        table.add_row(row.iter().map(|cell| plain(cell)));
    }
    if table.is_empty() {
        return Ok(());
    }
    for text in table.to_string().lines() {
        line(text.trim())?;
    }
    Ok(())
}

/// Prints a reply whole for programs, and as rows for people.
pub(super) fn listed(
    json_wanted: bool,
    reply: &impl Serialize,
    head: &[&str],
    rows: impl Iterator<Item = Vec<String>>,
) -> Result<()> {
    if json_wanted {
        return json(reply);
    }
    table(head, rows)
}

/// A text, or what stands for none.
pub(super) fn or_dash(text: Option<&str>) -> String {
    text.unwrap_or("-").to_owned()
}

/// Names on one line, or what stands for none.
pub(super) fn names(all: &[String]) -> String {
    if all.is_empty() {
        return or_dash(None);
    }
    all.join(", ")
}

/// Prints what has been said yes or no to.
pub(super) fn show(json_wanted: bool, value: &impl Serialize, text: impl AsRef<str>) -> Result<()> {
    if json_wanted {
        json(value)
    } else {
        lines(text)
    }
}

/// Prints the reply of what has nothing to say to people: for programs only.
pub(super) fn quiet(json_wanted: bool, reply: &impl Serialize) -> Result<()> {
    if json_wanted { json(reply) } else { Ok(()) }
}

/// Tells how far long work has come: a spinner on a terminal, JSON lines elsewhere to whoever asked for JSON. On standard error, so that the
/// reply stands alone.
pub(super) struct Bar {
    spinner: Option<ProgressBar>,
    json: bool,
    told: u64,
}

/// Elsewhere than on a terminal, one line each so many steps.
const STEP: u64 = 1000;

impl Bar {
    pub(super) fn new(what: &'static str, json: bool) -> Self {
        let bar = io::stderr().is_terminal().then(|| {
            let bar = ProgressBar::new_spinner().with_message(what);
            let style = ProgressStyle::with_template("{spinner} {msg}: {pos} checked in {elapsed}");
            if let Ok(style) = style {
                bar.set_style(style);
            }
            bar.enable_steady_tick(Duration::from_millis(100));
            bar
        });
        Self {
            spinner: bar,
            json,
            told: 0,
        }
    }

    pub(super) fn tell(&mut self, progress: Progress) {
        if let Some(bar) = &self.spinner {
            bar.set_position(progress.done);
        } else if self.json && progress.done >= self.told + STEP {
            self.told = progress.done;
            eprintln!("{{\"progress\":{{\"done\":{}}}}}", progress.done);
        }
    }
}

impl Drop for Bar {
    fn drop(&mut self) {
        if let Some(bar) = &self.spinner {
            bar.finish_and_clear();
        }
    }
}

/// Bytes for people: `1.5 MiB`.
#[allow(clippy::cast_precision_loss, reason = "for people")]
pub(super) fn size(bytes: u64) -> String {
    const UNITS: [&str; 6] = ["B", "KiB", "MiB", "GiB", "TiB", "PiB"];
    let mut value = bytes as f64;
    let mut unit = 0;
    while value >= 1024.0 && unit + 1 < UNITS.len() {
        value /= 1024.0;
        unit += 1;
    }
    if unit == 0 {
        format!("{bytes} B")
    } else {
        format!("{value:.1} {}", UNITS[unit])
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_are_for_people() {
        assert_eq!(size(1023), "1023 B");
        assert_eq!(size(1536), "1.5 KiB");
        assert_eq!(size(u64::MAX), "16384.0 PiB");
    }
}
