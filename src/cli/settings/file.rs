//! A file of settings.

use super::schema;
use crate::cli::context::Global;
use crate::error::{Error, Result};
use crate::registry::unknown;
use serde::de::DeserializeOwned;
use std::path::{Path, PathBuf};
use toml::Spanned;
use toml::de::{DeTable, DeValue};

/// The text of a TOML file that is known to parse.
#[derive(Clone, Debug)]
pub(in crate::cli) struct ConfigFile {
    path: PathBuf,
    text: String,
}

impl ConfigFile {
    /// Reads a file and checks its syntax and the names at its top.
    ///
    /// # Errors
    /// A usage error when it cannot be read, is not TOML, or names a global setting or a verb that does not exist.
    pub(in crate::cli) fn read(path: impl AsRef<Path>) -> Result<Self> {
        let path = path.as_ref();
        let text = std::fs::read_to_string(path).map_err(|error| {
            Error::usage(format!("cannot read the settings file `{}`", path.display()))
                .because(error)
                .hint("check the path after --config; relative paths start at the current directory")
        })?;
        Self::parse(path, text)
    }

    fn parse(path: &Path, text: String) -> Result<Self> {
        let file = Self { path: path.to_owned(), text };
        let root = file.root()?;
        let globals = schema::keys::<Global>();
        for (key, value) in root.get_ref() {
            let name = key.get_ref().as_ref();
            if !matches!(value.get_ref(), DeValue::Table(_)) && !globals.iter().any(|key| key == name) {
                let error = unknown("global key", name, globals.iter().map(String::as_str));
                return Err(file.place(error, key.span().start));
            }
        }
        file.check_tables(root.get_ref(), &crate::cli::command())?;
        Ok(file)
    }

    /// Refuses tables that no verb reads; what is inside a verb's own table is checked when the verb reads it.
    fn check_tables(&self, table: &DeTable<'_>, command: &clap::Command) -> Result<()> {
        if !command.has_subcommands() {
            return Ok(());
        }
        for (key, value) in table {
            let DeValue::Table(inner) = value.get_ref() else { continue };
            let name = key.get_ref().as_ref();
            let Some(verb) = command.find_subcommand(name) else {
                let accepted = command.get_subcommands().map(clap::Command::get_name);
                return Err(self.place(unknown("table", name, accepted), key.span().start));
            };
            self.check_tables(inner, verb)?;
        }
        Ok(())
    }

    /// The global settings, at the top of the file.
    ///
    /// # Errors
    /// When a value is of the wrong type.
    pub(in crate::cli) fn globals(&self) -> Result<Global> {
        let root = self.root()?;
        let span = root.span();
        let top = root.into_inner().into_iter().filter(|(_, value)| !matches!(value.get_ref(), DeValue::Table(_)));
        self.read_table(Spanned::new(span, top.collect()))
    }

    /// The settings of a verb: the table at `path`, or nothing where there is none.
    ///
    /// # Errors
    /// When it has an unknown key or a value of the wrong type.
    pub(in crate::cli) fn table<A: DeserializeOwned + Default>(&self, path: &[&str]) -> Result<A> {
        let mut table = self.root()?;
        for name in path {
            let Some(value) = table.get_mut().remove(*name) else { return Ok(A::default()) };
            let span = value.span();
            table = match value.into_inner() {
                DeValue::Table(inner) => Spanned::new(span, inner),
                other => {
                    let got = other.type_str();
                    let error = Error::usage(format!("`{}` is a table of settings, but holds {got}", path.join(".")));
                    return Err(self.place(error, span.start));
                }
            };
        }
        self.read_table(table)
    }

    fn root(&self) -> Result<Spanned<DeTable<'_>>> {
        DeTable::parse(&self.text).map_err(|error| self.explain(&error))
    }

    fn read_table<A: DeserializeOwned>(&self, table: Spanned<DeTable<'_>>) -> Result<A> {
        A::deserialize(toml::Deserializer::from(table)).map_err(|error| self.explain(&error))
    }

    /// What toml says, with the place, the dotted key, and the nearest name where one was mistyped.
    fn explain(&self, error: &toml::de::Error) -> Error {
        let offset = error.span().map(|span| span.start);
        let key = offset.and_then(|offset| {
            let root = DeTable::parse(&self.text).ok()?;
            schema::key_at(root.get_ref(), offset)
        });
        let error = schema::explain(error.message(), key.as_deref());
        match offset {
            Some(offset) => self.place(error, offset),
            None => error.at(&self.path),
        }
    }

    fn place(&self, error: Error, offset: usize) -> Error {
        let before = self.text.get(..offset).unwrap_or(&self.text);
        let line = before.matches('\n').count() + 1;
        let column = before.rsplit('\n').next().unwrap_or_default().chars().count() + 1;
        error.at(&self.path).line(line as u64).column(column as u64)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde::{Deserialize, Serialize};

    #[derive(Debug, Default, PartialEq, Serialize, Deserialize)]
    #[serde(default, deny_unknown_fields, rename_all = "kebab-case")]
    struct Args {
        batch: Option<u32>,
        alpha: Option<f64>,
        schedule: Option<Schedule>,
    }

    #[derive(Debug, PartialEq, Serialize, Deserialize)]
    #[serde(rename_all = "kebab-case", deny_unknown_fields)]
    enum Schedule {
        Cosine { offset: f64 },
        Linear,
    }

    fn read(text: &str) -> Result<Args> {
        ConfigFile::parse(Path::new("run.toml"), text.to_owned())?.table(&["models", "info"])
    }

    fn fails(text: &str) -> (String, Option<String>) {
        let error = read(text).unwrap_err();
        assert_eq!(error.kind(), crate::Kind::Usage);
        (error.to_string(), error.hint_text().map(str::to_owned))
    }

    #[test]
    fn a_table_is_read_and_a_missing_one_is_empty() {
        let args =
            read("seed = 3\n[models.info]\nbatch = 4\nalpha = 1\n[models.info.schedule.cosine]\noffset = 0.01\n");
        let schedule = Some(Schedule::Cosine { offset: 0.01 });
        assert_eq!(args.unwrap(), Args { batch: Some(4), alpha: Some(1.0), schedule });
        assert_eq!(read("seed = 3\n").unwrap(), Args::default());
        assert_eq!(read("").unwrap(), Args::default());
    }

    #[test]
    fn an_unknown_key_is_named_with_its_place_and_the_nearest() {
        let (message, hint) = fails("# é\n[models.info]\nalpha = 1\n  bacth = 4\n");
        assert_eq!(message, "run.toml:4:3: unknown key `models.info.bacth`; accepted: `batch`, `alpha`, `schedule`");
        assert_eq!(hint.as_deref(), Some("did you mean `batch`?"));
    }

    #[test]
    fn an_unknown_key_deep_inside_is_reported_at_its_own_line() {
        let (message, _) = fails("[models.info.schedule.cosine]\noffset = 0.1\nofset = 0.2\n");
        assert!(message.starts_with("run.toml:3:1: unknown key `models.info.schedule.cosine.ofset`"), "{message}");
        let (message, hint) = fails("[models.info]\nschedule = \"linaer\"\n");
        assert!(message.starts_with("run.toml:2:"), "{message}");
        assert!(message.contains("unknown value `linaer` for `models.info.schedule`"), "{message}");
        assert_eq!(hint.as_deref(), Some("did you mean `linear`?"));
    }

    #[test]
    fn a_wrong_type_names_the_key_and_both_types() {
        let (message, _) = fails("[models.info]\nbatch = \"four\"\n");
        assert_eq!(message, "run.toml:2:9: `models.info.batch`: invalid type: string \"four\", expected u32");
        let (message, _) = fails("[models.info]\nbatch = -1\n");
        assert!(message.starts_with("run.toml:2:9: `models.info.batch`: invalid value: integer `-1`"), "{message}");
        let (message, _) = fails("[models]\ninfo = 3\n");
        assert_eq!(message, "run.toml:2:8: `models.info` is a table of settings, but holds integer");
    }

    #[test]
    fn an_unknown_table_or_global_key_is_refused_when_the_file_is_read() {
        let (message, hint) = fails("[modles]\nbatch = 1\n");
        assert!(message.starts_with("run.toml:1:2: unknown table `modles`"), "{message}");
        assert_eq!(hint.as_deref(), Some("did you mean `models`?"));
        let (message, hint) = fails("[models.infos]\nbatch = 1\n");
        assert!(message.starts_with("run.toml:1:9: unknown table `infos`; accepted: `list`, `info`"), "{message}");
        assert_eq!(hint.as_deref(), Some("did you mean `info`?"));
        let (message, hint) = fails("sede = 1\n");
        assert!(message.starts_with("run.toml:1:1: unknown global key `sede`"), "{message}");
        assert_eq!(hint.as_deref(), Some("did you mean `seed`?"));
    }

    #[test]
    fn broken_syntax_has_a_place() {
        for text in ["[models.info\n", "seed = \n", "seed = 1\nseed = 2\n", "\u{0}"] {
            let (message, _) = fails(text);
            assert!(message.starts_with("run.toml:"), "{message}");
        }
    }

    #[test]
    fn global_settings_come_from_the_top() {
        let file = ConfigFile::parse(Path::new("a"), "seed = 9\ndevice = \"cpu\"\n[models]\n".into()).unwrap();
        let global = file.globals().unwrap();
        assert_eq!((global.seed, global.device.map(|name| name.to_string())), (Some(9), Some("cpu".into())));
        let file = ConfigFile::parse(Path::new("a"), "device = \"gpu\"\n".into()).unwrap();
        assert!(file.globals().unwrap_err().to_string().starts_with("a:1:10: `device`: unknown device `gpu`"));
    }
}
