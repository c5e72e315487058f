//! Addresses of hosts, remembered for a while.
//!
//! The client asks for a host's addresses before each request, also where it then takes a connection that is
//! open; and since a look-up cannot be interrupted, one with a time-out has a thread of its own. That is 100
//! µs and more a page, for what is nearly always known.

use std::collections::HashMap;
use std::net::{IpAddr, SocketAddr};
use std::time::{Duration, Instant};

use selvedge::sync::{Mutex, time};
use ureq::config::Config;
use ureq::http::Uri;
use ureq::http::uri::Authority;
use ureq::unversioned::resolver::{DefaultResolver, ResolvedSocketAddrs, Resolver};
use ureq::unversioned::transport::NextTimeout;

/// As long as browsers remember an address.
const REMEMBERED: Duration = Duration::from_secs(60);
/// Hosts of which the addresses are kept; beyond, all are forgotten.
const HOSTS: usize = 10_000;

/// Asks the system, and remembers for [`REMEMBERED`] what it said. A host that is written as an address is
/// not asked for.
#[derive(Debug, Default)]
pub(super) struct Remembering {
    system: DefaultResolver,
    known: Mutex<HashMap<String, (Instant, Vec<SocketAddr>)>>,
}

impl Resolver for Remembering {
    fn resolve(
        &self,
        uri: &Uri,
        config: &Config,
        timeout: NextTimeout,
    ) -> Result<ResolvedSocketAddrs, ureq::Error> {
        let Some(authority) = uri.authority() else { return self.system.resolve(uri, config, timeout) };
        let port = authority.port_u16().or_else(|| match uri.scheme_str() {
            Some("http") => Some(80),
            Some("https") => Some(443),
            _ => None,
        });
        let Some(port) = port else { return self.system.resolve(uri, config, timeout) };
        if let Some(ip) = literal(authority) {
            return Ok(self.listed(&[SocketAddr::new(ip, port)]));
        }
        let key = format!("{}:{port}", authority.host());
        if let Some(known) = self.remembered(&key) {
            return Ok(known);
        }
        let found = self.system.resolve(uri, config, timeout)?;
        let mut known = self.known.lock();
        if known.len() >= HOSTS {
            known.clear();
        }
        known.insert(key, (time::now(), found.to_vec()));
        Ok(found)
    }
}

impl Remembering {
    fn remembered(&self, key: &str) -> Option<ResolvedSocketAddrs> {
        let known = self.known.lock();
        let (at, addresses) = known.get(key)?;
        (time::now().saturating_duration_since(*at) < REMEMBERED).then(|| self.listed(addresses))
    }

    fn listed(&self, addresses: &[SocketAddr]) -> ResolvedSocketAddrs {
        let mut list = self.empty();
        addresses.iter().for_each(|&address| list.push(address));
        list
    }
}

/// The address that a host is written as, if it is; in brackets if it is one of IPv6.
fn literal(authority: &Authority) -> Option<IpAddr> {
    let host = authority.host();
    host.strip_prefix('[').and_then(|host| host.strip_suffix(']')).unwrap_or(host).parse().ok()
}
