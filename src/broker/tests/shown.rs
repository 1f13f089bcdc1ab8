//! What the metrics say, and from when on.

use std::{collections::HashMap, sync::Arc, time::Duration};

use prometheus_client::registry::Registry;

use super::{
    caller::{World, caller},
    endpoint::Mood,
};
use crate::{
    broker::{Broker, Config, Mode},
    clock::Clock,
    model::{Name, TargetKind},
    net::{self, Client},
};

const RESULTS: [&str; 4] = ["ok", "refused", "failed", "shed"];

/// Of a workspace for each name.
fn config(modes: impl IntoIterator<Item = (&'static str, Mode)>) -> Config {
    let named = |(name, mode)| ((TargetKind::Workspace, Name::parse(name).unwrap()), mode);
    Config { modes: modes.into_iter().map(named).collect::<HashMap<_, _>>(), cache_bytes: 1 << 20 }
}

/// The value of each series, once `broker` has brought them up to date.
fn shown(broker: &Broker, registry: &Registry) -> HashMap<String, String> {
    broker.gauge();
    let mut text = String::new();
    prometheus_client::encoding::text::encode(&mut text, registry).unwrap();
    let series = text.lines().filter(|line| !line.starts_with('#')).filter_map(|line| line.rsplit_once(' '));
    series.map(|(name, value)| (name.to_owned(), value.to_owned())).collect()
}

/// A series of which the target is the only label.
fn of(name: &str, target: &str) -> String {
    format!("lakegate_broker_{name}{{target=\"{target}\"}}")
}

fn exchanges(shown: &HashMap<String, String>, target: &str) -> Vec<Option<String>> {
    RESULTS.map(|result| shown.get(&format!("lakegate_broker_exchanges_total{{target=\"{target}\",result=\"{result}\"}}")).cloned()).into()
}

#[tokio::test]
async fn the_series_of_a_target_are_there_before_its_first_exchange() {
    let world = World::start().await;
    let exchange = || Mode::Exchange(Arc::clone(&world.exchange));
    let make = |config, previous| Broker::new(config, Client::new(&net::Config::default()).unwrap(), Clock::default(), previous);
    let mut registry = Registry::default();
    let first = make(config([("prod", exchange()), ("open", Mode::Passthrough), ("shut", Mode::Strip)]), None);
    first.register(&mut registry);
    let zero = || Some("0".to_owned());
    for (target, expected) in [("prod", zero()), ("open", None), ("shut", None), ("dev", None)] {
        assert_eq!(exchanges(&shown(&first, &registry), target), vec![expected; 4], "{target}");
    }
    let second = make(config([("prod", exchange()), ("dev", exchange())]), Some(&first));
    for target in ["prod", "dev"] {
        let shown = shown(&second, &registry);
        for name in ["exchange_seconds_count", "exchanges_in_flight"] {
            assert_eq!(shown.get(&of(name, target)), zero().as_ref(), "{name} of {target}");
        }
        assert_eq!(exchanges(&shown, target), vec![zero(); 4], "{target}, after a reload");
    }
}

#[tokio::test]
async fn what_is_held_is_counted_at_once() {
    let world = World::start().await;
    let broker = Broker { config: config([("prod", Mode::Exchange(Arc::clone(&world.exchange)))]), desk: Arc::clone(&world.desk) };
    let mut registry = Registry::default();
    broker.register(&mut registry);
    for (held, who) in [(1, "alice"), (1, "alice"), (2, "bob")] {
        world.authorization(&caller(who, 3600)).await.unwrap();
        assert_eq!(shown(&broker, &registry)["lakegate_broker_credentials"], held.to_string(), "{who}");
    }
}

/// An endpoint that takes half a second, whatever it then says, is seen to; and an exchange while it is under way.
#[tokio::test]
async fn an_endpoint_that_is_slow_is_seen() {
    let world = World::start().await;
    let broker = Broker { config: config([("prod", Mode::Exchange(Arc::clone(&world.exchange)))]), desk: Arc::clone(&world.desk) };
    let mut registry = Registry::default();
    broker.register(&mut registry);
    let shown = || shown(&broker, &registry);
    world.endpoint.be(Mood::Slow(Duration::from_millis(500)));
    let (alice, bob, carol) = (caller("alice", 3600), caller("bob", 3600), caller("carol", 3600));
    let (mut one, mut other) = (Box::pin(world.authorization(&alice)), Box::pin(world.authorization(&bob)));
    assert!(futures::poll!(&mut one).is_pending() && futures::poll!(&mut other).is_pending());
    assert_eq!(shown()[&of("exchanges_in_flight", "prod")], "2");
    drop((one.await.unwrap(), other.await.unwrap()));
    world.endpoint.be(Mood::Says(400, r#"{"error":"invalid_grant"}"#.to_owned(), None));
    world.authorization(&carol).await.unwrap_err();

    let shown = shown();
    let up_to = |le: &str| shown[&format!("lakegate_broker_exchange_seconds_bucket{{le=\"{le}\",target=\"prod\"}}")].parse::<u64>().unwrap();
    assert!(up_to("0.3") <= 1, "none of the two that were slow: {shown:?}");
    assert_eq!((up_to("8.0"), shown[&of("exchange_seconds_count", "prod")].as_str()), (3, "3"), "nor is a refusal left out");
    assert_eq!(shown[&of("exchanges_in_flight", "prod")], "0");
}
