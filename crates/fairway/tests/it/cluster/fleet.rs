//! What is made for a Gateway, among what others have.

use super::Cluster;

const SOMEBODYS: &str = "
apiVersion: v1
kind: Namespace
metadata: {name: shop}
---
apiVersion: v1
kind: Service
metadata: {name: fgw-web, namespace: shop}
spec:
  selector: {app: somebodys}
  ports: [{port: 1234}]
";

const GATEWAY: &str = "
apiVersion: fairway.dev/v1alpha1
kind: Gateway
metadata: {name: web, namespace: shop}
spec:
  listeners: [{name: http, port: 80, protocol: HTTP}]
";

fn programmed(cluster: &Cluster) -> String {
    let condition = "{.status.conditions[?(@.type=='Programmed')]['status','message']}";
    cluster.get("fgw/web", condition)
}

#[test]
fn somebodys_object_of_the_same_name_stays_theirs() {
    let cluster = Cluster::start("test-fleet");
    cluster.apply(SOMEBODYS);
    cluster.apply(GATEWAY);
    let fault = "Service shop/fgw-web: it exists, and Fairway has not made it";
    cluster.until("the Gateway to say so", |cluster| programmed(cluster).contains(fault));
    assert_eq!(cluster.get("service/fgw-web", "{.spec.selector.app}"), "somebodys");
    assert_eq!(cluster.get("service/fgw-web", "{.spec.ports[*].port}"), "1234");
    assert_eq!(cluster.get("service/fgw-web", "{.status.loadBalancer.ingress}"), "");
    // It is said as long as it is so, also when the proxies are ready.
    cluster.until("the proxies", |cluster| {
        cluster.get("fgw/web", "{.status.proxies.summary}") == "2/2"
    });
    assert!(programmed(&cluster).contains(fault), "{}", programmed(&cluster));
    cluster.kubectl(&["--namespace=shop", "delete", "service/fgw-web"]);
    cluster.until("the Gateway", |cluster| programmed(cluster).starts_with("True"));
    assert_eq!(cluster.get("service/fgw-web", "{.spec.ports[*].port}"), "80");
}

const OF_A_PROFILE: &str = "
apiVersion: v1
kind: Namespace
metadata: {name: shop}
---
apiVersion: fairway.dev/v1alpha1
kind: GatewayProfile
metadata: {name: small, namespace: shop}
spec: {proxy: {replicas: 1}}
---
apiVersion: gateway.networking.k8s.io/v1
kind: Gateway
metadata: {name: web, namespace: shop}
spec:
  gatewayClassName: fairway
  infrastructure: {parametersRef: {group: fairway.dev, kind: GatewayProfile, name: small}}
  listeners: [{name: http, port: 80, protocol: HTTP}]
";

/// Answers itself, so that there is nothing else to wait for.
fn route(status: u16) -> String {
    format!(
        "
apiVersion: fairway.dev/v1alpha1
kind: TrafficRoute
metadata: {{name: teapot, namespace: shop}}
spec:
  parentRefs: [{{name: web}}]
  rules: [{{filters: [{{type: DirectResponse, directResponse: {{statusCode: {status}}}}}]}}]
"
    )
}

#[test]
fn a_profile_that_is_deleted_stops_nobody() {
    let cluster = Cluster::start("test-profile");
    cluster.apply(OF_A_PROFILE);
    cluster.apply(&route(418));
    let answered = |wanted: &str| {
        let address = cluster.get("gateway/web", "{.status.addresses[0].value}");
        let mut curl = cluster.command("curl");
        curl.args(["--silent", "--max-time", "2", "--output", "/dev/null"]);
        let output = curl.args(["--write-out", "%{http_code}", &address]).output().expect("curl");
        output.stdout == wanted.as_bytes()
    };
    cluster.until("an answer", |_| answered("418"));
    cluster.kubectl(&["--namespace=shop", "delete", "gatewayprofile", "small"]);
    let accepted = "{.status.conditions[?(@.type=='Accepted')].reason}";
    cluster.until("the Gateway to say so", |cluster| {
        cluster.get("gateway/web", accepted) == "InvalidParameters"
    });
    assert!(answered("418"), "it is served on");
    cluster.apply(&route(410));
    cluster.until("the change", |_| answered("410"));
    let replicas = cluster.get("deployment/fairway-web", "{.spec.replicas}");
    assert_eq!(replicas, "1", "the proxies stay as the profile had them");
}
