//! `nexus chmod`, `chown`, `chgrp`, `why` and `who`.

use super::holders::{self, WhoArgs};
use super::place::Place;
use super::why::{self, WhyArgs};
use super::{output, paths};
use crate::api::owners::{Chgrp, Chmod, Chown};
use crate::core::Result;
use clap::Subcommand;
use std::ffi::OsString;

#[derive(Debug, Subcommand)]
pub(super) enum OwnerCommand {
    /// Change the mode: in octal, as 0o640, 0640 or 640
    Chmod {
        mode: String,
        #[arg(required = true)]
        paths: Vec<OsString>,
    },
    /// Change the owner: a user of the tenant, or a number; as OWNER:GROUP the group as well
    Chown {
        owner: String,
        #[arg(required = true)]
        paths: Vec<OsString>,
    },
    /// Change the group: a group of the tenant, or a number
    Chgrp {
        group: String,
        #[arg(required = true)]
        paths: Vec<OsString>,
    },
    /// Explain why somebody may do something to a path, or may not; or has a relation to an object of your own types
    Why(WhyArgs),
    /// Tell who may do something to a path, by whatever lets them: grants, lists, mode, ownership
    Who(WhoArgs),
}

pub(super) fn run(place: &Place, command: OwnerCommand) -> Result<()> {
    let client = place.client()?;
    match command {
        OwnerCommand::Chmod { mode, paths } => paths.iter().try_for_each(|path| {
            let (path, mode) = (paths::in_nexus(&client, path)?, mode.clone());
            output::quiet(place.json, &client.call(Chmod { path, mode })?)
        }),
        OwnerCommand::Chown { owner, paths } => paths.iter().try_for_each(|path| {
            let (path, owner) = (paths::in_nexus(&client, path)?, owner.clone());
            output::quiet(place.json, &client.call(Chown { path, owner })?)
        }),
        OwnerCommand::Chgrp { group, paths } => paths.iter().try_for_each(|path| {
            let (path, group) = (paths::in_nexus(&client, path)?, group.clone());
            output::quiet(place.json, &client.call(Chgrp { path, group })?)
        }),
        OwnerCommand::Why(args) => why::run(place, &client, args),
        OwnerCommand::Who(args) => holders::who(place, &args),
    }
}
