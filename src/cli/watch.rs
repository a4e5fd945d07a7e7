//! `nexus watch`, and what follows the log.

use super::client::Client;
use super::log::print;
use super::place::Place;
use super::wanted::WantedArgs;
use crate::api::log::{Log, Wanted};
use crate::core::{Kind, Result, error::fail};
use clap::Args;

/// How many records one answer has at most.
const PAGE: u32 = 1000;

#[derive(Debug, Args)]
pub(super) struct WatchArgs {
    #[command(flatten)]
    wanted: WantedArgs,
    /// Begin behind this operation, the last one that was read; without it, with what is done next
    #[arg(long, value_name = "OP")]
    from: Option<u64>,
}

/// Prints operations as they are done, until it is stopped.
pub(super) fn run(place: &Place, args: &WatchArgs) -> Result<()> {
    let (client, wanted) = args.wanted.asked(place)?;
    let end = newest(&client)?;
    let after = args.from.unwrap_or(end);
    if after > end {
        let message = format!("operation {after} is still to come: the log ends with {end}");
        return fail(Kind::Invalid, message);
    }
    follow(place, &client, &wanted, after)
}

/// The newest operation.
fn newest(client: &Client) -> Result<u64> {
    let none = Log {
        limit: 0,
        ..Log::default()
    };
    Ok(client.call(none)?.last)
}

/// Prints what comes behind an operation, for as long as somebody reads it, or up to the last one that is wanted.
pub(super) fn follow(place: &Place, client: &Client, wanted: &Wanted, after: u64) -> Result<()> {
    if wanted.until.is_some() {
        let message = "following does not end at a time: leave --until out, or say up to which operation, as in --op ..8123";
        return fail(Kind::Invalid, message);
    }
    if wanted.last.is_some_and(|last| last <= after) {
        return Ok(());
    }
    let behind = Log {
        wanted: wanted.clone(),
        after: Some(after),
        before: None,
        limit: PAGE,
        wait_ms: 0,
    };
    client.follow(behind, &mut |page| print(place, &page.records))
}
