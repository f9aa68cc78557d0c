//! Outcomes of cases, side by side.

use std::fmt::Write as _;

use clinker_drivers::{Error, Kind};

/// How a case ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// As it should; with what was done.
    Done(String),
    /// With this error.
    Failed(Kind, String),
    /// With a result that no server should have brought about: bytes that differ, objects left behind.
    Wrong(String),
    /// It was given up after so many seconds.
    Hung(u64),
}

impl Outcome {
    pub fn failed(error: &Error) -> Outcome {
        // What differs from run to run is in the objects' names: volume, date and zone.
        let text = error.to_string();
        let words = text.strip_prefix(&format!("{}: ", error.kind)).unwrap_or(&text);
        let words: Vec<&str> =
            words.split(' ').map(|word| word.rsplit_once("_backup_").map_or(word, |(_, end)| end)).collect();
        Outcome::Failed(error.kind, words.join(" "))
    }

    /// `ok`, or the kind of error.
    fn kind(&self) -> &'static str {
        match self {
            Outcome::Done(_) => "ok",
            Outcome::Failed(kind, _) => kind.as_str(),
            Outcome::Wrong(_) => "WRONG",
            Outcome::Hung(_) => "HUNG",
        }
    }

    fn words(&self) -> String {
        match self {
            Outcome::Done(words) | Outcome::Failed(_, words) | Outcome::Wrong(words) => words.clone(),
            Outcome::Hung(seconds) => format!("given up after {seconds} s"),
        }
    }
}

/// How much two outcomes agree.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Same {
    Yes,
    /// The kind of error is the same, its text is not.
    Kind,
    No,
}

impl Same {
    /// What is wrong or hung agrees with nothing.
    pub fn of(real: &Outcome, fake: &Outcome) -> Same {
        match (real, fake) {
            (Outcome::Done(real), Outcome::Done(fake)) if real == fake => Same::Yes,
            (Outcome::Failed(real, one), Outcome::Failed(fake, other)) if real == fake => {
                if one == other {
                    Same::Yes
                } else {
                    Same::Kind
                }
            }
            _ => Same::No,
        }
    }

    fn text(self) -> &'static str {
        match self {
            Same::Yes => "yes",
            Same::Kind => "kind",
            Same::No => "NO",
        }
    }
}

/// One case, played twice.
pub struct Row {
    pub driver: &'static str,
    pub case: &'static str,
    pub real: Outcome,
    pub fake: Outcome,
}

impl Row {
    pub fn same(&self) -> Same {
        Same::of(&self.real, &self.fake)
    }
}

/// The table, in Markdown that is aligned for reading as it is.
pub fn render(rows: &[Row]) -> String {
    let head = ["driver", "case", "real", "fake", "same?", "in words"].map(str::to_owned);
    let body = rows.iter().map(|Row { driver, case, real, fake }| {
        let (one, other) = (real.words(), fake.words());
        let words = if one == other { one } else { format!("real: {one}; fake: {other}") };
        let same = Same::of(real, fake).text();
        [*driver, *case, real.kind(), fake.kind(), same, &words].map(str::to_owned)
    });
    let lines: Vec<[String; 6]> = std::iter::once(head).chain(body).collect();
    let width = |column: usize| lines.iter().map(|line| line[column].chars().count()).max().unwrap_or_default();
    let widths: [usize; 6] = std::array::from_fn(width);
    let mut text = String::new();
    for (number, line) in lines.iter().enumerate() {
        for (cell, width) in line.iter().zip(widths) {
            let _ = write!(text, "| {cell:width$} ");
        }
        text.push_str("|\n");
        if number == 0 {
            text.push_str("| --- | --- | --- | --- | --- | --- |\n");
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn outcomes_agree_by_kind_and_by_words() {
        let done = |what: &str| Outcome::Done(what.into());
        let failed = |kind, text: &str| Outcome::Failed(kind, text.into());
        let check = |real: Outcome, fake: Outcome, same| assert_eq!(Same::of(&real, &fake), same, "{real:?} {fake:?}");
        check(done("8 objects"), done("8 objects"), Same::Yes);
        check(done("8 objects"), done("7 objects"), Same::No);
        check(failed(Kind::Auth, "a"), failed(Kind::Auth, "a"), Same::Yes);
        check(failed(Kind::Auth, "a"), failed(Kind::Auth, "b"), Same::Kind);
        check(failed(Kind::Auth, "a"), failed(Kind::Quota, "a"), Same::No);
        check(done("a"), failed(Kind::Auth, "a"), Same::No);
        check(Outcome::Hung(60), Outcome::Hung(60), Same::No);
        check(Outcome::Wrong("a".into()), Outcome::Wrong("a".into()), Same::No);
    }

    #[test]
    fn an_error_is_told_without_what_differs_from_run_to_run() {
        let error = Error::new(Kind::Quota, "put of volume_v/20261122/az_nova_backup_full-00003: swift answered 413");
        let expected = Outcome::Failed(Kind::Quota, "put of full-00003: swift answered 413".into());
        assert_eq!(Outcome::failed(&error), expected);
    }

    #[test]
    fn a_row_says_what_agrees_once() {
        let error = Outcome::Failed(Kind::Auth, "swift answered 401".into());
        let row = |fake: Outcome| Row { driver: "swift", case: "wrong password", real: error.clone(), fake };
        let last = "| swift  | wrong password | auth | auth | yes   | swift answered 401 |\n";
        assert!(render(&[row(error.clone())]).ends_with(last));
        let last = "| NO    | real: swift answered 401; fake: 8 objects |\n";
        assert!(render(&[row(Outcome::Done("8 objects".into()))]).ends_with(last));
    }
}
