//! One HTTP connection of a download.

use crate::error::{Error, Result};
use std::fs::File;
use std::io::{Read, Write};
use std::path::Path;
use std::time::Duration;
use ureq::http::{Response, StatusCode, header};

/// How a connection ended, where another may help.
pub(super) enum Outcome {
    /// The server closed it.
    Ended,
    /// It failed for this reason.
    Failed(String),
}

/// Appends what one connection gives to the file, at most `total` bytes in all; starts over when the server does.
pub(super) fn once(
    url: &str,
    file: &mut File,
    part: &Path,
    total: u64,
    patience: Duration,
    progress: &mut dyn FnMut(u64) -> Result<()>,
) -> Result<Outcome> {
    let failed = |source| Error::io("write", part, source);
    let mut done = file.metadata().map_err(failed)?.len();
    let mut request = agent(url, patience).get(url).header(header::ACCEPT_ENCODING, "identity");
    if done > 0 {
        request = request.header(header::RANGE, format!("bytes={done}-"));
    }
    let response = match request.call() {
        Ok(response) => response,
        Err(ureq::Error::BadUri(reason)) => return Err(Error::usage(format!("`{url}` is not a URL: {reason}"))),
        Err(error) => return Ok(Outcome::Failed(error.to_string())),
    };
    match response.status() {
        StatusCode::PARTIAL_CONTENT if range_start(&response) == Some(done) => {}
        StatusCode::OK | StatusCode::PARTIAL_CONTENT | StatusCode::RANGE_NOT_SATISFIABLE => {
            // the server starts over, or what is here does not fit what it has
            let whole = response.status() == StatusCode::OK;
            file.set_len(0).map_err(failed)?;
            done = 0;
            if !whole {
                return Ok(Outcome::Failed("the server does not continue the partial file".to_owned()));
            }
        }
        status if status.is_server_error() || status == StatusCode::TOO_MANY_REQUESTS => {
            return Ok(Outcome::Failed(format!("the server answered {status}")));
        }
        status => {
            let message = format!("cannot download `{url}`: the server answered {status}; 200 or 206 is needed");
            return Err(Error::device(message).hint("check the address in a browser; the origin may have moved"));
        }
    }
    let mut body = response.into_body().into_reader();
    let mut buffer = vec![0; 64 * 1024];
    while done < total {
        let room = buffer.len().min(usize::try_from(total - done).unwrap_or(usize::MAX));
        match body.read(&mut buffer[..room]) {
            Ok(0) => break,
            Ok(read) => {
                file.write_all(&buffer[..read]).map_err(failed)?;
                done += read as u64;
                progress(done)?;
            }
            Err(error) => return Ok(Outcome::Failed(error.to_string())),
        }
    }
    Ok(Outcome::Ended)
}

fn agent(url: &str, patience: Duration) -> ureq::Agent {
    let builder = ureq::Agent::config_builder()
        .http_status_as_error(false)
        .user_agent(concat!("seqtilt/", env!("CARGO_PKG_VERSION")))
        .timeout_connect(Some(patience))
        .timeout_recv_response(Some(patience))
        .timeout_per_read(Some(patience));
    let local = ["http://127.0.0.1", "http://localhost", "http://[::1]"].iter().any(|host| url.starts_with(host));
    let builder = if local { builder.proxy(None) } else { builder };
    builder.build().new_agent()
}

/// The first byte of a `Content-Range: bytes FIRST-LAST/TOTAL`.
fn range_start<T>(response: &Response<T>) -> Option<u64> {
    let range = response.headers().get(header::CONTENT_RANGE)?.to_str().ok()?;
    range.strip_prefix("bytes ")?.split('-').next()?.trim().parse().ok()
}
