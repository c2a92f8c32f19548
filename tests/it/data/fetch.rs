//! Downloads from a server on the loopback interface that misbehaves as told.

use seqtilt::data::{Dataset, FetchOptions, fetch};
use seqtilt::observe::{Event, Observer, Silent};
use seqtilt::{Error, Kind};
use std::fmt::Write as _;
use std::io::{BufRead, BufReader, Write};
use std::net::{TcpListener, TcpStream};
use std::ops::ControlFlow;
use std::path::PathBuf;
use std::sync::{Arc, Mutex};
use std::time::Duration;

/// What the server does with one connection.
#[derive(Clone, Copy)]
enum Reply {
    /// Gives all that is asked for.
    Good,
    /// Announces all that is asked for and hangs up after so many bytes.
    Cut(usize),
    /// Ignores the range and gives the whole file.
    NoRange,
    /// Gives other bytes of the same number.
    Wrong,
    /// Answers with a status.
    Status(&'static str),
}

struct Server {
    url: String,
    /// The `Range` header of every request, in order.
    ranges: Arc<Mutex<Vec<Option<String>>>>,
}

fn content() -> Vec<u8> {
    (0..200_000_u32).flat_map(|i| i.wrapping_mul(2_654_435_761).to_le_bytes()).collect()
}

impl Server {
    fn start(replies: &'static [Reply]) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let url = format!("http://{}/table.bin", listener.local_addr().unwrap());
        let ranges = Arc::new(Mutex::new(Vec::new()));
        let seen = Arc::clone(&ranges);
        std::thread::spawn(move || {
            for reply in replies {
                let Ok((stream, _)) = listener.accept() else { return };
                serve(stream, *reply, &seen);
            }
        });
        Self { url, ranges }
    }

    fn ranges(&self) -> Vec<Option<String>> {
        self.ranges.lock().unwrap().clone()
    }
}

/// The client may hang up first: failing writes are not the server's business.
fn serve(mut stream: TcpStream, reply: Reply, seen: &Mutex<Vec<Option<String>>>) {
    let mut range = None;
    for line in BufReader::new(stream.try_clone().unwrap()).lines().map_while(Result::ok) {
        if let Some(value) = line.to_ascii_lowercase().strip_prefix("range: ") {
            range = Some(value.to_owned());
        }
        if line.is_empty() {
            break;
        }
    }
    seen.lock().unwrap().push(range.clone());
    let all = content();
    let asked = range.and_then(|range| range.strip_prefix("bytes=")?.strip_suffix('-')?.parse::<usize>().ok());
    let (status, from) = match (reply, asked) {
        (Reply::Status(status), _) => (status, all.len()),
        (Reply::NoRange | Reply::Wrong, _) | (_, None) => ("200 OK", 0),
        (_, Some(from)) => ("206 Partial Content", from),
    };
    let mut head = format!("HTTP/1.1 {status}\r\nConnection: close\r\nContent-Length: {}\r\n", all.len() - from);
    if status.starts_with("206") {
        let _ = write!(head, "Content-Range: bytes {from}-{}/{}\r\n", all.len() - 1, all.len()); // a String takes it
    }
    let body = match reply {
        Reply::Wrong => vec![b'x'; all.len()],
        Reply::Cut(bytes) => all[from..(from + bytes).min(all.len())].to_vec(),
        _ => all[from..].to_vec(),
    };
    let _ = stream.write_all(format!("{head}\r\n").as_bytes()).and_then(|()| stream.write_all(&body));
}

fn set(url: Option<&str>) -> Dataset {
    Dataset {
        name: "served".into(),
        file: "table.bin".into(),
        url: url.map(str::to_owned),
        // sha256 of content(), by an independent implementation
        sha256: "d591016697e7379424830bc5232dc1450ef7fb56192f929c9ed278ba996a655b".into(),
        bytes: 800_000,
        ..Dataset::default()
    }
}

fn options(attempts: u32) -> FetchOptions {
    FetchOptions { attempts, pause: Duration::ZERO, patience: Duration::from_secs(20) }
}

fn run(server: &Server, attempts: u32, observer: &mut dyn Observer) -> (tempfile::TempDir, Result<PathBuf, Error>) {
    let dir = tempfile::tempdir().unwrap();
    let found = fetch(&set(Some(&server.url)), dir.path(), &options(attempts), observer);
    (dir, found)
}

fn names(dir: &tempfile::TempDir) -> Vec<String> {
    std::fs::read_dir(dir.path()).unwrap().map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect()
}

#[derive(Default)]
struct Recorder {
    steps: Vec<u64>,
    stop_at_first: bool,
}

impl Observer for Recorder {
    fn on_event(&mut self, event: &Event<'_>) -> ControlFlow<()> {
        if let Event::Step { done, .. } = event {
            self.steps.push(*done);
            if self.stop_at_first {
                return ControlFlow::Break(());
            }
        }
        ControlFlow::Continue(())
    }
}

#[test]
fn a_whole_download_lands_under_its_name_and_is_not_repeated() {
    let server = Server::start(&[Reply::Good]);
    let mut recorder = Recorder::default();
    let (dir, found) = run(&server, 1, &mut recorder);
    assert_eq!(std::fs::read(found.unwrap()).unwrap(), content());
    assert_eq!(names(&dir), ["table.bin"]);
    assert_eq!(recorder.steps.last(), Some(&800_000));
    assert!(recorder.steps.is_sorted());
    fetch(&set(Some(&server.url)), dir.path(), &options(1), &mut Silent).unwrap();
    assert_eq!(server.ranges(), [None]);
}

#[test]
fn a_dropped_connection_is_resumed_where_it_broke() {
    let server = Server::start(&[Reply::Cut(300_000), Reply::Status("503 Service Unavailable"), Reply::Good]);
    let (_dir, found) = run(&server, 3, &mut Silent);
    assert_eq!(std::fs::read(found.unwrap()).unwrap(), content());
    let resumed = Some("bytes=300000-".to_owned());
    assert_eq!(server.ranges(), [None, resumed.clone(), resumed]);
}

#[test]
fn after_too_many_drops_the_partial_file_is_kept_for_the_next_run() {
    let server = Server::start(&[Reply::Cut(1_000), Reply::Cut(2_000), Reply::Good]);
    let (dir, found) = run(&server, 2, &mut Silent);
    let error = found.unwrap_err();
    assert_eq!(error.kind(), Kind::Device);
    assert!(error.message().contains("tried 2 times"), "{error}");
    assert!(error.hint_text().unwrap().contains("is kept"), "{:?}", error.hint_text());
    assert_eq!(std::fs::read(dir.path().join("table.bin.part")).unwrap(), content()[..3_000]);
    fetch(&set(Some(&server.url)), dir.path(), &options(1), &mut Silent).unwrap();
    assert_eq!(server.ranges()[2].as_deref(), Some("bytes=3000-"));
}

#[test]
fn wrong_bytes_are_refused_and_removed() {
    let server = Server::start(&[Reply::Wrong]);
    let (dir, found) = run(&server, 1, &mut Silent);
    let error = found.unwrap_err();
    assert_eq!(error.kind(), Kind::Integrity);
    assert!(error.message().contains("expected") && error.message().contains("removed"), "{error}");
    assert!(names(&dir).is_empty(), "{:?}", names(&dir));
}

#[test]
fn a_missing_page_is_reported_at_once() {
    let server = Server::start(&[Reply::Status("404 Not Found")]);
    let (_dir, found) = run(&server, 5, &mut Silent);
    assert!(found.unwrap_err().message().contains("404"));
    assert_eq!(server.ranges().len(), 1);
}

#[test]
fn a_server_without_ranges_starts_over() {
    let server = Server::start(&[Reply::Cut(300_000), Reply::NoRange]);
    let (_dir, found) = run(&server, 2, &mut Silent);
    assert_eq!(std::fs::read(found.unwrap()).unwrap(), content());
    assert_eq!(server.ranges()[1].as_deref(), Some("bytes=300000-"));
}

#[test]
fn a_partial_file_that_does_not_fit_is_dropped() {
    let server = Server::start(&[Reply::Status("416 Range Not Satisfiable"), Reply::Good]);
    let dir = tempfile::tempdir().unwrap();
    std::fs::write(dir.path().join("table.bin.part"), b"old").unwrap();
    fetch(&set(Some(&server.url)), dir.path(), &options(2), &mut Silent).unwrap();
    assert_eq!(server.ranges(), [Some("bytes=3-".to_owned()), None]);
}

#[test]
fn stopping_keeps_what_has_come() {
    let server = Server::start(&[Reply::Good, Reply::Good]);
    let mut recorder = Recorder { stop_at_first: true, ..Recorder::default() };
    let (dir, found) = run(&server, 1, &mut recorder);
    assert_eq!(found.unwrap_err().kind(), Kind::Interrupted);
    let kept = std::fs::metadata(dir.path().join("table.bin.part")).unwrap().len();
    assert_eq!(recorder.steps, [kept]);
    fetch(&set(Some(&server.url)), dir.path(), &options(1), &mut Silent).unwrap();
}

#[test]
fn a_set_without_origin_and_a_foreign_file_are_refused() {
    let dir = tempfile::tempdir().unwrap();
    let error = fetch(&set(None), dir.path(), &options(1), &mut Silent).unwrap_err();
    assert!(error.message().contains("no public origin"), "{error}");
    std::fs::write(dir.path().join("table.bin"), b"other").unwrap();
    let error = fetch(&set(None), dir.path(), &options(1), &mut Silent).unwrap_err();
    assert_eq!(error.kind(), Kind::Integrity);
    let closed = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let dir = tempfile::tempdir().unwrap();
    let error = fetch(&set(Some(&format!("http://{closed}/x"))), dir.path(), &options(2), &mut Silent).unwrap_err();
    assert_eq!(error.kind(), Kind::Device);
}
