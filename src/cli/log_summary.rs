//! `nexus log --summary`.

use super::log::{more, short};
use super::output;
use super::place::Place;
use crate::core::Result;
use crate::facts::Summary;
use crate::facts::summary::{Author, Counted, More, Rest};

/// Prints what some operations come to.
pub(super) fn print(place: &Place, summary: &Summary) -> Result<()> {
    if place.json {
        return output::json(summary);
    }
    let (Some(first), Some(last)) = (&summary.first, &summary.last) else {
        return output::line("no operations");
    };
    output::line(format!(
        "{} operations, {} to {}, {} to {}",
        summary.operations,
        first.op,
        last.op,
        short(&first.time),
        short(&last.time)
    ))?;
    let More {
        authors,
        directories,
        commands,
    } = summary.more;
    part("by", &summary.authors, who)?;
    rest(authors)?;
    part("what", &summary.kinds, |kind| what(summary, kind))?;
    part("in", &summary.directories, ToString::to_string)?;
    rest(directories)?;
    part("with", &summary.commands, String::clone)?;
    rest(commands)
}

/// What a list leaves out.
fn rest(left: Rest) -> Result<()> {
    if left.operations == 0 {
        return Ok(());
    }
    let (different, operations) = (left.different, left.operations);
    output::line(format!("{:6}{operations:>9}  and {different} more", ""))
}

fn part<T>(title: &str, all: &[Counted<T>], shown: impl Fn(&T) -> String) -> Result<()> {
    all.iter().enumerate().try_for_each(|(n, counted)| {
        let title = if n == 0 { title } else { "" };
        let shown = shown(&counted.of);
        output::line(format!("{title:6}{:>9}  {shown}", counted.operations))
    })
}

/// A kind, with how often more that was done than there are operations of it.
fn what(summary: &Summary, kind: &String) -> String {
    let times = summary.again.get(kind);
    let again = times.map(|times| format!(", {}", more(*times)));
    kind.clone() + &again.unwrap_or_default()
}

fn who(author: &Author) -> String {
    let user = author.user.clone();
    let user = user.unwrap_or_else(|| format!("uid {}", author.uid));
    let agent = author.agent.as_ref().map(|agent| format!("+{agent}"));
    let session = author.session.as_ref().map(|name| format!(" in {name}"));
    [Some(user), agent, session].into_iter().flatten().collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_kind_says_how_often_it_was_done_beside_its_operations() {
        let summary = Summary {
            again: [("refused".to_owned(), 41), ("bypass".to_owned(), 1)].into(),
            ..Summary::default()
        };
        let told = ["refused", "bypass", "write"].map(|kind| what(&summary, &kind.to_owned()));
        let expected = ["refused, 41 more times", "bypass, 1 more time", "write"];
        assert_eq!(told, expected);
    }

    #[test]
    fn an_author_is_named_with_agent_and_session() {
        let author = Author {
            user: Some("ann".to_owned()),
            agent: Some("fixer".to_owned()),
            session: Some("s1".to_owned()),
            uid: 1000,
        };
        assert_eq!(who(&author), "ann+fixer in s1");
        let nobody = Author {
            user: None,
            agent: None,
            session: None,
            ..author
        };
        assert_eq!(who(&nobody), "uid 1000");
    }
}
