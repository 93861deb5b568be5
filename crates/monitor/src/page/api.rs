//! `/api/v1`: all that the page shows, as JSON.
//!
//! | path | answer |
//! |---|---|
//! | `overview` | figures, concerns, histories of fifteen minutes |
//! | `stream` | the same as server-sent events: the newest one, whenever it changes and the browser is ready |
//! | `sensors?search=&health=&sort=&descending=&offset=&limit=` | `{"total", "sensors"}` |
//! | `sensors/ID` | `{"sensor", "alarms"}` |
//! | `sensors/ID/readings?limit=` | `{"points"}`, the newest out of the last records of the topic |
//! | `alarms?state=&severity=&search=&limit=` | `{"total", "alarms"}`, active ones first |
//! | `alarms/ID` | one with its evidence |
//! | `topics`, `topics/NAME` | partitions, offsets, rates; with settings |
//! | `topics/NAME/messages?from=&partition=&search=&limit=` | `{"messages", "scanned", "stopped"}` |
//! | `groups` | members, assignments, lag |
//! | `dead-letters` | by reason, and the newest |
//!
//! `openapi.json` describes it for programs. An error is `{"error": TEXT}` with a status that says whose it is.

use std::convert::Infallible;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::extract::{Path, Query, State as Shared};
use axum::http::{StatusCode, header};
use axum::response::sse::{Event, KeepAlive, Sse};
use axum::response::{IntoResponse as _, Response};
use axum::routing::get;
use kafka::{Admin, CONNECT_TIMEOUT};
use model::EventTime;
use model::alert::Alarm;
use runtime::now_micros;
use serde::Deserialize;
use serde_json::{Value, json};
use tokio::sync::Semaphore;
use tokio_stream::{Stream, StreamExt as _, wrappers::WatchStream};

use super::fleet::{Health, Query as SensorQuery, Sort};
use super::messages::{self, From, MAX_MESSAGES, Search};
use super::overview::{alarms_by_sensor, summary};
use super::state::State;

/// Requests that read topics at the same time.
const READERS: usize = 2;
/// How often a browser is told something at most: what a person can follow, at a tenth of a core.
const PUSH_EVERY: Duration = Duration::from_millis(200);
/// Rows of a list, unless fewer are asked for.
const MAX_ROWS: usize = 1_000;

/// What a handler is given.
#[derive(Clone)]
pub(super) struct Api {
    pub(super) state: Arc<State>,
    readers: Arc<Semaphore>,
}

type Answer = Result<Response, Response>;

impl Api {
    pub(super) fn new(state: Arc<State>) -> Self {
        Self { state, readers: Arc::new(Semaphore::new(READERS)) }
    }

    pub(super) fn router(self) -> Router {
        Router::new()
            .route("/openapi.json", get(|| async { ([(header::CONTENT_TYPE, JSON)], OPENAPI) }))
            .route("/overview", get(overview))
            .route("/stream", get(stream))
            .route("/sensors", get(sensors))
            .route("/sensors/{id}", get(sensor))
            .route("/sensors/{id}/readings", get(readings))
            .route("/alarms", get(alarms))
            .route("/alarms/{id}", get(alarm))
            .route("/topics", get(topics))
            .route("/topics/{name}", get(topic))
            .route("/topics/{name}/messages", get(messages))
            .route("/groups", get(groups))
            .route("/dead-letters", get(dead_letters))
            .fallback(|| async { refuse(StatusCode::NOT_FOUND, "there is no such thing in the API") })
            .with_state(self)
    }

    /// Runs something that waits for Kafka, beside a few others at most.
    async fn reading<T: Send + 'static>(
        &self,
        work: impl FnOnce(&State) -> Result<T, kafka::Error> + Send + 'static,
    ) -> Result<T, Response> {
        let Ok(_permit) = self.readers.clone().try_acquire_owned() else {
            return Err(refuse(
                StatusCode::SERVICE_UNAVAILABLE,
                "others are reading topics; try again in a moment",
            ));
        };
        let state = Arc::clone(&self.state);
        match tokio::task::spawn_blocking(move || work(&state)).await {
            Ok(Ok(found)) => Ok(found),
            Ok(Err(error)) => Err(refuse(StatusCode::BAD_GATEWAY, &error.to_string())),
            Err(_) => Err(refuse(StatusCode::INTERNAL_SERVER_ERROR, "reading failed; see the log")),
        }
    }
}

fn refuse(status: StatusCode, text: &str) -> Response {
    (status, [(header::CONTENT_TYPE, JSON)], format!("{}\n", json!({"error": text}))).into_response()
}

const JSON: &str = "application/json";
/// The description of all this for programs.
const OPENAPI: &str = include_str!("../../assets/openapi.json");

fn answer(body: &Value) -> Response {
    ([(header::CONTENT_TYPE, JSON), (header::CACHE_CONTROL, "no-store")], body.to_string()).into_response()
}

fn now_millis() -> i64 {
    now_micros() / 1_000
}

async fn overview(Shared(api): Shared<Api>) -> Response {
    answer(&super::overview::overview(&api.state))
}

/// A browser that comes back gets the newest state at once, so there is nothing to resume.
async fn stream(Shared(api): Shared<Api>) -> Sse<impl Stream<Item = Result<Event, Infallible>>> {
    let updates = WatchStream::new(api.state.live.subscribe()).throttle(PUSH_EVERY);
    let events = updates.map(|text| Ok(Event::default().event("overview").data(&*text)));
    Sse::new(events).keep_alive(KeepAlive::new().interval(Duration::from_secs(10)))
}

#[derive(Deserialize)]
struct SensorsQuery {
    #[serde(default)]
    search: String,
    #[serde(default)]
    health: String,
    #[serde(default)]
    sort: String,
    #[serde(default)]
    descending: bool,
    #[serde(default)]
    offset: usize,
    limit: Option<usize>,
}

async fn sensors(Shared(api): Shared<Api>, Query(asked): Query<SensorsQuery>) -> Answer {
    let health = match asked.health.as_str() {
        "" => None,
        "ok" => Some(Health::Ok),
        "warning" => Some(Health::Warning),
        "silent" => Some(Health::Silent),
        _ => return Err(refuse(StatusCode::BAD_REQUEST, "health is ok, warning or silent")),
    };
    let sort = if asked.sort.is_empty() { Some(Sort::Id) } else { Sort::of(&asked.sort) };
    let Some(sort) = sort else {
        let text = "sort is id, health, seen, readings, temperature, humidity, pressure or alarms";
        return Err(refuse(StatusCode::BAD_REQUEST, text));
    };
    let query = SensorQuery {
        search: asked.search,
        health,
        sort,
        descending: asked.descending,
        offset: asked.offset,
        limit: asked.limit.unwrap_or(100).min(MAX_ROWS),
    };
    let alarms = alarms_by_sensor(&api.state);
    let (rows, total) = api.state.fleet().list(&query, &alarms, now_millis());
    Ok(answer(&json!({"total": total, "sensors": rows})))
}

async fn sensor(Shared(api): Shared<Api>, Path(id): Path<String>) -> Answer {
    let alarms: Vec<Value> = {
        let all = api.state.alarms();
        let mut of_it: Vec<&Alarm> = all.iter().filter(|alarm| alarm.alert.sensor_id == id).collect();
        of_it.sort_by_key(|alarm| std::cmp::Reverse(alarm.alert.since));
        of_it.iter().take(100).map(|alarm| summary(alarm, EventTime::from_millis(now_millis()))).collect()
    };
    let active = alarms.iter().filter(|alarm| alarm["state"] != "cleared").count();
    let found = api.state.fleet().get(&id, active, now_millis());
    match found {
        Some(row) => Ok(answer(&json!({"sensor": row, "alarms": alarms}))),
        None => Err(refuse(StatusCode::NOT_FOUND, "no reading of this sensor was seen")),
    }
}

#[derive(Deserialize)]
struct Limit {
    limit: Option<usize>,
}

async fn readings(Shared(api): Shared<Api>, Path(id): Path<String>, Query(asked): Query<Limit>) -> Answer {
    let limit = asked.limit.unwrap_or(1_000).min(5_000);
    let partitions = api.state.cluster().partitions(&api.state.readings);
    let points =
        api.reading(move |state| messages::readings(&state.settings, &partitions, &id, limit)).await?;
    Ok(answer(&json!({"points": points})))
}

#[derive(Deserialize)]
struct AlarmsQuery {
    #[serde(default)]
    state: String,
    #[serde(default)]
    severity: String,
    #[serde(default)]
    search: String,
    limit: Option<usize>,
}

async fn alarms(Shared(api): Shared<Api>, Query(asked): Query<AlarmsQuery>) -> Response {
    let now = EventTime::from_millis(now_millis());
    let search = asked.search.to_lowercase();
    let all = api.state.alarms();
    let mut found: Vec<&Alarm> = all
        .iter()
        .filter(|alarm| match asked.state.as_str() {
            "active" => alarm.is_active(),
            "cleared" => !alarm.is_active(),
            _ => true,
        })
        .filter(|alarm| asked.severity.is_empty() || alarm.alert.severity.to_string() == asked.severity)
        .filter(|alarm| {
            let holds = |text: &str| text.to_lowercase().contains(&search);
            search.is_empty() || holds(&alarm.alert.sensor_id) || holds(&alarm.alert.rule)
        })
        .collect();
    found.sort_by_key(|alarm| std::cmp::Reverse((alarm.is_active(), alarm.alert.severity, alarm.alert.at)));
    let rows: Vec<Value> = found
        .iter()
        .take(asked.limit.unwrap_or(200).min(MAX_ROWS))
        .map(|alarm| summary(alarm, now))
        .collect();
    answer(&json!({"total": found.len(), "alarms": rows}))
}

async fn alarm(Shared(api): Shared<Api>, Path(id): Path<String>) -> Answer {
    let alarms = api.state.alarms();
    let Some(alarm) = alarms.get(&id) else {
        return Err(refuse(StatusCode::NOT_FOUND, "there is no such alarm, or it is over and forgotten"));
    };
    let mut body = summary(alarm, EventTime::from_millis(now_millis()));
    body["fired"] = json!(alarm.fired);
    body["now"] = json!(alarm.alert);
    body["acknowledged"] = json!(alarm.acknowledged);
    body["notes"] = json!(alarm.notes);
    Ok(answer(&body))
}

async fn topics(Shared(api): Shared<Api>) -> Response {
    let cluster = api.state.cluster();
    answer(&json!({"brokers": cluster.brokers, "topics": cluster.topics}))
}

async fn topic(Shared(api): Shared<Api>, Path(name): Path<String>) -> Answer {
    let found = api.state.cluster().topics.iter().find(|topic| topic.name == name).cloned();
    let Some(found) = found else { return Err(refuse(StatusCode::NOT_FOUND, "there is no such topic")) };
    let settings = api
        .reading(move |state| {
            let described = Admin::connect(&state.settings, CONNECT_TIMEOUT)?.describe_topic(&name)?;
            let own = described.config.into_iter().filter(|(_, value)| value.is_own);
            Ok(own.map(|(key, value)| (key, value.value)).collect::<std::collections::BTreeMap<_, _>>())
        })
        .await?;
    Ok(answer(&json!({"topic": found, "settings": settings})))
}

#[derive(Deserialize)]
struct MessagesQuery {
    #[serde(default)]
    from: String,
    partition: Option<i32>,
    #[serde(default)]
    search: String,
    limit: Option<usize>,
}

async fn messages(
    Shared(api): Shared<Api>,
    Path(name): Path<String>,
    Query(asked): Query<MessagesQuery>,
) -> Answer {
    let number = |text: &str| text.parse::<i64>().ok();
    let from = match asked.from.split_once(':') {
        None if asked.from.is_empty() || asked.from == "newest" => Some(From::Newest),
        None if asked.from == "oldest" => Some(From::Oldest),
        Some(("offset", offset)) => number(offset).map(From::Offset),
        Some(("time", time)) => {
            number(time).or_else(|| EventTime::parse(time.as_bytes()).map(EventTime::millis)).map(From::Time)
        }
        _ => None,
    };
    let Some(from) = from else {
        let text = "from is newest, oldest, offset:NUMBER, or time:MILLISECONDS or time:2024-11-07T10:15:30";
        return Err(refuse(StatusCode::BAD_REQUEST, text));
    };
    let mut partitions = api.state.cluster().partitions(&name);
    partitions.retain(|(place, ..)| asked.partition.is_none_or(|partition| place.partition == partition));
    if partitions.is_empty() {
        return Err(refuse(StatusCode::NOT_FOUND, "there is no such topic or partition"));
    }
    let limit = asked.limit.unwrap_or(50).clamp(1, MAX_MESSAGES);
    let search = Search { partitions, from, text: asked.search, limit };
    let found = api.reading(move |state| messages::search(&state.settings, &search)).await?;
    Ok(answer(&json!(found)))
}

async fn groups(Shared(api): Shared<Api>) -> Response {
    answer(&json!({"groups": api.state.cluster().groups}))
}

async fn dead_letters(Shared(api): Shared<Api>) -> Response {
    let letters = api.state.letters();
    let reasons: Vec<Value> = letters
        .by_reason
        .iter()
        .map(|((topic, reason), count)| json!({"topic": topic, "reason": reason, "count": count}))
        .collect();
    answer(
        &json!({"total": letters.total, "by_reason": reasons, "newest": letters.newest().collect::<Vec<_>>()}),
    )
}
