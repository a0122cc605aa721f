//! Writes the manual pages and completions of the package into a directory: from the commands themselves and
//! from the sample configuration, so that they say what is true. Beside them, `commands.md` of the book's reference.
//!
//! usage: cargo run --example manual DIRECTORY

#![allow(clippy::print_stderr, reason = "a program for the build")]

#[path = "commands.rs"]
mod reference;

use std::error::Error;
use std::fs;
use std::path::Path;

use clap_complete::{Shell, generate_to};
use clap_mangen::Man;

const CONFIG: &str = include_str!("../config/outgate.toml");

/// What outgate(8) says beside the commands.
const DAEMON: &str = r#".SH "THE DAEMON"
\fBoutgate serve\fR answers Postfix on three sockets: \fIauth\fR (Dovecot auth protocol), \fIpolicy\fR (SMTPD policy
delegation) and \fImilter\fR. It prints a line for each on standard output, then \fBready\fR, and logs to standard error.
.PP
\fBoutgate postfix config\fR prints the lines that Postfix needs, and puts them in place with \fB\-\-apply\fR; nothing is
asked before they are there.
.TP
\fBSIGHUP\fR
Reads the configuration again, all but \fI[store]\fR, \fI[listen]\fR and \fImilter.max\-connections\fR, which wait for a
restart. One that is wrong changes nothing.
.TP
\fBSIGTERM\fR
Ends within 10 seconds: answers what is asked meanwhile, and lets messages under way end. A second one ends it at once.
.SH ENVIRONMENT
.TP
\fBOUTGATE_CONFIG\fR
The configuration file, where no \fB\-\-config\fR is given.
.SH FILES
.TP
\fI/etc/outgate/outgate.toml\fR
The configuration, see \fBoutgate.toml\fR(5).
.TP
\fI/var/lib/outgate/\fR
Users, domains and counters (\fIoutgate.db\fR), the decision log (\fIlog.db\fR), and the control socket.
.TP
\fI/var/spool/postfix/outgate/\fR
The sockets that Postfix connects to: mode 2750, group \fBpostfix\fR.
.SH "EXIT STATUS"
\fB0\fR done, or would be allowed; \fB1\fR refused, or \fBoutgate doctor\fR found something; \fB2\fR usage; \fB75\fR
temporary, try again; \fB78\fR the configuration is wrong, or names a store that this version cannot use.
.SH "SEE ALSO"
\fBoutgate.toml\fR(5), \fBpostconf\fR(5), \fBmaster\fR(5)
.PP
The book, \fI/usr/share/doc/outgate/docs/src\fR: begin with \fItutorial.md\fR; \fIreplies/index.md\fR has a page for each reply
that a client can read.
"#;

fn main() -> Result<(), Box<dyn Error>> {
    let Some(directory) = std::env::args_os().nth(1) else {
        eprintln!("usage: manual DIRECTORY");
        std::process::exit(2);
    };
    let directory = Path::new(&directory);
    for section in ["man1", "man5", "man8"] {
        fs::create_dir_all(directory.join(section))?;
    }
    commands(directory)?;
    fs::write(directory.join("man5/outgate.toml.5"), configuration())?;
    fs::write(
        directory.join("commands.md"),
        reference::page(outgate::cli::command()),
    )?;
    let mut command = outgate::cli::command();
    for shell in [Shell::Bash, Shell::Zsh, Shell::Fish] {
        generate_to(shell, &mut command, "outgate", directory)?;
    }
    Ok(())
}

/// outgate(8), and a page in section 1 for each command and each group of them.
fn commands(directory: &Path) -> Result<(), Box<dyn Error>> {
    // The release alone: a page of the same words is the same page.
    let mut command = outgate::cli::command().version(outgate::VERSION);
    command.build();
    let man1 = directory.join("man1");
    for sub in command.get_subcommands().filter(|sub| !sub.is_hide_set()) {
        pages(sub.clone(), &format!("outgate-{}", sub.get_name()), &man1)?;
    }
    let man = Man::new(command).section("8").manual("outgate");
    let mut page = Vec::new();
    man.render_title(&mut page)?;
    man.render_name_section(&mut page)?;
    man.render_synopsis_section(&mut page)?;
    man.render_description_section(&mut page)?;
    man.render_options_section(&mut page)?;
    let mut subcommands = Vec::new();
    man.render_subcommands_section(&mut subcommands)?;
    // They are not in the section of this page.
    let subcommands = String::from_utf8(subcommands)?.replace("(8)", "(1)");
    page.extend_from_slice(subcommands.as_bytes());
    page.extend_from_slice(DAEMON.as_bytes());
    fs::write(directory.join("man8/outgate.8"), page)?;
    Ok(())
}

fn pages(command: clap::Command, name: &str, directory: &Path) -> Result<(), Box<dyn Error>> {
    for sub in command.get_subcommands().filter(|sub| !sub.is_hide_set()) {
        pages(
            sub.clone(),
            &format!("{name}-{}", sub.get_name()),
            directory,
        )?;
    }
    let file = directory.join(format!("{name}.1"));
    let mut page = Vec::new();
    let named = command.name(name.to_owned()).display_name(name.to_owned());
    Man::new(named)
        .section("1")
        .manual("outgate")
        .render(&mut page)?;
    fs::write(file, page)?;
    Ok(())
}

/// outgate.toml(5): the sample's own comments.
fn configuration() -> String {
    let mut page = format!(
        ".TH outgate.toml 5 \"\" \"outgate {}\" outgate\n.SH NAME\noutgate.toml \\- configuration of outgate\n\
         .SH SYNOPSIS\n\\fI/etc/outgate/outgate.toml\\fR\n.SH DESCRIPTION\n",
        env!("CARGO_PKG_VERSION")
    );
    // The first lines are about the whole file.
    let mut comment = Vec::new();
    for line in CONFIG.lines() {
        if let Some(table) = line.strip_prefix('[') {
            paragraph(&mut page, &mut comment);
            page += &format!(".SH \"[{table}\"\n");
        } else if let Some((key, default)) = setting(line) {
            page += &format!(".TP\n\\fB{}\\fR = {}\n", plain(key), plain(default));
            if comment.is_empty() {
                page += "As above.\n";
            }
            paragraph(&mut page, &mut comment);
        } else if let Some(text) = line.strip_prefix('#') {
            comment.push(text.trim());
        } else {
            paragraph(&mut page, &mut comment);
        }
    }
    paragraph(&mut page, &mut comment);
    page + ".SH \"SEE ALSO\"\n\\fBoutgate\\fR(8), \\fBoutgate-check-config\\fR(1)\n.PP\n\
         The book: \\fI/usr/share/doc/outgate/docs/src\\fR\n"
}

/// `# key = default`
fn setting(line: &str) -> Option<(&str, &str)> {
    let (key, default) = line.strip_prefix("# ")?.split_once(" = ")?;
    let is_key = key.bytes().all(|b| b.is_ascii_lowercase() || b == b'-');
    is_key.then_some((key, default))
}

fn paragraph(page: &mut String, comment: &mut Vec<&str>) {
    for line in comment.drain(..) {
        match line {
            "" => page.push_str(".PP\n"),
            line => *page += &format!("{}\n", plain(line)),
        }
    }
}

/// As roff prints it unchanged.
fn plain(text: &str) -> String {
    let text = text
        .replace('\\', "\\e")
        .replace('-', "\\-")
        .replace('\'', "\\(aq");
    match text.strip_prefix('.') {
        Some(rest) => format!("\\&.{rest}"),
        None => text,
    }
}
