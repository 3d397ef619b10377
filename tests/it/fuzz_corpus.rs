//! What fuzzing keeps is tried at each run, without fuzzing (fuzz/, docs/RELIABILITY.md).

use std::path::Path;

#[path = "../../fuzz/readers.rs"]
mod readers;

fn try_all(target: &str, read: fn(&[u8])) {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("fuzz/corpus").join(target);
    let mut count = 0;
    for entry in std::fs::read_dir(&folder).expect("a corpus") {
        let path = entry.unwrap().path();
        println!("{}", path.display());
        read(&std::fs::read(path).unwrap());
        count += 1;
    }
    assert!(count >= 5, "the corpus of {target} has {count} files");
    read(b"");
    read(&[0xff; 70_000]);
}

#[test]
fn what_fuzzing_keeps_is_read_as_it_must_be() {
    try_all("decimals", readers::decimals);
    try_all("dates", readers::dates);
    try_all("ids", readers::ids);
    try_all("cursors", readers::cursors);
    try_all("usage", readers::usage);
    try_all("webhooks", readers::webhooks);
    try_all("tokens", readers::tokens);
}

#[test]
fn every_target_is_tried_here() {
    let targets = Path::new(env!("CARGO_MANIFEST_DIR")).join("fuzz/fuzz_targets");
    let mut names: Vec<String> = std::fs::read_dir(targets)
        .unwrap()
        .map(|entry| entry.unwrap().path().file_stem().unwrap().to_str().unwrap().to_owned())
        .collect();
    names.sort();
    assert_eq!(names, ["cursors", "dates", "decimals", "ids", "tokens", "usage", "webhooks"]);
}
