//! Why a crawler could not be built.

use std::fmt;

/// Why a crawler could not be built.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum BuildError {
    /// 0 workers would fetch nothing.
    NoWorkers,
    /// 0 requests at a host would fetch nothing.
    NoRequests,
    /// 0 URLs have no room for the start.
    NoUrls,
    /// A user agent is told to servers in a header, so it is one line of visible ASCII and not empty.
    BadAgent,
    /// A header's name is one word of ASCII, and its value one line.
    BadHeader,
    /// What was given as an authority has no certificate in it.
    BadCertificate,
    /// What was given as a proxy is no URL of one.
    BadProxy,
    /// What a header is for is no origin, such as `https://loom.test`.
    BadOrigin,
}

impl fmt::Display for BuildError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            BuildError::NoWorkers => "0 workers fetch nothing: give the crawler at least 1",
            BuildError::NoRequests => "0 requests at a host fetch nothing: allow at least 1",
            BuildError::NoUrls => "0 URLs leave no room for the start: allow at least 1",
            BuildError::BadAgent => "a user agent is one line of visible ASCII, such as `my-checker/1.0`",
            BuildError::BadHeader => {
                "a header's name is one word of ASCII, and its value one line: `NAME: VALUE`"
            }
            BuildError::BadCertificate => {
                "an authority is a file with certificates in PEM: -----BEGIN CERTIFICATE-----"
            }
            BuildError::BadProxy => {
                "a proxy is a URL such as http://proxy.test:3128 or socks5://localhost:1080"
            }
            BuildError::BadOrigin => {
                "a header is for an origin, such as https://loom.test or http://localhost:8080"
            }
        })
    }
}

impl std::error::Error for BuildError {}
