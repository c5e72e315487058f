//! A report as JSON, read by another reader.

use std::thread;

use selvedge::{CancelToken, Latch, Pool, inspect};
use serde_json::Value;

use crate::common::within_a_minute;
use crate::{ignore, report_in_which};

#[test]
fn report_as_json_has_what_the_fields_have() {
    within_a_minute(|| {
        let pool = Pool::builder().name("jsön \"x\"").workers(1).build().unwrap();
        let (gate, stop) = (std::sync::Arc::new(Latch::new(1)), CancelToken::new());
        let waits = std::sync::Arc::clone(&gate);
        let task = pool.submit_named("im\nport", move || waits.wait()).unwrap();
        let report = thread::scope(|s| {
            let joins = thread::Builder::new().name("json".into());
            joins.spawn_scoped(s, || ignore(stop.wait_until(crate::common::HOUR))).unwrap();
            let report = report_in_which(|report| {
                let has = |name: &str| report.sleeps.iter().any(|sleep| sleep.thread == name);
                has("jsön \"x\"-0") && has("json")
            });
            stop.cancel();
            report
        });
        gate.count_down();
        task.join().unwrap();
        let json: Value = serde_json::from_str(&report.to_json()).unwrap();
        let sleeps = json["sleeps"].as_array().unwrap();
        assert_eq!(sleeps.len(), report.sleeps.len());
        for (json, sleep) in sleeps.iter().zip(&report.sleeps) {
            assert_eq!(json["thread"], *sleep.thread);
            assert_eq!(json["operation"], sleep.operation);
            assert_eq!(json["location"], sleep.location.to_string());
            assert_eq!(json["object"], format!("{:#x}", sleep.object));
            assert_eq!(json["asleep"].as_f64().unwrap(), sleep.asleep.as_secs_f64());
            assert_eq!(json["left"].as_f64(), sleep.left.map(|left| left.as_secs_f64()));
            assert_eq!(json["token"].is_null(), sleep.token.is_none());
            assert_eq!(json["task"].as_str(), sleep.task.as_deref());
            assert_eq!(json["works_for"].as_str(), sleep.works_for.as_deref());
        }
        let ours = |object: &&Value| object["name"] == "jsön \"x\"";
        let object = json["objects"].as_array().unwrap().iter().find(ours).unwrap();
        assert_eq!(object["figures"]["blocked"], 1);
        assert_eq!(object["running"][0]["task"], "im\nport");
        assert!(object["running"][0]["elapsed"].as_f64().unwrap() > 0.0);
        assert!(object["location"].is_null() && object["is_stuck"] == false);
        let empty: Value = serde_json::from_str(&inspect::Report::default().to_json()).unwrap();
        assert_eq!(empty, serde_json::json!({"sleeps": [], "cycles": [], "objects": []}));
    });
}
