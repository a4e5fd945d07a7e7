//! The programs `nexus` and `nexusctl`: arguments in, one command of the API, a reply shown.

mod exit;
mod place;
mod output;
mod client;
mod paths;
mod daemon;
mod start;
mod supervise;
mod busy;
mod mount;
mod helper;
mod files;
mod log;
mod undo;
mod admin;
mod principals;
mod admin_words;
mod sentence;
mod input;
mod types;
mod checks;
mod holders;
mod changes;
mod grants;
mod owners;
mod rebac;
mod run;
mod acl;
mod status;
mod doctor;
mod service;
mod nexus;
mod nexusctl;

pub use nexus::main as nexus;
pub use nexusctl::main as nexusctl;
