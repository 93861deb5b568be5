//! Windows, rules and groups as people write them: what becomes of them, and where mistakes are told.

use std::path::Path;
use std::time::Duration;

use engine::plan::{PlanSpec, RuleSpec, WindowInput, WindowShape, WindowSpec};
use model::Severity;

use super::super::error::SettingsError;
use super::super::layer::Layer;
use super::super::schema::Schema;
use super::super::{file, validate};

fn entries(text: &str) -> Layer {
    let schema = Schema::embedded();
    let mut entries = schema.defaults().clone();
    entries.lay(file::read_text(text, Path::new("f"), &schema).expect("settings"));
    entries
}

fn plan(text: &str) -> PlanSpec {
    validate::validate(&entries(text)).expect("good settings").process.plan
}

fn mistakes(text: &str) -> Vec<String> {
    match validate::validate(&entries(text)) {
        Err(SettingsError::Plan { mistakes }) => mistakes.iter().map(ToString::to_string).collect(),
        other => panic!("{text}\nwas read as {other:?}"),
    }
}

fn refused(text: &str) -> String {
    let schema = Schema::embedded();
    file::read_text(text, Path::new("f"), &schema).expect_err("bad settings").to_string()
}

const MINUTE: Duration = Duration::from_mins(1);

#[test]
fn the_defaults_have_windows_and_rules_without_mistakes() {
    let plan = plan("");
    let names: Vec<&str> = plan.windows.iter().map(|window| window.name.as_str()).collect();
    assert_eq!(names, ["1m", "events-1m"]);
    assert!(!plan.rules.is_empty() && plan.groups.is_empty());
}

#[test]
fn a_window_has_its_shape_by_its_keys() {
    let plan = plan(
        r#"
        [process.defaults]
        grace = "7s"
        [groups]
        "cold store" = ["F*"]
        [[windows]]
        name = "plain"
        size = 60
        [[windows]]
        name = "sliding"
        size = "1m"
        hop = "10s"
        grace = "0s"
        sensors = ["A?", "@cold store"]
        metrics = ["temperature"]
        quantiles = true
        early = "5s"
        [[windows]]
        name = "busy"
        over = "events"
        gap = "30s"
        max_length = "1h"
        types = ["com.example.*"]
        "#,
    );
    let first = WindowSpec {
        name: "plain".into(),
        over: WindowInput::Readings,
        shape: WindowShape::Tumbling { size: MINUTE },
        grace: Duration::from_secs(7),
        select: Vec::new(),
        metrics: Vec::new(),
        quantiles: false,
        early: None,
    };
    let sliding = WindowSpec {
        name: "sliding".into(),
        shape: WindowShape::Hopping { size: MINUTE, hop: MINUTE / 6 },
        grace: Duration::ZERO,
        select: vec!["A?".into(), "@cold store".into()],
        metrics: vec!["temperature".into()],
        quantiles: true,
        early: Some(MINUTE / 12),
        ..first.clone()
    };
    let busy = WindowSpec {
        name: "busy".into(),
        over: WindowInput::Events,
        shape: WindowShape::Session { gap: MINUTE / 2, max: MINUTE * 60 },
        select: vec!["com.example.*".into()],
        ..first.clone()
    };
    assert_eq!(plan.windows, [first, sliding, busy]);
    assert_eq!(plan.groups["cold store"], ["F*"]);
    // The rules were not named, so the defaults stay.
    assert!(!plan.rules.is_empty());
}

#[test]
fn a_rule_has_all_its_keys() {
    let text = r#"
        rules = [
            { name = "hot", when = "temperature > 30", clear = 29, for = "30s", clear_for = "1m", severity = "critical",
              escalate_after = "10m", sensors = ["A*"], max_per_hour = 3 },
            { name = "odd", when = "humidity < 5" },
        ]"#;
    let rules = plan(text).rules;
    let hot = RuleSpec {
        name: "hot".into(),
        when: "temperature > 30".into(),
        clear: Some(29.0),
        hold: MINUTE / 2,
        clear_hold: MINUTE,
        severity: Severity::Critical,
        escalate_after: Some(MINUTE * 10),
        select: vec!["A*".into()],
        max_per_hour: 3,
    };
    let odd = RuleSpec {
        name: "odd".into(),
        when: "humidity < 5".into(),
        clear: None,
        hold: Duration::ZERO,
        clear_hold: Duration::ZERO,
        severity: Severity::Warning,
        escalate_after: None,
        select: Vec::new(),
        max_per_hour: 12,
    };
    assert_eq!(rules, [hot, odd]);
}

#[test]
fn a_file_replaces_the_list_that_it_names_as_a_whole() {
    let without = plan("rules = []\nwindows = []\n");
    assert!(without.rules.is_empty() && without.windows.is_empty());
    let one = plan("[[windows]]\nname = 'w'\nsize = '1s'\n");
    assert_eq!(one.windows.len(), 1);
    assert!(!one.rules.is_empty());
}

#[test]
fn every_mistake_of_a_file_is_told_with_its_place() {
    let text = r#"
[groups]
boilers = ["B*"]

[[windows]]
size = "1 minute"
hopp = "1s"

[[windows]]
name = "w"

[[windows]]
name = "both"
size = "1m"
gap = "1m"

[[windows]]
name = "e"
over = "event"
size = 0
quantiles = "yes"

[[windows]]
name = "types"
size = "1s"
types = ["a"]
max_length = "1h"

[[rules]]
when = 3
severity = "fatal"
max_per_hour = 0
sensors = ["A*", "@boiler", '@x']
escalate_after = "0s"
colour = "red"
"#;
    let expected = [
        "f:5:1: window 1: it needs name, as in name = \"1m\"",
        "f:6:8: window 1, size: \"1 minute\" is not a duration; write a number with a unit (us, ms, s, m, h, d, w), such as \"100ms\" or \"1h30m\"",
        "f:7:1: window 1, hopp: unknown key; did you mean \"hop\"?",
        "f:9:1: window \"w\": it needs a size, as in size = \"1m\", or a gap, if it is to be a session",
        "f:14:1: window \"both\", size: a window with a gap is a session and has no size; leave one out",
        "f:19:8: window \"e\", over: it must be one of readings, events, not \"event\"; did you mean \"events\"?",
        "f:20:8: window \"e\", size: it must be longer than zero",
        "f:21:13: window \"e\", quantiles: it must be true or false, not text",
        "f:26:1: window \"types\", types: only a window over events selects types; over readings it has sensors",
        "f:27:1: window \"types\", max_length: only a session (a window with a gap) has it",
        "f:29:1: rule 1: it needs name, as in name = \"high-temperature\"",
        "f:30:8: rule 1, when: it must be text, not a whole number",
        "f:31:12: rule 1, severity: it must be one of info, warning, critical, not \"fatal\"",
        "f:32:16: rule 1, max_per_hour: it must be a whole number from 1 to 1000000, not 0",
        "f:33:18: rule 1, sensors: there is no group \"boiler\"; did you mean \"@boilers\"?",
        "f:33:29: rule 1, sensors: there is no group \"x\"; define it in [groups]",
        "f:34:18: rule 1, escalate_after: it must be longer than zero",
        "f:35:1: rule 1, colour: unknown key; there are name, when, clear, for, clear_for, severity, escalate_after, sensors, max_per_hour",
    ];
    assert_eq!(mistakes(text), expected);
}

#[test]
fn lists_and_groups_of_the_wrong_kind_are_refused() {
    for (text, message) in [
        ("[rules]\nname = 'x'\n", "f:1:2: rules must be a list of tables ([[ ]]), not a section"),
        ("rules = 'x'\n", "f:1:1: rules must be a list of tables ([[ ]]), not string"),
        ("windows = [1]\n", "f:1:1: windows must be a list of tables ([[ ]]), not array"),
        ("groups = 1\n", "f:1:1: groups must be a section, not integer"),
        ("[groups]\na = 'A*'\n", "f:2:1: groups.a must be a list of texts, not string"),
        ("[groups.a]\n", "f:1:9: groups.a must be a list of texts, not a section"),
        ("[[rule]]\n", "f:1:3: unknown setting \"rule\"; did you mean \"rules\"?"),
        ("[analyze]\ngroup = ['a']\n", "f:2:1: analyze.group must be text, not array"),
    ] {
        assert_eq!(refused(text), message, "{text}");
    }
}

#[test]
fn settings_of_the_processor_are_checked() {
    for (text, message) in [
        (
            "[process]\nguarantee = 'once'\n",
            "f:2:1: process.guarantee = \"once\": it must be one of exactly-once, at-least-once",
        ),
        ("[process]\ngroup = ' '\n", "f:2:1: process.group = \" \": it must name a consumer group"),
        (
            "[process]\ntransaction_timeout = '1h'\n",
            "f:2:1: process.transaction_timeout = \"1h\": it must be at most 15m",
        ),
        (
            "[process.time]\nforget_after = '30s'\n",
            "f:2:1: process.time.forget_after = \"30s\": it must be longer than process.time.idle_timeout",
        ),
        (
            "[process.limits]\nsensors = 0\n",
            "f:2:1: process.limits.sensors = 0: it must be a whole number from 1 to",
        ),
    ] {
        let refusal = validate::validate(&entries(text)).expect_err("bad settings").to_string();
        assert!(refusal.starts_with(message), "{refusal}\nnot {message}");
    }
}
