//! Following: one request that is answered again and again, each time with what came behind the last answer.

use super::changes::RebacChanges;
use super::log::Log;
use super::run::run_logged;
use super::{Command, Context, to_json};
use crate::core::{Kind, Result, error::fail};

/// A command that waits for what comes next, and whose answer says where that begins.
pub trait Follow: Command + Clone {
    /// Asks for what comes behind an answer, and to wait for it; false where nothing can come.
    fn go_on(&mut self, answer: &Self::Reply) -> bool;
}

/// One of the answers, as JSON.
pub struct Answer {
    pub json: Vec<u8>,
    pub is_last: bool,
}

/// Gives the next answer: one that tells of nothing where nothing came for as long as a request may wait.
pub type Following = Box<dyn FnMut(&mut Context<'_>) -> Result<Answer> + Send>;

/// Begins to follow with the command of this name.
pub fn follow(name: &str, body: &[u8]) -> Result<Following> {
    match name {
        Log::NAME => following::<Log>(body),
        RebacChanges::NAME => following::<RebacChanges>(body),
        _ => fail(Kind::NotFound, format!("nothing follows {name:?}")),
    }
}

fn following<C: Follow + Send + 'static>(body: &[u8]) -> Result<Following> {
    let (mut command, body) = (super::parse::<C>(body)?, body.to_vec());
    Ok(Box::new(move |cx| {
        let reply = run_logged(command.clone(), cx, &body)?;
        Ok(Answer {
            json: to_json(&reply)?,
            is_last: !command.go_on(&reply),
        })
    }))
}
