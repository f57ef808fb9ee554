//! `livemesh doctor`: what this machine has and lacks, and what to do about it.
#![expect(clippy::print_stdout, reason = "printing is what it is for")]

use std::net::{TcpListener, UdpSocket};
use std::path::Path;
use std::process::ExitCode;

use media::transcode::Capabilities;
use media::worker::{Isolation, Protections, WorkerConfig, Workers};
use serde::Serialize;

use crate::cli::Failure;
use crate::config::{Config, NodeArgs};
use crate::keys;

/// Receive buffer that a node asks for, bytes; less drops packets under load.
const UDP_BUFFER: u64 = 4 << 20;

/// One thing looked at.
#[derive(Debug, Serialize)]
struct Finding {
    what: &'static str,
    verdict: Verdict,
    found: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    advice: Option<String>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
enum Verdict {
    Good,
    /// It works, but could be better.
    Weak,
    /// A node would not work.
    Bad,
}

pub(crate) async fn run(args: &NodeArgs, json: bool) -> Result<ExitCode, Failure> {
    let mut findings = Vec::new();
    match args.resolve() {
        Ok(config) => {
            findings.push(good("configuration", "can be used".into()));
            findings.extend(look(&config).await);
        }
        Err(error) => findings.push(bad("configuration", error.to_string(), "see livemesh config check")),
    }
    if json {
        println!("{}", serde_json::to_string_pretty(&findings)?);
    } else {
        findings.iter().for_each(print);
    }
    let works = findings.iter().all(|f| f.verdict != Verdict::Bad);
    Ok(if works { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

async fn look(config: &Config) -> Vec<Finding> {
    let mut findings = vec![identity(&config.data_dir)];
    findings.extend(worker().await);
    findings.push(tcp("HTTP port", config.http));
    findings.extend(config.rtmp.map(|addr| tcp("RTMP port", addr)));
    findings.push(udp("mesh control port", config.mesh.control));
    findings.push(udp("mesh media port", config.mesh.media));
    findings.push(udp_buffer());
    findings.push(join(config));
    findings.push(gpu());
    findings
}

fn identity(data_dir: &Path) -> Finding {
    match keys::load_or_create(data_dir) {
        Ok(_) => good("identity", format!("in {}", data_dir.display())),
        Err(error) => bad("identity", error.to_string(), "the node cannot start without it"),
    }
}

/// Starts a real worker and asks it what it can do.
async fn worker() -> Vec<Finding> {
    let probe = async {
        let program = std::env::current_exe().map_err(|e| e.to_string())?;
        let config = WorkerConfig::new(program, vec!["worker".into()], 1);
        let workers = Workers::start(config).await.map_err(|e| e.to_string())?;
        let found = workers.probe().await.map_err(|e| e.to_string())?;
        let isolation = workers.self_test().await.map_err(|e| e.to_string())?;
        Ok::<_, String>((found, isolation, workers.protections()))
    };
    match probe.await {
        Ok((found, isolation, protections)) => vec![encoder(&found), sandbox(isolation, protections)],
        Err(error) => vec![bad("worker process", error, "a node that transcodes needs it")],
    }
}

fn encoder(found: &Capabilities) -> Finding {
    match (found.encoders.first(), &found.core) {
        (Some(name), Some(core)) => good("H.264 encoder", format!("{name}, {core}")),
        (Some(name), None) => good("H.264 encoder", name.clone()),
        (None, _) => bad(
            "H.264 encoder",
            "FFmpeg has none".into(),
            "on Debian and Ubuntu: apt-get install libavcodec-extra",
        ),
    }
}

/// What a real worker could not do when it tried.
fn sandbox(tried: Isolation, by: Protections) -> Finding {
    let found = format!(
        "files {}, network {}, programs {}  (Landlock {}, seccomp {})",
        refused(tried.files_refused),
        refused(tried.network_refused),
        refused(tried.programs_refused),
        if by.landlock { "on" } else { "off" },
        if by.seccomp { "on" } else { "off" },
    );
    if tried.files_refused && tried.network_refused && tried.programs_refused {
        return good("sandbox", found);
    }
    weak(
        "sandbox",
        found,
        "strangers' bytes are decoded with more rights than needed: use a kernel with Landlock and seccomp",
    )
}

fn refused(yes: bool) -> &'static str {
    if yes { "refused" } else { "ALLOWED" }
}

fn tcp(what: &'static str, addr: std::net::SocketAddr) -> Finding {
    match TcpListener::bind(addr) {
        Ok(_) => good(what, format!("{addr} is free")),
        Err(error) => {
            bad(what, format!("{addr}: {error}"), "end what uses it (a running node?), or choose another")
        }
    }
}

fn udp(what: &'static str, addr: std::net::SocketAddr) -> Finding {
    match UdpSocket::bind(addr) {
        Ok(_) => good(what, format!("{addr} is free")),
        Err(error) => {
            bad(what, format!("{addr}: {error}"), "end what uses it (a running node?), or choose another")
        }
    }
}

fn udp_buffer() -> Finding {
    let limit = std::fs::read_to_string("/proc/sys/net/core/rmem_max")
        .ok()
        .and_then(|t| t.trim().parse::<u64>().ok());
    match limit {
        Some(limit) if limit >= UDP_BUFFER => good("UDP buffer", format!("{} kB", limit / 1024)),
        Some(limit) => {
            let advice = format!("packets are dropped under load: sysctl -w net.core.rmem_max={UDP_BUFFER}");
            weak("UDP buffer", format!("at most {} kB", limit / 1024), &advice)
        }
        None => weak("UDP buffer", "the limit cannot be read".into(), "check net.core.rmem_max"),
    }
}

fn join(config: &Config) -> Finding {
    match (config.mesh.bootstrap.len(), config.mesh.mdns) {
        (0, false) => weak(
            "way into the mesh",
            "none".into(),
            "give --bootstrap with the address of a node, or leave mDNS on",
        ),
        (0, true) => good("way into the mesh", "the LAN only (mDNS)".into()),
        (n, _) => good("way into the mesh", format!("{n} bootstrap addresses")),
    }
}

fn gpu() -> Finding {
    let driver = std::fs::read_to_string("/proc/driver/nvidia/version");
    match driver {
        Ok(text) => {
            let version = text.lines().next().unwrap_or("an unknown version").to_owned();
            weak("GPU", version, "NVIDIA transcoding is not there yet: this node transcodes on the CPU")
        }
        Err(_) => good("GPU", "none; this node transcodes on the CPU".into()),
    }
}

fn good(what: &'static str, found: String) -> Finding {
    Finding { what, verdict: Verdict::Good, found, advice: None }
}

fn weak(what: &'static str, found: String, advice: &str) -> Finding {
    Finding { what, verdict: Verdict::Weak, found, advice: Some(advice.into()) }
}

fn bad(what: &'static str, found: String, advice: &str) -> Finding {
    Finding { what, verdict: Verdict::Bad, found, advice: Some(advice.into()) }
}

fn print(finding: &Finding) {
    let mark = match finding.verdict {
        Verdict::Good => "good",
        Verdict::Weak => "weak",
        Verdict::Bad => "BAD ",
    };
    println!("{mark}  {:<18} {}", finding.what, finding.found);
    if let Some(advice) = &finding.advice {
        println!("      {:<18} {advice}", "");
    }
}
