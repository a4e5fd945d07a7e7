//! `nexus rebac check`: one question, or a list of them.

use super::client::Client;
use super::input;
use super::output;
use super::paths;
use super::place::Place;
use super::sentence::{Meaning, Sentence};
use crate::access::rebac::{Cut, Verdict};
use crate::api::On;
use crate::api::checks::{Checked, Outcome, Outcomes, QUESTIONS_MAX, RebacCheck, RebacCheckMany};
use crate::api::groups::GroupCheck;
use crate::core::{Kind, Result, error::fail};
use clap::Args;
use std::ffi::OsString;
use std::path::PathBuf;

/// How many bytes of questions one request takes, about.
const REQUEST: usize = 256 << 10;

#[derive(Debug, Args)]
pub(super) struct CheckArgs {
    /// SUBJECT [RELATION] OBJECT, as in `user bob can_write file /workspace/a` or `user:bob viewer doc:readme`
    #[arg(required_unless_present = "batch", num_args = 1.., value_name = "WORD")]
    words: Vec<OsString>,
    /// The relation, where the words do not say it
    #[arg(long)]
    relation: Option<String>,
    /// A file of questions, `user:bob viewer doc:readme` or `user:bob can_read file:/workspace/a` on each line; `-` is standard
    /// input
    #[arg(long, value_name = "FILE", conflicts_with_all = ["words", "relation"])]
    batch: Option<PathBuf>,
}

pub(super) fn run(place: &Place, args: CheckArgs) -> Result<()> {
    if let Some(file) = args.batch {
        return many(place, &input::text(&file)?);
    }
    let sentence = Sentence {
        words: args.words,
        relation: args.relation,
    };
    let (answer, question) = one(place, sentence)?;
    let words = match answer.answer.verdict {
        Verdict::Yes => "✓ GRANTED".to_owned(),
        Verdict::No => "✗ DENIED".to_owned(),
        Verdict::Unknown => format!("✗ DENIED, because it is unknown{}", why(answer.answer.cut)),
    };
    output::show(place.json, &answer, words)?;
    if answer.granted {
        return Ok(());
    }
    // The exit code is the answer for scripts.
    let what = match answer.answer.verdict {
        Verdict::Unknown => "it cannot be found out whether a relationship gives",
        Verdict::Yes | Verdict::No => "no relationship gives",
    };
    fail(Kind::Denied, format!("{what} {question}"))
}

fn why(cut: Option<Cut>) -> String {
    cut.map_or_else(String::new, |cut| format!(": {cut}"))
}

fn one(place: &Place, sentence: Sentence) -> Result<(Checked, String)> {
    let client = place.client()?;
    match sentence.meaning()? {
        Meaning::Related {
            subject,
            relation,
            to,
        } => {
            let on = paths::on(&client, to)?;
            let question = format!("{subject} {relation} {}", shown(&on));
            let asked = RebacCheck {
                subject,
                relation,
                on,
            };
            Ok((client.call(asked)?, question))
        }
        Meaning::Member { member, group } => {
            let question = format!("{member} member-of group {group}");
            let granted = client.call(GroupCheck { group, member })?.granted;
            Ok((granted.into(), question))
        }
    }
}

fn shown(on: &On) -> String {
    match on {
        On::Path { path } => path.to_string(),
        On::Object { object } => object.clone(),
    }
}

fn many(place: &Place, text: &str) -> Result<()> {
    let lines = text.lines().map(str::trim).filter(|line| !line.is_empty());
    let lines: Vec<&str> = lines.collect();
    let client = place.client()?;
    let mut answers = Vec::new();
    for part in parts(&lines) {
        let questions = part.iter().map(|line| question(line));
        answers.extend(asked(&client, &questions.collect::<Result<Vec<_>>>()?)?);
    }
    let failed = answers.iter().filter(|a| matches!(a, Outcome::Failed(_)));
    let failed = failed.count();
    if place.json {
        output::json(&Outcomes { answers })?;
    } else {
        for (outcome, line) in answers.iter().zip(&lines) {
            output::line(told(outcome, line))?;
        }
    }
    if failed == 0 {
        return Ok(());
    }
    let message = format!("{failed} of {} questions could not be asked", lines.len());
    fail(Kind::Invalid, message)
}

/// Asks again what one request has left out, for as long as something comes of that.
fn asked(client: &Client, questions: &[RebacCheck]) -> Result<Vec<Outcome>> {
    let mut answers: Vec<Outcome> = Vec::new();
    while answers.len() < questions.len() {
        let rest = questions[answers.len()..].to_vec();
        let mut some = client.call(RebacCheckMany { questions: rest })?.answers;
        let told = some.iter().position(Outcome::is_left_out);
        if let Some(told) = told.filter(|told| *told > 0) {
            some.truncate(told);
        }
        if some.is_empty() {
            return fail(Kind::Version, "the daemon left questions unanswered");
        }
        answers.append(&mut some);
    }
    Ok(answers)
}

/// `SUBJECT RELATION OBJECT`; an object may have blanks in its name.
fn question(line: &str) -> Result<RebacCheck> {
    let first = |text: &str| {
        let (word, rest) = text.split_once(char::is_whitespace)?;
        Some((word.to_owned(), rest.trim_start().to_owned()))
    };
    let three = first(line).and_then(|(subject, rest)| Some((subject, first(&rest)?)));
    let Some((subject, (relation, object))) = three else {
        let message = format!("{line:?}: say it as in `user:bob viewer doc:readme`");
        return fail(Kind::Invalid, message);
    };
    Ok(RebacCheck {
        subject,
        relation,
        on: On::Object { object },
    })
}

/// The lines of each request: few enough, and short enough together.
fn parts<'l, 't>(lines: &'l [&'t str]) -> Vec<&'l [&'t str]> {
    let mut parts = Vec::new();
    let mut rest = lines;
    while !rest.is_empty() {
        let mut size = 0;
        let fits = |line: &&&str| {
            size += line.len();
            size <= REQUEST
        };
        let fitting = rest.iter().take(QUESTIONS_MAX).take_while(fits).count();
        let (part, behind) = rest.split_at(fitting.max(1));
        parts.push(part);
        rest = behind;
    }
    parts
}

fn told(outcome: &Outcome, line: &str) -> String {
    match outcome {
        Outcome::Answered(checked) => {
            let word = match checked.answer.verdict {
                Verdict::Yes => "allowed",
                Verdict::No => "denied",
                Verdict::Unknown => "unknown",
            };
            format!("{word:7}  {line}{}", why(checked.answer.cut))
        }
        Outcome::Failed(failure) => format!("{:7}  {line}: {}", "error", failure.error.message),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn many_questions_are_asked_in_parts() {
        let sizes = |lines: &[&str]| parts(lines).iter().map(|p| p.len()).collect::<Vec<_>>();
        assert_eq!(sizes(&[]), [] as [usize; 0]);
        assert_eq!(sizes(&["a"; QUESTIONS_MAX]), [QUESTIONS_MAX]);
        assert_eq!(sizes(&["a"; QUESTIONS_MAX + 1]), [QUESTIONS_MAX, 1]);
        let long = "a".repeat(REQUEST);
        assert_eq!(sizes(&["a", &long, "b", "c"]), [1, 1, 2]);
    }

    #[test]
    fn a_question_is_a_line_of_three() {
        let read = question("user:bob  can_read\tfile:/a b").unwrap();
        assert_eq!((&*read.subject, &*read.relation), ("user:bob", "can_read"));
        assert_eq!(shown(&read.on), "file:/a b");
        assert!(question("user:bob viewer").is_err());
    }
}
