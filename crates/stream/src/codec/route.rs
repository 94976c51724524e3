//! Routes as messages.

use fairway_model::host::HostRank;
use fairway_model::policy::Timeouts;
use fairway_model::route::{
    AttachedHost, Attachment, BackendTarget, Failure, Forward, HttpAction, HttpDialect, HttpRule,
    Origin, Rule, StreamRule, WeightedBackend, WeightedTarget,
};
use fairway_model::{ClusterId, ListenerId, Route};

use super::filter::{headers, modifier};
use super::gateway::host;
use super::policy::{access, ip_access};
use super::{
    Enumeration, Result, Unreadable, decode_all, decode_some, encode_all, enumeration, missing,
    number, required, text,
};
use crate::proto;

enumeration!(HttpDialect as "the dialect": Plain, Grpc);

impl From<&Route> for proto::Route {
    fn from(route: &Route) -> Self {
        let Route { origin, attachments, rule } = route;
        let rule = match rule {
            Rule::Http(rule) => proto::route::Rule::Http((&**rule).into()),
            Rule::Stream(rule) => proto::route::Rule::Stream(rule.into()),
        };
        Self { origin: Some(origin.into()), attachments: encode_all(attachments), rule: Some(rule) }
    }
}

impl TryFrom<proto::Route> for Route {
    type Error = Unreadable;

    fn try_from(message: proto::Route) -> Result<Self> {
        let rule = match message.rule.ok_or_else(|| missing("kind of rule"))? {
            proto::route::Rule::Http(rule) => Rule::Http(Box::new(rule.try_into()?)),
            proto::route::Rule::Stream(rule) => Rule::Stream(rule.try_into()?),
        };
        let origin = message.origin.ok_or_else(|| missing("origin"))?;
        let attachments = decode_all(message.attachments)?;
        Ok(Self { origin: origin.into(), attachments, rule })
    }
}

impl From<&Origin> for proto::Origin {
    fn from(origin: &Origin) -> Self {
        let Origin { kind, namespace, name, rule, rule_name, generation } = origin;
        Self {
            kind: text(kind),
            namespace: text(namespace),
            name: text(name),
            rule: *rule,
            rule_name: rule_name.as_ref().map(text),
            generation: *generation,
        }
    }
}

impl From<proto::Origin> for Origin {
    fn from(message: proto::Origin) -> Self {
        Self {
            kind: message.kind.into(),
            namespace: message.namespace.into(),
            name: message.name.into(),
            rule: message.rule,
            rule_name: message.rule_name.map(Into::into),
            generation: message.generation,
        }
    }
}

impl From<&Attachment> for proto::Attachment {
    fn from(attachment: &Attachment) -> Self {
        let Attachment { listener, hosts } = attachment;
        Self { listener: listener.to_string(), hosts: encode_all(hosts) }
    }
}

impl TryFrom<proto::Attachment> for Attachment {
    type Error = Unreadable;

    fn try_from(message: proto::Attachment) -> Result<Self> {
        Ok(Self { listener: ListenerId::new(message.listener), hosts: decode_all(message.hosts)? })
    }
}

impl From<&AttachedHost> for proto::AttachedHost {
    fn from(host: &AttachedHost) -> Self {
        let AttachedHost { pattern, rank } = host;
        let (class, rank_within) = rank.parts();
        Self { pattern: pattern.to_string(), rank_class: u32::from(class), rank_within }
    }
}

impl TryFrom<proto::AttachedHost> for AttachedHost {
    type Error = Unreadable;

    fn try_from(message: proto::AttachedHost) -> Result<Self> {
        let class = number(message.rank_class, "class of hosts")?;
        let rank = HostRank::from_parts((class, message.rank_within));
        Ok(Self { pattern: host(&message.pattern)?, rank })
    }
}

impl From<&HttpRule> for proto::HttpRule {
    fn from(rule: &HttpRule) -> Self {
        use proto::http_rule::Action;
        let HttpRule { matches, dialect, ip_access, rate_limits, cors, action, response_headers } =
            rule;
        let action = match action {
            HttpAction::Forward(forward) => Action::Forward((&**forward).into()),
            HttpAction::Redirect(redirect) => Action::Redirect(redirect.into()),
            HttpAction::Respond(response) => Action::Respond(response.into()),
            HttpAction::Fail(failure) => Action::Fail(failure.into()),
        };
        Self {
            matches: encode_all(matches),
            dialect: dialect.encode(),
            ip_access: access(ip_access),
            rate_limits: encode_all(rate_limits),
            cors: cors.as_ref().map(proto::Cors::from),
            response_headers: headers(response_headers),
            action: Some(action),
        }
    }
}

impl TryFrom<proto::HttpRule> for HttpRule {
    type Error = Unreadable;

    fn try_from(message: proto::HttpRule) -> Result<Self> {
        use proto::http_rule::Action;
        let action = match message.action.ok_or_else(|| missing("action"))? {
            Action::Forward(forward) => HttpAction::Forward(Box::new(forward.try_into()?)),
            Action::Redirect(redirect) => HttpAction::Redirect(redirect.try_into()?),
            Action::Respond(response) => HttpAction::Respond(response.try_into()?),
            Action::Fail(failure) => HttpAction::Fail(failure.try_into()?),
        };
        Ok(Self {
            matches: decode_all(message.matches)?,
            dialect: HttpDialect::decode(message.dialect)?,
            ip_access: ip_access(message.ip_access)?,
            rate_limits: decode_all(message.rate_limits)?,
            cors: decode_some(message.cors)?,
            action,
            response_headers: modifier(message.response_headers),
        })
    }
}

impl From<&Failure> for proto::Failure {
    fn from(failure: &Failure) -> Self {
        let Failure { status, reason } = failure;
        Self { status: u32::from(*status), reason: text(reason) }
    }
}

impl TryFrom<proto::Failure> for Failure {
    type Error = Unreadable;

    fn try_from(message: proto::Failure) -> Result<Self> {
        Ok(Self { status: number(message.status, "status")?, reason: message.reason.into() })
    }
}

impl From<&Forward> for proto::Forward {
    fn from(forward: &Forward) -> Self {
        let Forward {
            backends,
            request_headers,
            rewrite,
            mirrors,
            timeouts,
            retry,
            session,
            load_balancing,
            passive_health,
        } = forward;
        let has_timeouts = *timeouts != Timeouts::default();
        Self {
            backends: encode_all(backends),
            request_headers: headers(request_headers),
            rewrite: rewrite.as_ref().map(proto::UrlRewrite::from),
            mirrors: encode_all(mirrors),
            timeouts: has_timeouts.then(|| timeouts.into()),
            retry: retry.as_ref().map(proto::Retry::from),
            session: session.as_ref().map(proto::SessionPersistence::from),
            load_balancing: Some(load_balancing.into()),
            passive_health: passive_health.as_ref().map(proto::PassiveHealth::from),
        }
    }
}

impl TryFrom<proto::Forward> for Forward {
    type Error = Unreadable;

    fn try_from(message: proto::Forward) -> Result<Self> {
        Ok(Self {
            backends: decode_all(message.backends)?,
            request_headers: modifier(message.request_headers),
            rewrite: decode_some(message.rewrite)?,
            mirrors: decode_all(message.mirrors)?,
            timeouts: message.timeouts.map(Into::into).unwrap_or_default(),
            retry: decode_some(message.retry)?,
            session: decode_some(message.session)?,
            load_balancing: required(message.load_balancing, "way to balance")?,
            passive_health: decode_some(message.passive_health)?,
        })
    }
}

impl From<&WeightedBackend> for proto::WeightedBackend {
    fn from(backend: &WeightedBackend) -> Self {
        let WeightedBackend { weight, target, request_headers, response_headers, rewrite, mirrors } =
            backend;
        Self {
            weight: *weight,
            target: Some(target.into()),
            request_headers: headers(request_headers),
            response_headers: headers(response_headers),
            rewrite: rewrite.as_ref().map(proto::UrlRewrite::from),
            mirrors: encode_all(mirrors),
        }
    }
}

impl TryFrom<proto::WeightedBackend> for WeightedBackend {
    type Error = Unreadable;

    fn try_from(message: proto::WeightedBackend) -> Result<Self> {
        Ok(Self {
            weight: message.weight,
            target: required(message.target, "target")?,
            request_headers: modifier(message.request_headers),
            response_headers: modifier(message.response_headers),
            rewrite: decode_some(message.rewrite)?,
            mirrors: decode_all(message.mirrors)?,
        })
    }
}

impl From<&BackendTarget> for proto::BackendTarget {
    fn from(target: &BackendTarget) -> Self {
        use proto::backend_target::Target;
        let target = match target {
            BackendTarget::Cluster(id) => Target::Cluster(id.to_string()),
            BackendTarget::Fail(failure) => Target::Fail(failure.into()),
        };
        Self { target: Some(target) }
    }
}

impl TryFrom<proto::BackendTarget> for BackendTarget {
    type Error = Unreadable;

    fn try_from(message: proto::BackendTarget) -> Result<Self> {
        use proto::backend_target::Target;
        Ok(match message.target.ok_or_else(|| missing("kind of target"))? {
            Target::Cluster(id) => Self::Cluster(ClusterId::new(id)),
            Target::Fail(failure) => Self::Fail(failure.try_into()?),
        })
    }
}

impl From<&StreamRule> for proto::StreamRule {
    fn from(rule: &StreamRule) -> Self {
        let StreamRule { rank, backends, load_balancing, ip_access } = rule;
        let backend = |WeightedTarget { weight, target }: &WeightedTarget| proto::WeightedTarget {
            weight: *weight,
            target: Some(target.into()),
        };
        Self {
            rank: Some(rank.into()),
            backends: backends.iter().map(backend).collect(),
            load_balancing: Some(load_balancing.into()),
            ip_access: access(ip_access),
        }
    }
}

impl TryFrom<proto::StreamRule> for StreamRule {
    type Error = Unreadable;

    fn try_from(message: proto::StreamRule) -> Result<Self> {
        let backend = |it: proto::WeightedTarget| {
            Ok(WeightedTarget { weight: it.weight, target: required(it.target, "target")? })
        };
        Ok(Self {
            rank: required(message.rank, "rank")?,
            backends: message.backends.into_iter().map(backend).collect::<Result<_>>()?,
            load_balancing: required(message.load_balancing, "way to balance")?,
            ip_access: ip_access(message.ip_access)?,
        })
    }
}
