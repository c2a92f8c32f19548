//! The text of a user's file: plain or gzip, with or without a byte-order mark, always UTF-8.

use crate::error::{Error, Result};
use flate2::read::MultiGzDecoder;
use std::io::Read;
use std::path::Path;

/// Reads a whole file as text; gzip is recognised by its magic bytes, a UTF-8 byte-order mark is removed.
///
/// # Errors
/// When the file is missing, a directory, a damaged gzip stream, not UTF-8 (with the line) or empty.
pub fn read_text(path: &Path) -> Result<String> {
    let bytes = read_bytes(path)?;
    decode_text(bytes).map_err(|error| error.at(path))
}

/// Reads a whole file.
///
/// # Errors
/// When it is missing, unreadable or a directory.
pub fn read_bytes(path: &Path) -> Result<Vec<u8>> {
    if path.is_dir() {
        let message = format!("cannot read `{}`: it is a directory; a file is needed", path.display());
        return Err(Error::data(message).hint("name a file inside it"));
    }
    std::fs::read(path).map_err(|source| Error::io("read", path, source))
}

/// The text in the bytes of a file, as [`read_text`].
///
/// # Errors
/// As [`read_text`], without the file's name.
pub fn decode_text(bytes: Vec<u8>) -> Result<String> {
    let mut bytes = if bytes.starts_with(&[0x1f, 0x8b]) { inflate(&bytes)? } else { bytes };
    if bytes.starts_with(&[0xff, 0xfe]) || bytes.starts_with(&[0xfe, 0xff]) {
        return Err(Error::data("the file is UTF-16; UTF-8 text is accepted")
            .hint("save it as `CSV UTF-8`, or run `iconv -f utf-16 -t utf-8`"));
    }
    if bytes.starts_with(&[0xef, 0xbb, 0xbf]) {
        bytes.drain(..3);
    }
    let text = String::from_utf8(bytes).map_err(|error| {
        let at = error.utf8_error().valid_up_to();
        let bytes = error.as_bytes();
        let before = &bytes[..at];
        let line = before.split(|byte| *byte == b'\n').count() as u64;
        let column = before.iter().rev().take_while(|byte| **byte != b'\n').count() as u64 + 1;
        let byte = bytes[at];
        Error::data(format!("byte 0x{byte:02x} is not UTF-8 text; UTF-8 is accepted"))
            .line(line)
            .column(column)
            .hint("save the file as UTF-8, or run `iconv -f latin1 -t utf-8`")
    })?;
    if text.trim().is_empty() {
        return Err(Error::data("the file is empty; a FASTA file or a table with a header line is accepted"));
    }
    Ok(text)
}

fn inflate(bytes: &[u8]) -> Result<Vec<u8>> {
    let mut out = Vec::new();
    MultiGzDecoder::new(bytes).read_to_end(&mut out).map_err(|source| {
        Error::data(format!("the gzip stream is damaged or cut short after {} bytes of text", out.len()))
            .because(source)
            .hint("copy or download the file again; `gzip -t FILE` checks it")
    })?;
    Ok(out)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::Write;

    #[test]
    fn gzip_and_byte_order_marks_are_undone() {
        let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
        encoder.write_all(b"\xef\xbb\xbf>a\nACGT\n").unwrap();
        let bytes = encoder.finish().unwrap();
        assert_eq!(decode_text(bytes.clone()).unwrap(), ">a\nACGT\n");
        let error = decode_text(bytes[..bytes.len() - 6].to_vec()).unwrap_err();
        assert!(error.message().contains("cut short"), "{error}");
    }

    #[test]
    fn other_encodings_are_named_with_their_place() {
        let error = decode_text(b"id,sequence\nprot\xe9ine,ACGT\n".to_vec()).unwrap_err();
        assert_eq!(error.to_string(), "2:5: byte 0xe9 is not UTF-8 text; UTF-8 is accepted");
        assert!(decode_text(vec![0xff, 0xfe, b'a', 0]).unwrap_err().message().contains("UTF-16"));
        assert!(decode_text(b"\xef\xbb\xbf \n".to_vec()).unwrap_err().message().contains("empty"));
    }
}
