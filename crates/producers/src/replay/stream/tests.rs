use std::fmt::Write as _;
use std::fs;

use proptest::prelude::*;
use tempfile::TempDir;

use super::*;
use crate::delivery::Target;

/// Files in a directory that goes away, and a replay's options for them.
struct Case {
    _directory: TempDir,
    options: ReplayOptions,
}

fn case(files: &[(&str, &[u8])]) -> Case {
    let directory = tempfile::tempdir().expect("a directory");
    let write = |(name, content): &(&str, &[u8])| {
        let path = directory.path().join(name);
        fs::write(&path, content).expect("a file");
        Input::File(path)
    };
    let inputs = files.iter().map(write).collect();
    let mut options = ReplayOptions::new(inputs, Target::new("sensor-data"));
    options.now = EventTime::parse(b"2024-01-01T00:00:00").expect("a time");
    Case { _directory: directory, options }
}

/// Each record as `seconds of gap` `fault` `payload`, at most `limit`, and the positions behind them.
fn records(
    options: &ReplayOptions,
    from: Option<Position>,
    limit: usize,
) -> Result<(Vec<String>, Vec<Position>, InputSummary), String> {
    let mut replay = Replay::new(options, from);
    let (mut lines, mut positions) = (Vec::new(), Vec::new());
    while lines.len() < limit {
        let Some(record) = replay.next_record().map_err(|error| error.to_string())? else { break };
        let payload = str::from_utf8(record.payload).expect("UTF-8");
        lines.push(format!("{} {} {payload}", record.gap.as_secs(), record.fault.unwrap_or("-")));
        positions.push(record.position);
    }
    Ok((lines, positions, replay.counts().clone()))
}

fn check(case: &Case, expected: &[&str]) -> InputSummary {
    let (lines, _, counts) = records(&case.options, None, 100).expect("a good replay");
    assert_eq!(lines, expected);
    counts
}

fn problem(case: &Case) -> String {
    let message = records(&case.options, None, 100).expect_err("a bad replay");
    // Without the directory, which is another one each time.
    message.rsplit('/').next().unwrap_or_default().to_owned()
}

const NAB: &[u8] = b"timestamp,value\n2013-07-04 00:00:00,69.88\n2013-07-04 01:00:00,71.22\n";
const WSN: &[u8] = b"reading,mote_id,indoor,humidity,temperature,label\r\n1,1,0,43.82,30.21,0\r\n\
    2,1,0,43.79,30.2,1\r\n1,2,1,50.0,20.5,0\r\n";

#[test]
fn a_nab_series_is_recognised() {
    check(
        &case(&[("ambient_temperature_system_failure.csv", NAB)]),
        &[
            r#"0 - {"sensor_id":"ambient_temperature_system_failure","timestamp":"2013-07-04T00:00:00","temperature":69.88}"#,
            r#"3600 - {"sensor_id":"ambient_temperature_system_failure","timestamp":"2013-07-04T01:00:00","temperature":71.22}"#,
        ],
    );
    check(
        &case(&[("nyc_taxi.csv", b"\xef\xbb\xbftimestamp,value\r\n2014-07-01 00:00:00,10844")]),
        &[r#"0 - {"sensor_id":"nyc_taxi","timestamp":"2014-07-01T00:00:00","value":10844.0}"#],
    );
}

#[test]
fn the_wsn_series_is_recognised_with_its_labels() {
    check(
        &case(&[("multi-hop.csv", WSN)]),
        &[
            r#"0 - {"sensor_id":"mote-1","timestamp":"2024-01-01T00:00:00","temperature":30.21,"humidity":43.82}"#,
            r#"5 anomaly {"sensor_id":"mote-1","timestamp":"2024-01-01T00:00:05","temperature":30.2,"humidity":43.79}"#,
            r#"0 - {"sensor_id":"mote-2","timestamp":"2024-01-01T00:00:00","temperature":20.5,"humidity":50.0}"#,
        ],
    );
}

#[test]
fn json_lines_keep_what_a_reading_has() {
    let reading = br#"{"sensor_id":"A","timestamp":"2024-11-07T10:15:30","temperature":23.5,"voltage":3.1,"site":"north","location":{"latitude":52.3676,"longitude":4.9041},"status":"active"}

{"sensor_id":"B","timestamp":1730974540000,"humidity":null,"pressure":1013.25}
"#;
    check(
        &case(&[("dump.jsonl", reading)]),
        &[
            r#"0 - {"sensor_id":"A","timestamp":"2024-11-07T10:15:30","temperature":23.5,"voltage":3.1,"location":{"latitude":52.3676,"longitude":4.9041},"status":"active"}"#,
            r#"10 - {"sensor_id":"B","timestamp":"2024-11-07T10:15:40","pressure":1013.25}"#,
        ],
    );
}

#[test]
fn inputs_follow_one_another_at_once_and_passes_never_repeat_a_time() {
    let mut case = case(&[("a.csv", NAB), ("b.csv", b"timestamp,value\n2013-07-05 00:00:00,1\n")]);
    case.options.repeat = true;
    let (lines, _, _) = records(&case.options, None, 7).expect("a good replay");
    let times: Vec<(&str, &str)> =
        lines.iter().map(|line| (line.split(' ').next().expect("a gap"), &line[line.len() - 33..])).collect();
    let day = |gap, time: &'static str, value: &'static str| (gap, time, value);
    let expected = [
        day("0", "2013-07-04T00:00:00", "69.88"),
        day("3600", "2013-07-04T01:00:00", "71.22"),
        day("0", "2013-07-05T00:00:00", "1.0"),
        // A day and an hour later.
        day("3600", "2013-07-05T01:00:00", "69.88"),
        day("3600", "2013-07-05T02:00:00", "71.22"),
        day("0", "2013-07-06T01:00:00", "1.0"),
        day("3600", "2013-07-06T02:00:00", "69.88"),
    ];
    for ((gap, end), (expected_gap, time, value)) in times.iter().zip(expected) {
        assert_eq!(*gap, expected_gap);
        assert!(lines.iter().any(|line| line.contains(time)) && end.contains(value), "{end}: {time} {value}");
    }
}

#[test]
fn a_start_time_shifts_everything() {
    let mut case = case(&[("a.csv", NAB)]);
    case.options.start_time = EventTime::parse(b"2024-06-01T12:00:00");
    case.options.mapping.sensor_id = Some("x".parse().expect("an id"));
    check(
        &case,
        &[
            r#"0 - {"sensor_id":"x","timestamp":"2024-06-01T12:00:00","value":69.88}"#,
            r#"3600 - {"sensor_id":"x","timestamp":"2024-06-01T13:00:00","value":71.22}"#,
        ],
    );
}

#[test]
fn rows_without_values_and_empty_inputs_are_counted() {
    let case = case(&[
        ("empty.csv", b""),
        ("header.csv", b"timestamp,value\n"),
        ("a.csv", b"timestamp,value\n2013-07-04,\n2013-07-05,1\n"),
    ]);
    let counts = check(&case, &[r#"0 - {"sensor_id":"a","timestamp":"2013-07-05T00:00:00","value":1.0}"#]);
    assert_eq!((counts.rows_without_values, counts.empty_inputs.len()), (1, 2));
}

#[test]
fn a_malformed_row_stops_the_replay_with_its_place_and_the_fix() {
    let of = |row: &str| {
        problem(&case(&[("a.csv", format!("timestamp,value\n2013-07-04,1\n\n{row}\n").as_bytes())]))
    };
    let fix = "; correct the row, or add --on-error skip to leave such rows out and count them";
    assert_eq!(of("2013-07-05,warm"), format!("a.csv:4: value: \"warm\" is not a number{fix}"));
    assert_eq!(of("2013-07-05"), format!("a.csv:4: the row has 1 fields, the header has 2{fix}"));
    assert!(of("soon,1").starts_with("a.csv:4: timestamp: \"soon\" is neither an ISO 8601 time"));
    assert!(of(",1").starts_with("a.csv:4: timestamp is empty, so the row has no time"));
    let first = case(&[("a.jsonl", b"{\"sensor_id\":\"a\",\"timestamp\":1,\"t\":1e999}\n")]);
    assert!(problem(&first).starts_with("a.jsonl:1: not a JSON object: number out of range"));
    let json =
        case(&[("a.jsonl", b"{\"sensor_id\":\"a\",\"timestamp\":\"2024-01-01T00:00:00\",\"t\":1}\n{\"t\":")]);
    assert!(problem(&json).starts_with("a.jsonl:2: not a JSON object: EOF while parsing a value"));
}

#[test]
fn malformed_rows_are_skipped_if_asked_for_and_counted() {
    let mut case = case(&[("a.csv", b"timestamp,value\nx,1\n2013-07-05,1\n1,2,3\n")]);
    case.options.on_error = OnError::Skip;
    let counts = check(&case, &[r#"0 - {"sensor_id":"a","timestamp":"2013-07-05T00:00:00","value":1.0}"#]);
    assert_eq!((counts.skipped_rows, counts.first_skipped.len()), (2, 2));
    assert!(counts.first_skipped[1].contains("a.csv:4: the row has 3 fields"), "{counts:?}");
}

#[test]
fn inputs_that_make_no_readings_say_what_to_do() {
    let of = |content: &str| problem(&case(&[("a.csv", content.as_bytes())]));
    assert!(of("time,value\n2013-07-05,1\n").contains("add --map timestamp=COLUMN, or --step SECONDS"));
    assert!(of("timestamp,site\n2013-07-05,north\n").contains("--map temperature=site"));
    assert!(of("[{\"a\":1}]").contains("jq -c"));
}

#[test]
fn the_same_rows_come_whatever_the_separator_and_the_line_breaks() {
    let plain = "timestamp,value,site\n2013-07-04,1.5,\"a, b\"\n2013-07-05,2,c\n";
    let expected = records(&case(&[("a.csv", plain.as_bytes())]).options, None, 9).expect("good").0;
    assert_eq!(expected.len(), 2);
    for variant in [plain.replace('\n', "\r\n"), plain.replace(',', ";").replace("a; b", "a, b")] {
        assert_eq!(
            records(&case(&[("a.csv", variant.as_bytes())]).options, None, 9).expect("good").0,
            expected
        );
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]

    /// Stopping anywhere and going on from the position gives what an undisturbed replay gives.
    #[test]
    fn going_on_is_as_if_nothing_had_happened(
        rows in prop::collection::vec((0_u32..86_400, -50.0f64..50.0, 0_u8..8), 1..40),
        more in prop::collection::vec((0_u32..86_400, -50.0f64..50.0, 0_u8..8), 0..10),
        crlf: bool, repeat: bool, stops in prop::collection::vec(0_usize..30, 1..4),
    ) {
        let text = |rows: &[(u32, f64, u8)]| {
            let mut text = String::from("timestamp,sensor_id,temperature,note\n");
            for (second, value, quirk) in rows {
                let note = match quirk { 0 => "\"two\nlines\"", 1 => "\"a \"\"quote\"\"\"", _ => "" };
                let value = if *quirk == 2 { String::new() } else { value.to_string() };
                // One row in eight is malformed, one has no value.
                let cut = if *quirk == 3 { "" } else { note };
                let comma = if *quirk == 3 { "" } else { "," };
                writeln!(text, "{},s{},{value}{comma}{cut}", 1_700_000_000 + second, second % 3).expect("a string");
            }
            if crlf { text.replace('\n', "\r\n") } else { text }
        };
        let mut case = case(&[("a.csv", text(&rows).as_bytes()), ("b.csv", text(&more).as_bytes())]);
        case.options.repeat = repeat;
        case.options.on_error = OnError::Skip;
        let (whole, _, _) = records(&case.options, None, 60).expect("a good replay");
        let mut pieces = Vec::new();
        let mut from = None;
        for stop in stops.into_iter().chain([usize::MAX]) {
            let (lines, positions, _) =
                records(&case.options, from, stop.min(60 - pieces.len())).expect("a good replay");
            from = positions.last().copied().or(from);
            pieces.extend(lines);
        }
        prop_assert_eq!(pieces, whole);
    }
}
