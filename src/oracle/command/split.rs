//! A command line without a shell.

use crate::error::{Error, Result};

/// Program and arguments: blanks separate, `'…'` keeps everything, `"…"` everything but `\"` and `\\`, and elsewhere a
/// backslash keeps the character after it. Nothing is expanded: no variables, no wild cards, no pipes.
///
/// # Errors
/// When there is no program, or a quote is not closed.
pub(super) fn split(line: &str) -> Result<Vec<String>> {
    let (mut words, mut word, mut begun) = (Vec::new(), String::new(), false);
    let mut letters = line.chars();
    let open = |quote: char| {
        Error::usage(format!("`{line}` has a {quote} that is not closed"))
            .hint("a command is split at blanks; quotes keep blanks together")
    };
    while let Some(letter) = letters.next() {
        match letter {
            '\'' => {
                begun = true;
                loop {
                    match letters.next() {
                        Some('\'') => break,
                        Some(kept) => word.push(kept),
                        None => return Err(open('\'')),
                    }
                }
            }
            '"' => {
                begun = true;
                loop {
                    match letters.next() {
                        Some('"') => break,
                        Some('\\') => match letters.next() {
                            Some(kept @ ('"' | '\\')) => word.push(kept),
                            Some(other) => word.extend(['\\', other]),
                            None => return Err(open('"')),
                        },
                        Some(kept) => word.push(kept),
                        None => return Err(open('"')),
                    }
                }
            }
            '\\' => {
                begun = true;
                word.extend(letters.next());
            }
            blank if blank.is_whitespace() => {
                if begun {
                    words.push(std::mem::take(&mut word));
                }
                begun = false;
            }
            kept => {
                begun = true;
                word.push(kept);
            }
        }
    }
    if begun {
        words.push(word);
    }
    if words.first().is_none_or(String::is_empty) {
        return Err(Error::usage("`cmd` has no program to run; `cmd:COMMAND` is accepted"));
    }
    Ok(words)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_are_split_as_a_shell_would_but_nothing_is_expanded() {
        let words = |line: &str| split(line).unwrap();
        assert_eq!(words("  python3   -u score.py "), ["python3", "-u", "score.py"]);
        assert_eq!(
            words(r#"sh -c 'a | b "c"' "d \"e\" \n" f\ g ''"#),
            ["sh", "-c", r#"a | b "c""#, r#"d "e" \n"#, "f g", ""]
        );
        assert_eq!(words("echo $HOME *.py"), ["echo", "$HOME", "*.py"]);
        assert_eq!(words("a'b'\"c\""), ["abc"]);
    }

    #[test]
    fn an_open_quote_and_an_empty_command_are_refused() {
        assert_eq!(split("a 'b").unwrap_err().message(), "`a 'b` has a ' that is not closed");
        assert!(split("a \"b\\").is_err());
        assert!(split("  ").is_err() && split("'' a").is_err());
    }
}
