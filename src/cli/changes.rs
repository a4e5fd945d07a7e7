//! `nexus rebac changes`.

use super::log::short;
use super::output;
use super::place::Place;
use crate::api::changes::RebacChanges;
use crate::core::Result;
use crate::facts::ChangeLine;
use crate::facts::changes::ChangeKind;
use clap::Args;

const PAGE: u32 = 1000;

#[derive(Debug, Args)]
pub(super) struct ChangesArgs {
    /// Begin with this operation, as `nexus log` numbers them [default: the first]
    #[arg(long, value_name = "OP", default_value_t = 1)]
    from: u64,
    /// Go on as more come
    #[arg(short, long)]
    follow: bool,
}

pub(super) fn run(place: &Place, args: &ChangesArgs) -> Result<()> {
    let client = place.client()?;
    let (mut after, mut told) = (args.from.saturating_sub(1), false);
    loop {
        let page = client.call(behind(after))?;
        let at_end = page.changes.is_empty();
        print(place, &page.changes)?;
        after = page.last;
        if at_end {
            break;
        }
        told = true;
    }
    if !told && !args.follow {
        eprintln!("no changes");
    }
    if args.follow {
        return client.follow(behind(after), &mut |page| print(place, &page.changes));
    }
    Ok(())
}

fn behind(after: u64) -> RebacChanges {
    RebacChanges {
        after,
        limit: PAGE,
        wait_ms: 0,
    }
}

fn print(place: &Place, changes: &[ChangeLine]) -> Result<()> {
    output::each(place.json, changes, line)
}

fn line(c: &ChangeLine) -> String {
    let object = match &c.object_id {
        Some(id) => format!("{}:{id}", c.object_type),
        None => c.object_type.clone(),
    };
    let said = [c.subject.as_deref(), c.relation.as_deref(), Some(&*object)];
    let said: Vec<&str> = said.into_iter().flatten().collect();
    let until = c
        .expires
        .as_ref()
        .map(|end| format!(" until {}", short(end)));
    let who = c.user.clone().unwrap_or_else(|| format!("uid {}", c.uid));
    let agent = c.agent.as_ref().map_or(String::new(), |a| format!("+{a}"));
    format!(
        "{:>7}  {}  {:11}  {}{}  {who}{agent}",
        c.op,
        short(&c.time),
        word(c.change),
        said.join(" "),
        until.unwrap_or_default()
    )
}

fn word(change: ChangeKind) -> &'static str {
    match change {
        ChangeKind::Grant => "grant",
        ChangeKind::Revoke => "revoke",
        ChangeKind::Restrict => "restrict",
        ChangeKind::Unrestrict => "unrestrict",
        ChangeKind::TypeSet => "type-set",
        ChangeKind::TypeDelete => "type-delete",
    }
}
