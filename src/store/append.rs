//! Lines that are on the disk when the call returns, and are whole when they are read again.

use super::atomic::{create_folder, sync_folder};
use crate::error::{Error, Result};
use std::fs::{self, File};
use std::io::{ErrorKind, Write};
use std::path::Path;

/// Adds whole lines to the end of a file, which is made where it is missing, and waits until they are on the disk.
///
/// # Errors
/// When the file cannot be written.
pub fn append_lines(path: impl AsRef<Path>, lines: &[u8]) -> Result<()> {
    let path = path.as_ref();
    let failed = |error| Error::io("write", path, error);
    let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
    create_folder(folder)?;
    let mut file = File::options().create(true).append(true).open(path).map_err(failed)?;
    file.write_all(lines).map_err(failed)?;
    file.sync_all().map_err(failed)?;
    sync_folder(folder);
    Ok(())
}

/// The whole lines of a file; a last line that a crash left without its end is cut off, in the file too. Nothing where there is no
/// file.
///
/// # Errors
/// When the file cannot be read or cut.
pub fn whole_lines(path: impl AsRef<Path>) -> Result<Vec<u8>> {
    let path = path.as_ref();
    let mut bytes = match fs::read(path) {
        Ok(bytes) => bytes,
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(Vec::new()),
        Err(error) => return Err(Error::io("read", path, error)),
    };
    let whole = bytes.iter().rposition(|byte| *byte == b'\n').map_or(0, |end| end + 1);
    if whole < bytes.len() {
        let cut = |file: File| file.set_len(whole as u64).and_then(|()| file.sync_all());
        File::options().write(true).open(path).and_then(cut).map_err(|error| Error::io("write", path, error))?;
        bytes.truncate(whole);
    }
    Ok(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_torn_line_is_cut_wherever_it_was_torn() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("deep/lines.jsonl");
        assert_eq!(whole_lines(&path).unwrap(), b"");
        append_lines(&path, b"one\n").unwrap();
        append_lines(&path, b"two\nthree\n").unwrap();
        let all = fs::read(&path).unwrap();
        assert_eq!(all, b"one\ntwo\nthree\n");
        for length in 0..=all.len() {
            fs::write(&path, &all[..length]).unwrap();
            let kept = [0, 4, 8, 14].into_iter().filter(|end| *end <= length).max().unwrap();
            assert_eq!(whole_lines(&path).unwrap(), &all[..kept], "{length}");
            assert_eq!(fs::read(&path).unwrap(), &all[..kept], "{length}");
        }
    }
}
