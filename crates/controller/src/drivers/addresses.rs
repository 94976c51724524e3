//! Claims addresses for Gateways, and tells their Services.
