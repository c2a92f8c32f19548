//! One error type for the whole crate: what happened, where, what is accepted, and what to do next.

use std::fmt;
use std::path::{Path, PathBuf};

/// The crate's result.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// What sort of failure an [`Error`] is; decides the process's exit code.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Kind {
    /// A bad argument or configuration (exit code 2).
    Usage,
    /// Bad input data (exit code 3).
    Data,
    /// Constraints that cannot be met (exit code 4).
    Constraint,
    /// An oracle that failed (exit code 5).
    Oracle,
    /// Device, memory, disk or tensor failure (exit code 6).
    Device,
    /// A hash that does not match; a corrupted or foreign file (exit code 7).
    Integrity,
    /// Stopped on request at a safe point (exit code 130).
    Interrupted,
}

impl Kind {
    /// The documented exit code.
    ///
    /// ```
    /// assert_eq!(seqtilt::Kind::Data.exit_code(), 3);
    /// ```
    #[must_use]
    pub const fn exit_code(self) -> u8 {
        match self {
            Self::Usage => 2,
            Self::Data => 3,
            Self::Constraint => 4,
            Self::Oracle => 5,
            Self::Device => 6,
            Self::Integrity => 7,
            Self::Interrupted => 130,
        }
    }
}

/// A failure: its [`Kind`], a message, and where known the file, line, column, cause and a hint.
///
/// Messages are lower case, without a full stop, with the object in backticks. They say what was got *and* what is
/// accepted.
///
/// ```
/// use seqtilt::Error;
/// let error = Error::data("letter `N` is not in alphabet `dna`, which accepts `ACGT`")
///     .at("library.csv").line(17).column(4).hint("remove the row, or pass --skip-invalid");
/// assert_eq!(error.to_string(), "library.csv:17:4: letter `N` is not in alphabet `dna`, which accepts `ACGT`");
/// assert_eq!(error.kind().exit_code(), 3);
/// ```
#[derive(Debug)]
pub struct Error(Box<Inner>);

#[derive(Debug)]
struct Inner {
    kind: Kind,
    message: String,
    file: Option<PathBuf>,
    line: Option<u64>,
    column: Option<u64>,
    hint: Option<String>,
    source: Option<Box<dyn std::error::Error + Send + Sync>>,
}

macro_rules! constructors {
    ($($(#[$doc:meta])* $name:ident => $kind:ident;)*) => { impl Error { $(
        $(#[$doc])*
        #[must_use]
        pub fn $name(message: impl Into<String>) -> Self { Self::new(Kind::$kind, message) }
    )* } };
}

constructors! {
    /// A bad argument or configuration.
    usage => Usage;
    /// Bad input data.
    data => Data;
    /// Constraints that cannot be met.
    constraint => Constraint;
    /// An oracle that failed.
    oracle => Oracle;
    /// Device, memory, disk or tensor failure.
    device => Device;
    /// A hash that does not match; a corrupted or foreign file.
    integrity => Integrity;
    /// Stopped on request at a safe point.
    interrupted => Interrupted;
}

impl Error {
    /// An error of the given kind.
    #[must_use]
    pub fn new(kind: Kind, message: impl Into<String>) -> Self {
        let message = message.into();
        Self(Box::new(Inner { kind, message, file: None, line: None, column: None, hint: None, source: None }))
    }

    /// An operating-system failure while doing `action` to `path`: a missing or unreadable file is bad data, anything
    /// else (full disk, no permission to write) is a device failure.
    #[must_use]
    pub fn io(action: &str, path: impl AsRef<Path>, source: std::io::Error) -> Self {
        use std::io::ErrorKind as Io;
        let reading = action.starts_with("read") || action.starts_with("open");
        let kind = match source.kind() {
            Io::NotFound | Io::IsADirectory | Io::InvalidData | Io::UnexpectedEof => Kind::Data,
            Io::PermissionDenied if reading => Kind::Data,
            _ => Kind::Device,
        };
        let hint = match source.kind() {
            Io::NotFound => Some("check the path; relative paths start at the current directory"),
            Io::StorageFull => Some("free some space and run the same command again; it resumes"),
            Io::PermissionDenied => Some("choose a folder that you may write to, for example with --out"),
            _ => None,
        };
        let message = format!("cannot {action} `{}`", path.as_ref().display());
        let mut error = Self::new(kind, message).because(source);
        error.0.hint = hint.map(str::to_owned);
        error
    }

    /// Adds the file.
    #[must_use]
    pub fn at(mut self, file: impl Into<PathBuf>) -> Self {
        self.0.file = Some(file.into());
        self
    }

    /// Adds the line, counted from 1.
    #[must_use]
    pub fn line(mut self, line: u64) -> Self {
        self.0.line = Some(line);
        self
    }

    /// Adds the column, counted from 1.
    #[must_use]
    pub fn column(mut self, column: u64) -> Self {
        self.0.column = Some(column);
        self
    }

    /// Adds one command or one edit that helps.
    #[must_use]
    pub fn hint(mut self, hint: impl Into<String>) -> Self {
        self.0.hint = Some(hint.into());
        self
    }

    /// Adds the cause.
    #[must_use]
    pub fn because(mut self, source: impl Into<Box<dyn std::error::Error + Send + Sync>>) -> Self {
        self.0.source = Some(source.into());
        self
    }

    /// What sort of failure this is.
    #[must_use]
    pub fn kind(&self) -> Kind {
        self.0.kind
    }

    /// The hint, if there is one.
    #[must_use]
    pub fn hint_text(&self) -> Option<&str> {
        self.0.hint.as_deref()
    }

    /// The message without the place.
    #[must_use]
    pub fn message(&self) -> &str {
        &self.0.message
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(file) = &self.0.file {
            write!(f, "{}:", file.display())?;
        }
        if let Some(line) = self.0.line {
            write!(f, "{line}:")?;
        }
        if let Some(column) = self.0.column {
            write!(f, "{column}:")?;
        }
        if self.0.file.is_some() || self.0.line.is_some() {
            write!(f, " ")?;
        }
        f.write_str(&self.0.message)
    }
}

impl std::error::Error for Error {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        self.0.source.as_deref().map(|source| source as &(dyn std::error::Error + 'static))
    }
}

impl From<candle_core::Error> for Error {
    fn from(source: candle_core::Error) -> Self {
        Self::device("tensor operation failed").because(source)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_unreadable_file_is_bad_data_and_a_full_disk_a_device_failure() {
        let missing = Error::io("read", "a.csv", std::io::ErrorKind::NotFound.into());
        assert_eq!(missing.kind(), Kind::Data);
        let full = Error::io("write", "a.csv", std::io::ErrorKind::StorageFull.into());
        assert_eq!(full.kind(), Kind::Device);
        assert!(full.hint_text().is_some_and(|hint| hint.contains("resumes")));
    }
}
