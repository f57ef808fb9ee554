//! `livemesh bench transcode`: our way, segment by segment through one worker process, beside one `ffmpeg` process that has the
//! whole file, in one run. Same source, preset, ladder and key frames. CPU time and peak memory are read from the kernel for the
//! worker, and asked of `ffmpeg -benchmark` for `ffmpeg`.

use std::path::{Path, PathBuf};
use std::process::ExitCode;

use bytes::Bytes;
use media::fmp4::{self, Sample};
use media::transcode::{Job, Limits};
use media::worker::{WorkerConfig, Workers};
use protocol::Ladder;
use protocol::ladder::LadderPlan;
use serde::Serialize;
use tokio::process::Command;
use tokio::sync::mpsc;

use crate::cli::Failure;

/// Width of the generated source, pixels.
pub(super) const WIDTH: u32 = 1280;
/// Its height, pixels.
pub(super) const HEIGHT: u32 = 720;
/// Pictures between key frames of the source, at 30 a second: two seconds.
const GOP: u32 = 60;
/// Units of the kernel's CPU times in one second (`USER_HZ`, the same on every Linux).
const KERNEL_TICKS: f64 = 100.0;

#[derive(clap::Args, Debug)]
pub(crate) struct Args {
    /// Length of the generated source
    #[arg(long, default_value_t = 24, value_parser = clap::value_parser!(u32).range(4..=600))]
    seconds: u32,
    /// Times that each side runs, in turn
    #[arg(long, default_value_t = 3, value_parser = clap::value_parser!(u32).range(1..=100))]
    runs: u32,
    /// The program to start as a worker [default: this one]
    #[arg(long, value_name = "PROGRAM", hide = true)]
    worker: Option<PathBuf>,
}

/// What one side took for the whole source.
#[derive(Clone, Copy, Debug, Serialize)]
struct Cost {
    cpu_s: f64,
    rss_mb: f64,
    wall_s: f64,
}

/// Both sides, one after the other.
#[derive(Clone, Copy, Debug, Serialize)]
struct Run {
    livemesh: Cost,
    ffmpeg: Cost,
}

#[derive(Debug, Serialize)]
struct Report {
    cpu_ratio_ffmpeg: f64,
    rss_ratio_ffmpeg: f64,
    runs: Vec<Run>,
}

pub(crate) async fn run(args: Args, json: bool) -> Result<ExitCode, Failure> {
    let dir = std::env::temp_dir().join(format!("livemesh-bench-{}", std::process::id()));
    std::fs::create_dir_all(&dir)?;
    let report = measure(&args, &dir, json).await;
    let _ = std::fs::remove_dir_all(&dir);
    let report = report?;
    let mut out = std::io::stdout();
    if json {
        print_line(&mut out, &serde_json::to_string(&report)?)?;
    } else {
        let goal = |ratio: f64, goal: f64| if ratio <= goal { "met" } else { "missed" };
        let (cpu, rss) = (report.cpu_ratio_ffmpeg, report.rss_ratio_ffmpeg);
        print_line(&mut out, &format!("CPU     {cpu:.3} x ffmpeg   goal 1.00 {}", goal(cpu, 1.0)))?;
        print_line(&mut out, &format!("memory  {rss:.3} x ffmpeg   goal 1.20 {}", goal(rss, 1.2)))?;
    }
    Ok(ExitCode::SUCCESS)
}

fn print_line(out: &mut impl std::io::Write, line: &str) -> std::io::Result<()> {
    writeln!(out, "{line}")
}

async fn measure(args: &Args, dir: &Path, json: bool) -> Result<Report, Failure> {
    let source = generate(dir, args.seconds).await?;
    let segments = cut(&tokio::fs::read(&source).await?.into())?;
    let ladder = LadderPlan::default().resolve(WIDTH, HEIGHT);
    let program = match &args.worker {
        Some(program) => program.clone(),
        None => std::env::current_exe()?,
    };
    let mut out = std::io::stdout();
    if !json {
        print_line(
            &mut out,
            "run    livemesh: CPU s  memory MB  wall s    ffmpeg: CPU s  memory MB  wall s",
        )?;
    }
    let mut runs = Vec::new();
    for number in 0..args.runs {
        // In turn, and each first as often as the other, so that a machine that warms up favours nobody.
        let run = if number % 2 == 0 {
            let livemesh = through_a_worker(&program, &segments, &ladder).await?;
            Run { livemesh, ffmpeg: through_ffmpeg(dir, &source, &ladder).await? }
        } else {
            let ffmpeg = through_ffmpeg(dir, &source, &ladder).await?;
            Run { livemesh: through_a_worker(&program, &segments, &ladder).await?, ffmpeg }
        };
        if !json {
            let side = |c: Cost| format!("{:>15.2} {:>10.1} {:>7.2}", c.cpu_s, c.rss_mb, c.wall_s);
            print_line(&mut out, &format!("{:>3} {}  {}", number + 1, side(run.livemesh), side(run.ffmpeg)))?;
        }
        runs.push(run);
    }
    let ratio = |of: fn(&Cost) -> f64| {
        let sum = |side: fn(&Run) -> &Cost| runs.iter().map(|run| of(side(run))).sum::<f64>();
        sum(|run| &run.livemesh) / sum(|run| &run.ffmpeg)
    };
    Ok(Report { cpu_ratio_ffmpeg: ratio(|c| c.cpu_s), rss_ratio_ffmpeg: ratio(|c| c.rss_mb), runs })
}

/// Moving, detailed, noisy pictures with a key frame every two seconds, times from 10 s on.
pub(super) async fn generate(dir: &Path, seconds: u32) -> Result<PathBuf, Failure> {
    let path = dir.join("source.mp4");
    let graph = format!(
        "testsrc2=s={WIDTH}x{HEIGHT}:r=30:d={seconds}[a];mandelbrot=s=640x360:r=30[b];\
         [a][b]overlay=x=600:y=300:shortest=1,noise=alls=6:allf=t,format=yuv420p"
    );
    let gop = GOP.to_string();
    let args = [
        "-v",
        "error",
        "-y",
        "-filter_complex",
        &graph,
        "-c:v",
        "libx264",
        "-preset",
        "veryfast",
        "-bf",
        "2",
        "-g",
    ];
    let more =
        ["-sc_threshold", "0", "-b:v", "4M", "-maxrate", "4M", "-bufsize", "4M", "-output_ts_offset", "10"];
    let muxer = [
        "-avoid_negative_ts",
        "disabled",
        "-use_editlist",
        "0",
        "-video_track_timescale",
        "90000",
        "-movflags",
    ];
    let flags = "empty_moov+default_base_moof+frag_keyframe+frag_discont";
    let mut command = Command::new("ffmpeg");
    command.args(args).args([gop.as_str(), "-keyint_min", gop.as_str()]).args(more).args(muxer).arg(flags);
    let output = command
        .arg(&path)
        .output()
        .await
        .map_err(|e| format!("ffmpeg cannot be started ({e}): install it"))?;
    if !output.status.success() {
        return Err(format!("ffmpeg made no source: {}", String::from_utf8_lossy(&output.stderr)).into());
    }
    Ok(path)
}

/// One segment a key frame.
pub(super) fn cut(file: &Bytes) -> Result<Vec<Bytes>, Failure> {
    let movie = fmp4::parse(file)?;
    let (config, track) = movie.video().ok_or("the generated source has no video")?;
    let mut groups: Vec<Vec<Sample>> = Vec::new();
    for sample in &track.samples {
        match groups.last_mut() {
            Some(group) if !sample.key => group.push(sample.clone()),
            _ => groups.push(vec![sample.clone()]),
        }
    }
    groups.iter().map(|samples| Ok(fmp4::video_segment(config, 1, samples)?)).collect()
}

async fn through_a_worker(program: &Path, segments: &[Bytes], ladder: &Ladder) -> Result<Cost, Failure> {
    let started = tokio::time::Instant::now();
    let here = cpu_seconds("self")?;
    let workers = Workers::start(WorkerConfig::new(program, vec!["worker".into()], 1)).await?;
    for segment in segments {
        let job = Job { segment: segment.clone(), ladder: ladder.clone(), limits: Limits::default() };
        let (out, mut made) = mpsc::channel(Ladder::MAX);
        let (stats, ()) =
            tokio::join!(workers.transcode(job, out), async { while made.recv().await.is_some() {} });
        stats?;
    }
    let pid = workers.idle_pids().first().ok_or("the worker died")?.to_string();
    // What moving and hashing the bytes took in this process belongs to our side.
    let cpu_s = cpu_seconds(&pid)? + cpu_seconds("self")? - here;
    Ok(Cost { cpu_s, rss_mb: peak_mb(&pid)?, wall_s: started.elapsed().as_secs_f64() })
}

async fn through_ffmpeg(dir: &Path, source: &Path, ladder: &Ladder) -> Result<Cost, Failure> {
    let started = tokio::time::Instant::now();
    let rungs = ladder.0.iter().enumerate();
    let pads: String = rungs.clone().map(|(i, _)| format!("[s{i}]")).collect();
    let scales = rungs.clone().map(|(i, rung)| format!("[s{i}]scale={}:{}[v{i}]", rung.width, rung.height));
    let scales = scales.collect::<Vec<_>>().join(";");
    let mut command = Command::new("ffmpeg");
    command.args(["-benchmark", "-nostdin", "-y", "-copyts", "-i"]).arg(source);
    command.args(["-filter_complex", &format!("[0:v]split={}{pads};{scales}", ladder.0.len())]);
    for (i, rung) in rungs {
        let rate = rung.bitrate.to_string();
        command.args(["-map", &format!("[v{i}]"), "-c:v", "libx264", "-preset", "veryfast", "-bf", "3"]);
        command.args(["-b:v", &rate, "-maxrate", &rate, "-bufsize", &rate, "-forced-idr", "1"]);
        command.args([
            "-g",
            &GOP.to_string(),
            "-keyint_min",
            &GOP.to_string(),
            "-sc_threshold",
            "0",
            "-f",
            "mp4",
        ]);
        command.arg(dir.join(format!("{i}.mp4")));
    }
    let output = command.output().await.map_err(|e| format!("ffmpeg cannot be started ({e}): install it"))?;
    let text = String::from_utf8_lossy(&output.stderr);
    let figure = |name: &str| -> Option<f64> {
        let at = text.rfind(name)? + name.len();
        let digits: String = text[at..].chars().take_while(|c| c.is_ascii_digit() || *c == '.').collect();
        digits.parse().ok()
    };
    match (figure("bench: utime="), figure("stime="), figure("bench: maxrss=")) {
        (Some(user), Some(system), Some(kib)) if output.status.success() => {
            Ok(Cost { cpu_s: user + system, rss_mb: kib / 1024.0, wall_s: started.elapsed().as_secs_f64() })
        }
        _ => {
            Err(format!("ffmpeg failed, or does not know -benchmark: {}", text.lines().last().unwrap_or(""))
                .into())
        }
    }
}

/// User and system time of a process and all of its threads so far, from the kernel's `stat` file.
fn cpu_seconds(pid: &str) -> Result<f64, Failure> {
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat"))?;
    // The program's name is in parentheses and may hold anything; the times are fields 14 and 15.
    let fields = stat.rsplit_once(')').map_or("", |(_, rest)| rest).split_whitespace();
    let ticks = fields.skip(11).take(2).map(str::parse::<f64>).sum::<Result<f64, _>>()?;
    Ok(ticks / KERNEL_TICKS)
}

/// Largest resident memory of a process so far, megabytes of 1024 x 1024 bytes.
fn peak_mb(pid: &str) -> Result<f64, Failure> {
    let status = std::fs::read_to_string(format!("/proc/{pid}/status"))?;
    let line = status
        .lines()
        .find_map(|line| line.strip_prefix("VmHWM:"))
        .ok_or("the kernel tells no peak memory")?;
    let kib: f64 = line.trim().trim_end_matches("kB").trim().parse()?;
    Ok(kib / 1024.0)
}
