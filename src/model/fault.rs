use std::{fmt, path::PathBuf};

/// One thing wrong in what an operator wrote: where, what, and what would be right.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct Fault {
    pub file: PathBuf,
    /// From 1; `None` where the whole file is meant.
    pub line: Option<usize>,
    /// From 1, in characters.
    pub column: Option<usize>,
    /// Lower case, no full stop, what was written in backticks.
    pub message: String,
    /// The mend, where one can be named.
    pub help: Option<String>,
}

/// The faults of one reading. Only the first are kept: nobody reads thousands, and a wrong file can have more than memory holds.
#[derive(Clone, Debug, Default)]
pub struct Faults {
    kept: Vec<Fault>,
    more: usize,
}

// === impl Faults ===

impl Faults {
    /// How many are kept.
    pub const MOST: usize = 100;

    /// Adds what `fault` makes, which is asked only where it is kept.
    pub fn add(&mut self, fault: impl FnOnce() -> Fault) {
        if self.kept.len() < Self::MOST { self.kept.push(fault()) } else { self.more = self.more.saturating_add(1) }
    }

    /// Those of another reading behind these.
    pub fn append(&mut self, others: Self) {
        self.extend(others.kept);
        self.more = self.more.saturating_add(others.more);
    }

    /// Puts those that are kept in the order of their files.
    pub fn sort(&mut self) {
        self.kept.sort_by(|one, other| (&one.file, one.line, one.column).cmp(&(&other.file, other.line, other.column)));
    }

    /// How many there were.
    #[must_use]
    pub fn count(&self) -> usize {
        self.kept.len().saturating_add(self.more)
    }

    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.kept.is_empty()
    }

    /// Those that are kept, and at last how many are not.
    #[must_use]
    pub fn into_vec(mut self) -> Vec<Fault> {
        if let Some(last) = self.kept.last().filter(|_| self.more > 0) {
            let more = Fault { line: None, column: None, message: format!("and {} more", self.more), help: None, ..last.clone() };
            self.kept.push(more);
        }
        self.kept
    }

    /// The value, or else what is wrong with it.
    ///
    /// # Errors
    /// The faults, where there are any.
    pub fn or<T>(self, value: T) -> Result<T, Self> {
        if self.is_empty() { Ok(value) } else { Err(self) }
    }
}

impl Extend<Fault> for Faults {
    fn extend<I: IntoIterator<Item = Fault>>(&mut self, faults: I) {
        faults.into_iter().for_each(|fault| self.add(|| fault));
    }
}

impl From<Fault> for Faults {
    fn from(fault: Fault) -> Self {
        Self { kept: vec![fault], more: 0 }
    }
}

// === impl Fault ===

/// `lakegate.yaml:12:5: unknown key `listn`; did you mean `listen`?`
impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.file.display())?;
        if let Some(line) = self.line {
            write!(f, ":{line}")?;
            if let Some(column) = self.column {
                write!(f, ":{column}")?;
            }
        }
        write!(f, ": {}", self.message)?;
        self.help.as_ref().map_or(Ok(()), |help| write!(f, "; {help}"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn fault(line: usize) -> Fault {
        Fault { file: "a.yaml".into(), line: Some(line), column: None, message: "wrong".to_owned(), help: None }
    }

    #[test]
    fn the_first_of_many_faults_are_kept_and_the_rest_is_counted() {
        for (one, other, lines, last) in [
            (0, 0, 0, None),
            (99, 1, 100, Some("a.yaml:1: wrong")),
            (100, 1, 101, Some("a.yaml: and 1 more")),
            (10_000, 200, 101, Some("a.yaml: and 10100 more")),
            (0, 300, 101, Some("a.yaml: and 200 more")),
        ] {
            let [mut faults, mut others] = [Faults::default(), Faults::default()];
            faults.extend((1..=one).map(fault));
            others.extend((1..=other).map(fault));
            faults.append(others);
            assert_eq!((faults.count(), faults.is_empty()), (one + other, one + other == 0));
            let said: Vec<String> = faults.into_vec().iter().map(ToString::to_string).collect();
            assert_eq!((said.len(), said.last().map(String::as_str)), (lines, last), "{one} and {other}");
        }
    }
}
