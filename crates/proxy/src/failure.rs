//! Everything that can go wrong with a request, in one enum: who is to blame, what the client is
//! told, which word the access log says, and whether another try could help.

use fairway_model::policy::RetryOn;

use crate::h1::Refusal;

/// Why a request was not served as its sender hoped.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Failure {
    /// The message breaks a rule of HTTP; the connection's framing is in doubt.
    Refused(Refusal),
    /// The client broke a rule of HTTP/2 or went away before the answer was complete.
    ClientGone,
    /// The client neither sends nor takes bytes.
    ClientStalled,
    /// No listener or no rule is for it.
    NoRoute,
    /// Its host belongs to another listener than the one that TLS has chosen (GEP-3567).
    Misdirected,
    /// Its address is not let in.
    Forbidden,
    /// A rate limit is used up; the status is the limit's.
    RateLimited(u16),
    /// The rule or the reference cannot be served as written; the status is the model's.
    Broken(u16),
    /// A rewrite gave a path or a host that is none.
    Rewrite,
    /// The cluster has no endpoint that may get traffic.
    NoEndpoint,
    /// TLS to the backend cannot be spoken as the policy says.
    BackendTls,
    /// No connection to the endpoint came about.
    Connect,
    /// No connection to the endpoint came about in time.
    ConnectTimeout,
    /// The connection to the endpoint broke before the head of its answer.
    Reset,
    /// The endpoint refused the stream without a look (`REFUSED_STREAM`, GOAWAY).
    RefusedStream,
    /// What the endpoint answered is not HTTP.
    BadResponse,
    /// The endpoint's answer broke off in its body.
    Truncated,
    /// `timeouts.request` is over.
    RequestTimeout,
    /// `timeouts.backendRequest` or a try's own time is over.
    BackendTimeout,
    /// Nothing moved between us and the endpoint for the idle time.
    BackendStalled,
}

/// Who could have prevented it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Blame {
    Client,
    Route,
    Backend,
}

impl Failure {
    /// Gives who could have prevented it.
    pub(crate) const fn blame(self) -> Blame {
        match self {
            Self::Refused(_)
            | Self::ClientGone
            | Self::ClientStalled
            | Self::NoRoute
            | Self::Misdirected
            | Self::Forbidden
            | Self::RateLimited(_) => Blame::Client,
            Self::Broken(_) | Self::Rewrite => Blame::Route,
            Self::NoEndpoint
            | Self::BackendTls
            | Self::Connect
            | Self::ConnectTimeout
            | Self::Reset
            | Self::RefusedStream
            | Self::BadResponse
            | Self::Truncated
            | Self::RequestTimeout
            | Self::BackendTimeout
            | Self::BackendStalled => Blame::Backend,
        }
    }

    /// Gives what the client is answered if no answer has begun (N17, N21).
    pub(crate) const fn status(self) -> u16 {
        match self {
            Self::Refused(refusal) => refusal.status(),
            Self::ClientGone => 400,
            Self::ClientStalled => 408,
            Self::NoRoute => 404,
            Self::Misdirected => 421,
            Self::Forbidden => 403,
            Self::RateLimited(status) | Self::Broken(status) => status,
            Self::Rewrite => 500,
            Self::NoEndpoint => 503,
            Self::BackendTls
            | Self::Connect
            | Self::Reset
            | Self::RefusedStream
            | Self::BadResponse
            | Self::Truncated => 502,
            Self::ConnectTimeout
            | Self::RequestTimeout
            | Self::BackendTimeout
            | Self::BackendStalled => 504,
        }
    }

    /// Gives the word for logs and metrics; one for each variant, so that series are bounded.
    pub(crate) const fn word(self) -> &'static str {
        match self {
            Self::Refused(_) => "refused",
            Self::ClientGone => "client_gone",
            Self::ClientStalled => "client_stalled",
            Self::NoRoute => "no_route",
            Self::Misdirected => "misdirected",
            Self::Forbidden => "forbidden",
            Self::RateLimited(_) => "rate_limited",
            Self::Broken(_) => "broken_rule",
            Self::Rewrite => "rewrite",
            Self::NoEndpoint => "no_endpoint",
            Self::BackendTls => "tls",
            Self::Connect => "connect",
            Self::ConnectTimeout => "connect_timeout",
            Self::Reset => "reset",
            Self::RefusedStream => "refused_stream",
            Self::BadResponse => "bad_response",
            Self::Truncated => "truncated",
            Self::RequestTimeout => "request_timeout",
            Self::BackendTimeout => "backend_timeout",
            Self::BackendStalled => "backend_stalled",
        }
    }

    /// Gives the code of gRPC that tells a client the same (N30).
    pub(crate) const fn grpc_code(self) -> u8 {
        match self {
            Self::RequestTimeout | Self::BackendTimeout | Self::ConnectTimeout => 4,
            Self::BackendStalled => 4,
            Self::Refused(_)
            | Self::ClientGone
            | Self::ClientStalled
            | Self::NoRoute
            | Self::Misdirected
            | Self::Forbidden
            | Self::RateLimited(_)
            | Self::Broken(_)
            | Self::Rewrite
            | Self::NoEndpoint
            | Self::BackendTls
            | Self::Connect
            | Self::Reset
            | Self::RefusedStream
            | Self::BadResponse
            | Self::Truncated => grpc_code(self.status()),
        }
    }

    /// Gives the reason for another try that a route may have named; `None` for what no other try
    /// can mend.
    pub(crate) const fn retry_on(self) -> Option<RetryOn> {
        match self {
            Self::Connect | Self::ConnectTimeout | Self::BackendTls => {
                Some(RetryOn::ConnectFailure)
            }
            Self::Reset | Self::BadResponse => Some(RetryOn::Reset),
            Self::RefusedStream => Some(RetryOn::RefusedStream),
            Self::BackendTimeout => Some(RetryOn::Timeout),
            Self::Refused(_)
            | Self::ClientGone
            | Self::ClientStalled
            | Self::NoRoute
            | Self::Misdirected
            | Self::Forbidden
            | Self::RateLimited(_)
            | Self::Broken(_)
            | Self::Rewrite
            | Self::NoEndpoint
            | Self::Truncated
            | Self::RequestTimeout
            | Self::BackendStalled => None,
        }
    }
}

/// Gives the code of gRPC for a status of HTTP, as clients of gRPC map it themselves
/// (`http-grpc-status-mapping.md`).
pub(crate) const fn grpc_code(status: u16) -> u8 {
    match status {
        400 => 13,
        401 => 16,
        403 => 7,
        404 => 12,
        429 | 502..=504 => 14,
        _ => 2,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ALL: [Failure; 20] = [
        Failure::Refused(Refusal::Syntax),
        Failure::ClientGone,
        Failure::ClientStalled,
        Failure::NoRoute,
        Failure::Misdirected,
        Failure::Forbidden,
        Failure::RateLimited(429),
        Failure::Broken(500),
        Failure::Rewrite,
        Failure::NoEndpoint,
        Failure::BackendTls,
        Failure::Connect,
        Failure::ConnectTimeout,
        Failure::Reset,
        Failure::RefusedStream,
        Failure::BadResponse,
        Failure::Truncated,
        Failure::RequestTimeout,
        Failure::BackendTimeout,
        Failure::BackendStalled,
    ];

    #[test]
    fn words_tell_failures_apart() {
        let words: std::collections::BTreeSet<_> =
            ALL.iter().map(|failure| failure.word()).collect();
        assert_eq!(words.len(), ALL.len());
    }

    #[test]
    fn only_the_backends_failures_are_tried_again_and_are_gateway_errors() {
        for failure in ALL {
            if failure.retry_on().is_some() {
                assert_eq!(failure.blame(), Blame::Backend, "{failure:?}");
            }
            let gateway = matches!(failure.status(), 502..=504);
            assert_eq!(gateway, failure.blame() == Blame::Backend, "{failure:?}");
        }
    }
}
