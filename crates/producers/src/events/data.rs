//! What events say: their JSON data, made of the entity's fixed traits and of what just happened.

use serde_json::{Map, Value, json};

use super::lifecycle::Kind;
use crate::noise::Noise;

const COUNTRIES: [&str; 6] = ["NL", "DE", "ES", "GR", "FI", "TR"];
const CARRIERS: [&str; 3] = ["PostNL", "DHL", "UPS"];
const METHODS: [&str; 3] = ["card", "ideal", "paypal"];
const MODELS: [&str; 3] = ["SG-100", "SG-200", "SG-200X"];
const SERVICES: [&str; 4] = ["checkout", "inventory", "ingest", "gateway"];
const SEVERITIES: [&str; 3] = ["minor", "major", "critical"];
const ERRORS: [&str; 4] =
    ["upstream timed out", "out of connections", "disk is 95 % full", "certificate expires in 3 days"];

/// What is fixed about an entity: numbers that each kind reads in its own way.
#[derive(Debug, Clone, Copy)]
pub(super) struct Traits {
    /// Cents of an order.
    amount: u32,
    /// The items of an order, or the minor number of a firmware.
    items: u32,
    /// Another entity it belongs to, such as the customer.
    owner: u32,
    /// Picks from the lists above.
    choice: u32,
}

impl Traits {
    pub(super) fn draw(noise: &mut Noise) -> Self {
        Self {
            amount: noise.whole(499, 49_999),
            items: noise.whole(1, 6),
            owner: noise.whole(1, 5_000),
            choice: noise.whole(0, 719),
        }
    }

    fn pick(&self, list: &[&'static str]) -> &'static str {
        list[self.choice as usize % list.len()]
    }
}

/// The data of the event with this name.
pub(super) fn data(kind: Kind, event: &str, id: &str, traits: &Traits, noise: &mut Noise) -> Value {
    let mut data = match kind {
        Kind::Order => order(event, id, traits, noise),
        Kind::User => user(event, id, traits, noise),
        Kind::Device => device(event, id, traits, noise),
        Kind::Incident => incident(event, id, traits, noise),
    };
    data.retain(|_, value| !value.is_null());
    Value::Object(data)
}

fn order(event: &str, id: &str, traits: &Traits, noise: &mut Noise) -> Map<String, Value> {
    let mut data = object([
        ("order_id", json!(id)),
        ("customer_id", json!(format!("user-{:06}", traits.owner))),
        ("country", json!(traits.pick(&COUNTRIES))),
        ("total", json!(f64::from(traits.amount) / 100.0)),
        ("currency", json!("EUR")),
        ("items", json!(traits.items)),
    ]);
    let more = match event {
        "paid" => ("method", json!(traits.pick(&METHODS))),
        "payment-failed" => {
            ("reason", json!(pick(noise, &["card declined", "3-D Secure failed", "insufficient funds"])))
        }
        "shipped" => ("carrier", json!(traits.pick(&CARRIERS))),
        "returned" => ("reason", json!(pick(noise, &["damaged", "wrong item", "changed my mind"]))),
        "cancelled" => ("by", json!(pick(noise, &["customer", "shop"]))),
        "refunded" => ("amount", json!(f64::from(traits.amount) / 100.0)),
        _ => return data,
    };
    data.insert(more.0.to_owned(), more.1);
    data
}

fn user(event: &str, id: &str, traits: &Traits, noise: &mut Noise) -> Map<String, Value> {
    let from_network = matches!(event, "registered" | "logged-in" | "login-failed");
    // 198.51.100.0/24 is reserved for documentation: nobody's address.
    let address = from_network.then(|| format!("198.51.100.{}", noise.whole(1, 254)));
    let reason = (event == "login-failed").then(|| pick(noise, &["wrong password", "unknown device"]));
    object([
        ("user_id", json!(id)),
        ("country", json!(traits.pick(&COUNTRIES))),
        ("ip", json!(address)),
        ("reason", json!(reason)),
    ])
}

fn device(event: &str, id: &str, traits: &Traits, noise: &mut Noise) -> Map<String, Value> {
    let battery = matches!(event, "battery-low").then(|| noise.whole(3, 15));
    let firmware =
        (event == "firmware-updated").then(|| format!("2.{}.{}", traits.items, noise.whole(0, 20)));
    let reason = (event == "offline").then(|| pick(noise, &["link lost", "power lost", "restarting"]));
    object([
        ("device_id", json!(id)),
        ("model", json!(traits.pick(&MODELS))),
        ("battery_percent", json!(battery)),
        ("firmware", json!(firmware)),
        ("reason", json!(reason)),
    ])
}

fn incident(event: &str, id: &str, traits: &Traits, noise: &mut Noise) -> Map<String, Value> {
    let message = matches!(event, "raised" | "reopened").then(|| traits.pick(&ERRORS));
    let by = matches!(event, "acknowledged" | "resolved")
        .then(|| pick(noise, &["first line", "second line", "on-call"]));
    object([
        ("incident_id", json!(id)),
        ("service", json!(SERVICES[traits.owner as usize % SERVICES.len()])),
        ("severity", json!(traits.pick(&SEVERITIES))),
        ("message", json!(message)),
        ("by", json!(by)),
    ])
}

fn object<const N: usize>(fields: [(&str, Value); N]) -> Map<String, Value> {
    fields.into_iter().map(|(name, value)| (name.to_owned(), value)).collect()
}

fn pick(noise: &mut Noise, list: &[&'static str]) -> &'static str {
    list[noise.whole(0, list.len() as u32 - 1) as usize]
}
