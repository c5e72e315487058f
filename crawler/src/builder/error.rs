//! Why a crawler could not be built.

use std::fmt;

/// Why a crawler could not be built.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum BuildError {
    /// There are 0 workers.
    NoWorkers,
    /// A host may receive 0 requests.
    NoRequests,
    /// There is room for 0 URLs.
    NoUrls,
    /// The user agent is empty, or is not one line of visible ASCII.
    BadAgent,
    /// A header's name is not a token, or its value is not one line.
    BadHeader,
    /// A file of authorities contains no certificate.
    BadCertificate,
    /// The proxy is not the URL of a proxy.
    BadProxy,
    /// A header, a delay or a number of requests is for something that is not an origin, such as
    /// `https://loom.test`.
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
                "a header or a pace is for an origin, such as https://loom.test or http://localhost:8080"
            }
        })
    }
}

impl std::error::Error for BuildError {}
