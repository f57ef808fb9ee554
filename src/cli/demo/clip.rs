//! What the demo's publisher sends: a person's file, or a generated one that moves, has detail, and beeps.

use std::path::{Path, PathBuf};
use std::process::Stdio;

use tokio::process::{Child, Command};

use crate::cli::Failure;
use crate::cli::terminal::StatusLine;

/// Length of the generated clip, seconds. It is looped.
const SECONDS: u32 = 20;

/// Checks the input, or makes one and keeps it for the next time.
pub(crate) async fn prepare(input: Option<&Path>, line: &mut StatusLine) -> Result<PathBuf, Failure> {
    if let Some(path) = input {
        if !path.is_file() {
            return Err(format!("{} is no file", path.display()).into());
        }
        return Ok(path.into());
    }
    let dir = std::env::temp_dir().join(format!("livemesh-clip-{}", user()));
    std::fs::create_dir_all(&dir)?;
    let clip = dir.join("moving-720p30.mp4");
    if !clip.is_file() {
        line.set("making a test video, once");
        generate(&clip).await?;
    }
    Ok(clip)
}

async fn generate(clip: &Path) -> Result<(), Failure> {
    let unfinished = clip.with_extension(format!("{}.mp4", std::process::id()));
    let length = SECONDS.to_string();
    let pictures = format!(
        "testsrc2=s=1280x720:r=30:d={length}[a];mandelbrot=s=480x270:r=30:end_scale=0.02[b];\
         life=s=320x180:r=30:mold=10:life_color=#40c0ff[c];\
         [a][b]overlay=x='380+300*sin(t)':y=60:shortest=1[d];[d][c]overlay=x=60:y='420+100*cos(t*1.3)':shortest=1,\
         noise=alls=4:allf=t,format=yuv420p[v]"
    );
    let sound = format!("sine=f=330:beep_factor=4:r=48000:d={length}");
    let output = ffmpeg()
        .args(["-f", "lavfi", "-i", &sound, "-filter_complex", &pictures, "-map", "[v]", "-map", "0:a"])
        .args(["-t", &length, "-c:v", "libx264", "-preset", "veryfast", "-profile:v", "high", "-bf", "2"])
        .args([
            "-g",
            "60",
            "-keyint_min",
            "60",
            "-sc_threshold",
            "0",
            "-b:v",
            "3M",
            "-maxrate",
            "3M",
            "-bufsize",
            "3M",
        ])
        .args(["-c:a", "aac", "-b:a", "128k", "-ac", "2"])
        .arg(&unfinished)
        .output()
        .await
        .map_err(no_ffmpeg)?;
    if !output.status.success() {
        return Err(format!(
            "ffmpeg could not make a video: {}",
            String::from_utf8_lossy(&output.stderr).trim()
        )
        .into());
    }
    std::fs::rename(&unfinished, clip)?;
    Ok(())
}

/// Publishes `clip` over RTMP, paced as a camera would, without end. The file is sent as it is when that is possible.
pub(crate) fn publish(clip: &Path, rtmp: &str, stream: &str, logs: bool) -> Result<Child, Failure> {
    ffmpeg()
        .args(["-re", "-stream_loop", "-1", "-i"])
        .arg(clip)
        .args(["-c", "copy", "-f", "flv", &format!("rtmp://{rtmp}/live/{stream}")])
        .stdout(Stdio::null())
        .stderr(if logs { Stdio::inherit() } else { Stdio::null() })
        .kill_on_drop(true)
        .spawn()
        .map_err(no_ffmpeg)
}

fn ffmpeg() -> Command {
    let mut command = Command::new("ffmpeg");
    command.args(["-hide_banner", "-loglevel", "error", "-nostdin", "-y"]).stdin(Stdio::null());
    // Ctrl-C is for the demo, which stops everything in order.
    command.process_group(0);
    command
}

fn no_ffmpeg(error: std::io::Error) -> Failure {
    format!("ffmpeg does not start ({error}): install it, on Debian and Ubuntu with apt-get install ffmpeg")
        .into()
}

fn user() -> String {
    std::env::var("USER")
        .unwrap_or_else(|_| "nobody".into())
        .chars()
        .filter(char::is_ascii_alphanumeric)
        .collect()
}
