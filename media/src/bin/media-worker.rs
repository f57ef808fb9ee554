//! A worker process on its own, for tests and measurements: the same as `livemesh worker`.

fn main() -> std::process::ExitCode {
    media::worker::run()
}
