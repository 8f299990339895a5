//! What a piece of code names: every path in it, wherever it stands.

use syn::ext::IdentExt;
use syn::visit::{self, Visit};
use syn::{Attribute, Expr, ImplItem, Item, Meta, Path, Type};

use super::files::is_test_only;
use super::imports::{Import, imports};
use super::model::{InherentImpl, Origin, Reference, Segments};
use super::tokens::{self, Found};

/// What a module's items name. Modules in it are not entered.
#[derive(Default)]
pub(crate) struct References {
    pub(crate) found: Vec<Reference>,
    /// The imports inside of functions.
    pub(crate) imports: Vec<Import>,
    pub(crate) impls: Vec<InherentImpl>,
    /// The type of the `impl` that is being visited.
    self_type: Option<Segments>,
}

impl References {
    /// Adds what `item` names.
    pub(crate) fn add(&mut self, item: &Item) {
        self.visit_item(item);
    }

    fn push(&mut self, path: Segments, origin: Origin) {
        // Inside of an `impl`, `Self` is its type; elsewhere (in a trait) it is nothing that has a file.
        match path.split_first() {
            Some((first, rest)) if first == "Self" => rest.iter().take(1).for_each(|name| self.of_self(name)),
            _ => self.found.push(Reference { path, origin }),
        }
    }

    /// Adds `name` of the type whose `impl` is being visited.
    fn of_self(&mut self, name: &str) {
        if let Some(self_type) = &self.self_type {
            let mut path = self_type.clone();
            path.push(name.to_owned());
            self.found.push(Reference { path, origin: Origin::OfSelf });
        }
    }

    fn add_tokens(&mut self, tokens: proc_macro2::TokenStream) {
        for found in tokens::paths(tokens) {
            match found {
                Found::Path(path) => self.push(path, Origin::Code),
                Found::Macro(path) => self.push(path, Origin::Macro),
                Found::SelfCall(method) => self.of_self(&method),
            }
        }
    }
}

impl<'ast> Visit<'ast> for References {
    fn visit_item(&mut self, item: &'ast Item) {
        let skipped = matches!(item, Item::Mod(_)) || is_test_only(attributes_of_item(item));
        if !skipped {
            visit::visit_item(self, item);
        }
    }

    fn visit_impl_item(&mut self, item: &'ast ImplItem) {
        let attributes = match item {
            ImplItem::Fn(function) => &function.attrs,
            ImplItem::Const(constant) => &constant.attrs,
            _ => return visit::visit_impl_item(self, item),
        };
        if !is_test_only(attributes) {
            visit::visit_impl_item(self, item);
        }
    }

    fn visit_field(&mut self, field: &'ast syn::Field) {
        if !is_test_only(&field.attrs) {
            visit::visit_field(self, field);
        }
    }

    fn visit_field_value(&mut self, field: &'ast syn::FieldValue) {
        if !is_test_only(&field.attrs) {
            visit::visit_field_value(self, field);
        }
    }

    fn visit_variant(&mut self, variant: &'ast syn::Variant) {
        if !is_test_only(&variant.attrs) {
            visit::visit_variant(self, variant);
        }
    }

    fn visit_local(&mut self, local: &'ast syn::Local) {
        if !is_test_only(&local.attrs) {
            visit::visit_local(self, local);
        }
    }

    fn visit_item_use(&mut self, item: &'ast syn::ItemUse) {
        for import in imports(item) {
            self.push(import.path.clone(), Origin::Import);
            self.imports.push(import);
        }
    }

    fn visit_item_impl(&mut self, item: &'ast syn::ItemImpl) {
        let self_type = named(&item.self_ty);
        if let (None, Some(self_type)) = (&item.trait_, &self_type) {
            let name = |item: &ImplItem| match item {
                ImplItem::Fn(function) => Some(function.sig.ident.unraw().to_string()),
                ImplItem::Const(constant) => Some(constant.ident.unraw().to_string()),
                _ => None,
            };
            let items = item.items.iter().filter_map(name).collect();
            self.impls.push(InherentImpl { self_type: self_type.clone(), items });
        }
        let outer = std::mem::replace(&mut self.self_type, self_type);
        visit::visit_item_impl(self, item);
        self.self_type = outer;
    }

    fn visit_path(&mut self, path: &'ast Path) {
        if path.leading_colon.is_none() {
            self.push(segments(path), Origin::Code);
        }
        visit::visit_path(self, path);
    }

    fn visit_pat_ident(&mut self, pattern: &'ast syn::PatIdent) {
        // A constant, not a variable.
        let name = pattern.ident.unraw().to_string();
        if pattern.subpat.is_none() && name.starts_with(char::is_uppercase) {
            self.push(vec![name], Origin::Code);
        }
        visit::visit_pat_ident(self, pattern);
    }

    fn visit_expr_method_call(&mut self, call: &'ast syn::ExprMethodCall) {
        if let Expr::Path(receiver) = &*call.receiver
            && receiver.path.is_ident("self")
        {
            self.of_self(&call.method.unraw().to_string());
        }
        visit::visit_expr_method_call(self, call);
    }

    fn visit_macro(&mut self, call: &'ast syn::Macro) {
        if call.path.leading_colon.is_none() {
            self.push(segments(&call.path), Origin::Macro);
        }
        self.add_tokens(call.tokens.clone());
    }

    fn visit_attribute(&mut self, attribute: &'ast Attribute) {
        match &attribute.meta {
            Meta::List(list) => self.add_tokens(list.tokens.clone()),
            Meta::NameValue(pair) if !pair.path.is_ident("doc") => self.visit_expr(&pair.value),
            Meta::NameValue(_) | Meta::Path(_) => {}
        }
    }
}

/// The path of a type that has a name.
fn named(of: &Type) -> Option<Segments> {
    match of {
        Type::Path(of) if of.qself.is_none() && of.path.leading_colon.is_none() => Some(segments(&of.path)),
        _ => None,
    }
}

fn segments(path: &Path) -> Segments {
    path.segments.iter().map(|segment| segment.ident.unraw().to_string()).collect()
}

fn attributes_of_item(item: &Item) -> &[Attribute] {
    match item {
        Item::Const(item) => &item.attrs,
        Item::Enum(item) => &item.attrs,
        Item::ExternCrate(item) => &item.attrs,
        Item::Fn(item) => &item.attrs,
        Item::ForeignMod(item) => &item.attrs,
        Item::Impl(item) => &item.attrs,
        Item::Macro(item) => &item.attrs,
        Item::Mod(item) => &item.attrs,
        Item::Static(item) => &item.attrs,
        Item::Struct(item) => &item.attrs,
        Item::Trait(item) => &item.attrs,
        Item::TraitAlias(item) => &item.attrs,
        Item::Type(item) => &item.attrs,
        Item::Union(item) => &item.attrs,
        Item::Use(item) => &item.attrs,
        _ => &[],
    }
}
