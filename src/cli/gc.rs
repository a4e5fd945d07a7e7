//! `nexusctl gc`.

use super::place::Place;
use super::{output, undo};
use crate::api::gc::{Forgotten, Garbage, Gc};
use crate::core::{Kind, Result, error::fail};
use clap::Args;

#[derive(Debug, Args)]
pub(super) struct GcArgs {
    /// Forget what history is older than this: 90d, 12h, 1y. It cannot be read, restored or undone any more
    #[arg(long, value_name = "SPAN", allow_hyphen_values = true)]
    keep_within: Option<String>,
    /// But what snapshots hold, however old they are; without it older snapshots go, too
    #[arg(long, requires = "keep_within")]
    keep_snapshots: bool,
    /// Only tell what would go
    #[arg(long)]
    dry_run: bool,
    /// Do not ask
    #[arg(short, long)]
    yes: bool,
}

pub(super) fn run(place: &Place, args: &GcArgs) -> Result<()> {
    let client = place.client()?;
    let gc = |dry_run| {
        client.call(Gc {
            keep_within: args.keep_within.clone(),
            keep_snapshots: args.keep_snapshots,
            dry_run,
        })
    };
    if args.dry_run {
        return told(place, &gc(true)?, true);
    }
    // What nothing refers to is missed by nobody; what is forgotten does not come back.
    if args.keep_within.is_some() && undo::asks(place, args.yes) {
        told(place, &gc(true)?, true)?;
        if !undo::confirmed("Forget this for good?")? {
            return fail(Kind::Invalid, "nothing was changed");
        }
    }
    told(place, &gc(false)?, false)
}

fn told(place: &Place, done: &Garbage, dry_run: bool) -> Result<()> {
    if place.json {
        return output::json(done);
    }
    for tenant in &done.forgotten {
        output::line(forgotten(tenant, dry_run))?;
        for name in &tenant.snapshots {
            let verb = if dry_run { "would go" } else { "is gone" };
            output::line(format!("  snapshot {name} {verb}"))?;
        }
    }
    output::line(freed(done, dry_run))
}

fn forgotten(tenant: &Forgotten, dry_run: bool) -> String {
    let verb = if dry_run { "would forget" } else { "forgot" };
    let reach = if tenant.horizon == 0 {
        "nothing is that old".to_owned()
    } else {
        format!("history begins with operation {}", tenant.horizon + 1)
    };
    format!(
        "tenant {}: {verb} {} rows and {} of contents; {reach}",
        tenant.tenant,
        tenant.rows,
        output::size(tenant.bytes)
    )
}

fn freed(done: &Garbage, dry_run: bool) -> String {
    let verb = if dry_run { "would free" } else { "freed" };
    let (bytes, blobs) = (output::size(done.bytes), done.blobs);
    format!("{verb} {bytes} in {blobs} blobs that nothing refers to")
}
