//! Two nodes on a LAN that nobody told of each other: they find each other by mDNS.

use std::process::{Command, Output};
use std::time::{Duration, Instant};

use serde_json::Value;
use tokio::process::Child;

use crate::world::{LIVEMESH, PATIENCE};

/// Two hosts joined by a cable, removed on drop.
struct Lan {
    names: [String; 2],
}

impl Lan {
    /// `None` where this machine does not let namespaces be made.
    fn new() -> Option<Self> {
        let names = [0, 1].map(|n| format!("lmlan{}-{n}", std::process::id()));
        let lan = Self { names };
        let [a, b] = &lan.names;
        let made = ip(&["netns", "add", a]) && ip(&["netns", "add", b]);
        let cable = made
            && ip(&["link", "add", "eth0", "netns", a, "type", "veth", "peer", "name", "eth0", "netns", b]);
        for (n, name) in lan.names.iter().enumerate() {
            let ready = cable
                && ip(&["-n", name, "addr", "add", &format!("10.99.0.{}/24", n + 1), "dev", "eth0"])
                && ip(&["-n", name, "link", "set", "lo", "up"])
                && ip(&["-n", name, "link", "set", "eth0", "up"])
                && ip(&["-n", name, "route", "add", "default", "dev", "eth0"]);
            if !ready {
                return None;
            }
        }
        Some(lan)
    }

    fn node(&self, n: usize, dir: &std::path::Path) -> Child {
        let address = format!("10.99.0.{}", n + 1);
        tokio::process::Command::new("ip")
            .args([
                "netns",
                "exec",
                &self.names[n],
                LIVEMESH,
                "node",
                "--allow-unstaked",
                "--no-rtmp",
                "--log",
                "warn",
            ])
            .args(["--control", &format!("{address}:4935"), "--media", &format!("{address}:4936")])
            .arg("--data-dir")
            .arg(dir.join(n.to_string()))
            .stdout(std::process::Stdio::null())
            .kill_on_drop(true)
            .spawn()
            .unwrap()
    }

    fn peers(&self, n: usize) -> usize {
        let args = ["netns", "exec", &self.names[n], LIVEMESH, "peers", "--json", "--log", "off"];
        let Output { stdout, .. } = Command::new("ip").args(args).output().unwrap();
        let peers: Value = serde_json::from_slice(&stdout).unwrap_or_default();
        peers.as_array().map_or(0, Vec::len)
    }
}

impl Drop for Lan {
    fn drop(&mut self) {
        for name in &self.names {
            ip(&["netns", "delete", name]);
        }
    }
}

fn ip(args: &[&str]) -> bool {
    Command::new("ip").args(args).output().is_ok_and(|output| output.status.success())
}

#[tokio::test]
async fn nodes_on_a_lan_find_each_other_without_any_address() {
    let Some(lan) = Lan::new() else {
        println!("skipped: no netns");
        return;
    };
    let dir = tempfile::tempdir().unwrap();
    let (mut first, mut second) = (lan.node(0, dir.path()), lan.node(1, dir.path()));
    let started = Instant::now();
    while lan.peers(1) < 2 {
        assert!(started.elapsed() < PATIENCE, "they did not find each other");
        tokio::time::sleep(Duration::from_millis(200)).await;
    }
    println!("found after {} ms", started.elapsed().as_millis());
    for node in [&mut first, &mut second] {
        // `ip netns exec` becomes the node, so this ends the node itself.
        node.kill().await.unwrap();
    }
}
