//! The module tree of every crate, and which file a path leads to.
//!
//! A file is a module. Its children are the files of its `mod name;` items. A file that no other file declares is the
//! root of a crate. Items under `#[cfg(test)]` are left out: a test may use anything.
//!
//! A path is followed to the file that defines its item, through `use` and `pub use` of the modules on the way: if
//! `api/mod.rs` has `pub use client::Api`, the path `crate::api::Api` leads to `api/client.rs`. Macros, methods and
//! trait implementations are not followed.

use std::collections::{BTreeMap, BTreeSet};

use crate::tree::{SourceFile, rust_files};

/// Number of re-exports followed for one path. Real paths need three.
const REEXPORTS_MAX: usize = 16;

/// Keywords before the name of an item.
const ITEMS: [&str; 8] = ["struct", "enum", "fn", "const", "static", "trait", "type", "union"];

/// A path in the source, such as `super::parse::{...}` split into one path for each leaf.
#[derive(Clone, Debug, PartialEq, Eq)]
struct ImportPath {
    line: usize,
    segments: Vec<String>,
    /// Number of inline modules around it. A `super` there leads to the same file.
    inline: usize,
}

/// The parts of one file that matter for paths.
#[derive(Debug, Default)]
struct Outline {
    children: Vec<String>,
    items: BTreeSet<String>,
    /// What `use` brings into scope, by name.
    imports: BTreeMap<String, ImportPath>,
    /// The paths that end in `*`.
    globs: Vec<ImportPath>,
    /// All paths, those of `use` included.
    paths: Vec<ImportPath>,
}

/// A file in the module tree.
#[derive(Debug)]
pub(crate) struct Module {
    pub(crate) file: &'static SourceFile,
    parent: Option<usize>,
    children: BTreeMap<String, usize>,
    outline: Outline,
}

/// A use of one file by another.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Import {
    pub(crate) line: usize,
    pub(crate) path: String,
    /// The index of the file that defines the item.
    pub(crate) target: usize,
}

/// All modules of the workspace, by index.
#[derive(Debug)]
pub(crate) struct Modules(pub(crate) Vec<Module>);

impl Modules {
    /// Reads all Rust files.
    pub(crate) fn read() -> Self {
        Self::of(rust_files())
    }

    fn of(files: impl Iterator<Item = &'static SourceFile>) -> Self {
        let mut modules: Vec<_> = files
            .map(|file| {
                let outline = outline(file.code_outside_tests());
                Module { file, parent: None, children: BTreeMap::new(), outline }
            })
            .collect();
        let by_path: BTreeMap<_, _> = modules.iter().zip(0..).map(|(module, at)| (&*module.file.path, at)).collect();
        for at in 0..modules.len() {
            for name in std::mem::take(&mut modules[at].outline.children) {
                let directory = children_directory(&modules[at].file.path);
                let paths = [format!("{directory}/{name}.rs"), format!("{directory}/{name}/mod.rs")];
                if let Some(child) = paths.iter().find_map(|path| by_path.get(path.as_str())) {
                    modules[at].children.insert(name, *child);
                    modules[*child].parent = Some(at);
                }
            }
        }
        Self(modules)
    }

    /// Returns the files that a file uses, without itself and without the modules above and below it.
    pub(crate) fn imports(&self, at: usize) -> Vec<Import> {
        let paths = self.0[at].outline.paths.iter();
        let targets = paths.filter_map(|path| Some((path, self.resolve(at, path, REEXPORTS_MAX)?)));
        targets
            .filter(|(_, target)| !self.is_above(at, *target) && !self.is_above(*target, at))
            .map(|(path, target)| Import { line: path.line, path: path.segments.join("::"), target })
            .collect()
    }

    /// Returns whether `upper` is `lower` or one of its ancestors.
    fn is_above(&self, upper: usize, lower: usize) -> bool {
        let mut at = Some(lower);
        while let Some(module) = at.filter(|module| *module != upper) {
            at = self.0[module].parent;
        }
        at.is_some()
    }

    /// Returns the file that a path leads to; `None` if it leads out of the crate or to something local.
    fn resolve(&self, at: usize, path: &ImportPath, reexports: usize) -> Option<usize> {
        let (mut module, mut inline) = (at, path.inline);
        let mut segments = &path.segments[..];
        let mut is_relative = true;
        while let [first, rest @ ..] = segments {
            match first.as_str() {
                "crate" => module = self.root(module),
                "self" => {}
                "super" if 0 < inline => inline -= 1,
                "super" => module = self.0[module].parent?,
                _ => break,
            }
            is_relative = false;
            segments = rest;
        }
        if is_relative && !self.is_in_scope(module, segments.first()?) {
            return None;
        }
        self.descend(module, segments, reexports)
    }

    /// Follows the segments below a module.
    fn descend(&self, module: usize, segments: &[String], reexports: usize) -> Option<usize> {
        let Some((first, rest)) = segments.split_first() else { return Some(module) };
        let Module { children, outline, .. } = &self.0[module];
        if let Some(child) = children.get(first) {
            return self.descend(*child, rest, reexports);
        }
        if outline.items.contains(first) || reexports == 0 {
            return Some(module);
        }
        if let Some(import) = outline.imports.get(first) {
            let segments = import.segments.iter().chain(rest).cloned().collect();
            // What a module re-exports from another crate is that module's.
            let target = self.resolve(module, &ImportPath { segments, ..import.clone() }, reexports - 1);
            return target.or(Some(module));
        }
        let mut globs = outline.globs.iter().filter_map(|glob| self.resolve(module, glob, reexports - 1));
        globs.find(|target| self.0[*target].outline.items.contains(first)).or(Some(module))
    }

    /// Returns whether a name without a prefix is a child of the module, or imported into it.
    fn is_in_scope(&self, module: usize, name: &str) -> bool {
        let Module { children, outline, .. } = &self.0[module];
        // The name of a crate may also be the last segment of an import of itself.
        let import =
            outline.imports.get(name).filter(|import| import.segments.first().is_some_and(|first| first != name));
        children.contains_key(name) || import.is_some()
    }

    fn root(&self, mut module: usize) -> usize {
        while let Some(parent) = self.0[module].parent {
            module = parent;
        }
        module
    }
}

/// Returns the directory of a file's children.
fn children_directory(path: &str) -> String {
    match path.rsplit_once('/') {
        Some((directory, "lib.rs" | "main.rs" | "mod.rs")) => directory.to_owned(),
        _ => path.trim_end_matches(".rs").to_owned(),
    }
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum Token<'a> {
    Name(&'a str),
    Separator,
    Sign(char),
}

fn tokens(code: &str) -> Vec<(usize, Token<'_>)> {
    let mut found = Vec::new();
    for (mut rest, line) in code.lines().zip(1..) {
        while let Some(letter) = rest.chars().next() {
            let name = rest.find(|letter: char| letter != '_' && !letter.is_alphanumeric()).unwrap_or(rest.len());
            let (token, bytes) = match letter {
                _ if 0 < name => (Token::Name(&rest[..name]), name),
                ':' if rest.starts_with("::") => (Token::Separator, 2),
                _ => (Token::Sign(letter), letter.len_utf8()),
            };
            if !letter.is_whitespace() {
                found.push((line, token));
            }
            rest = &rest[bytes..];
        }
    }
    found
}

fn outline(code: &str) -> Outline {
    let tokens = tokens(code);
    let mut outline = Outline::default();
    let (mut depth, mut inline, mut at) = (0_usize, Vec::new(), 0);
    while let Some((line, token)) = tokens.get(at) {
        let next = tokens.get(at + 1).map(|(_, token)| token);
        at += 1;
        match (token, next) {
            (Token::Sign('{'), _) => depth += 1,
            (Token::Sign('}'), _) => {
                depth = depth.saturating_sub(1);
                inline.pop_if(|opened| *opened == depth);
            }
            (Token::Name("mod"), Some(Token::Name(name))) => match tokens.get(at + 1) {
                Some((_, Token::Sign('{'))) => inline.push(depth),
                _ if inline.is_empty() => outline.children.push((*name).to_owned()),
                _ => {}
            },
            // `impl Trait + use<'a>` captures lifetimes.
            (Token::Name("use"), Some(Token::Sign('<'))) => {}
            (Token::Name("use"), _) => at = use_tree(&tokens, at, &[], inline.len(), &mut outline),
            (Token::Name(keyword), Some(Token::Name(name))) if ITEMS.contains(keyword) => {
                outline.items.insert((*name).to_owned());
            }
            (Token::Name(first), Some(Token::Separator)) => {
                let mut segments = vec![(*first).to_owned()];
                while let [(_, Token::Separator), (_, Token::Name(name)), ..] = tokens[at..] {
                    segments.push(name.to_owned());
                    at += 2;
                }
                outline.paths.push(ImportPath { line: *line, segments, inline: inline.len() });
            }
            _ => {}
        }
    }
    outline
}

/// Parses one tree of a `use` item. Returns the position after it.
fn use_tree(
    tokens: &[(usize, Token<'_>)],
    mut at: usize,
    prefix: &[String],
    inline: usize,
    outline: &mut Outline,
) -> usize {
    let mut segments = prefix.to_vec();
    let mut alias = None;
    while let Some((line, token)) = tokens.get(at) {
        match token {
            Token::Sign('{') => {
                at += 1;
                while tokens.get(at).is_some_and(|(_, token)| *token != Token::Sign('}')) {
                    at = use_tree(tokens, at, &segments, inline, outline);
                    at += usize::from(matches!(tokens.get(at), Some((_, Token::Sign(',')))));
                }
                return at + 1;
            }
            Token::Name("as") => {
                if let Some((_, Token::Name(name))) = tokens.get(at + 1) {
                    alias = Some((*name).to_owned());
                }
                at += 1;
            }
            Token::Name(name) => segments.push((*name).to_owned()),
            Token::Sign('*') => {
                let path = ImportPath { line: *line, segments: segments.clone(), inline };
                outline.globs.push(path.clone());
                outline.paths.push(path);
                return at + 1;
            }
            Token::Separator => {}
            Token::Sign(_) => break,
        }
        at += 1;
    }
    // `use a::{self}` means `a`.
    segments.pop_if(|last| last == "self" && !prefix.is_empty());
    if let Some(name) = alias.or_else(|| segments.last().cloned()) {
        let line = tokens.get(at.saturating_sub(1)).map_or(0, |(line, _)| *line);
        let path = ImportPath { line, segments, inline };
        outline.imports.insert(name, path.clone());
        outline.paths.push(path);
    }
    at
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;

    /// Builds the tree of files that are not on disk.
    pub(crate) fn modules(files: &[(&str, &str)]) -> Modules {
        let files: Vec<_> = files.iter().map(|(path, text)| SourceFile::of(path, text)).collect();
        Modules::of(Vec::leak(files).iter())
    }

    fn check(files: &[(&str, &str)], expected: &[(&str, &str)]) {
        let modules = modules(files);
        let path = |at: usize| modules.0[at].file.path.as_str();
        let pairs = (0..files.len()).flat_map(|at| {
            modules.imports(at).into_iter().map(move |import| (path(at), path(import.target))).collect::<Vec<_>>()
        });
        assert_eq!(pairs.collect::<Vec<_>>(), expected);
    }

    #[test]
    fn a_path_leads_to_the_file_that_defines_its_item() {
        check(
            &[
                ("s/a.rs", "use crate::b::{Made, Other as Named};\nfn f() { super::c::g() }"),
                ("s/b.rs", "mod made;\npub use self::made::Made;\npub struct Other;"),
                ("s/b/made.rs", "pub struct Made;\nuse super::Other;"),
                ("s/c.rs", "pub(crate) fn g() {}\nuse std::fmt;\nfn h() { fmt::write() }"),
                ("s/lib.rs", "mod a;\nmod b;\nmod c;"),
            ],
            &[("s/a.rs", "s/b/made.rs"), ("s/a.rs", "s/b.rs"), ("s/a.rs", "s/c.rs")],
        );
    }

    #[test]
    fn modules_inside_a_file_globs_and_imported_modules_are_followed() {
        check(
            &[
                ("s/a.rs", "mod inner { use super::super::b::X; use super::Y; }\npub struct Y;"),
                ("s/b.rs", "pub struct X;"),
                ("s/c.rs", "use crate::d;\nfn f() { d::Z::new() }"),
                ("s/d/mod.rs", "mod z;\npub use z::*;"),
                ("s/d/z.rs", "pub struct Z;\n#[cfg(test)]\nmod tests { use crate::a::Y; }"),
                ("s/main.rs", "mod a;\nmod b;\nmod c;\nmod d;"),
            ],
            &[("s/a.rs", "s/b.rs"), ("s/c.rs", "s/d/mod.rs"), ("s/c.rs", "s/d/z.rs")],
        );
    }
}
