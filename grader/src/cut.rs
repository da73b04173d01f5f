//! From the reference to a starter: what stands between two markers, and what takes its place.
//!
//! A block is one of two things, and the language decides which, not the author:
//!
//! - **the whole body of a function**: the starter has a call in its place, which takes all parameters
//!   (so that none is unused) and never returns: `crate::hole("1.raw_get", (self, req))`;
//! - **whole items** (functions, imports, constants, struct fields): the starter has nothing in their
//!   place.
//!
//! The file is parsed by `syn`, whose spans tell lines. What a block is not (half a body, two thirds of
//! an item) is refused with its line. Cutting itself works on lines, so that everything outside of a
//! block reaches the starter byte for byte.

use proc_macro2::{LineColumn, Span};
use syn::{FnArg, ImplItem, Item, Pat, ReturnType, Signature, TraitItem, Type};

use crate::markers::{self, Block, Unpaired};

/// A function with a body, as the source has it.
#[derive(Debug, Clone)]
pub struct Function {
    /// `Type::name` in an `impl` or a trait, else `name`.
    pub path: String,
    /// The line of the body's opening brace.
    pub open: usize,
    /// The byte just behind that brace.
    pub body: usize,
    /// The line of the closing brace.
    pub close: usize,
    /// The byte of that brace.
    pub end: usize,
    /// What the parameters are called, `self` included.
    pub parameters: Vec<String>,
    returns_impl: bool,
    is_const: bool,
}

/// What a block is.
#[derive(Debug, Clone)]
pub enum Place {
    /// The whole body of a function.
    Body(Function),
    /// Whole items.
    Items,
}

/// What to put in the place of blocks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Cut {
    /// A call of `hole` for a body, nothing for items: the starter.
    Starter,
    /// The solution stays, behind a gate that can be shut from outside: the ladder.
    Gate,
}

/// All functions of a source file that stand in modules, `impl` blocks and traits.
///
/// # Errors
/// It is not Rust.
pub fn functions(text: &str) -> Result<Vec<Function>, Unpaired> {
    let file = syn::parse_file(text).map_err(|e| Unpaired {
        line: e.span().start().line,
        what: format!("this is not Rust: {e}"),
    })?;
    let mut found = Vec::new();
    let starts: Vec<usize> =
        std::iter::once(0).chain(text.match_indices('\n').map(|(at, _)| at + 1)).collect();
    let mut collector = Collector { text, starts: &starts, found: &mut found };
    collector.items(&file.items);
    Ok(found)
}

/// What each block of a file is.
///
/// # Errors
/// Every marker that does not pair, and every block that is neither a body nor items.
pub fn places(text: &str) -> Result<Vec<(Block, Place)>, Vec<Unpaired>> {
    let blocks = markers::blocks(text)?;
    if blocks.is_empty() {
        return Ok(Vec::new());
    }
    let functions = functions(text).map_err(|e| vec![e])?;
    let lines: Vec<&str> = text.lines().collect();
    let (mut places, mut wrong) = (Vec::new(), Vec::new());
    for block in blocks {
        match place(&block, &functions, &lines) {
            Ok(place) => places.push((block, place)),
            Err(what) => wrong.push(Unpaired { line: block.begin, what }),
        }
    }
    if !wrong.is_empty() {
        return Err(wrong);
    }
    // What is left has to be Rust, or some block tore an item apart.
    if let Err(e) = syn::parse_file(&render(text, &places, Cut::Starter)) {
        return Err(vec![Unpaired {
            line: places[0].0.begin,
            what: format!(
                "without its blocks this file is not Rust ({e}): a block tears an item apart"
            ),
        }]);
    }
    Ok(places)
}

/// The file with its blocks replaced.
///
/// # Errors
/// As [`places`].
pub fn cut(text: &str, how: Cut) -> Result<String, Vec<Unpaired>> {
    cut_some(text, how, &|_| true)
}

/// The file with the blocks of some holes replaced. The others stay as they are, markers and all.
///
/// # Errors
/// As [`places`].
pub fn cut_some(
    text: &str,
    how: Cut,
    wanted: &dyn Fn(&str) -> bool,
) -> Result<String, Vec<Unpaired>> {
    let mut places = places(text)?;
    places.retain(|(block, _)| wanted(&block.id));
    Ok(render(text, &places, how))
}

fn place(block: &Block, functions: &[Function], lines: &[&str]) -> Result<Place, String> {
    // Functions in the list do not nest, so at most one is round the block.
    let round = functions.iter().find(|f| f.open < block.begin && block.end < f.close);
    let Some(function) = round else {
        let inside = lines[block.begin..block.end - 1].join("\n");
        return if is_items(&inside) {
            Ok(Place::Items)
        } else {
            Err("this is neither the whole body of a function nor whole items (functions, imports, constants, fields)".into())
        };
    };
    let path = &function.path;
    let silent = |range: &[&str]| {
        range.iter().all(|line| line.trim().is_empty() || line.trim_start().starts_with("//"))
    };
    // Lines count from 1, `lines` from 0: the range begins behind the line of the brace.
    if !silent(&lines[function.open..block.begin - 1])
        || !silent(&lines[block.end..function.close - 1])
        || !lines[function.close - 1].trim_start().starts_with('}')
    {
        return Err(format!(
            "this is not the whole body of `{path}`: some of its code stands outside"
        ));
    }
    if function.returns_impl {
        return Err(format!(
            "`{path}` returns `impl ..`, and a call that never returns is no such thing: name the type, or box it"
        ));
    }
    if function.is_const {
        return Err(format!("`{path}` is const, and cannot call `hole`"));
    }
    Ok(Place::Body(function.clone()))
}

fn is_items(text: &str) -> bool {
    let as_what = ["", "impl X {", "trait X {", "struct X {", "enum X {"];
    as_what.iter().any(|open| {
        let close = if open.is_empty() { "" } else { "\n}" };
        syn::parse_file(&format!("{open}\n{text}{close}")).is_ok()
    })
}

fn render(text: &str, places: &[(Block, Place)], how: Cut) -> String {
    let mut out = String::with_capacity(text.len());
    let mut blocks = places.iter().peekable();
    // Items leave without a trace: of the blank lines round them, one is enough.
    let mut items_left = false;
    for (number, line) in (1..).zip(text.split_inclusive('\n')) {
        let Some((block, place)) = blocks.peek().filter(|(block, _)| number >= block.begin) else {
            let gap = out.is_empty() || out.ends_with("\n\n") || out.ends_with("{\n");
            if !(items_left && gap && line.trim().is_empty()) {
                out += line;
            }
            items_left = false;
            continue;
        };
        if number == block.begin
            && let Place::Body(function) = place
        {
            let indent = &line[..line.len() - line.trim_start().len()];
            out += indent;
            match how {
                Cut::Starter => out += &call(&block.id, &function.parameters),
                Cut::Gate => out += &format!("crate::hole::gate({:?});", block.id),
            }
            out.push('\n');
        }
        // The gate leaves the solution, without its markers.
        if how == Cut::Gate && number != block.begin && number != block.end {
            out += line;
        }
        if number == block.end {
            items_left = how == Cut::Starter && matches!(place, Place::Items);
            blocks.next();
        }
    }
    out
}

fn call(id: &str, parameters: &[String]) -> String {
    match parameters {
        [only] => format!("crate::hole({id:?}, ({only},))"),
        all => format!("crate::hole({id:?}, ({}))", all.join(", ")),
    }
}

struct Collector<'a> {
    text: &'a str,
    /// The byte at which each line starts.
    starts: &'a [usize],
    found: &'a mut Vec<Function>,
}

impl Collector<'_> {
    fn items(&mut self, items: &[Item]) {
        for item in items {
            match item {
                Item::Fn(f) => self.function("", &f.sig, &f.block),
                Item::Mod(m) => {
                    if let Some((_, items)) = &m.content {
                        self.items(items);
                    }
                }
                Item::Impl(i) => {
                    let name = type_name(&i.self_ty);
                    for item in &i.items {
                        if let ImplItem::Fn(f) = item {
                            self.function(&name, &f.sig, &f.block);
                        }
                    }
                }
                Item::Trait(t) => {
                    let name = t.ident.to_string();
                    for item in &t.items {
                        if let TraitItem::Fn(f) = item
                            && let Some(body) = &f.default
                        {
                            self.function(&name, &f.sig, body);
                        }
                    }
                }
                _ => {}
            }
        }
    }

    fn function(&mut self, owner: &str, sig: &Signature, body: &syn::Block) {
        let braces = &body.brace_token.span;
        let name = &sig.ident;
        let mut parameters = Vec::new();
        for input in &sig.inputs {
            match input {
                FnArg::Receiver(_) => parameters.push("self".to_owned()),
                FnArg::Typed(typed) => names(&typed.pat, &mut parameters),
            }
        }
        let open: Span = braces.open();
        self.found.push(Function {
            path: if owner.is_empty() { name.to_string() } else { format!("{owner}::{name}") },
            open: open.start().line,
            body: self.byte(open.end()),
            close: braces.close().start().line,
            end: self.byte(braces.close().start()),
            parameters,
            returns_impl: matches!(&sig.output, ReturnType::Type(_, t) if matches!(**t, Type::ImplTrait(_))),
            is_const: sig.constness.is_some(),
        });
    }

    fn byte(&self, at: LineColumn) -> usize {
        let start = self.starts.get(at.line - 1).copied().unwrap_or(self.text.len());
        let line = &self.text[start..];
        // Columns count characters.
        start + line.char_indices().nth(at.column).map_or(line.len(), |(byte, _)| byte)
    }
}

fn type_name(of: &Type) -> String {
    match of {
        Type::Path(path) => {
            path.path.segments.last().map(|s| s.ident.to_string()).unwrap_or_default()
        }
        Type::Reference(reference) => type_name(&reference.elem),
        _ => String::new(),
    }
}

/// The names that a pattern binds.
fn names(pattern: &Pat, into: &mut Vec<String>) {
    match pattern {
        Pat::Ident(ident) => into.push(ident.ident.to_string()),
        Pat::Tuple(tuple) => tuple.elems.iter().for_each(|p| names(p, into)),
        Pat::TupleStruct(tuple) => tuple.elems.iter().for_each(|p| names(p, into)),
        Pat::Struct(fields) => fields.fields.iter().for_each(|f| names(&f.pat, into)),
        Pat::Slice(slice) => slice.elems.iter().for_each(|p| names(p, into)),
        Pat::Reference(reference) => names(&reference.pat, into),
        Pat::Paren(paren) => names(&paren.pat, into),
        Pat::Type(typed) => names(&typed.pat, into),
        _ => {}
    }
}
