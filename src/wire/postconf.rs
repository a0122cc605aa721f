//! Edits by `postconf`, in a directory that is a copy.

use std::fs::{self, File};
use std::io::Write;
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use super::copy::{MAIN, MASTER};
use super::edit::{Edit, Spot};
use super::failed::Failed;
use super::snippet::option;
use crate::doctor::facts::NoPostfix;
use crate::doctor::look::postconf;
use crate::doctor::postfix::Postfix;

/// Reads the configuration.
pub fn read(directory: &Path) -> Result<Postfix, Failed> {
    age(directory);
    postconf::read(Some(directory)).map_err(|why| failed(&why))
}

/// Makes the edits, in order.
pub fn edit(directory: &Path, edits: &[Edit]) -> Result<(), Failed> {
    let directory = directory.to_owned();
    for edit in edits {
        let file = match edit.spot {
            Spot::Main { .. } => MAIN,
            Spot::Option { .. } | Spot::Chroot { .. } | Spot::Service { .. } => MASTER,
        };
        end_line(&directory.join(file))?;
        for arguments in commands(&directory, edit)? {
            ask(&directory, &arguments)?;
        }
    }
    Ok(())
}

/// Where the configuration is that Postfix uses by itself.
pub fn directory() -> Result<String, Failed> {
    let said = postconf::ask(None, &["-h", "config_directory"]).map_err(|why| failed(&why))?;
    Ok(said.trim().to_owned())
}

/// postconf puts what is new straight behind the last byte.
fn end_line(file: &Path) -> Result<(), Failed> {
    let text = fs::read(file).map_err(|error| Failed::io("read", file, &error))?;
    if text.last().is_none_or(|byte| *byte == b'\n') {
        return Ok(());
    }
    let open = File::options().append(true).open(file);
    let written = open.and_then(|mut file| file.write_all(b"\n"));
    written.map_err(|error| Failed::io("write", file, &error))
}

fn ask(directory: &PathBuf, arguments: &[String]) -> Result<String, Failed> {
    age(directory);
    let arguments: Vec<_> = arguments.iter().map(String::as_str).collect();
    postconf::ask(Some(directory), &arguments).map_err(|why| failed(&why))
}

/// Postfix's programs wait until main.cf has not been changed for a second, lest they read half of it.
fn age(directory: &Path) {
    let old = SystemTime::UNIX_EPOCH + Duration::from_secs(86_400);
    for name in [MAIN, MASTER] {
        let file = File::options().append(true).open(directory.join(name));
        // Where it cannot be done, postconf waits.
        let _ = file.and_then(|file| file.set_modified(old));
    }
}

fn failed(why: &NoPostfix) -> Failed {
    match why {
        NoPostfix::NotInstalled => Failed::refused(
            "there is no postconf on this host",
            "install Postfix, or run this where Postfix is: apt install postfix",
        ),
        NoPostfix::Unreadable(words) => Failed::refused(
            format!("Postfix's configuration cannot be read or edited: {words}"),
            "mend it first, or name its directory: --postfix DIR",
        ),
    }
}

/// The arguments of `postconf` for one edit.
fn commands(directory: &PathBuf, edit: &Edit) -> Result<Vec<Vec<String>>, Failed> {
    let words = |words: &[&str]| words.iter().map(|word| (*word).to_owned()).collect();
    let one = |list: &[&str]| vec![words(list)];
    Ok(match (&edit.spot, &edit.after) {
        (Spot::Main { name }, Some(value)) => one(&["-e", &format!("{name} = {value}")]),
        (Spot::Main { name }, None) => one(&["-X", name]),
        (Spot::Chroot { service }, after) => {
            let column = after.as_deref().unwrap_or("-");
            one(&["-F", &format!("{service}/chroot={column}")])
        }
        (Spot::Service { service }, Some(line)) => one(&["-M", &format!("{service}={line}")]),
        (Spot::Service { service }, None) => one(&["-MX", service]),
        (Spot::Option { service, name }, None) => one(&["-PX", &format!("{service}/{name}")]),
        (Spot::Option { service, name }, Some(value)) => {
            let path = format!("{service}/{name}");
            if !value.contains(char::is_whitespace) {
                return Ok(one(&["-P", &format!("{path}={value}")]));
            }
            // -P takes no white space: the whole line, with the option at its end. Without the option it
            // is read from a copy of its own, so that a line of the option's old value is not kept.
            let mut commands = Vec::new();
            let mut line = ask(directory, &words(&["-M", service]))?;
            if ask(directory, &words(&["-P", &path])).is_ok_and(|found| !found.trim().is_empty()) {
                ask(directory, &words(&["-PX", &path]))?;
                line = ask(directory, &words(&["-M", service]))?;
            }
            let line = format!("{} {}", line.trim_end(), option(name, value));
            commands.push(words(&["-M", &format!("{service}={line}")]));
            commands
        }
    })
}
