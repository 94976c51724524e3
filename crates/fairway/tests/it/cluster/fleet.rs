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
    cluster.kubectl(&["--namespace=shop", "delete", "service/fgw-web"]);
    cluster.until("the Gateway", |cluster| programmed(cluster).starts_with("True"));
    assert_eq!(cluster.get("service/fgw-web", "{.spec.ports[*].port}"), "80");
}
