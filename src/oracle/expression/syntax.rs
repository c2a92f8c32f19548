//! Formulas as people write them.

use super::term::{FUNCTIONS, Function, Term};
use crate::error::{Error, Result};
use crate::registry::nearest;

/// Brackets within brackets, at most.
const DEPTH: usize = 64;

/// Sums, differences, products and quotients of a formula, at most.
const LONGEST: usize = 1000;

/// Reads a formula over parts with these names; every one of them must be used.
///
/// # Errors
/// When it is not a formula; the message names the column.
pub(super) fn parse(formula: &str, names: &[String]) -> Result<Term> {
    for (index, name) in names.iter().enumerate() {
        let letters = name.chars().all(|c| c.is_ascii_alphanumeric() || c == '_');
        if !letters || name.chars().next().is_none_or(|first| first.is_ascii_digit()) {
            let message = format!("`{name}` is not a name; letters, digits and `_` are accepted, a digit not first");
            return Err(Error::usage(message));
        }
        if FUNCTIONS.iter().any(|(function, ..)| function == name) {
            return Err(Error::usage(format!("part `{name}` has the name of a function")).hint("choose another name"));
        }
        if names[..index].contains(name) {
            return Err(Error::usage(format!("part `{name}` is named twice")));
        }
    }
    let mut reader = Reader { text: formula.trim(), at: 0, depth: 0, joined: 0, names };
    let term = reader.sum()?;
    if let Some(letter) = reader.peek() {
        return Err(reader.wrong(reader.at, &format!("expected `+`, `-`, `*`, `/` or the end, got `{letter}`")));
    }
    match (0..names.len()).find(|part| !term.reads(*part)) {
        Some(part) => Err(Error::usage(format!("the formula `{}` does not use part `{}`", reader.text, names[part]))
            .hint("leave the part out, or use it")),
        None => Ok(term),
    }
}

/// A place in a text.
struct Reader<'a> {
    text: &'a str,
    /// In bytes.
    at: usize,
    depth: usize,
    /// Operations between two terms so far.
    joined: usize,
    names: &'a [String],
}

impl<'a> Reader<'a> {
    /// The next character that is not blank.
    fn peek(&mut self) -> Option<char> {
        let rest = &self.text[self.at..];
        self.at += rest.len() - rest.trim_start().len();
        self.text[self.at..].chars().next()
    }

    /// Takes one of these characters if it is next; answers with it and its column.
    fn take(&mut self, wanted: &[char]) -> Option<(char, usize)> {
        let next = self.peek().filter(|letter| wanted.contains(letter))?;
        let column = self.column(self.at);
        self.at += next.len_utf8();
        Some((next, column))
    }

    /// Takes the longest run of characters that `belongs` accepts.
    fn run(&mut self, belongs: impl Fn(char) -> bool) -> &'a str {
        let rest = &self.text[self.at..];
        let end = rest.find(|letter| !belongs(letter)).unwrap_or(rest.len());
        self.at += end;
        &rest[..end]
    }

    fn column(&self, at: usize) -> usize {
        self.text[..at].chars().count() + 1
    }

    fn wrong(&self, at: usize, message: &str) -> Error {
        let (text, column) = (self.text, self.column(at));
        Error::usage(format!("formula `{text}`, column {column}: {message}"))
    }

    /// One operation more.
    fn count(&mut self) -> Result<()> {
        self.joined += 1;
        if self.joined > LONGEST {
            return Err(Error::usage(format!(
                "a formula of more than {LONGEST} operations; as many at most are accepted"
            )));
        }
        Ok(())
    }

    /// `product ± product ± …`
    fn sum(&mut self) -> Result<Term> {
        let mut left = self.product()?;
        while let Some((sign, column)) = self.take(&['+', '-']) {
            let function = if sign == '+' { Function::Add } else { Function::Subtract };
            left = Term::Call { function, arguments: vec![left, self.product()?], column };
            self.count()?;
        }
        Ok(left)
    }

    /// `factor · factor / …`
    fn product(&mut self) -> Result<Term> {
        let mut left = self.factor()?;
        while let Some((sign, column)) = self.take(&['*', '/']) {
            let function = if sign == '*' { Function::Multiply } else { Function::Divide };
            left = Term::Call { function, arguments: vec![left, self.factor()?], column };
            self.count()?;
        }
        Ok(left)
    }

    /// A number, a part, a function of terms, a term in brackets, or any of them with a sign.
    fn factor(&mut self) -> Result<Term> {
        self.depth += 1;
        if self.depth > DEPTH {
            return Err(self.wrong(self.at, &format!("brackets within brackets; {DEPTH} levels at most are accepted")));
        }
        let term = match self.peek() {
            Some('+') => {
                self.take(&['+']);
                self.factor()?
            }
            Some('-') => {
                let column = self.column(self.at);
                self.take(&['-']);
                Term::Call { function: Function::Negate, arguments: vec![self.factor()?], column }
            }
            Some('(') => {
                self.take(&['(']);
                let inner = self.sum()?;
                self.close()?;
                inner
            }
            Some(letter) if letter.is_ascii_digit() || letter == '.' => self.number()?,
            Some(letter) if letter.is_ascii_alphabetic() || letter == '_' => self.named()?,
            Some(letter) => {
                return Err(self.wrong(self.at, &format!("expected a number, a name or `(`, got `{letter}`")));
            }
            None => return Err(self.wrong(self.at, "expected a number, a name or `(`, and there is no more")),
        };
        self.depth -= 1;
        Ok(term)
    }

    fn close(&mut self) -> Result<()> {
        match (self.take(&[')']), self.peek()) {
            (Some(_), _) => Ok(()),
            (None, Some(letter)) => Err(self.wrong(self.at, &format!("expected `)`, got `{letter}`"))),
            (None, None) => Err(self.wrong(self.at, "expected `)`, and there is no more")),
        }
    }

    fn number(&mut self) -> Result<Term> {
        let start = self.at;
        self.run(|letter| letter.is_ascii_digit() || letter == '.');
        let rest = &self.text[self.at..];
        // an exponent, but not the beginning of a name
        if rest.starts_with(['e', 'E']) {
            let sign = usize::from(rest[1..].starts_with(['+', '-']));
            if rest[1 + sign..].starts_with(|letter: char| letter.is_ascii_digit()) {
                self.at += 1 + sign;
                self.run(|letter| letter.is_ascii_digit());
            }
        }
        let text = &self.text[start..self.at];
        match text.parse::<f64>() {
            Ok(number) if number.is_finite() => Ok(Term::Number(number)),
            _ => Err(self.wrong(start, &format!("`{text}` is not a number"))),
        }
    }

    fn named(&mut self) -> Result<Term> {
        let (start, column) = (self.at, self.column(self.at));
        let name = self.run(|letter| letter.is_ascii_alphanumeric() || letter == '_');
        if self.peek() != Some('(') {
            return match self.names.iter().position(|known| known == name) {
                Some(part) => Ok(Term::Part(part)),
                None => Err(self.unknown(start, "part", name, self.names.iter().map(String::as_str).collect())),
            };
        }
        let Some((_, function, least, most)) = FUNCTIONS.iter().find(|(known, ..)| *known == name) else {
            return Err(self.unknown(start, "function", name, FUNCTIONS.iter().map(|(known, ..)| *known).collect()));
        };
        self.take(&['(']);
        let mut arguments = vec![self.sum()?];
        while self.take(&[',']).is_some() {
            arguments.push(self.sum()?);
        }
        self.close()?;
        if !(*least..=*most).contains(&arguments.len()) {
            let more = if *most == usize::MAX { " or more" } else { "" };
            let got = arguments.len();
            return Err(self.wrong(start, &format!("`{name}` takes {least}{more} terms, got {got}")));
        }
        Ok(Term::Call { function: *function, arguments, column })
    }

    fn unknown(&self, at: usize, what: &str, name: &str, known: Vec<&str>) -> Error {
        let list: Vec<String> = known.iter().map(|known| format!("`{known}`")).collect();
        let error = self.wrong(at, &format!("unknown {what} `{name}`; accepted: {}", list.join(", ")));
        match nearest(name, known) {
            Some(near) => error.hint(format!("did you mean `{near}`?")),
            None => error.hint("parts are named after the formula: `expr:a + b; a=KIND:ARGUMENT; b=KIND:ARGUMENT`"),
        }
    }
}
