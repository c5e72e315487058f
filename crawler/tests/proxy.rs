//! A proxy in the environment is used, shown, blamed for its own failures, and not for hosts on this machine.

mod common;

use common::site::{Reply, Site};
use common::tool::{command, text};
use common::within_a_minute;

#[test]
fn a_host_on_this_machine_is_not_asked_for_through_a_proxy_and_others_are() {
    within_a_minute(|| {
        let site = Site::open(|_| Some(Reply::page("")));
        // Nobody listens on port 1.
        let run = |url: &str| {
            let mut command = command(&[url, "--retries", "0"]);
            for name in ["http_proxy", "HTTP_PROXY", "all_proxy", "ALL_PROXY"] {
                command.env(name, "http://me:s3cret@127.0.0.1:1");
            }
            command.env_remove("no_proxy").env_remove("NO_PROXY").output().unwrap()
        };
        let own = run(&site.url("/"));
        assert_eq!(own.status.code(), Some(0), "{}", text(&own.stdout));
        let other = run("http://loom.invalid/");
        let told = text(&other.stdout) + &text(&other.stderr);
        assert_eq!(other.status.code(), Some(1), "{told}");
        assert!(told.contains("proxy 127.0.0.1:1") && !told.contains("s3cret"), "{told}");
    });
}

#[test]
fn a_proxy_that_is_named_takes_the_place_of_that_in_the_environment() {
    within_a_minute(|| {
        // Nobody listens on either port.
        let run = |proxy: &str| {
            let mut command = command(&["http://loom.invalid/", "--retries", "0", "--proxy", proxy]);
            command.env("ALL_PROXY", "http://127.0.0.1:1").env_remove("NO_PROXY").env_remove("no_proxy");
            let output = command.output().unwrap();
            (output.status.code(), text(&output.stdout) + &text(&output.stderr))
        };
        let (status, told) = run("http://me:s3cret@127.0.0.1:2");
        assert!(
            status == Some(1) && told.contains("proxy 127.0.0.1:2") && !told.contains("s3cret"),
            "{told}"
        );
        let (status, told) = run("none");
        assert!(status == Some(1) && !told.contains("proxy 127"), "{told}");
        let (status, told) = run("no:proxy:at:all");
        assert!(status == Some(2) && told.contains("socks5://"), "{told}");
    });
}
