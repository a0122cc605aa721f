//! Has `postconf` say what main.cf and master.cf come to.

use std::io::ErrorKind;
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::doctor::facts::NoPostfix;
use crate::doctor::postfix::version::Version;
use crate::doctor::postfix::{Postfix, service, settings::Settings};

/// Where `postconf` is on hosts whose users do not have `sbin` in their path.
const PROGRAMS: [&str; 3] = ["postconf", "/usr/sbin/postconf", "/usr/local/sbin/postconf"];

/// Reads the configuration in a directory, or the one that Postfix uses by itself.
pub fn read(directory: Option<&Path>) -> Result<Postfix, NoPostfix> {
    // `postconf` starts from its own idea of the current directory.
    let directory =
        directory.map(|directory| std::path::absolute(directory).unwrap_or(directory.to_owned()));
    let ask = |arguments: &[&str]| ask(directory.as_ref(), arguments);
    let all = ask(&[])?;
    let settings = Settings::parse(&all, &ask(&["-n"])?);
    // Before 2.11 there is no -P: such a Postfix is too old for outgate in other ways.
    let options = ask(&["-P"]).unwrap_or_default();
    let services = service::parse(&ask(&["-M"])?, &options, &settings);
    Ok(Postfix {
        version: Version::parse(settings.get("mail_version").unwrap_or_default()),
        directory,
        settings,
        services,
    })
}

/// What `postconf` prints for these arguments; its last words where it fails.
pub fn ask(directory: Option<&PathBuf>, arguments: &[&str]) -> Result<String, NoPostfix> {
    for program in PROGRAMS {
        let mut command = Command::new(program);
        if let Some(directory) = directory {
            command.arg("-c").arg(directory);
        }
        let output = match command.args(arguments).output() {
            Ok(output) => output,
            Err(error) if error.kind() == ErrorKind::NotFound => continue,
            Err(error) => return Err(NoPostfix::Unreadable(format!("{program}: {error}"))),
        };
        if output.status.success() {
            return Ok(String::from_utf8_lossy(&output.stdout).into_owned());
        }
        let words = String::from_utf8_lossy(&output.stderr);
        let words = words.lines().last().unwrap_or("it says nothing").to_owned();
        return Err(NoPostfix::Unreadable(words));
    }
    Err(NoPostfix::NotInstalled)
}
