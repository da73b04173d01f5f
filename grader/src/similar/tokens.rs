//! A source file as what cannot be changed by renaming, reformatting and commenting.

use std::collections::BTreeSet;

use proc_macro2::{Delimiter, Spacing, Span, TokenStream, TokenTree};

/// One token.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Token {
    /// What is compared: the same for two names that the student chose.
    pub text: String,
    /// Its line, from 1.
    pub line: usize,
}

/// What a name is replaced by, unless the course gave it.
const NAME: &str = "_";

/// The tokens of a file. Comments, documentation and attributes are left out; a literal counts as its kind, but for
/// short numbers. A variable counts as any other; the name of a function, a field, a type or a module counts as itself
/// if it is one of `given` (the starter has it): whoever copies a function can rename its variables and helpers, but not
/// what the course calls so.
///
/// # Errors
/// It is not made of Rust's tokens (a bracket or a quote that does not close), and then no compiler takes it either.
pub fn tokens(text: &str, given: &BTreeSet<String>) -> Result<Vec<Token>, String> {
    let stream: TokenStream = text.parse().map_err(|e| format!("{e}"))?;
    let mut found = Vec::new();
    flatten(stream, given, &mut found);
    Ok(found)
}

/// Every name in a file: what the starter uses is known to everybody who has the starter.
pub fn names(text: &str) -> BTreeSet<String> {
    fn collect(stream: TokenStream, names: &mut BTreeSet<String>) {
        for tree in stream {
            match tree {
                TokenTree::Ident(name) => {
                    names.insert(name.to_string());
                }
                TokenTree::Group(group) => collect(group.stream(), names),
                TokenTree::Punct(_) | TokenTree::Literal(_) => {}
            }
        }
    }
    let mut names = BTreeSet::new();
    if let Ok(stream) = text.parse() {
        collect(stream, &mut names);
    }
    names
}

fn flatten(stream: TokenStream, given: &BTreeSet<String>, found: &mut Vec<Token>) {
    let mut trees = stream.into_iter().peekable();
    while let Some(tree) = trees.next() {
        match tree {
            // `#[..]` and `#![..]`: documentation comes this way, too.
            TokenTree::Punct(punct) if punct.as_char() == '#' => {
                trees.next_if(|t| matches!(t, TokenTree::Punct(p) if p.as_char() == '!'));
                let attribute = |t: &TokenTree| matches!(t, TokenTree::Group(g) if g.delimiter() == Delimiter::Bracket);
                trees.next_if(attribute);
            }
            // `->`, `::`, `&&` count as one.
            TokenTree::Punct(punct) => {
                let mut text = punct.as_char().to_string();
                let (span, mut joint) = (punct.span(), punct.spacing() == Spacing::Joint);
                while joint {
                    let Some(TokenTree::Punct(next)) =
                        trees.next_if(|t| matches!(t, TokenTree::Punct(_)))
                    else {
                        break;
                    };
                    text.push(next.as_char());
                    joint = next.spacing() == Spacing::Joint;
                }
                push(found, text, span);
            }
            TokenTree::Ident(name) => {
                let text = name.to_string();
                let behind = found.last().is_some_and(|t| t.text == "." || t.text == "::");
                let before = match trees.peek() {
                    Some(TokenTree::Group(group)) => group.delimiter() == Delimiter::Parenthesis,
                    Some(TokenTree::Punct(p)) => {
                        p.as_char() == ':' && p.spacing() == Spacing::Joint
                    }
                    _ => false,
                };
                let is_variable = !behind && !before && !text.starts_with(char::is_uppercase);
                let known = is_keyword(&text) || (!is_variable && given.contains(&text));
                push(found, if known { text } else { NAME.into() }, name.span());
            }
            TokenTree::Literal(literal) => {
                let text = literal.to_string();
                let short = text.len() <= 3 && text.starts_with(|c: char| c.is_ascii_digit());
                let kind = if text.contains('"') { "\"\"" } else { "0" };
                push(found, if short { text } else { kind.into() }, literal.span());
            }
            TokenTree::Group(group) => {
                let (open, close) = match group.delimiter() {
                    Delimiter::Parenthesis => ("(", ")"),
                    Delimiter::Brace => ("{", "}"),
                    Delimiter::Bracket => ("[", "]"),
                    Delimiter::None => ("", ""),
                };
                push(found, open.into(), group.span_open());
                flatten(group.stream(), given, found);
                push(found, close.into(), group.span_close());
            }
        }
    }
}

fn push(found: &mut Vec<Token>, text: String, span: Span) {
    if !text.is_empty() {
        found.push(Token { text, line: span.start().line });
    }
}

fn is_keyword(word: &str) -> bool {
    const WORDS: &[&str] = &[
        "as", "async", "await", "bool", "break", "const", "continue", "crate", "dyn", "else",
        "enum", "Err", "false", "fn", "for", "if", "impl", "in", "let", "loop", "match", "mod",
        "move", "mut", "None", "Ok", "pub", "ref", "return", "self", "Self", "Some", "static",
        "struct", "super", "trait", "true", "type", "use", "where", "while",
    ];
    WORDS.contains(&word)
}
