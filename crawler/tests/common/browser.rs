//! A headless Chromium, driven over the pipe of its DevTools protocol.
//!
//! The pipe needs no port and no WebSocket: Chromium reads commands from descriptor 3 and writes answers and
//! events to descriptor 4, each a JSON text that ends with a zero byte.

use std::fs::{self, File};
use std::io::{BufRead, BufReader, Write};
use std::path::Path;
use std::process::{Child, ChildStdin, Command, Stdio};
use std::sync::mpsc::{Receiver, RecvTimeoutError, channel};
use std::thread;
use std::time::{Duration, Instant};

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Value, json};

/// For one command, on a machine that is busy with other things.
const PATIENCE: Duration = Duration::from_secs(60);

pub(crate) struct Browser {
    child: Child,
    commands: ChildStdin,
    messages: Receiver<Value>,
    session: Option<String>,
    commanded: u64,
    /// Those that nobody has waited for yet.
    events: Vec<Value>,
}

impl Browser {
    /// Starts the browser, a second time if it does not answer.
    pub(crate) fn start(folder: &Path) -> Self {
        Browser::try_start(folder)
            .or_else(|why| {
                eprintln!("chromium: {why}; once more");
                Browser::try_start(folder)
            })
            .unwrap_or_else(|why| panic!("chromium: {why}; its log is in {}", folder.display()))
    }

    fn try_start(folder: &Path) -> Result<Self, String> {
        let profile = folder.join("profile");
        let _ = fs::remove_dir_all(&profile);
        fs::create_dir_all(&profile).unwrap();
        let log = File::create(folder.join("chromium.log")).unwrap();
        // The shell moves the pipes to where the browser expects them.
        let mut child = Command::new("sh")
            .args(["-c", "exec \"$@\" 3<&0 4>&1 </dev/null >/dev/null", "sh", "chromium", "--headless"])
            .args(["--remote-debugging-pipe", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage"])
            .args(["--no-first-run", "--disable-extensions", "--disable-background-networking"])
            .arg(format!("--user-data-dir={}", profile.display()))
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(log)
            .spawn()
            .map_err(|error| error.to_string())?;
        let (told, messages) = channel();
        let mut answers = BufReader::new(child.stdout.take().unwrap());
        thread::spawn(move || {
            let mut message = Vec::new();
            while answers.read_until(0, &mut message).is_ok_and(|read| read > 0) {
                message.pop();
                let Ok(value) = serde_json::from_slice(&message) else { return };
                if told.send(value).is_err() {
                    return;
                }
                message.clear();
            }
        });
        let commands = child.stdin.take().unwrap();
        let mut browser =
            Browser { child, commands, messages, session: None, commanded: 0, events: Vec::new() };
        let target = browser.try_call("Target.createTarget", json!({ "url": "about:blank" }))?;
        let attach = json!({ "targetId": target["targetId"], "flatten": true });
        let session = browser.try_call("Target.attachToTarget", attach)?;
        browser.session = session["sessionId"].as_str().map(str::to_owned);
        for domain in ["Page", "Runtime", "Log"] {
            browser.try_call(&format!("{domain}.enable"), json!({}))?;
        }
        Ok(browser)
    }

    /// Sends a command and waits for its answer.
    pub(crate) fn call(&mut self, method: &str, parameters: Value) -> Value {
        self.try_call(method, parameters).unwrap_or_else(|why| panic!("{method}: {why}"))
    }

    fn try_call(&mut self, method: &str, parameters: Value) -> Result<Value, String> {
        self.commanded += 1;
        let id = self.commanded;
        let mut command = json!({ "id": id, "method": method, "params": parameters });
        if let Some(session) = &self.session {
            command["sessionId"] = session.clone().into();
        }
        let mut text = command.to_string().into_bytes();
        text.push(0);
        self.commands.write_all(&text).map_err(|error| error.to_string())?;
        let until = Instant::now() + PATIENCE;
        loop {
            let message = self.next(until)?;
            if message["id"] != id {
                self.events.push(message);
            } else if let Some(error) = message.get("error") {
                return Err(error.to_string());
            } else {
                return Ok(message["result"].clone());
            }
        }
    }

    fn next(&mut self, until: Instant) -> Result<Value, String> {
        self.messages.recv_timeout(until.saturating_duration_since(Instant::now())).map_err(|error| {
            match error {
                RecvTimeoutError::Timeout => "no answer in time".to_owned(),
                RecvTimeoutError::Disconnected => "it has ended".to_owned(),
            }
        })
    }

    /// Opens a file and waits until it is loaded.
    pub(crate) fn open(&mut self, file: &Path) {
        self.events.clear();
        self.call("Page.navigate", json!({ "url": format!("file://{}", file.display()) }));
        let until = Instant::now() + PATIENCE;
        while !self.events.iter().any(|event| event["method"] == "Page.loadEventFired") {
            let event = self.next(until).unwrap_or_else(|why| panic!("{}: {why}", file.display()));
            self.events.push(event);
        }
    }

    /// The size of the window, and whether its user prefers the dark.
    pub(crate) fn resize(&mut self, width: u32, height: u32, is_dark: bool) {
        let size = json!({ "width": width, "height": height, "deviceScaleFactor": 1, "mobile": width < 600 });
        self.call("Emulation.setDeviceMetricsOverride", size);
        let scheme = if is_dark { "dark" } else { "light" };
        let media = json!({ "features": [{ "name": "prefers-color-scheme", "value": scheme }] });
        self.call("Emulation.setEmulatedMedia", media);
    }

    /// The value of an expression, awaited if it is a promise.
    pub(crate) fn evaluate(&mut self, expression: &str) -> Value {
        let parameters = json!({ "expression": expression, "returnByValue": true, "awaitPromise": true });
        let result = self.call("Runtime.evaluate", parameters);
        assert!(result.get("exceptionDetails").is_none(), "{result:#}");
        result["result"]["value"].clone()
    }

    /// What the console has of errors since the page was opened.
    pub(crate) fn errors(&mut self) -> Vec<String> {
        // Events come before the answer to a command that was sent after them.
        self.evaluate("0");
        let is_error = |event: &&Value| match event["method"].as_str() {
            Some("Runtime.exceptionThrown") => true,
            Some("Runtime.consoleAPICalled") => event["params"]["type"] == "error",
            Some("Log.entryAdded") => event["params"]["entry"]["level"] == "error",
            _ => false,
        };
        self.events.iter().filter(is_error).map(|event| event["params"].to_string()).collect()
    }

    /// Writes a picture of the page, down to `height`.
    pub(crate) fn screenshot(&mut self, file: &Path, height: u32) {
        let size = self.evaluate("[innerWidth, document.documentElement.scrollHeight || innerHeight]");
        let tall = size[1].as_f64().unwrap_or(0.0).min(f64::from(height)).max(1.0);
        let clip = json!({ "x": 0, "y": 0, "width": size[0], "height": tall, "scale": 1 });
        let parameters = json!({ "format": "png", "captureBeyondViewport": true, "clip": clip });
        let taken = self.call("Page.captureScreenshot", parameters);
        fs::write(file, STANDARD.decode(taken["data"].as_str().unwrap()).unwrap()).unwrap();
    }
}

impl Drop for Browser {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
