//! `livemesh stake keys`, and where passwords come from: a prompt, a file or the environment, never an argument.
#![expect(clippy::print_stdout, reason = "printing is what it is for")]

use std::io::IsTerminal;
use std::path::PathBuf;

use clap::Subcommand;
use serde_json::json;
use wallet::{Keystore, Password};

use super::AccountArgs;
use crate::cli::Failure;

#[derive(Debug, Subcommand)]
pub(super) enum Command {
    /// Makes a key
    New,
    /// Encrypts a key that lies in a file as 64 hex digits
    Import {
        /// The file, which only you may read; remove it afterwards
        file: PathBuf,
    },
    /// Lists the keys
    List,
}

/// Variable that may hold the password.
const VARIABLE: &str = "LIVEMESH_PASSWORD";

pub(super) fn run(command: &Command, account: &AccountArgs, json: bool) -> Result<(), Failure> {
    let keystore = Keystore::open(&account.keystore_dir()?)?;
    let keys = match command {
        Command::New => vec![keystore.create(&password(account, true)?)?],
        Command::Import { file } => vec![keystore.import(file, &password(account, true)?)?],
        Command::List => keystore.list()?,
    };
    if json {
        let keys: Vec<_> = keys
            .iter()
            .map(|key| json!({ "address": key.address, "path": key.path.display().to_string() }))
            .collect();
        println!("{}", serde_json::to_string_pretty(&keys)?);
    } else {
        keys.iter().for_each(|key| println!("{}  {}", key.address, key.path.display()));
    }
    Ok(())
}

/// The password; typed twice where it is new.
pub(super) fn password(account: &AccountArgs, new: bool) -> Result<Password, Failure> {
    if let Some(file) = &account.password_file {
        return Ok(Password::from_file(file)?);
    }
    if let Ok(text) = std::env::var(VARIABLE) {
        return Ok(Password::new(text));
    }
    if !std::io::stdin().is_terminal() {
        return Err(format!(
            "there is no terminal to ask for the password: give --password-file, or set {VARIABLE}"
        )
        .into());
    }
    let typed = rpassword::prompt_password("password: ")?;
    if new && rpassword::prompt_password("again: ")? != typed {
        return Err("the two passwords differ: nothing was written".into());
    }
    Ok(Password::new(typed))
}
