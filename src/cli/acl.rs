//! `nexus setfacl` and `nexus getfacl`.

use super::place::Place;
use super::{output, paths};
use crate::access::acl::Letters;
use crate::api::acls::{AclGet, AclInfo, AclSet};
use crate::core::Result;
use clap::Args;
use std::ffi::OsString;

#[derive(Debug, Args)]
pub(super) struct SetFacl {
    /// `[default:][deny:]user:NAME:rwx` or `…group:NAME:rwx`; a deny without letters refuses everything
    entry: String,
    path: OsString,
    /// Take the entry away
    #[arg(long)]
    remove: bool,
}

#[derive(Debug, Args)]
pub(super) struct GetFacl {
    path: OsString,
}

pub(super) fn set(place: &Place, args: &SetFacl) -> Result<()> {
    let client = place.client()?;
    let now = client.call(AclSet {
        path: paths::in_nexus(&client, &args.path)?,
        entry: args.entry.clone(),
        remove: args.remove,
    })?;
    let done = if args.remove { "removed" } else { "set" };
    output::show(place.json, &now, format!("{done} {}", args.entry))
}

pub(super) fn get(place: &Place, args: &GetFacl) -> Result<()> {
    let path = args.path.to_string_lossy().into_owned();
    let client = place.client()?;
    let found = client.call(AclGet {
        path: paths::in_nexus(&client, &args.path)?,
    })?;
    if place.json {
        return output::json(&found);
    }
    lines(&path, &found).iter().try_for_each(output::line)
}

fn lines(path: &str, acl: &AclInfo) -> Vec<String> {
    let letters = [acl.mode >> 6, acl.mode >> 3, acl.mode].map(|m| Letters(m).to_string());
    let mut lines = vec![
        format!("# file: {path}"),
        format!("# owner: {}", acl.owner),
        format!("# group: {}", acl.group),
        format!("# mode: 0o{:o} ({})", acl.mode & 0o7777, letters.concat()),
    ];
    let boundary = "# restricted: grants from above end here";
    lines.extend(acl.restricted.then(|| boundary.to_owned()));
    lines.extend([String::new(), "# ACL entries:".to_owned()]);
    lines.extend(acl.entries.iter().cloned());
    lines.extend(acl.default.iter().map(|entry| format!("default:{entry}")));
    lines
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_list_is_shown_as_the_tutorials_show_it() {
        let acl = AclInfo {
            owner: "alice".into(),
            group: "developers".into(),
            mode: 0o644,
            entries: vec!["user:alice:rw-".into()],
            default: vec!["deny:user:intern:---".into()],
            restricted: false,
        };
        let shown = lines("/f", &acl).join("\n");
        let expected = "# file: /f\n# owner: alice\n# group: developers\n# mode: 0o644 (rw-r--r--)\n\n# ACL entries:\n\
                        user:alice:rw-\ndefault:deny:user:intern:---";
        assert_eq!(shown, expected);
        let bounded = AclInfo {
            restricted: true,
            ..acl
        };
        assert_eq!(
            lines("/f", &bounded)[4],
            "# restricted: grants from above end here"
        );
    }
}
