//! The only place that knows what Gateway API, Ingress and TrafficRoute mean. Pure.
