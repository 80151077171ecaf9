//! Circles of imports: files that cannot be understood one after the other.
//!
//! The rule, precisely:
//!
//! - A file is a module. File A *uses* file B if a path in A (`use`, or a path in an expression or a type) leads to an
//!   item that B defines. Re-exports are followed to the file that defines the item (`modules` says how).
//! - Paths between a module and a module above or below it do not count. A module and its own parts may use each other:
//!   the parts of one type are one unit.
//! - A *circle* is a set of two or more files, each of which uses every other one, directly or through other files of
//!   the set.
//! - Code under `#[cfg(test)]` does not count: a test may use anything.
//!
//! To end a circle, move what both files need into a third one, or move a function to the file whose type it is about.

use std::collections::BTreeSet;
use std::fmt::Write as _;

use crate::modules::Modules;

#[test]
fn no_files_import_each_other() {
    let modules = Modules::read();
    let circles = circles(&modules);
    let path = |at: &usize| modules.0[*at].file.path.as_str();
    let mut text = String::new();
    for circle in &circles {
        writeln!(text, "  {:?}", circle.iter().map(path).collect::<Vec<_>>()).expect("writing to a string cannot fail");
        for at in circle {
            for import in modules.imports(*at).iter().filter(|import| circle.contains(&import.target)) {
                let (line, target) = (import.line, path(&import.target));
                writeln!(text, "    {}:{line}: {} ({target})", path(at), import.path)
                    .expect("writing to a string cannot fail");
            }
        }
    }
    assert!(
        circles.is_empty(),
        "\n{} circle(s) of imports:\n{text}What to do: move what both need into a third file, or a function to the \
         file whose type it is about.\n",
        circles.len()
    );
}

/// Returns the strongly connected sets of two or more files.
fn circles(modules: &Modules) -> BTreeSet<BTreeSet<usize>> {
    let targets: Vec<BTreeSet<usize>> =
        (0..modules.0.len()).map(|at| modules.imports(at).into_iter().map(|import| import.target).collect()).collect();
    let reached: Vec<BTreeSet<usize>> = (0..targets.len()).map(|at| reach(&targets, at)).collect();
    let circle = |at: usize| -> BTreeSet<usize> {
        reached[at].iter().copied().filter(|other| reached[*other].contains(&at)).collect()
    };
    (0..targets.len()).map(circle).filter(|circle| 1 < circle.len()).collect()
}

/// Returns the files that `from` uses, directly or through others.
fn reach(targets: &[BTreeSet<usize>], from: usize) -> BTreeSet<usize> {
    let mut found = BTreeSet::new();
    let mut open = vec![from];
    while let Some(at) = open.pop() {
        open.extend(targets[at].iter().filter(|target| found.insert(**target)));
    }
    found
}

#[test]
fn a_circle_of_two_or_more_files_is_found_and_a_module_may_know_its_parts() {
    let modules = crate::modules::tests::modules(&[
        ("s/a.rs", "use crate::b::B;\npub struct A;"),
        ("s/b.rs", "mod part;\nuse crate::c;\npub struct B;\nuse part::P;"),
        ("s/b/part.rs", "pub struct P;\nuse super::B;"),
        ("s/c.rs", "use super::a::A;"),
        ("s/d.rs", "use crate::a::A;"),
        ("s/lib.rs", "mod a;\nmod b;\nmod c;\nmod d;"),
    ]);
    assert_eq!(circles(&modules), BTreeSet::from([BTreeSet::from([0, 1, 3])]));
}
