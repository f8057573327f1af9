//! Topics of `ma-cli help`, and that they speak of the options there are.

use std::collections::BTreeSet;

use ma_cli::cli::help;
use ma_cli::commands::help::topics;

use crate::support::Home;

#[test]
fn every_topic_prints_and_is_named() {
    let home = Home::new();
    let listed = home.run(&["help", "-h"]).stdout;
    let unknown = home.run(&["help", "nonsense"]).stderr;
    for (name, page) in topics() {
        assert_eq!(home.run(&["help", name]).stdout, page);
        assert!(listed.contains(name) && unknown.contains(name), "{name}");
        assert!(page.ends_with('\n') && !page.contains('\t'), "{name}");
    }
}

#[test]
fn copying_describes_every_option_of_obs_copy_and_no_other() {
    let mut root = ma_cli::cli::command();
    root.build();
    let command = help::find(&root, &["obs-copy".to_owned()]);
    let visible = command.get_arguments().filter(|argument| !argument.is_hide_set());
    let (global, own): (Vec<_>, Vec<_>) = visible.partition(|argument| argument.is_global_set());
    let topics = topics();
    let page = &topics.iter().find(|(name, _)| *name == "copying").unwrap().1;
    let named: BTreeSet<&str> = page
        .split(|character: char| !(character.is_ascii_alphanumeric() || character == '-'))
        .filter_map(|word| word.strip_prefix("--"))
        .collect();
    for argument in &own {
        let Some(long) = argument.get_long().filter(|long| *long != "help") else { continue };
        let is_short = argument
            .get_short()
            .is_some_and(|short| page.contains(&format!(" -{short} ")) || page.contains(&format!(" -{short};")));
        assert!(named.contains(long) || is_short, "`ma-cli help copying` is silent about --{long}");
    }
    let known: BTreeSet<&str> = own.iter().chain(&global).filter_map(|argument| argument.get_long()).collect();
    for name in named {
        assert!(known.contains(name), "`ma-cli help copying` speaks of --{name}, which does not exist");
    }
}
