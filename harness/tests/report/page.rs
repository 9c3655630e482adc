//! The page in a browser: it loads, filters and opens cases, and says nothing in the console. The
//! screenshots are in `target/page`, to be looked at.

use std::io::{BufRead, BufReader};
use std::net::TcpStream;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use serde_json::{Value, json};
use sshdrill::peer::catalogue::{Part, Required};
use sshdrill::report::html;
use sshdrill::report::json as json_report;
use sshdrill::report::record::Record;
use sshdrill::verdict::Verdict;
use tempfile::TempDir;
use tungstenite::{Message, WebSocket};

use crate::made_up::{FAILS, PASSES};
use crate::stage::{REKEYS, Stage, stderr};

/// How long a page may take to do something.
const PATIENCE: Duration = Duration::from_secs(60);

/// How long ten thousand cases may take until they can be used, on a busy machine.
const LARGE_LOADS_IN: Duration = Duration::from_secs(60);

/// How large the page of ten thousand cases may be.
const LARGE_BYTES_MAX: usize = 8 * 1024 * 1024;

/// A browser with one page, spoken to by the `DevTools` protocol; ends when dropped.
struct Browser {
    process: Child,
    _profile: TempDir,
    socket: WebSocket<TcpStream>,
    session: Option<String>,
    calls: u64,
    /// What it said without being asked.
    events: Vec<Value>,
}

impl Browser {
    /// Nothing, with a loud reason, where there is none; fails when it is required.
    fn start() -> Option<Self> {
        let required = Required::from_env().expect("a list of parts");
        let chromium = match which::which("chromium") {
            Ok(chromium) => chromium,
            Err(why) => {
                assert!(
                    !required.has(Part::Chromium),
                    "chromium must be here: {why}"
                );
                eprintln!("SKIPPED: the page in a browser: chromium: {why}");
                eprintln!("hint: apt-get install chromium");
                return None;
            }
        };
        let profile = tempfile::tempdir().expect("a temporary folder");
        let mut process = Command::new(chromium)
            .args([
                "--headless=new",
                "--no-sandbox",
                "--disable-gpu",
                "--disable-dev-shm-usage",
            ])
            .args(["--hide-scrollbars", "--remote-debugging-port=0"])
            .arg(format!("--user-data-dir={}", profile.path().display()))
            .stderr(Stdio::piped())
            .spawn()
            .expect("it starts");
        let address = address_of(&mut process);
        let host = address.split('/').nth(2).expect("it has a host");
        let stream = TcpStream::connect(host).expect("it listens");
        stream.set_read_timeout(Some(PATIENCE)).expect("a socket");
        let (socket, _) = tungstenite::client(&address, stream).expect("it speaks");
        let mut browser = Self {
            process,
            _profile: profile,
            socket,
            session: None,
            calls: 0,
            events: Vec::new(),
        };
        let page = browser.call("Target.createTarget", json!({ "url": "about:blank" }));
        let target = json!({ "targetId": page["targetId"], "flatten": true });
        let attached = browser.call("Target.attachToTarget", target);
        browser.session = attached["sessionId"].as_str().map(str::to_owned);
        for domain in ["Page", "Runtime", "Log", "Network"] {
            browser.call(&format!("{domain}.enable"), json!({}));
        }
        Some(browser)
    }

    fn call(&mut self, method: &str, parameters: impl Into<Value>) -> Value {
        self.calls += 1;
        let mut call = json!({ "id": self.calls, "method": method, "params": parameters.into() });
        if let Some(session) = &self.session {
            call["sessionId"] = session.as_str().into();
        }
        self.socket
            .send(Message::text(call.to_string()))
            .expect("it listens");
        loop {
            let message = self
                .socket
                .read()
                .unwrap_or_else(|error| panic!("{method}: {error}"));
            let Message::Text(text) = message else {
                continue;
            };
            let message: Value = serde_json::from_str(&text).expect("JSON");
            match message.get("id") {
                None => self.events.push(message),
                Some(_) => {
                    assert!(message["error"].is_null(), "{method}: {}", message["error"]);
                    return message["result"].clone();
                }
            }
        }
    }

    fn evaluate(&mut self, script: &str) -> Value {
        let said = self.call(
            "Runtime.evaluate",
            json!({ "expression": script, "returnByValue": true }),
        );
        assert!(said["exceptionDetails"].is_null(), "{script}: {said}");
        said["result"]["value"].clone()
    }

    fn look(&mut self, width: u32, height: u32, colours: &str) {
        let is_phone = width < 600;
        let size =
            json!({ "width": width, "height": height, "deviceScaleFactor": 1, "mobile": is_phone });
        self.call("Emulation.setDeviceMetricsOverride", size);
        let scheme = json!({ "features": [{ "name": "prefers-color-scheme", "value": colours }] });
        self.call("Emulation.setEmulatedMedia", scheme);
    }

    fn open(&mut self, page: &Path) {
        let address = format!("file://{}", page.display());
        self.call("Page.navigate", json!({ "url": address }));
        // Before it there is an empty page, which is complete.
        self.until("location.protocol === 'file:' && document.readyState === 'complete'");
    }

    /// Waits until the script says yes.
    fn until(&mut self, script: &str) {
        let started = Instant::now();
        while self.evaluate(&format!("Boolean({script})")) != json!(true) {
            if started.elapsed() > PATIENCE {
                self.shoot("stuck.png");
                panic!("never: {script}");
            }
            std::thread::sleep(Duration::from_millis(30));
        }
    }

    fn text(&mut self, selector: &str) -> String {
        let text = self.evaluate(&format!("document.querySelector({selector:?})?.innerText"));
        text.as_str()
            .unwrap_or_else(|| panic!("there is no {selector}"))
            .to_owned()
    }

    /// As a hand does it: to where the element is, whatever may lie over it.
    fn click(&mut self, selector: &str) {
        let place = self.evaluate(&format!(
            "(() => {{ const element = document.querySelector({selector:?});
                element.scrollIntoView({{ block: 'center' }});
                const {{ x, y, width, height }} = element.getBoundingClientRect();
                return [x + width / 2, y + height / 2]; }})()"
        ));
        for kind in ["mousePressed", "mouseReleased"] {
            let event = json!({ "type": kind, "x": place[0], "y": place[1], "button": "left", "clickCount": 1 });
            self.call("Input.dispatchMouseEvent", event);
        }
    }

    fn press(&mut self, key: &str, code: u32, text: &str) {
        for kind in ["keyDown", "keyUp"] {
            let event = json!({ "type": kind, "key": key, "code": key, "windowsVirtualKeyCode": code, "text": text });
            self.call("Input.dispatchKeyEvent", event);
        }
    }

    fn shoot(&mut self, name: &str) {
        let image = self.call("Page.captureScreenshot", json!({}));
        let image = image["data"].as_str().expect("it is drawn");
        std::fs::create_dir_all(shots()).expect("writable");
        let image = BASE64.decode(image).expect("base64");
        std::fs::write(shots().join(name), image).expect("writable");
    }

    /// Nothing was said to the developer, and nobody outside was asked for anything.
    fn assert_quiet(&mut self) {
        // Whatever was said before this answer has come with it.
        self.evaluate("1");
        for event in &self.events {
            let method = event["method"].as_str().unwrap_or_default();
            let is_loud = [
                "Runtime.exceptionThrown",
                "Runtime.consoleAPICalled",
                "Log.entryAdded",
            ];
            assert!(!is_loud.contains(&method), "{event:#}");
            let address = event["params"]["request"]["url"]
                .as_str()
                .unwrap_or_default();
            let is_inside = ["file:", "data:", "blob:"]
                .iter()
                .any(|scheme| address.starts_with(scheme));
            assert!(
                method != "Network.requestWillBeSent" || is_inside,
                "{address}"
            );
        }
        assert!(!self.events.is_empty(), "the browser tells what goes on");
    }
}

impl Drop for Browser {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

/// The browser says where it listens.
fn address_of(browser: &mut Child) -> String {
    let stderr = browser.stderr.take().expect("it is piped");
    let mut lines = BufReader::new(stderr).lines().map_while(Result::ok);
    let address =
        lines.find_map(|line| Some(line.strip_prefix("DevTools listening on ")?.to_owned()));
    // It goes on to talk, and shall not wait for a reader.
    std::thread::spawn(move || lines.for_each(drop));
    address.expect("it listens")
}

fn shots() -> PathBuf {
    Path::new(env!("CARGO_TARGET_TMPDIR")).join("page")
}

#[test]
fn the_page_loads_filters_and_opens_a_case_without_a_word_in_the_console() {
    let Some(mut browser) = Browser::start() else {
        return;
    };
    let stage = Stage::with(&[PASSES, FAILS, REKEYS]);
    let ran = stage.run(
        "--pairing minissh:minissh --pairing scripted:minissh --html report.html --captures all",
    );
    assert_eq!(ran.status.code(), Some(1), "{}", stderr(&ran));

    browser.look(1280, 900, "light");
    browser.open(&stage.path("report.html"));
    assert_eq!(browser.text("h1"), "1 of 3 cases failed");
    assert_eq!(browser.text("#shown"), "All 3 cases shown");
    assert_eq!(browser.text("table.matrix tr.row th"), "fails");
    browser.until("document.querySelectorAll('table.matrix th[scope]').length >= 6");
    browser.shoot("light.png");

    // Filters: by text, then none, then by verdict.
    browser.click("[name=q]");
    browser.call("Input.insertText", json!({ "text": "rekeys" }));
    browser.until("document.getElementById('shown').textContent.startsWith('1 of 3')");
    browser.until("location.hash === '#/?q=rekeys'");
    browser.until("document.getElementById('attention').hidden");
    browser.click("[type=reset]");
    browser.until("document.getElementById('shown').textContent.startsWith('All 3')");
    // The chips are made anew once more, and the button is not to go while it is pressed.
    browser.until("location.hash === '#/'");
    browser.click(".chip.fail");
    browser.until("document.querySelectorAll('table.matrix tr.row').length === 1");
    browser.until("document.querySelector('.chip.fail').getAttribute('aria-pressed') === 'true'");
    // It has the focus last of all, which else would go to it and away from the table.
    browser.until("document.activeElement === document.querySelector('.chip.fail')");

    // A case, opened with the keyboard from the table.
    browser.evaluate("document.querySelector('a.cell').focus()");
    browser.press("Enter", 13, "\r");
    browser.until("document.querySelector('.case h1')?.textContent === 'made-up/fails'");
    browser.until("document.activeElement === document.querySelector('.case h1')");
    let all = browser.text("main");
    for text in [
        "RFC 4254 §6.5",
        "If it is broken:",
        "goodbye",
        "KEXINIT(20)",
        "minissh server",
        "cargo drill run made-up/fails",
        "Download the capture",
    ] {
        assert!(all.contains(text), "{text}: {all}");
    }
    browser.shoot("case.png");
    browser.look(1280, 900, "dark");
    browser.shoot("case-dark.png");
    browser.look(390, 844, "light");
    browser.until("document.documentElement.scrollWidth <= innerWidth");
    browser.shoot("case-phone.png");
    browser.evaluate("history.back()");
    browser.until("document.querySelectorAll('table.matrix tr.row').length === 1");
    browser.until("document.documentElement.scrollWidth <= innerWidth");
    browser.shoot("phone.png");
    browser.assert_quiet();
}

/// Whoever looks for news is not stopped by what is known, and who asks why it is known is told.
#[test]
fn what_is_known_is_no_news_on_the_page() {
    let Some(mut browser) = Browser::start() else {
        return;
    };
    let stage = Stage::with(&[PASSES, FAILS]);
    std::fs::create_dir(stage.path("expected")).expect("writable");
    let known =
        "[[expected]]\nscenario = \"made-up/fails\"\nverdict = \"fail\"\nreason = \"it is old\"\n";
    std::fs::write(stage.path("expected/minissh.toml"), known).expect("writable");
    let ran = stage.run("--pairing minissh:minissh --expected expected --html report.html");
    assert_eq!(ran.status.code(), Some(0), "{}", stderr(&ran));

    browser.look(1280, 900, "light");
    browser.open(&stage.path("report.html"));
    assert_eq!(browser.text("h1"), "None of 2 cases failed but as known");
    assert_eq!(browser.text("a.cell.fail-as-known span[aria-hidden]"), "≠");
    let key = browser.text(".key");
    assert!(key.contains("fail, as known"), "{key}");
    browser.shoot("known.png");
    browser.click(".chip.fail-as-known");
    browser.until("document.querySelectorAll('table.matrix tr.row').length === 1");
    browser.until("document.activeElement === document.querySelector('.chip.fail-as-known')");
    browser.click("a.cell.fail-as-known");
    browser.until("document.querySelector('.case h1')?.textContent === 'made-up/fails'");
    assert!(browser.text("main").contains("fail: it is old"));
    browser.assert_quiet();
}

/// A run with so many cases, made from a real one.
fn large(record: &Record, peers: usize, scenarios: usize) -> Record {
    let mut large = Record {
        cases: Vec::new(),
        ..record.clone()
    };
    large.participants.clear();
    for peer in 0..peers {
        let mut participant = record.participants[0].clone();
        participant.id = format!("openssh-release{peer}");
        large.participants.push(participant);
    }
    let scenario = record
        .scenarios
        .values()
        .next()
        .expect("it has one")
        .clone();
    for number in 0..scenarios {
        let name = format!("area-{}/scenario@number={number}", number / 50);
        large.scenarios.insert(name.clone(), scenario.clone());
        for peer in 0..peers {
            let mut case = record.cases[0].clone();
            case.scenario.clone_from(&name);
            "scripted".clone_into(&mut case.client);
            case.server = format!("openssh-release{peer}");
            if (number * peers + peer) % 500 != 499 {
                case.verdict = Some(Verdict::Pass);
                case.failure = None;
                case.logs.clear();
            }
            large.cases.push(case);
        }
    }
    large
}

#[test]
fn ten_thousand_cases_stay_usable() {
    let Some(mut browser) = Browser::start() else {
        return;
    };
    let stage = Stage::with(&[FAILS]);
    stage.run("--pairing minissh:minissh --json run.json");
    let record = json_report::parse(&stage.text("run.json")).expect("ours");
    let record = large(&record, 20, 500);
    assert_eq!(record.cases.len(), 10_000);
    let page = stage.path("large.html");
    let text = html::render(&record, &page).expect("nothing to read");
    assert!(text.len() < LARGE_BYTES_MAX, "{} bytes", text.len());
    std::fs::write(&page, text).expect("writable");

    browser.look(1280, 900, "light");
    let started = Instant::now();
    browser.open(&page);
    browser.until("document.querySelectorAll('table.matrix tbody').length === 10");
    let took = started.elapsed();
    assert!(took < LARGE_LOADS_IN, "{took:?}");
    eprintln!("10,000 cases are there after {took:?}");
    browser.shoot("large.png");

    browser.evaluate("document.querySelectorAll('.area button[aria-expanded=true]').forEach((button) => button.click())");
    browser.click("tbody:last-of-type button");
    browser.until("document.querySelectorAll('tbody:last-of-type tr.row').length === 50");
    browser.click("tbody:last-of-type tr.row:last-child a.cell");
    browser.until("document.querySelector('.case h1')?.textContent.endsWith('number=499')");
    browser.assert_quiet();
}
