//! An oracle in Rust, one file without dependencies: put your own `score` in, then
//! `rustc -O oracle.rs && seqtilt oracle check cmd:./oracle`
use std::io::{BufRead, Write, stdin, stdout};

const READY: &str = r#"{"type":"ready","protocol":1,"name":"gc-content","version":"1","deterministic":true,"alphabet":"ACGT","length":[1,4096],"max_batch":4096,"max_in_flight":2,"outputs":[{"name":"gc","direction":"max"}]}"#;

/// A value, or why there is none.
fn score(text: &str) -> Result<f64, &'static str> {
    if text.bytes().any(|letter| !b"ACGT".contains(&letter)) {
        return Err("letters other than ACGT");
    }
    Ok(text.bytes().filter(|letter| b"GC".contains(letter)).count() as f64 / text.len() as f64)
}

/// The fields of one answer.
fn answer(text: &str) -> String {
    match score(text) {
        Ok(value) if value.is_finite() => format!(r#""values":{{"gc":{value}}}"#),
        Ok(value) => format!(r#""status":"failed","reason":"the score is {value}""#),
        Err(reason) => format!(r#""status":"infeasible","reason":"{reason}""#),
    }
}

/// What stands between two marks.
fn between<'a>(text: &'a str, start: &str, end: &str) -> Option<&'a str> {
    let rest = text.split_once(start)?.1;
    Some(rest.split_once(end)?.0)
}

/// The answer to a batch, which always has the form `{"type":"evaluate","id":1,"items":[{"id":"0","seq":"ACGT"},…]}`.
fn result(line: &str) -> Option<String> {
    let (head, items) = line.split_once(r#""items":["#)?;
    let id = between(head, r#""id":"#, ",")?;
    let mut answers = Vec::new();
    for item in items.split_inclusive('}').filter(|item| item.contains(r#""seq""#)) {
        let (name, text) = (between(item, r#""id":""#, "\"")?, between(item, r#""seq":""#, "\"")?);
        answers.push(format!(r#"{{"id":"{name}",{}}}"#, answer(text)));
    }
    Some(format!(r#"{{"type":"result","id":{id},"items":[{}]}}"#, answers.join(",")))
}

fn main() -> std::io::Result<()> {
    let mut wire = stdout().lock();
    for line in stdin().lock().lines() {
        let line = line?;
        let reply = match between(&line, r#"{"type":""#, "\"") {
            Some("hello") => Some(READY.to_owned()),
            Some("evaluate") => result(&line),
            Some("quit") => break,
            _ => None,
        };
        if let Some(reply) = reply {
            writeln!(wire, "{reply}")?;
            wire.flush()?;
        }
    }
    Ok(())
}
