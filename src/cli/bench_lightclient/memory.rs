//! What memory a light client adds: this program is started again, follows the recorded chain from its files as it would from
//! the network, and says by how much it grew at most. A process of its own, because making the chain takes more.

use std::fs;
use std::path::Path;
use std::process::Command;

use lightclient::consensus::{Bootstrap, FinalityUpdate, Update};
use lightclient::exec::ProofBundle;

use super::chain::{self, Chain, FORK};
use super::tries::Proof;
use crate::cli::Failure;

/// Megabytes that following this chain and reading this pool adds.
pub(super) fn of(chain: &Chain, pool: &Proof) -> Result<f64, Failure> {
    let folder = std::env::temp_dir().join(format!("livemesh-bench-{}", std::process::id()));
    fs::create_dir_all(&folder)?;
    let grown = write(chain, pool, &folder).and_then(|()| ask(&folder));
    let _ = fs::remove_dir_all(&folder);
    grown
}

fn write(chain: &Chain, pool: &Proof, folder: &Path) -> Result<(), Failure> {
    fs::write(folder.join("bootstrap"), chain.bootstrap.encode_ssz())?;
    for (period, update) in chain.updates.iter().enumerate() {
        fs::write(folder.join(format!("update{period}")), update.encode_ssz())?;
    }
    fs::write(folder.join("finality"), chain.finality.encode_ssz())?;
    fs::write(folder.join("bundle"), pool.bundle.encode()?)?;
    fs::write(folder.join("root"), pool.root)?;
    Ok(())
}

fn ask(folder: &Path) -> Result<f64, Failure> {
    let mut command = Command::new(std::env::current_exe()?);
    let output = command.args(["bench", "lightclient", "--memory-of"]).arg(folder).output()?;
    if !output.status.success() {
        return Err(
            format!("measuring memory failed: {}", String::from_utf8_lossy(&output.stderr).trim()).into()
        );
    }
    Ok(String::from_utf8(output.stdout)?.trim().parse()?)
}

/// Follows the chain in a folder. Gives the megabytes that this process grew by at most.
pub(super) fn follow(folder: &Path) -> Result<f64, Failure> {
    let grown = Growth::begin()?;
    let spec = chain::spec();
    let bootstrap = Bootstrap::decode_ssz(&spec, FORK, &fs::read(folder.join("bootstrap"))?)?;
    let mut store = chain::start(&spec, &bootstrap)?;
    drop(bootstrap);
    let finality = FinalityUpdate::decode_ssz(&spec, FORK, &fs::read(folder.join("finality"))?)?;
    let now = finality.signature_slot;
    for period in 0.. {
        let Ok(bytes) = fs::read(folder.join(format!("update{period}"))) else { break };
        let update = Update::decode_ssz(&spec, FORK, &bytes)?;
        let verified = store.verify_update(&spec, &update, now)?;
        store.apply(verified);
    }
    let verified = store.verify_finality_update(&spec, &finality, now)?;
    store.apply(verified);
    let bundle = ProofBundle::decode(&fs::read(folder.join("bundle"))?)?;
    let root = fs::read(folder.join("root"))?.as_slice().try_into()?;
    let state = bundle.verify(root)?;
    let grown = grown.megabytes()?;
    drop((store, state));
    Ok(grown)
}

/// By how much this process grows at most from now on.
pub(super) struct Growth {
    before: u64,
}

impl Growth {
    pub(super) fn begin() -> Result<Self, Failure> {
        // The peak so far is forgotten where the kernel lets us; where not, it only adds to the figure.
        let _ = fs::write("/proc/self/clear_refs", "5");
        Ok(Self { before: kilobytes("VmRSS:")? })
    }

    pub(super) fn megabytes(&self) -> Result<f64, Failure> {
        Ok(kilobytes("VmHWM:")?.saturating_sub(self.before) as f64 / 1024.0)
    }
}

fn kilobytes(name: &str) -> Result<u64, Failure> {
    let status = fs::read_to_string("/proc/self/status")?;
    let line = status.lines().find_map(|line| line.strip_prefix(name)).ok_or("no memory figures in /proc")?;
    Ok(line.trim().trim_end_matches(" kB").parse()?)
}
