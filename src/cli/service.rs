//! What is made from the CLI itself: a systemd unit, completions, man pages.

use super::client::Client;
use super::output;
use super::place::Place;
use crate::core::{Error, Kind, Result};
use clap::Command;
use clap_complete::Shell;
use std::path::{Path, PathBuf};

/// Makes a store, or finds that there is one.
pub(super) fn init(place: &Place) -> Result<()> {
    let config = place.config()?;
    Client::open(&config, &place.asked())?;
    output::line(format!("store    {}", config.data_dir.display()))
}

/// Prints a systemd unit that keeps a mount (systemd.service(5)).
pub(super) fn unit(place: &Place, dir: &Path) -> Result<()> {
    let program = std::env::current_exe()?;
    let data_dir = place.data_dir()?;
    output::lines(format!(
        "[Unit]\n\
         Description=Nexus at {mount}\n\
         After=local-fs.target\n\
         \n\
         [Service]\n\
         Type=notify\n\
         ExecStart={program} mount {mount} --data-dir {data_dir} --foreground\n\
         Environment=NEXUS_LOG=info,refinery_core=warn,fuser=warn\n\
         Restart=on-failure\n\
         RestartSec=1\n\
         KillMode=mixed\n\
         TimeoutStopSec=60\n\
         \n\
         [Install]\n\
         WantedBy=default.target",
        mount = quoted(&std::path::absolute(dir)?),
        program = quoted(&program),
        data_dir = quoted(&data_dir),
    ))
}

/// Quotes a path for a unit file: `%` is systemd's own, and a space would end it.
fn quoted(path: &Path) -> String {
    let text = path.display().to_string().replace('%', "%%");
    if text.contains([' ', '"', '\\', '\'', '\n']) {
        let text = text.replace('\\', "\\\\").replace('"', "\\\"");
        return format!("\"{}\"", text.replace('\n', "\\n"));
    }
    text
}

pub(super) fn completions(shell: Shell, mut command: Command) -> Result<()> {
    let mut out = Vec::new();
    let name = command.get_name().to_owned();
    clap_complete::generate(shell, &mut command, name, &mut out);
    output::raw(&out)
}

/// Writes a man page for each program and each of its commands.
pub(super) fn man(dir: &PathBuf, commands: impl IntoIterator<Item = Command>) -> Result<()> {
    let at = |e: std::io::Error| Error::from(e).context(format!("man pages in {}", dir.display()));
    std::fs::create_dir_all(dir).map_err(at)?;
    for command in commands {
        let written = clap_mangen::generate_to(command, dir);
        written.map_err(|e| Error::new(Kind::Io, "man pages cannot be written").caused_by(e))?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_path_in_a_unit_is_one_word() {
        assert_eq!(quoted(Path::new("/a/b")), "/a/b");
        assert_eq!(quoted(Path::new("/a b/5%")), "\"/a b/5%%\"");
    }
}
