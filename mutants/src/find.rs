//! Finds the mutants of a file: each place where the source is parsed as something that can be said
//! otherwise.
//!
//! Left out are places where a switch cannot stand (constants, `const fn`, patterns, types, the inside of
//! macros) and what `Debug` shows.

use std::ops::Range;

use proc_macro2::Span;
use syn::spanned::Spanned;
use syn::visit::{self, Visit};
use syn::{BinOp, Block, Expr, ExprMethodCall, Lit, ReturnType, Stmt, UnOp};

/// How a mutant is put into the source.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum How {
    /// In the place of an expression.
    Expression,
    /// In the place of a statement.
    Statement,
    /// Before the first statement of a function.
    Start,
}

/// One change of the source.
#[derive(Clone)]
pub(crate) struct Mutant {
    /// Below the root of the workspace.
    pub(crate) file: String,
    pub(crate) line: usize,
    pub(crate) kind: &'static str,
    pub(crate) how: How,
    /// The bytes of the original that it takes the place of.
    pub(crate) range: Range<usize>,
    pub(crate) new: String,
    /// The lines around it, on one line, as they are and as the mutant has them.
    pub(crate) shown: [String; 2],
}

/// A change before it has its file and its text.
pub(crate) type Change = (&'static str, How, Range<usize>, String);

/// Every mutant of a file.
pub(crate) fn mutants(file: &str, source: &str) -> Vec<Mutant> {
    let tree = syn::parse_file(source).unwrap_or_else(|error| panic!("{file}: {error}"));
    let mut finder = Finder { source, found: Vec::new() };
    finder.visit_file(&tree);
    finder.found.into_iter().map(|change| describe(file, source, change)).collect()
}

/// Gives a change its line and the text that people and the list of the argued know it by.
pub(crate) fn describe(file: &str, source: &str, (kind, how, range, new): Change) -> Mutant {
    let line = source[..range.start].matches('\n').count() + 1;
    let begin = source[..range.start].rfind('\n').map_or(0, |at| at + 1);
    let end = source[range.end..].find('\n').map_or(source.len(), |at| range.end + at);
    let mut old = flat(&source[begin..end]);
    let mut changed = flat(&[&source[begin..range.start], &new, &source[range.end..end]].concat());
    if old.len() > 200 {
        (old, changed) = (flat(&source[range.clone()]), flat(&new));
    }
    if how == How::Start {
        // The signature may be on several lines, and the brace on one of its own.
        let from = source[..range.start].rfind("fn ").unwrap_or(begin);
        old = flat(&source[from..range.start]);
        changed = format!("{old} {new}");
    }
    let cut = |text: String| text.chars().take(300).collect::<String>();
    Mutant { file: file.into(), line, kind, how, range, new, shown: [cut(old), cut(changed)] }
}

fn flat(text: &str) -> String {
    text.split_whitespace().collect::<Vec<_>>().join(" ")
}

struct Finder<'a> {
    source: &'a str,
    found: Vec<Change>,
}

impl Finder<'_> {
    fn text(&self, span: Span) -> &str {
        &self.source[span.byte_range()]
    }

    fn expression(&mut self, kind: &'static str, span: Span, new: impl Into<String>) {
        self.found.push((kind, How::Expression, span.byte_range(), new.into()));
    }

    /// The text of `whole` with `part` replaced by `new`.
    fn with(&self, whole: Span, part: Span, new: &str) -> String {
        let (whole, part) = (whole.byte_range(), part.byte_range());
        [&self.source[whole.start..part.start], new, &self.source[part.end..whole.end]].concat()
    }

    fn function(&mut self, output: &ReturnType, block: &Block) {
        let values: &[&str] = match output {
            ReturnType::Default => &[""],
            ReturnType::Type(_, ty) => match flat(self.text(ty.span())).as_str() {
                "bool" => &["true", "false"],
                "usize" | "u32" | "u64" | "i64" | "isize" => &["0", "1"],
                "Duration" => &["Duration::ZERO"],
                ty if ty.starts_with("Option<") => &["None"],
                ty if ty.starts_with("Result<()") => &["Ok(())"],
                _ => &[],
            },
        };
        let start = block.brace_token.span.open().byte_range().end;
        for value in values.iter().filter(|_| !block.stmts.is_empty()) {
            let new = format!("return {value};").replace(" ;", ";");
            self.found.push(("return", How::Start, start..start, new));
        }
    }

    /// A condition that is always or never met. One with a `let` in it cannot be replaced as a whole.
    fn condition(&mut self, condition: &Expr, values: &[&str]) {
        if !has_let(condition) {
            for value in values {
                self.expression("condition", condition.span(), *value);
            }
        }
    }

    fn binary(&mut self, node: &syn::ExprBinary) {
        if has_let(&node.left) || has_let(&node.right) {
            return;
        }
        for (kind, other) in operators(&node.op) {
            let new = self.with(node.span(), node.op.span(), other);
            self.expression(kind, node.span(), new);
        }
    }

    fn literal(&mut self, literal: &syn::ExprLit) {
        match &literal.lit {
            Lit::Bool(value) => self.expression("constant", value.span, (!value.value).to_string()),
            Lit::Int(value) => {
                let Ok(number) = value.base10_parse::<u64>() else { return };
                let suffix = value.suffix();
                self.expression("constant", value.span(), format!("{}{suffix}", number.wrapping_add(1)));
                if number > 0 {
                    self.expression("constant", value.span(), format!("{}{suffix}", number - 1));
                }
            }
            _ => {}
        }
    }

    fn method(&mut self, node: &ExprMethodCall) {
        let name = node.method.to_string();
        let whole = node.span();
        if name == "is_empty" {
            self.expression("call", whole, format!("!{}", self.text(whole)));
        }
        let Some(&(_, other, anywhere)) = METHODS.iter().find(|(one, ..)| *one == name) else { return };
        if anywhere || is_place(&node.receiver) {
            let new = self.with(whole, node.method.span(), other);
            self.expression("call", whole, new);
        }
    }

    fn ordering(&mut self, node: &syn::ExprPath) {
        let text = self.text(node.span());
        let name = text.strip_prefix("Ordering::").unwrap_or(text);
        let weaker: &[&str] = match name {
            "Acquire" | "Release" => &["Relaxed"],
            "AcqRel" => &["Acquire", "Release"],
            "SeqCst" => &["AcqRel"],
            _ => &[],
        };
        for weaker in weaker {
            self.expression("ordering", node.span(), format!("crate::sync::atomic::Ordering::{weaker}"));
        }
    }
}

/// Methods that have a counterpart of the same type, and whether the receiver may be a temporary: one that
/// must live as long as the result may not.
const METHODS: &[(&str, &str, bool)] = &[
    ("all", "any", true),
    ("any", "all", true),
    ("checked_add", "checked_sub", true),
    ("checked_sub", "checked_add", true),
    ("fetch_add", "fetch_sub", true),
    ("fetch_and", "fetch_or", true),
    ("fetch_or", "fetch_and", true),
    ("fetch_sub", "fetch_add", true),
    ("is_err", "is_ok", true),
    ("is_none", "is_some", true),
    ("is_ok", "is_err", true),
    ("is_some", "is_none", true),
    ("max", "min", true),
    ("min", "max", true),
    ("notify_all", "notify_one", true),
    ("pop_back", "pop_front", false),
    ("pop_front", "pop_back", false),
    ("push_back", "push_front", false),
    ("push_front", "push_back", false),
    ("saturating_add", "wrapping_add", true),
    ("saturating_sub", "wrapping_sub", true),
];

fn operators(op: &BinOp) -> &'static [(&'static str, &'static str)] {
    match op {
        BinOp::Lt(_) => &[("comparison", "<="), ("comparison", ">=")],
        BinOp::Le(_) => &[("comparison", "<"), ("comparison", ">")],
        BinOp::Gt(_) => &[("comparison", ">="), ("comparison", "<=")],
        BinOp::Ge(_) => &[("comparison", ">"), ("comparison", "<")],
        BinOp::Eq(_) => &[("comparison", "!=")],
        BinOp::Ne(_) => &[("comparison", "==")],
        BinOp::And(_) => &[("logic", "||")],
        BinOp::Or(_) => &[("logic", "&&")],
        BinOp::Add(_) => &[("arithmetic", "-")],
        BinOp::Sub(_) => &[("arithmetic", "+")],
        BinOp::Mul(_) => &[("arithmetic", "/")],
        BinOp::Div(_) => &[("arithmetic", "*")],
        BinOp::Rem(_) => &[("arithmetic", "/")],
        BinOp::BitAnd(_) => &[("arithmetic", "|")],
        BinOp::BitOr(_) | BinOp::BitXor(_) => &[("arithmetic", "&")],
        BinOp::Shl(_) => &[("arithmetic", ">>")],
        BinOp::Shr(_) => &[("arithmetic", "<<")],
        BinOp::AddAssign(_) => &[("arithmetic", "-=")],
        BinOp::SubAssign(_) => &[("arithmetic", "+=")],
        BinOp::MulAssign(_) => &[("arithmetic", "/=")],
        BinOp::DivAssign(_) => &[("arithmetic", "*=")],
        BinOp::BitOrAssign(_) => &[("arithmetic", "&=")],
        BinOp::BitAndAssign(_) => &[("arithmetic", "|=")],
        _ => &[],
    }
}

fn has_let(expression: &Expr) -> bool {
    match expression {
        Expr::Let(_) => true,
        Expr::Binary(node) => has_let(&node.left) || has_let(&node.right),
        _ => false,
    }
}

fn is_place(expression: &Expr) -> bool {
    match expression {
        Expr::Path(_) => true,
        Expr::Field(node) => is_place(&node.base),
        _ => false,
    }
}

/// Statements that can be left out without leaving a name unmade.
fn can_go(statement: &Stmt) -> bool {
    match statement {
        Stmt::Expr(expression, Some(_)) => is_action(expression),
        Stmt::Local(local) => matches!(local.pat, syn::Pat::Wild(_)),
        Stmt::Macro(call) => {
            call.semi_token.is_some() && call.mac.path.get_ident().is_some_and(|name| name != "debug_assert")
        }
        _ => false,
    }
}

/// An expression that is a statement for what it does.
fn is_action(expression: &Expr) -> bool {
    let calls = matches!(expression, Expr::Call(_) | Expr::MethodCall(_) | Expr::Try(_));
    let leaves = matches!(expression, Expr::Return(_) | Expr::Break(_) | Expr::Continue(_));
    calls || leaves || matches!(expression, Expr::Binary(_) | Expr::Assign(_))
}

fn is_test(attributes: &[syn::Attribute]) -> bool {
    attributes.iter().any(|attribute| {
        let syn::Meta::List(list) = &attribute.meta else { return false };
        let condition = list.tokens.to_string();
        // Also `all(test, not(loom))`.
        let says = |what: &str| condition.split(|c: char| !c.is_alphanumeric()).any(|word| word == what);
        list.path.is_ident("cfg") && (says("test") || says("doctest")) && !condition.contains("not (test")
    })
}

impl<'ast> Visit<'ast> for Finder<'_> {
    fn visit_item_const(&mut self, _: &'ast syn::ItemConst) {}
    fn visit_item_static(&mut self, _: &'ast syn::ItemStatic) {}
    fn visit_impl_item_const(&mut self, _: &'ast syn::ImplItemConst) {}
    fn visit_trait_item_const(&mut self, _: &'ast syn::TraitItemConst) {}
    fn visit_expr_const(&mut self, _: &'ast syn::ExprConst) {}
    fn visit_pat(&mut self, _: &'ast syn::Pat) {}
    fn visit_type(&mut self, _: &'ast syn::Type) {}
    fn visit_generic_argument(&mut self, _: &'ast syn::GenericArgument) {}
    fn visit_attribute(&mut self, _: &'ast syn::Attribute) {}
    fn visit_macro(&mut self, _: &'ast syn::Macro) {}
    fn visit_item_enum(&mut self, _: &'ast syn::ItemEnum) {}

    fn visit_item_mod(&mut self, node: &'ast syn::ItemMod) {
        if !is_test(&node.attrs) {
            visit::visit_item_mod(self, node);
        }
    }

    fn visit_item_impl(&mut self, node: &'ast syn::ItemImpl) {
        let debug = node.trait_.as_ref().and_then(|(_, path, _)| path.segments.last());
        if debug.is_none_or(|name| name.ident != "Debug") {
            visit::visit_item_impl(self, node);
        }
    }

    fn visit_item_fn(&mut self, node: &'ast syn::ItemFn) {
        if node.sig.constness.is_none() {
            self.function(&node.sig.output, &node.block);
            visit::visit_item_fn(self, node);
        }
    }

    fn visit_impl_item_fn(&mut self, node: &'ast syn::ImplItemFn) {
        if node.sig.constness.is_none() {
            self.function(&node.sig.output, &node.block);
            visit::visit_impl_item_fn(self, node);
        }
    }

    fn visit_trait_item_fn(&mut self, node: &'ast syn::TraitItemFn) {
        if let Some(block) = &node.default {
            self.function(&node.sig.output, block);
            visit::visit_trait_item_fn(self, node);
        }
    }

    fn visit_expr_repeat(&mut self, node: &'ast syn::ExprRepeat) {
        self.visit_expr(&node.expr);
    }

    fn visit_stmt(&mut self, node: &'ast Stmt) {
        if can_go(node) {
            self.found.push(("deletion", How::Statement, node.span().byte_range(), String::new()));
        }
        visit::visit_stmt(self, node);
    }

    fn visit_arm(&mut self, node: &'ast syn::Arm) {
        if let Some((_, guard)) = &node.guard {
            self.condition(guard, &["true", "false"]);
        }
        visit::visit_arm(self, node);
    }

    fn visit_expr(&mut self, node: &'ast Expr) {
        match node {
            Expr::If(node) => self.condition(&node.cond, &["true", "false"]),
            Expr::While(node) => self.condition(&node.cond, &["false"]),
            Expr::Binary(node) => self.binary(node),
            Expr::Lit(node) => self.literal(node),
            Expr::MethodCall(node) => self.method(node),
            Expr::Path(node) => self.ordering(node),
            Expr::Unary(node) if matches!(node.op, UnOp::Not(_)) => {
                let new = self.text(node.expr.span()).to_owned();
                self.expression("logic", node.span(), new);
            }
            Expr::Call(call) if matches!(&*call.func, Expr::Path(path) if path.path.is_ident("Some")) => {
                self.expression("return", node.span(), "None");
            }
            Expr::Range(range) if !matches!(range.limits, syn::RangeLimits::Closed(_)) => {
                if let Some(end) = &range.end {
                    let new = format!("({}) - 1", self.text(end.span()));
                    self.expression("range", end.span(), new);
                }
            }
            _ => {}
        }
        visit::visit_expr(self, node);
    }
}
