//! A stream of events, a line each, answered by a stream of outcomes: a line for each event, with its line's number, and a
//! last line with the counts, or with the error that ended it.

use std::sync::Arc;
use std::time::Duration;

use axum::body::{Body, Bytes};
use axum::http::StatusCode;
use axum::http::header::CONTENT_TYPE;
use axum::response::{IntoResponse, Response};
use futures_util::stream::unfold;
use futures_util::{Stream, StreamExt};
use serde_json::json;
use tokio::sync::{OwnedSemaphorePermit, Semaphore, mpsc};

use super::event_json::read_line;
use super::{BODY_BYTES_MAX, Counts, told};
use crate::domain::usage::{Fault, Outcome};
use crate::graphql::app::App;
use crate::graphql::error::ApiError;
use crate::http::state::HttpState;
use crate::metering::Report;

/// Lines that are counted together.
const LINES_AT_ONCE: usize = 1_000;
/// A stream that pauses for so long has what came so far counted and answered.
const PAUSE: Duration = Duration::from_millis(20);
/// The longest line.
const LINE_BYTES_MAX: usize = 64 * 1024;
/// Answers that wait for a client that sends and does not read, in pieces and in bytes: what a whole body is answered with.
const ANSWERS_MAX: usize = 1_024;
const ANSWERS_BYTES_MAX: usize = 32 * 1024 * 1024;
/// The bytes of answers that wait for all clients together.
pub(in crate::http) const ANSWERS_BYTES_IN_ALL: usize = 96 * 1024 * 1024;
/// A client that does not read its answers is waited for so long.
const READING_TIME_MAX: Duration = Duration::from_secs(60);

/// Begins to answer with the first outcomes, or with an error if there are none.
pub(super) async fn answer(state: &HttpState, body: Body) -> Response {
    let (queue, mut answered) = mpsc::channel::<Answer>(ANSWERS_MAX);
    let own_room = Arc::new(Semaphore::new(ANSWERS_BYTES_MAX));
    let answers = Answers { queue, own_room, room: Arc::clone(&state.usage_answers) };
    let app = Arc::clone(&state.app);
    // A client that hangs up does not cut short what it has sent.
    tokio::spawn(async move { Reading::new(app, answers).read(body.into_data_stream()).await });
    let first = match answered.recv().await {
        Some(Answer::Failed(error)) => return super::failed(&error),
        Some(first) => first.into_bytes(),
        None => return StatusCode::INTERNAL_SERVER_ERROR.into_response(),
    };
    let rest = unfold(answered, async |mut answered| {
        let answer = answered.recv().await?;
        Some((answer.into_bytes(), answered))
    });
    let lines = futures_util::stream::once(async move { first }).chain(rest);
    let lines = lines.map(Ok::<Bytes, std::convert::Infallible>);
    ([(CONTENT_TYPE, "application/x-ndjson")], Body::from_stream(lines)).into_response()
}

enum Answer {
    /// With the room that they take while they wait.
    Lines { lines: Bytes, _room: [OwnedSemaphorePermit; 2] },
    /// Nothing more is read; what was answered before counts.
    Failed(ApiError),
}

impl Answer {
    fn into_bytes(self) -> Bytes {
        match self {
            Self::Lines { lines, .. } => lines,
            Self::Failed(error) => format!("{}\n", told(&error)).into(),
        }
    }
}

/// Where answers wait for the client to read them.
struct Answers {
    queue: mpsc::Sender<Answer>,
    own_room: Arc<Semaphore>,
    /// Of all clients.
    room: Arc<Semaphore>,
}

impl Answers {
    async fn lines(&self, lines: Bytes) -> Result<(), Ended> {
        let bytes = u32::try_from(lines.len().min(ANSWERS_BYTES_MAX)).unwrap_or(u32::MAX);
        let waiting = async {
            let own = Arc::clone(&self.own_room).acquire_many_owned(bytes).await.map_err(|_| Ended::Left)?;
            let of_all = Arc::clone(&self.room).acquire_many_owned(bytes).await.map_err(|_| Ended::Left)?;
            self.queue.send(Answer::Lines { lines, _room: [own, of_all] }).await.map_err(|_| Ended::Left)
        };
        tokio::time::timeout(READING_TIME_MAX, waiting).await.unwrap_or(Err(Ended::Left))
    }

    async fn failed(&self, error: ApiError) {
        // Who has gone, or does not read, is not told.
        let _ = tokio::time::timeout(READING_TIME_MAX, self.queue.send(Answer::Failed(error))).await;
    }
}

/// Why a stream is not read to its end.
enum Ended {
    /// The client has gone, or does not read.
    Left,
    Failed(ApiError),
}

impl From<ApiError> for Ended {
    fn from(error: ApiError) -> Self {
        Self::Failed(error)
    }
}

/// A stream as far as it has been read.
struct Reading {
    app: Arc<App>,
    answers: Answers,
    counts: Counts,
    /// The beginning of a line whose end has not come.
    rest: Vec<u8>,
    /// Whether that line is too long already, and is passed over up to its end.
    is_too_long: bool,
    bytes: usize,
    lines: u64,
    /// What has been read and is not counted yet: the line's number, the event's id, the event.
    waiting: Vec<(u64, Option<String>, Result<Report, Fault>)>,
}

impl Reading {
    fn new(app: Arc<App>, answers: Answers) -> Self {
        let (counts, rest, waiting) = (Counts::default(), Vec::new(), Vec::new());
        Self { app, answers, counts, rest, is_too_long: false, bytes: 0, lines: 0, waiting }
    }

    async fn read<E: std::fmt::Display>(mut self, body: impl Stream<Item = Result<Bytes, E>> + Unpin) {
        match self.read_all(body).await {
            Ok(()) => {
                let Counts { accepted, duplicates, rejected } = self.counts;
                let counts = json!({ "accepted": accepted, "duplicates": duplicates, "rejected": rejected });
                let _ = self.answers.lines(format!("{counts}\n").into()).await;
            }
            Err(Ended::Failed(error)) => self.answers.failed(error).await,
            Err(Ended::Left) => {}
        }
    }

    async fn read_all<E: std::fmt::Display>(
        &mut self,
        mut body: impl Stream<Item = Result<Bytes, E>> + Unpin,
    ) -> Result<(), Ended> {
        loop {
            let next = match tokio::time::timeout(PAUSE, body.next()).await {
                Ok(next) => next,
                Err(_) => {
                    self.count().await?;
                    body.next().await
                }
            };
            match next {
                Some(Ok(bytes)) => self.take(&bytes).await?,
                Some(Err(error)) => {
                    // What came before counts; the line that was cut short does not.
                    self.count().await?;
                    return Err(ApiError::bad_request(format!("the body broke off: {error}")).into());
                }
                None => {
                    self.end_line();
                    return self.count().await;
                }
            }
        }
    }

    async fn take(&mut self, bytes: &[u8]) -> Result<(), Ended> {
        self.bytes = self.bytes.saturating_add(bytes.len());
        if self.bytes > BODY_BYTES_MAX {
            self.count().await?;
            let message = format!("a request may have {BODY_BYTES_MAX} bytes: send the rest in another");
            return Err(ApiError::new("LIMIT_EXCEEDED", message).into());
        }
        let mut pieces = bytes.split(|byte| *byte == b'\n').peekable();
        while let Some(piece) = pieces.next() {
            self.go_on_with(piece);
            if pieces.peek().is_some() {
                self.end_line();
                if self.waiting.len() >= LINES_AT_ONCE {
                    self.count().await?;
                }
            }
        }
        Ok(())
    }

    fn go_on_with(&mut self, piece: &[u8]) {
        self.is_too_long |= self.rest.len().saturating_add(piece.len()) > LINE_BYTES_MAX;
        if !self.is_too_long {
            self.rest.extend_from_slice(piece);
        }
    }

    /// An empty line counts as a line and is no event.
    fn end_line(&mut self) {
        self.lines = self.lines.saturating_add(1);
        let line = self.rest.trim_ascii();
        if std::mem::take(&mut self.is_too_long) {
            let fault = Fault::new("event", format!("a line may have {LINE_BYTES_MAX} bytes"));
            self.waiting.push((self.lines, None, Err(fault)));
        } else if !line.is_empty() {
            let (id, report) = read_line(line);
            self.waiting.push((self.lines, id, report));
        }
        self.rest.clear();
    }

    /// Counts what waits, and answers.
    async fn count(&mut self) -> Result<(), Ended> {
        if self.waiting.is_empty() {
            return Ok(());
        }
        let mut places = Vec::with_capacity(self.waiting.len());
        let mut reports = Vec::with_capacity(self.waiting.len());
        for (line, id, report) in self.waiting.drain(..) {
            places.push((line, id));
            reports.push(report);
        }
        let outcomes = self.app.meter.record(reports).await.map_err(ApiError::from)?;
        let mut lines = Vec::with_capacity(outcomes.len().saturating_mul(64));
        for ((line, id), outcome) in places.into_iter().zip(outcomes) {
            self.counts.count(&outcome);
            write_line(&mut lines, line, id.as_deref(), &outcome);
        }
        self.answers.lines(lines.into()).await
    }
}

fn write_line(lines: &mut Vec<u8>, line: u64, id: Option<&str>, outcome: &Outcome) {
    let message = match outcome {
        Outcome::Rejected(why) => Some(why.as_str()),
        Outcome::Accepted | Outcome::Duplicate => None,
    };
    #[derive(serde::Serialize)]
    struct Line<'l> {
        line: u64,
        id: Option<&'l str>,
        outcome: &'l str,
        #[serde(skip_serializing_if = "Option::is_none")]
        message: Option<&'l str>,
    }
    // Plain data is written to memory: that cannot fail.
    let _ = serde_json::to_writer(&mut *lines, &Line { line, id, outcome: outcome.code(), message });
    lines.push(b'\n');
}
