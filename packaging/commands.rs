//! The page of the book about all commands, made from the commands themselves: `packaging/manual.rs` writes it, and a
//! test compares it with the one in the book.

use clap::{Arg, ArgAction, Command};

const HEAD: &str = "# Commands

<!-- Made by `cargo run --example manual DIRECTORY` from the commands themselves: change those, and copy
DIRECTORY/commands.md here. A test compares. -->

    outgate [-c FILE] [--json] COMMAND

Standard output is data, standard error is talk. All commands but `status` work without a daemon, on the store itself. With
one running, a command that changes something returns when the daemon has taken note; if that takes longer than two seconds it
says \"stored, not confirmed\" and exits 75. Names are looked up without case. `outgate --version` says which commit the program
was built from. Each command has `--help` and a manual page: `man outgate-user-add`.

| exit | meaning |
| --- | --- |
| 0 | done; for `explain`: would be allowed; for `doctor`: nothing found |
| 1 | refused: a bad name, grant, network, quota or password, no such user, already there; for `explain`: would be refused or deferred; for `doctor`: something found |
| 2 | usage: an unknown command or option, or a word outside a fixed list (mode, plan, wiring, format) |
| 75 | temporary: the store is locked, the daemon is not reachable |
| 78 | the configuration is wrong, or names a store that this version cannot use |

With `--json`, standard output is one JSON value (`log` and `explain -`: an object a line), and an error is
`{\"error\": \"…\", \"hint\": \"…\"}` on standard error: see [JSON](json.md).

## Options of every command

";

/// The whole page.
pub fn page(mut command: Command) -> String {
    command.build();
    let mut page = HEAD.to_owned();
    let globals = command.get_arguments().filter(|arg| arg.is_global_set());
    options(&mut page, globals);
    for sub in shown(&command) {
        section(&mut page, sub, "outgate");
    }
    page
}

fn shown(command: &Command) -> impl Iterator<Item = &Command> {
    command.get_subcommands().filter(|sub| !sub.is_hide_set())
}

/// A command, or all of a group.
fn section(page: &mut String, command: &Command, parent: &str) {
    let name = format!("{parent} {}", command.get_name());
    let about = command
        .get_about()
        .map(ToString::to_string)
        .unwrap_or_default();
    let about = escaped(&about);
    let level = if parent.contains(' ') { "###" } else { "##" };
    *page += &format!("\n{level} {name}\n\n{about}.\n");
    if shown(command).next().is_some() {
        for sub in shown(command) {
            section(page, sub, &name);
        }
        return;
    }
    *page += &format!("\n    {}\n", usage(command, &name));
    let own = || command.get_arguments().filter(|arg| is_own(arg));
    let mut rest = own().peekable();
    if rest.peek().is_some() {
        page.push('\n');
        options(
            page,
            own()
                .filter(|arg| arg.is_positional())
                .chain(own().filter(|arg| !arg.is_positional())),
        );
    }
}

/// `outgate user show NAME`, with `[options]` where there are some.
fn usage(command: &Command, name: &str) -> String {
    let mut usage = name.to_owned();
    if command
        .get_arguments()
        .any(|arg| is_own(arg) && !arg.is_positional())
    {
        usage += " [options]";
    }
    for arg in command.get_positionals() {
        let value = value(arg);
        usage += &if arg.is_required_set() {
            format!(" {value}")
        } else {
            format!(" [{value}]")
        };
    }
    usage
}

fn is_own(arg: &Arg) -> bool {
    !arg.is_global_set()
        && !arg.is_hide_set()
        && !matches!(arg.get_action(), ArgAction::Help | ArgAction::Version)
}

fn options<'a>(page: &mut String, args: impl Iterator<Item = &'a Arg>) {
    *page += "| | |\n| --- | --- |\n";
    for arg in args {
        *page += &format!("| {} | {} |\n", spelling(arg), meaning(arg));
    }
}

fn value(arg: &Arg) -> String {
    let names = arg.get_value_names().unwrap_or_default();
    names
        .iter()
        .map(ToString::to_string)
        .collect::<Vec<_>>()
        .join(" ")
}

/// `-f`, `--follow`; `--limit N`; `NAME`.
fn spelling(arg: &Arg) -> String {
    if arg.is_positional() {
        return format!("`{}`", value(arg).replace('|', "` or `"));
    }
    let short = arg
        .get_short()
        .map(|short| format!("`-{short}`, "))
        .unwrap_or_default();
    let long = arg.get_long().unwrap_or_default();
    let value = match arg.get_action().takes_values() {
        true => format!(" {}", value(arg)),
        false => String::new(),
    };
    format!("{short}`--{long}{value}`")
}

fn meaning(arg: &Arg) -> String {
    let help = arg.get_help().map(ToString::to_string).unwrap_or_default();
    let mut meaning = escaped(&help);
    let words: Vec<String> = arg
        .get_possible_values()
        .iter()
        .filter(|word| !word.is_hide_set())
        .map(|word| match word.get_help() {
            Some(help) => format!("`{}` ({})", word.get_name(), escaped(&help.to_string())),
            None => format!("`{}`", word.get_name()),
        })
        .collect();
    if arg.get_action().takes_values() && !words.is_empty() {
        meaning += &format!(": {}", words.join(", "));
    }
    let defaults: Vec<_> = arg
        .get_default_values()
        .iter()
        .map(|word| word.to_string_lossy())
        .collect();
    if arg.get_action().takes_values() && !defaults.is_empty() {
        meaning += &format!("; default `{}`", defaults.join(" "));
    }
    if let Some(variable) = arg.get_env() {
        meaning += &format!("; or in the environment: `{}`", variable.to_string_lossy());
    }
    meaning
}

/// As a table shows it unchanged; what looks like a grant or an option is code.
fn escaped(text: &str) -> String {
    let words = text.split(' ').map(|word| {
        let bare = word.trim_end_matches([',', ';', ')', ':']);
        let (open, bare) = match bare.strip_prefix('(') {
            Some(bare) => ("(", bare),
            None => ("", bare),
        };
        let tail = &word[open.len() + bare.len()..];
        match bare.contains('*') || bare.starts_with("--") {
            true => format!("{open}`{bare}`{tail}"),
            false => word.replace('<', "\\<"),
        }
    });
    words.collect::<Vec<_>>().join(" ").replace('|', "\\|")
}
