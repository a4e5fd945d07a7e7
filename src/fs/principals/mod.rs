//! Who is who in a tenant: users, agents, groups, and the keys that prove them; and how all of one goes. Every change is one logged operation.

mod name;
mod rights;
mod user;
mod agent;
mod group;
mod key;
mod remove;
mod tenant;
mod confirm;
mod check;

pub(super) use check::scan_principals;
pub use key::Holder;
pub(super) use name::{DEFAULT, check_line};
pub use tenant::Estate;
pub(super) use user::no_principal;
