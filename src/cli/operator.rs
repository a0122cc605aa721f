//! Who gives the command: for what is kept of who did what. A name to remember somebody by; whoever
//! can write the store could have given another one.

use std::{env, fs};

/// The longest name that is taken, in bytes.
const MAX_NAME: usize = 64;

/// Where programs that change the user, and then logins, leave the name of who is there.
const VARIABLES: [&str; 4] = ["SUDO_USER", "DOAS_USER", "LOGNAME", "USER"];

/// The operator's name, or `uid:N`.
pub fn name() -> String {
    let uid = rustix::process::getuid().as_raw();
    let told = VARIABLES
        .iter()
        .filter_map(|variable| env::var(variable).ok());
    let known = || named(&fs::read_to_string("/etc/passwd").ok()?, uid);
    told.into_iter()
        .find(|name| is_name(name))
        .or_else(known)
        .unwrap_or_else(|| format!("uid:{uid}"))
}

/// The name of a user of this host, by the lines of `/etc/passwd`: `name:password:uid:…`.
fn named(passwd: &str, uid: u32) -> Option<String> {
    let number = uid.to_string();
    let name = passwd.lines().find_map(|line| {
        let mut fields = line.split(':');
        let name = fields.next()?;
        (fields.nth(1)? == number).then_some(name)
    })?;
    is_name(name).then(|| name.to_owned())
}

/// Whether it is what a host calls its users, and nothing that was made to be seen.
fn is_name(text: &str) -> bool {
    !text.is_empty() && text.len() <= MAX_NAME && text.bytes().all(|byte| byte.is_ascii_graphic())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_short_and_plain() {
        for text in ["root", "jane.doe", "EXAMPLE\\jane", "jane@example.com"] {
            assert!(is_name(text), "{text:?}");
        }
        let long = "x".repeat(65);
        for text in ["", "jane doe", "jane\n", "\x1b[2J", "jané", &long] {
            assert!(!is_name(text), "{text:?}");
        }
    }

    #[test]
    fn users_of_the_host_are_known() {
        let passwd =
            "root:x:0:0:root:/root:/bin/sh\nbroken\n\nmail:x:8:8::/var/mail:\na b:x:9:9::/:\n";
        assert_eq!(named(passwd, 0).as_deref(), Some("root"));
        assert_eq!(named(passwd, 8).as_deref(), Some("mail"));
        for unknown in [9, 7, 80] {
            assert_eq!(named(passwd, unknown), None);
        }
    }
}
