//! Whether the brokers' addresses can be reached at all, before anything of Kafka's protocol.
//!
//! The addresses that the brokers advertise are looked at too: a client asks the bootstrap servers only for those, and a
//! broker that advertises a name nobody can resolve is the most frequent reason why "it connects and then hangs".

use std::net::{TcpStream, ToSocketAddrs};
use std::time::Duration;

use kafka::{Cluster, KafkaSettings};

use super::Check;

/// How long one connection may take.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(3);
/// Kafka's usual port, for a bootstrap server without one.
const DEFAULT_PORT: u16 = 9092;

/// One check for each bootstrap server.
pub(super) fn bootstrap(settings: &KafkaSettings) -> Vec<Check> {
    let addresses = addresses(settings.bootstrap());
    // As long as one of several answers, the others are no more than a warning.
    let results: Vec<_> = addresses.into_iter().map(|address| (connect(&address), address)).collect();
    let any = results.iter().any(|(result, _)| result.is_ok());
    results
        .into_iter()
        .map(|(result, address)| {
            let check = format!("address {address}");
            match result {
                Ok(_) => Check::ok(check, "reachable"),
                Err(problem) if any => {
                    Check::warning(check, problem, "take it out of bootstrap.servers, or start it")
                }
                Err(problem) => {
                    Check::failed(check, problem, "start Kafka there, or name the right address with -b")
                }
            }
        })
        .collect()
}

/// One check for each broker that does not answer under its advertised address, or one for all if they do.
pub(super) fn advertised(cluster: &Cluster) -> Vec<Check> {
    let silent: Vec<Check> = cluster
        .brokers
        .iter()
        .filter_map(|broker| {
            let problem = connect(&format!("{}:{}", broker.host, broker.port)).err()?;
            let check = format!("advertised address {}:{}", broker.host, broker.port);
            let fix =
                format!("set advertised.listeners of broker {} to an address that clients reach", broker.id);
            Some(Check::failed(check, problem, fix))
        })
        .collect();
    if silent.is_empty() { vec![Check::ok("advertised addresses", "all reachable")] } else { silent }
}

/// The addresses in a list of bootstrap servers, each with its port.
pub(super) fn addresses(bootstrap: &str) -> Vec<String> {
    let servers = bootstrap.split(',').map(str::trim).filter(|server| !server.is_empty());
    servers
        .map(|server| {
            // librdkafka accepts PROTOCOL://host:port.
            let address = server.split_once("://").map_or(server, |(_, address)| address);
            let bare = address.strip_suffix(']').is_some() || !address.contains(':');
            if bare { format!("{address}:{DEFAULT_PORT}") } else { address.to_owned() }
        })
        .collect()
}

/// Connects to the first address behind a name that answers.
pub(super) fn connect(address: &str) -> Result<TcpStream, String> {
    let resolved = address.to_socket_addrs().map_err(|error| format!("cannot be resolved: {error}"))?;
    let mut problem = "no address behind the name".to_owned();
    for candidate in resolved {
        match TcpStream::connect_timeout(&candidate, CONNECT_TIMEOUT) {
            Ok(stream) => return Ok(stream),
            Err(error) => problem = format!("{candidate}: {error}"),
        }
    }
    Err(problem)
}

#[cfg(test)]
mod tests {
    use std::net::TcpListener;

    use super::*;

    #[test]
    fn bootstrap_servers_are_taken_apart() {
        assert_eq!(
            addresses("a:1, b ,SASL_SSL://c:3,[::1],[::1]:5,"),
            ["a:1", "b:9092", "c:3", "[::1]:9092", "[::1]:5"]
        );
    }

    #[test]
    fn one_answering_server_is_enough() {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
        let good = listener.local_addr().expect("bound").to_string();
        let outcomes = |bootstrap: &str| -> Vec<&str> {
            let checks = super::bootstrap(&KafkaSettings::with_bootstrap(bootstrap));
            checks.iter().map(|check| check.outcome.name()).collect()
        };
        assert_eq!(outcomes(&format!("{good},127.0.0.1:1")), ["ok", "warning"]);
        assert_eq!(outcomes("127.0.0.1:1"), ["failed"]);
    }
}
