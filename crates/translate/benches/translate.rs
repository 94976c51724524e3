//! What a plan costs: 10,000 HTTPRoutes from nothing, and one change among them with the difference to
//! the plan before and the update of the compiled table. Figures are in `docs/performance.md`.

use std::hint::black_box;
use std::sync::Arc;

use criterion::{BatchSize, Criterion, criterion_group, criterion_main};
use fairway_api::AnyObject;
use fairway_api::kind::decode;
use fairway_model::delta::diff;
use fairway_model::select::Table;
use fairway_translate::{Held, Outcomes, Settings, Snapshot, Statuses, render, translate};
use serde_json::json;

const GATEWAYS: usize = 10;
const SERVICES: usize = 1_000;

fn route(n: usize, generation: i64) -> AnyObject {
    let service = n % SERVICES;
    let value = json!({
        "apiVersion": "gateway.networking.k8s.io/v1",
        "kind": "HTTPRoute",
        "metadata": {
            "namespace": "shop", "name": format!("route-{n:05}"), "generation": generation,
            "creationTimestamp": "2026-01-01T00:00:00Z",
        },
        "spec": {
            "parentRefs": [{"name": format!("web-{}", n % GATEWAYS)}],
            "hostnames": [format!("shop-{n}.example.test")],
            "rules": [{
                "matches": [{"path": {"type": "PathPrefix", "value": format!("/v{generation}")}}],
                "filters": [{
                    "type": "RequestHeaderModifier",
                    "requestHeaderModifier": {"set": [{"name": "X-Shop", "value": format!("{n}")}]},
                }],
                "backendRefs": [{"name": format!("service-{service:04}"), "port": 80}],
            }],
        },
    });
    decode(value).expect("a route")
}

fn objects(routes: usize) -> Vec<AnyObject> {
    let mut all = Vec::new();
    for n in 0..GATEWAYS {
        let gateway = json!({
            "apiVersion": "gateway.networking.k8s.io/v1", "kind": "Gateway",
            "metadata": {"namespace": "shop", "name": format!("web-{n}")},
            "spec": {
                "gatewayClassName": "fairway",
                "listeners": [{"name": "http", "port": 80, "protocol": "HTTP"}],
            },
        });
        all.push(decode(gateway).expect("a gateway"));
    }
    for n in 0..SERVICES {
        let name = format!("service-{n:04}");
        let service = json!({
            "apiVersion": "v1", "kind": "Service",
            "metadata": {"namespace": "shop", "name": name},
            "spec": {"ports": [{"port": 80}]},
        });
        let slice = json!({
            "apiVersion": "discovery.k8s.io/v1", "kind": "EndpointSlice",
            "metadata": {
                "namespace": "shop", "name": format!("{name}-1"),
                "labels": {"kubernetes.io/service-name": name},
            },
            "addressType": "IPv4",
            "endpoints": [{"addresses": [format!("10.0.{}.{}", n / 250, n % 250 + 1)]}],
            "ports": [{"port": 8080}],
        });
        all.extend([service, slice].map(|value| decode(value).expect("an object")));
    }
    all.extend((0..routes).map(|n| route(n, 1)));
    all
}

fn from_nothing(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("translate from nothing");
    group.sample_size(20);
    for count in [100, 1_000, 10_000] {
        let snapshot = Snapshot::new(objects(count));
        let settings = Settings::for_files();
        group.bench_function(format!("{count} routes"), |bencher| {
            bencher.iter_with_large_drop(|| {
                translate(black_box(&snapshot), &settings, &Held::new(), None)
            });
        });
    }
    group.finish();
}

fn one_change(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("one change");
    for count in [100, 1_000, 10_000] {
        let snapshot = Snapshot::new(objects(count));
        let settings = Settings::for_files();
        let plan = translate(&snapshot, &settings, &Held::new(), None);
        let table = Table::compile(&plan.model, &mut |_, _| ());
        let changed = snapshot.next([route(count / 2, 2)], []);
        group.bench_function(format!("{count} routes: snapshot"), |bencher| {
            bencher.iter_with_large_drop(|| black_box(&snapshot).next([route(count / 2, 2)], []));
        });
        group.bench_function(format!("{count} routes: translate"), |bencher| {
            bencher.iter_with_large_drop(|| {
                translate(black_box(&changed), &settings, &Held::new(), Some(&plan))
            });
        });
        group.bench_function(format!("{count} routes: translate, diff, table"), |bencher| {
            bencher.iter_batched(
                || (),
                |()| {
                    let next = translate(&changed, &settings, &Held::new(), Some(&plan));
                    let delta = diff(&plan.model, &next.model);
                    let table = table.update(&next.model, &delta, &mut |_, _| ());
                    Arc::new((next, delta, table))
                },
                BatchSize::PerIteration,
            );
        });
    }
    group.finish();
}

fn statuses(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("statuses");
    let snapshot = Snapshot::new(objects(10_000));
    let settings = Settings::for_files();
    let plan = translate(&snapshot, &settings, &Held::new(), None);
    let outcomes = Outcomes::default();
    let now = jiff::Timestamp::UNIX_EPOCH;
    let written = render(&plan, &settings, &outcomes, &Statuses::new(), now);
    group.bench_function("10000 routes, nothing new", |bencher| {
        bencher.iter_with_large_drop(|| render(&plan, &settings, &outcomes, &written, now));
    });
    group.finish();
}

criterion_group!(benches, from_nothing, one_change, statuses);
criterion_main!(benches);
