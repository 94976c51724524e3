//! Policies as messages. A time of 0 is none.

use fairway_model::policy::{
    HashSource, IpAccess, LoadBalancing, Millis, PassiveHealth, RateLimit, RateLimitKey, Retry,
    RetryOn, SessionCarrier, SessionPersistence, Timeouts,
};

use super::{
    Enumeration, Result, Unreadable, enumeration, missing, number, parse_all, text, write_all,
};
use crate::proto;

enumeration!(RetryOn as "the reason for another try": ConnectFailure, Reset, Timeout, RefusedStream);

fn time(time: Option<Millis>) -> u64 {
    time.map_or(0, |time| time.0.get())
}

fn some_time(milliseconds: u64, what: &'static str) -> Result<Millis> {
    Millis::new(milliseconds).ok_or_else(|| missing(what))
}

impl From<&Timeouts> for proto::Timeouts {
    fn from(timeouts: &Timeouts) -> Self {
        let Timeouts { request, backend_request, connect, idle } = timeouts;
        Self {
            request: time(*request),
            backend_request: time(*backend_request),
            connect: time(*connect),
            idle: time(*idle),
        }
    }
}

impl From<proto::Timeouts> for Timeouts {
    fn from(message: proto::Timeouts) -> Self {
        Self {
            request: Millis::new(message.request),
            backend_request: Millis::new(message.backend_request),
            connect: Millis::new(message.connect),
            idle: Millis::new(message.idle),
        }
    }
}

impl From<&Retry> for proto::Retry {
    fn from(retry: &Retry) -> Self {
        let Retry { attempts, codes, on, backoff, per_try_timeout, non_idempotent } = retry;
        Self {
            attempts: *attempts,
            codes: codes.iter().copied().map(u32::from).collect(),
            on: on.iter().copied().map(RetryOn::encode).collect(),
            backoff: time(*backoff),
            per_try_timeout: time(*per_try_timeout),
            non_idempotent: *non_idempotent,
        }
    }
}

impl TryFrom<proto::Retry> for Retry {
    type Error = Unreadable;

    fn try_from(message: proto::Retry) -> Result<Self> {
        let codes = message.codes.into_iter().map(|code| number(code, "status"));
        Ok(Self {
            attempts: message.attempts,
            codes: codes.collect::<Result<_>>()?,
            on: message.on.into_iter().map(RetryOn::decode).collect::<Result<_>>()?,
            backoff: Millis::new(message.backoff),
            per_try_timeout: Millis::new(message.per_try_timeout),
            non_idempotent: message.non_idempotent,
        })
    }
}

impl From<&SessionPersistence> for proto::SessionPersistence {
    fn from(session: &SessionPersistence) -> Self {
        use proto::session_persistence::Carrier;
        let SessionPersistence { name, carrier, absolute_timeout, idle_timeout } = session;
        let carrier = match carrier {
            SessionCarrier::Cookie { path, permanent } => {
                Carrier::Cookie(proto::SessionCookie { path: text(path), permanent: *permanent })
            }
            SessionCarrier::Header => Carrier::Header(proto::Nothing {}),
        };
        Self {
            name: text(name),
            absolute_timeout: time(*absolute_timeout),
            idle_timeout: time(*idle_timeout),
            carrier: Some(carrier),
        }
    }
}

impl TryFrom<proto::SessionPersistence> for SessionPersistence {
    type Error = Unreadable;

    fn try_from(message: proto::SessionPersistence) -> Result<Self> {
        use proto::session_persistence::Carrier;
        let carrier = match message.carrier.ok_or_else(|| missing("carrier of the session"))? {
            Carrier::Cookie(proto::SessionCookie { path, permanent }) => {
                SessionCarrier::Cookie { path: path.into(), permanent }
            }
            Carrier::Header(proto::Nothing {}) => SessionCarrier::Header,
        };
        Ok(Self {
            name: message.name.into(),
            carrier,
            absolute_timeout: Millis::new(message.absolute_timeout),
            idle_timeout: Millis::new(message.idle_timeout),
        })
    }
}

impl From<&LoadBalancing> for proto::LoadBalancing {
    fn from(balancing: &LoadBalancing) -> Self {
        use proto::load_balancing::Algorithm;
        let nothing = proto::Nothing {};
        let algorithm = match balancing {
            LoadBalancing::RoundRobin => Algorithm::RoundRobin(nothing),
            LoadBalancing::LeastRequest => Algorithm::LeastRequest(nothing),
            LoadBalancing::Random => Algorithm::Random(nothing),
            LoadBalancing::ConsistentHash(source) => match source {
                HashSource::Header(name) => Algorithm::HashHeader(text(name)),
                HashSource::Cookie(name) => Algorithm::HashCookie(text(name)),
                HashSource::ClientIp => Algorithm::HashClientIp(nothing),
                HashSource::Path => Algorithm::HashPath(nothing),
                HashSource::QueryParam(name) => Algorithm::HashQueryParam(text(name)),
            },
        };
        Self { algorithm: Some(algorithm) }
    }
}

impl TryFrom<proto::LoadBalancing> for LoadBalancing {
    type Error = Unreadable;

    fn try_from(message: proto::LoadBalancing) -> Result<Self> {
        use proto::load_balancing::Algorithm;
        let hash = |source| Ok(Self::ConsistentHash(source));
        match message.algorithm.ok_or_else(|| missing("way to balance"))? {
            Algorithm::RoundRobin(proto::Nothing {}) => Ok(Self::RoundRobin),
            Algorithm::LeastRequest(proto::Nothing {}) => Ok(Self::LeastRequest),
            Algorithm::Random(proto::Nothing {}) => Ok(Self::Random),
            Algorithm::HashHeader(name) => hash(HashSource::Header(name.into())),
            Algorithm::HashCookie(name) => hash(HashSource::Cookie(name.into())),
            Algorithm::HashClientIp(proto::Nothing {}) => hash(HashSource::ClientIp),
            Algorithm::HashPath(proto::Nothing {}) => hash(HashSource::Path),
            Algorithm::HashQueryParam(name) => hash(HashSource::QueryParam(name.into())),
        }
    }
}

impl From<&PassiveHealth> for proto::PassiveHealth {
    fn from(health: &PassiveHealth) -> Self {
        let PassiveHealth {
            consecutive_5xx,
            consecutive_gateway_errors,
            interval,
            base_ejection_time,
            max_ejection_percent,
        } = health;
        Self {
            consecutive_5xx: *consecutive_5xx,
            consecutive_gateway_errors: *consecutive_gateway_errors,
            interval: time(Some(*interval)),
            base_ejection_time: time(Some(*base_ejection_time)),
            max_ejection_percent: u32::from(*max_ejection_percent),
        }
    }
}

impl TryFrom<proto::PassiveHealth> for PassiveHealth {
    type Error = Unreadable;

    fn try_from(message: proto::PassiveHealth) -> Result<Self> {
        Ok(Self {
            consecutive_5xx: message.consecutive_5xx,
            consecutive_gateway_errors: message.consecutive_gateway_errors,
            interval: some_time(message.interval, "interval")?,
            base_ejection_time: some_time(message.base_ejection_time, "time of an ejection")?,
            max_ejection_percent: number(message.max_ejection_percent, "percentage")?,
        })
    }
}

impl From<&RateLimit> for proto::RateLimit {
    fn from(limit: &RateLimit) -> Self {
        use proto::rate_limit::Key;
        let RateLimit { key, requests, period, burst, status } = limit;
        let key = match key {
            RateLimitKey::ClientIp => Key::ClientIp(proto::Nothing {}),
            RateLimitKey::Header(name) => Key::Header(text(name)),
            RateLimitKey::Constant => Key::Constant(proto::Nothing {}),
        };
        Self {
            requests: *requests,
            period: time(Some(*period)),
            burst: *burst,
            status: u32::from(*status),
            key: Some(key),
        }
    }
}

impl TryFrom<proto::RateLimit> for RateLimit {
    type Error = Unreadable;

    fn try_from(message: proto::RateLimit) -> Result<Self> {
        use proto::rate_limit::Key;
        let key = match message.key.ok_or_else(|| missing("key of the rate limit"))? {
            Key::ClientIp(proto::Nothing {}) => RateLimitKey::ClientIp,
            Key::Header(name) => RateLimitKey::Header(name.into()),
            Key::Constant(proto::Nothing {}) => RateLimitKey::Constant,
        };
        Ok(Self {
            key,
            requests: message.requests,
            period: some_time(message.period, "period")?,
            burst: message.burst,
            status: number(message.status, "status")?,
        })
    }
}

/// A list that shuts nobody out is not sent.
pub(super) fn access(access: &IpAccess) -> Option<proto::IpAccess> {
    let IpAccess { allow, deny } = access;
    (!access.is_empty()).then(|| proto::IpAccess { allow: write_all(allow), deny: write_all(deny) })
}

/// The other way round.
pub(super) fn ip_access(message: Option<proto::IpAccess>) -> Result<IpAccess> {
    let proto::IpAccess { allow, deny } = message.unwrap_or_default();
    Ok(IpAccess { allow: parse_all(&allow, "a network")?, deny: parse_all(&deny, "a network")? })
}
