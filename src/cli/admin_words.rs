//! `nexus admin`: what tutorials and their scripts say, and what those read. Each is a command of `nexusctl` with other words.

use super::output;
use super::place::Place;
use super::principals::{self, GroupCommand, NewGroup, NewKey, NewUser, UserCommand};
use crate::api::groups::GroupList;
use crate::api::principals::{UserInfo, UserList};
use crate::core::Result;
use clap::Subcommand;

#[derive(Debug, Subcommand)]
pub(super) enum AdminWord {
    /// Make a user of the tenant
    CreateUser(NewUser),
    /// List the tenant's users
    ListUsers,
    /// Take a user away with his agents, keys and memberships; his files stay
    DeleteUser { user: String },
    /// Make an API key, shown this once
    CreateUserKey(NewKey),
    /// Make a group
    CreateGroup(NewGroup),
    /// List the tenant's groups
    ListGroups,
    /// Put a user into a group
    AddUserToGroup { user: String, group: String },
}

pub(super) fn run(place: &Place, word: AdminWord) -> Result<()> {
    match word {
        AdminWord::CreateUser(new) => principals::user(place, UserCommand::Create(new)),
        AdminWord::ListUsers => list_users(place),
        AdminWord::DeleteUser { user } => principals::user(place, UserCommand::Delete { user }),
        AdminWord::ListGroups => list_groups(place),
        AdminWord::CreateUserKey(new) => create_key(place, new),
        AdminWord::CreateGroup(new) => principals::group(place, GroupCommand::Create(new)),
        AdminWord::AddUserToGroup { user, group } => {
            let member = user;
            principals::group(place, GroupCommand::Add { group, member })
        }
    }
}

fn list_users(place: &Place) -> Result<()> {
    let all = place.client()?.call(UserList {})?;
    if place.json {
        return output::json(&all);
    }
    output::line("Users:")?;
    all.users
        .iter()
        .try_for_each(|user| output::line(format!("  - {}", described(user))))
}

fn list_groups(place: &Place) -> Result<()> {
    let all = place.client()?.call(GroupList {})?;
    if place.json {
        return output::json(&all);
    }
    output::line("Groups:")?;
    all.groups.iter().try_for_each(|group| {
        let about = group.description.as_ref();
        let about = about.map_or(String::new(), |text| format!(" ({text})"));
        output::line(format!("  - {}{about}", group.group))
    })
}

/// `alice (Alice Smith) - alice@example.com`, as far as it is known.
fn described(user: &UserInfo) -> String {
    let name = user.name.as_ref().map(|n| format!(" ({n})"));
    let email = user.email.as_ref().map(|e| format!(" - {e}"));
    format!(
        "{}{}{}",
        user.user,
        name.unwrap_or_default(),
        email.unwrap_or_default()
    )
}

/// Scripts take the fourth word of the one line that says `API Key`.
fn create_key(place: &Place, new: NewKey) -> Result<()> {
    let made = place.client()?.call(new.command())?;
    output::show(place.json, &made, format!("Created API Key: {}", made.key))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_user_is_described_as_far_as_he_is_known() {
        let user = |name: Option<&str>, email: Option<&str>| UserInfo {
            user: "alice".into(),
            id: 20,
            name: name.map(str::to_owned),
            email: email.map(str::to_owned),
            uid: 1,
            gid: 1,
            created: String::new(),
        };
        let whole = described(&user(Some("Alice Smith"), Some("alice@example.com")));
        assert_eq!(whole, "alice (Alice Smith) - alice@example.com");
        assert_eq!(described(&user(None, None)), "alice");
    }
}
