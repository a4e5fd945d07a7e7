//! `status`: how the daemon is, or that there is none.

use super::client::Socket;
use super::place::Place;
use super::{mount, output};
use crate::api::Asked;
use crate::core::{Kind, Result, Text};
use crate::doors::daemon::{Pending, Status};
use crate::facts::VERSION;
use std::os::unix::ffi::OsStrExt as _;

pub(super) fn run(place: &Place) -> Result<()> {
    let status = match Socket::connect(&place.socket()?, Asked::default()) {
        Err(e) if e.kind() == Kind::Unavailable => absent(place)?,
        daemon => daemon?.post("/daemon/status", &())?,
    };
    if place.json {
        return output::json(&status);
    }
    let state = match status.pid {
        Some(pid) => format!("running, process {pid}, up {} s", status.uptime_s),
        None => "not running; `nexus mount DIR` starts it".to_owned(),
    };
    let Pending { files, handles } = status.pending;
    output::line(format!("daemon   {state}"))?;
    output::line(format!("version  {}", status.version))?;
    output::line(format!("store    {}", status.data_dir))?;
    if status.running {
        output::line(format!(
            "pending  {files} files with unstored writes, {handles} open"
        ))?;
    }
    mount::table(&status.mounts)
}

fn absent(place: &Place) -> Result<Status> {
    let text = |path: std::path::PathBuf| Text(path.as_os_str().as_bytes().to_vec());
    Ok(Status {
        running: false,
        pid: None,
        version: VERSION.to_owned(),
        data_dir: text(place.data_dir()?),
        socket: text(place.own_socket()?),
        uptime_s: 0,
        mounts: Vec::new(),
        pending: Pending::default(),
    })
}
