//! The cookies of one crawl (RFC 6265), each for the origin that set it and for no other.
//!
//! An origin is narrower than what the standard allows: `Domain` never widens where a cookie goes, and a
//! cookie set over HTTP is not sent over HTTPS. A crawl needs cookies only for sites that set one on the way
//! and expect it back.

use std::collections::HashMap;
use std::time::{Duration, SystemTime};

use selvedge::sync::Mutex;
use url::{Host, Url};

use super::canonical::origin;

/// Cookies kept for an origin.
const COOKIES: usize = 50;
/// Bytes of the longest cookie that is kept.
const LONGEST: usize = 4096;

/// The cookies that have been set, by origin.
#[derive(Debug, Default)]
pub(super) struct Cookies {
    by_origin: Mutex<HashMap<String, Jar>>,
}

/// The cookies of one origin.
#[derive(Debug, Default)]
struct Jar {
    cookies: Vec<Cookie>,
    /// Counts the changes.
    version: u32,
}

#[derive(Debug, PartialEq)]
struct Cookie {
    name: String,
    value: String,
    path: String,
    is_secure: bool,
    /// When it is to be forgotten; at the end of the crawl if it is none.
    until: Option<SystemTime>,
}

impl Cookies {
    /// Keeps what an answer sets.
    pub(super) fn keep<'a>(&self, url: &Url, set: impl Iterator<Item = &'a str>) {
        let now = SystemTime::now();
        for text in set.filter(|text| text.len() <= LONGEST) {
            let Some(cookie) = parse(text, url, now) else { continue };
            let lives = cookie.until.is_none_or(|until| until > now);
            let mut origins = self.by_origin.lock();
            let jar = origins.entry(origin(url).to_owned()).or_default();
            let same = |other: &Cookie| other.name == cookie.name && other.path == cookie.path;
            match jar.cookies.iter().position(same) {
                // Only its time has changed, which is no reason to ask anything again.
                Some(at) if lives && jar.cookies[at].value == cookie.value => {
                    jar.cookies[at] = cookie;
                    continue;
                }
                Some(at) if lives => jar.cookies[at] = cookie,
                Some(at) => drop(jar.cookies.remove(at)),
                None if !lives || jar.cookies.len() >= COOKIES => continue,
                None => jar.cookies.push(cookie),
            }
            jar.version += 1;
        }
    }

    /// The value of the `Cookie` header for a request; `None` if there is nothing to send. Longer paths come
    /// first, and older cookies among those as long (section 5.4).
    pub(super) fn header(&self, url: &Url) -> Option<String> {
        let (now, is_https) = (SystemTime::now(), url.scheme() == "https");
        let origins = self.by_origin.lock();
        let is_for = |cookie: &&Cookie| {
            is_below(url.path(), &cookie.path)
                && (is_https || !cookie.is_secure)
                && cookie.until.is_none_or(|until| until > now)
        };
        let mut cookies: Vec<&Cookie> = origins.get(origin(url))?.cookies.iter().filter(is_for).collect();
        // The sort is stable.
        cookies.sort_by_key(|cookie| std::cmp::Reverse(cookie.path.len()));
        let pairs: Vec<String> =
            cookies.iter().map(|Cookie { name, value, .. }| format!("{name}={value}")).collect();
        (!pairs.is_empty()).then(|| pairs.join("; "))
    }

    /// How often the cookies of an origin have changed.
    pub(super) fn version(&self, url: &Url) -> u32 {
        self.by_origin.lock().get(origin(url)).map_or(0, |jar| jar.version)
    }
}

/// A cookie as `Set-Cookie` writes it (section 5.2); `None` if it is to be ignored.
fn parse(text: &str, url: &Url, now: SystemTime) -> Option<Cookie> {
    let mut parts = text.split(';').map(str::trim);
    let (name, value) = parts.next()?.split_once('=')?;
    let folder = url.path().rsplit_once('/').map_or("", |(folder, _)| folder);
    let folder = if folder.is_empty() { "/" } else { folder };
    let mut cookie = Cookie {
        name: name.trim().to_owned(),
        value: value.trim().to_owned(),
        path: folder.to_owned(),
        is_secure: false,
        until: None,
    };
    let (mut expires, mut max_age) = (None, None);
    for part in parts {
        let (key, value) = part.split_once('=').unwrap_or((part, ""));
        let value = value.trim();
        match key.trim().to_ascii_lowercase().as_str() {
            "path" if value.starts_with('/') => cookie.path = value.to_owned(),
            "path" => cookie.path = folder.to_owned(),
            "secure" => cookie.is_secure = true,
            "domain" if !has_domain(url, value) => return None,
            "max-age" => max_age = seconds(value).or(max_age),
            "expires" => expires = date(value).or(expires),
            _ => {}
        }
    }
    // A lifetime holds before a date, in either order.
    cookie.until = match max_age {
        // One that the clock cannot show is as good as none.
        Some(seconds) => now.checked_add(Duration::from_secs(seconds)),
        None => expires,
    };
    (!cookie.name.is_empty()).then_some(cookie)
}

/// The seconds of a `Max-Age`, 0 for what is past; `None` if it is no number.
fn seconds(text: &str) -> Option<u64> {
    let digits = text.strip_prefix('-').unwrap_or(text);
    match !digits.is_empty() && digits.bytes().all(|byte| byte.is_ascii_digit()) {
        true if digits.len() < text.len() => Some(0),
        true => Some(digits.parse().unwrap_or(u64::MAX)),
        false => None,
    }
}

/// Whether the host of `url` is in a `Domain`; an empty one is none.
fn has_domain(url: &Url, domain: &str) -> bool {
    let domain = domain.strip_prefix('.').unwrap_or(domain).to_ascii_lowercase();
    let host = url.host_str().unwrap_or_default();
    let is_below = |host: &str| host.strip_suffix(&*domain).is_some_and(|rest| rest.ends_with('.'));
    domain.is_empty() || host == domain || (matches!(url.host(), Some(Host::Domain(_))) && is_below(host))
}

/// A date as cookies write it, in any of the ways that are in use (section 5.1.1).
fn date(text: &str) -> Option<SystemTime> {
    let (mut time, mut day, mut month, mut year) = (None, None, None, None);
    let words = text.split(|c: char| !(c.is_ascii_alphanumeric() || c == ':'));
    for word in words.filter(|word| !word.is_empty()) {
        let number = || {
            let digits = word.len() - word.trim_start_matches(|c: char| c.is_ascii_digit()).len();
            word[..digits].parse::<u64>().ok().filter(|_| digits <= 4).map(|number| (number, digits))
        };
        if let Some(clock) = clock(word).filter(|_| time.is_none()) {
            time = Some(clock);
        } else if let Some((number, 1 | 2)) = number().filter(|_| day.is_none()) {
            day = Some(number);
        } else if let Some(at) = month_of(word).filter(|_| month.is_none()) {
            month = Some(at);
        } else if let Some((number, 2 | 4)) = number().filter(|_| year.is_none()) {
            year = Some(match number {
                70..=99 => number + 1900,
                0..=69 => number + 2000,
                _ => number,
            });
        }
    }
    let (day, month, year) =
        (day.filter(|day| (1..=31).contains(day))?, month?, year.filter(|&year| year > 1600)?);
    let seconds = days(year, month, day).checked_mul(86_400)?.checked_add(time?)?;
    // What is before this clock's beginning is past in any case.
    Some(SystemTime::UNIX_EPOCH + Duration::from_secs(seconds.try_into().unwrap_or(0)))
}

/// The seconds of `hh:mm:ss`.
fn clock(word: &str) -> Option<i64> {
    let mut parts = word.splitn(3, ':').map(|part| part.parse::<u32>().ok().filter(|_| part.len() <= 2));
    let (hours, minutes, seconds) = (parts.next()??, parts.next()??, parts.next()??);
    (hours < 24 && minutes < 60 && seconds < 60).then(|| (hours * 3600 + minutes * 60 + seconds).into())
}

/// The month of a name, counted from 1.
fn month_of(word: &str) -> Option<u64> {
    let name = word.get(..3)?.to_ascii_lowercase();
    let months = ["jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec"];
    Some(months.iter().position(|month| *month == name)? as u64 + 1)
}

/// Days from 1970 to a date of the Gregorian calendar: years begin in March, so that a leap day ends one.
fn days(year: u64, month: u64, day: u64) -> i64 {
    let (year, month) = if month > 2 { (year, month - 3) } else { (year - 1, month + 9) };
    (year * 365 + year / 4 - year / 100 + year / 400 + (month * 153 + 2) / 5 + day - 1) as i64 - 719_468
}

/// Whether a path is the cookie's, or below it (section 5.1.4).
fn is_below(path: &str, folder: &str) -> bool {
    path.strip_prefix(folder)
        .is_some_and(|rest| rest.is_empty() || rest.starts_with('/') || folder.ends_with('/'))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn url(text: &str) -> Url {
        Url::parse(text).unwrap()
    }

    #[test]
    fn a_cookie_goes_to_its_origin_and_below_its_path() {
        let cookies = Cookies::default();
        cookies.keep(&url("http://a.test/x/y"), ["a=1", "b=2; Path=/", "c=3; path=/z/"].into_iter());
        assert_eq!(cookies.header(&url("http://a.test/x/other")).as_deref(), Some("a=1; b=2"));
        assert_eq!(cookies.header(&url("http://a.test/z")).as_deref(), Some("b=2"));
        assert_eq!(cookies.header(&url("http://a.test/z/")).as_deref(), Some("c=3; b=2"));
        assert_eq!(cookies.header(&url("http://a.test/xy")).as_deref(), Some("b=2"));
        for other in ["https://a.test/x/", "http://b.test/x/", "http://a.test:81/x/"] {
            assert_eq!(cookies.header(&url(other)), None);
        }
    }

    #[test]
    fn a_version_counts_changes_and_a_cookie_can_be_taken_back() {
        let cookies = Cookies::default();
        let start = url("http://a.test/");
        cookies.keep(&start, ["a=1"].into_iter());
        cookies.keep(&start, ["a=1; HttpOnly", "no cookie", "=x"].into_iter());
        assert_eq!(cookies.version(&start), 1);
        cookies.keep(&start, ["a=2; Max-Age=9"].into_iter());
        assert_eq!((cookies.version(&start), cookies.header(&start).as_deref()), (2, Some("a=2")));
        cookies.keep(&start, ["a=; Expires=Thu, 01 Jan 1970 00:00:00 GMT"].into_iter());
        assert_eq!((cookies.version(&start), cookies.header(&start)), (3, None));
    }

    #[test]
    fn an_origin_that_sets_cookies_without_end_is_kept_within_bounds() {
        let cookies = Cookies::default();
        let start = url("http://a.test/");
        let many: Vec<String> = (0..1_000).map(|n| format!("c{n}=1")).collect();
        cookies.keep(&start, many.iter().map(String::as_str));
        cookies.keep(&start, [format!("long={}", "x".repeat(LONGEST)).as_str()].into_iter());
        assert_eq!(cookies.header(&start).unwrap().matches('=').count(), COOKIES);
    }

    #[test]
    fn a_date_is_read_in_each_way_that_is_in_use() {
        let at =
            |text: &str| date(text).map(|at| at.duration_since(SystemTime::UNIX_EPOCH).unwrap().as_secs());
        for text in [
            "Wed, 21 Oct 2015 07:28:00 GMT",
            "Wednesday, 21-Oct-15 07:28:00 GMT",
            "Wed Oct 21 07:28:00 2015",
            "07:28:00 21 october 2015",
            "2015 21 oct 7:28:0",
        ] {
            assert_eq!(at(text), Some(1_445_412_480), "{text}");
        }
        assert_eq!(at("Thu, 01 Jan 1970 00:00:00 GMT"), Some(0));
        assert_eq!(at("Sat, 29 Feb 2020 23:59:59 GMT"), Some(1_583_020_799));
        assert_eq!(at("Mon, 01 Jan 1601 00:00:00 GMT"), Some(0));
        for text in
            ["", "soon", "32 Jan 2020 00:00:00", "1 Jan 2020", "1 Jan 2020 24:00:00", "1 é 2020 0:0:0"]
        {
            assert_eq!(at(text), None, "{text}");
        }
    }

    #[test]
    fn a_cookie_for_secure_connections_or_another_domain_goes_nowhere_else() {
        let cookies = Cookies::default();
        let (http, https) = (url("http://www.a.test/"), url("https://www.a.test/"));
        for start in [&http, &https] {
            let set = ["a=1; Secure", "b=2; Domain=.A.test", "c=3; Domain=b.test", "d=4; Domain=ww.a.test"];
            cookies.keep(start, set.into_iter());
        }
        assert_eq!(cookies.header(&http).as_deref(), Some("b=2"));
        assert_eq!(cookies.header(&https).as_deref(), Some("a=1; b=2"));
    }
}
