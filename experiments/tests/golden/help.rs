//! The help texts of every program and command.

use std::path::Path;

use crate::{PROGRAMS, assert_golden, printed};

/// A program's help, as a terminal shows it.
fn help(name: &str, program: &str, command: &[&str]) -> String {
    let arguments = [command, &["--help"]].concat();
    let text = printed(program, Path::new("."), &arguments);
    format!("$ {name} {}\n{text}\n", arguments.join(" "))
}

/// The commands that a help text lists.
fn commands(help: &str) -> Vec<&str> {
    let list = help.lines().skip_while(|line| *line != "Commands:").skip(1);
    let list = list.take_while(|line| !line.is_empty());
    let names = list.filter_map(|line| line.split_whitespace().next());
    names.filter(|name| *name != "help").collect()
}

#[test]
fn of_every_program_and_command() {
    let [(first, shared), ..] = PROGRAMS;
    for (name, program) in PROGRAMS {
        let own = help(name, program, &[]);
        let mut text = own.clone();
        for command in commands(&own) {
            let help = help(name, program, &[command]);
            if program == shared {
                text.push_str(&help);
            } else {
                // One command line for all data sets: one file shows it.
                let usual = self::help(first, shared, &[command]).replace(first, name);
                assert_eq!(help.replace(first, name), usual, "{name} {command}");
            }
        }
        assert_golden(&format!("help/{name}.txt"), &text);
    }
}
