//! No file needs, directly or through others, one that needs it; and none is too long to be read.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use syn::{Item, UseTree, Visibility};

/// No file under src/ is longer.
const LINES_MAX: usize = 500;
/// What Diesel's tool prints is as long as there are tables.
const GENERATED: &str = "store/schema.rs";

/// Files that need each other by nature: types of the API, which are connected; and what is paid renews what waited for money, what is
/// renewed is paid, and what ends is not to be paid any more.
const BY_NATURE: [&[&str]; 6] = [
    &["graphql", "types"],
    &["domain", "decide", "cancellation"],
    &["domain", "decide", "order_step"],
    &["domain", "decide", "payment"],
    &["domain", "decide", "renewal"],
    &["domain", "decide", "subscription"],
];

type Module = Vec<String>;

fn src() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("src")
}

fn rust_files(dir: &Path, found: &mut Vec<PathBuf>) {
    for entry in std::fs::read_dir(dir).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            rust_files(&path, found);
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            found.push(path);
        }
    }
}

/// The module that a file of src/ is.
fn module_of(file: &Path) -> Module {
    let inside = file.strip_prefix(src()).unwrap().with_extension("");
    let mut module: Module = inside.iter().map(|part| part.to_str().unwrap().to_owned()).collect();
    if module.last().is_some_and(|last| last == "mod" || last == "lib") {
        module.pop();
    }
    module
}

/// The paths that a tree of imports names, each with the name that it has then.
fn flatten(tree: &UseTree, before: &[String], found: &mut Vec<(Module, String)>) {
    let with = |name: String| before.iter().cloned().chain([name]).collect::<Module>();
    match tree {
        UseTree::Path(path) => flatten(&path.tree, &with(path.ident.to_string()), found),
        UseTree::Name(name) if name.ident == "self" => {
            found.push((before.to_vec(), before.last().cloned().unwrap_or_default()));
        }
        UseTree::Name(name) => found.push((with(name.ident.to_string()), name.ident.to_string())),
        UseTree::Rename(name) => found.push((with(name.ident.to_string()), name.rename.to_string())),
        UseTree::Glob(_) => found.push((before.to_vec(), "*".to_owned())),
        UseTree::Group(group) => group.items.iter().for_each(|tree| flatten(tree, before, found)),
    }
}

/// What a file imports, and what it hands on of that.
#[derive(Default)]
struct Imports {
    used: Vec<Module>,
    handed_on: BTreeMap<String, Module>,
}

/// A path from the crate's root; None: it is another crate's.
fn from_root(path: &[String], module: &[String], children: &BTreeSet<Module>) -> Option<Module> {
    let mut rest = path;
    let mut base = module.to_vec();
    match path.first().map(String::as_str) {
        Some("crate") => return Some(path[1..].to_vec()),
        Some("self") => rest = &path[1..],
        Some("super") => {
            while rest.first().is_some_and(|part| part == "super") {
                base.pop();
                rest = &rest[1..];
            }
        }
        // A child may be named by itself.
        Some(first) => {
            let child: Module = module.iter().cloned().chain([first.to_owned()]).collect();
            if !children.contains(&child) {
                return None;
            }
        }
        None => return None,
    }
    base.extend_from_slice(rest);
    Some(base)
}

fn imports_of(code: &str, module: &Module, modules: &BTreeSet<Module>) -> Imports {
    let file = syn::parse_file(code).unwrap();
    let mut imports = Imports::default();
    for item in &file.items {
        let Item::Use(item) = item else { continue };
        if item.attrs.iter().any(|attribute| attribute.path().is_ident("cfg")) {
            continue;
        }
        let mut paths = Vec::new();
        flatten(&item.tree, &[], &mut paths);
        for (path, name) in paths {
            let Some(path) = from_root(&path, module, modules) else { continue };
            if matches!(item.vis, Visibility::Inherited) {
                imports.used.push(path);
            } else {
                imports.handed_on.insert(name, path);
            }
        }
    }
    imports
}

/// The file in which that stands, wherever it is handed on.
fn file_of(path: &[String], all: &BTreeMap<Module, Imports>, steps: usize) -> Option<Module> {
    let length = (1..=path.len()).rev().find(|length| all.contains_key(&path[..*length]))?;
    let (module, rest) = path.split_at(length);
    let handed_on = rest.first().and_then(|name| all[module].handed_on.get(name));
    match handed_on {
        Some(on) if steps > 0 => {
            let path: Module = on.iter().chain(&rest[1..]).cloned().collect();
            file_of(&path, all, steps - 1).or_else(|| Some(module.to_vec()))
        }
        _ => Some(module.to_vec()),
    }
}

/// What each file needs.
fn needs() -> BTreeMap<Module, BTreeSet<Module>> {
    let mut files = Vec::new();
    rust_files(&src(), &mut files);
    let included = |file: &PathBuf| file.ends_with(GENERATED) || file.ends_with("store/views.rs");
    files.retain(|file| !included(file) && !module_of(file).iter().any(|part| part == "tests"));
    let modules: BTreeSet<Module> = files.iter().map(|file| module_of(file)).collect();
    let read = |file: &PathBuf| {
        let module = module_of(file);
        let imports = imports_of(&std::fs::read_to_string(file).unwrap(), &module, &modules);
        (module, imports)
    };
    let all: BTreeMap<Module, Imports> = files.iter().map(read).collect();
    let needs_of = |(module, imports): (&Module, &Imports)| {
        let needed = imports.used.iter().filter_map(|path| file_of(path, &all, 8));
        (module.clone(), needed.filter(|needed| needed != module && !needed.is_empty()).collect())
    };
    all.iter().map(needs_of).collect()
}

/// All that a file needs, directly or through others.
fn reached<'n>(from: &Module, needs: &'n BTreeMap<Module, BTreeSet<Module>>) -> BTreeSet<&'n Module> {
    let mut reached = BTreeSet::new();
    let mut next: Vec<&Module> = needs[from].iter().collect();
    while let Some(module) = next.pop() {
        if reached.insert(module) {
            next.extend(needs.get(module).into_iter().flatten());
        }
    }
    reached
}

fn is_by_nature(module: &Module) -> bool {
    BY_NATURE
        .iter()
        .any(|nature| module.len() >= nature.len() && module.iter().zip(*nature).all(|(a, b)| a == b))
}

#[test]
fn no_file_needs_one_that_needs_it() {
    let needs = needs();
    assert!(needs.len() > 300, "the code is where it is looked for");
    assert!(needs.values().map(BTreeSet::len).sum::<usize>() > 2_000, "imports are found");
    let in_circles = needs.keys().filter(|module| reached(module, &needs).contains(module));
    let in_circles: Vec<String> =
        in_circles.filter(|module| !is_by_nature(module)).map(|module| module.join("::")).collect();
    assert_eq!(in_circles, Vec::<String>::new());
}

#[test]
fn no_file_is_too_long_to_be_read() {
    let mut files = Vec::new();
    rust_files(&src(), &mut files);
    let lines = |file: &PathBuf| std::fs::read_to_string(file).unwrap().lines().count();
    let long = files.iter().filter(|file| !file.ends_with(GENERATED)).filter(|file| lines(file) > LINES_MAX);
    assert_eq!(long.collect::<Vec<_>>(), Vec::<&PathBuf>::new());
}
