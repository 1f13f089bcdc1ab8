//! What the conditions of a policy read of a request, so that environments which differ in nothing of that are typechecked once.
//!
//! The typechecker knows an environment by the types of `principal`, `resource` and `context` and by the action itself, and asks for each only where
//! the variable stands in an expression. Of `context` an expression `context.a.b` yields what it finds at `a` and there at `b`, nothing else of it; of
//! `action` an expression `action == X` or `action in [X, Y]` of literals yields whether that holds. Where all is well, two environments that look
//! the same in this are the same. Messages say more, the names of what else there is: words are taken through [`Reading::exactly`].

use std::{
    collections::{BTreeSet, HashMap},
    sync::{Arc, Mutex, PoisonError},
};

use cedar_policy::pst::SmolStr;
use cedar_policy_core::{
    ast::{ActionConstraint, BinaryOp, EntityReference, EntityUID, Expr, ExprKind, Literal, PrincipalOrResourceConstraint, Template, Var},
    validator::types::{OpenTag, Type},
};

use super::{environments::Environments, numbers::Numbers};

/// What the conditions of one policy read; the scope is not among them.
#[derive(Default)]
pub(super) struct Reading<'e> {
    principal: bool,
    resource: bool,
    action: Vec<ActionTest<'e>>,
    /// `action` stands elsewhere than in a test.
    whole_action: bool,
    /// The path of `context` alone is empty.
    context: BTreeSet<Path>,
}

/// `action == X`, or `action in [X, Y]`.
enum ActionTest<'e> {
    Is(&'e EntityUID),
    In(Vec<&'e EntityUID>),
}

/// `context.a.b`, or only whether there is one.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(super) struct Path {
    attributes: Vec<String>,
    test: bool,
}

/// By what environments are told apart.
pub(super) struct Lens {
    pub(super) principal: bool,
    pub(super) resource: bool,
    pub(super) action: View,
    pub(super) context: View,
}

/// How one of the parts of an environment is seen.
pub(super) enum View {
    /// All are alike.
    Blind,
    /// All differ.
    Sharp,
    /// Alike where the number is.
    Classes(Arc<[usize]>),
}

/// How the contexts of all environments look along paths that policies read, which many have in common.
pub(super) struct Sights<'e> {
    environments: &'e Environments,
    known: Mutex<HashMap<BTreeSet<Path>, Arc<[usize]>>>,
}

/// What a path meets in the type of a context.
#[derive(PartialEq, Eq, Hash)]
struct Sight<'t> {
    /// Of each attribute that is there: whether it always is.
    required: Vec<bool>,
    end: End<'t>,
}

#[derive(PartialEq, Eq, Hash)]
enum End<'t> {
    Missing(OpenTag),
    Present,
    At(&'t Type),
}

// === impl Reading ===

impl<'e> Reading<'e> {
    pub(super) fn of(template: &'e Template) -> Self {
        let mut reading = Self::default();
        // Each `a` of `a.b` is an expression too: it counts as read only where it stands more often than under such another.
        let (mut actions, mut paths): (isize, HashMap<Vec<&str>, isize>) = (0, HashMap::new());
        for expr in template.non_scope_constraints().into_iter().flat_map(Expr::subexpressions) {
            if let Some(path) = path(expr) {
                *paths.entry(path).or_default() += 1;
            }
            if let Some((inner, test)) = within(expr) {
                reading.context.extend(test.map(|tested| Path::new(inner.iter().copied().chain(tested), true)));
                *paths.entry(inner).or_default() -= 1;
            }
            match expr.expr_kind() {
                ExprKind::Var(Var::Principal) => reading.principal = true,
                ExprKind::Var(Var::Resource) => reading.resource = true,
                ExprKind::Var(Var::Action) => actions += 1,
                _ => {}
            }
            if let Some(test) = action_test(expr) {
                actions -= 1;
                reading.action.push(test);
            }
        }
        let read = paths.into_iter().filter(|(_, count)| *count > 0).map(|(path, _)| Path::new(path, false));
        reading.context.extend(read);
        reading.whole_action = actions > 0;
        reading
    }

    /// Each path of the context that is read, and whether it is only tested for.
    pub(super) fn context(&self) -> impl Iterator<Item = (&[String], bool)> {
        self.context.iter().map(|path| (path.attributes.as_slice(), path.test))
    }

    /// Environments that differ in a type or the action that is read at all.
    pub(super) fn exactly(&self) -> Lens {
        let view = |read: bool| if read { View::Sharp } else { View::Blind };
        let action = view(self.whole_action || !self.action.is_empty());
        Lens { principal: self.principal, resource: self.resource, action, context: view(!self.context.is_empty()) }
    }

    /// Environments that differ in what is read of them.
    pub(super) fn broadly(&self, sights: &Sights<'_>) -> Lens {
        let Lens { principal, resource, action, context } = self.exactly();
        let action = if self.whole_action || self.action.is_empty() { action } else { View::Classes(self.actions(sights.environments)) };
        let context = if self.context.is_empty() { context } else { View::Classes(sights.of(&self.context)) };
        Lens { principal, resource, action, context }
    }

    fn actions(&self, environments: &Environments) -> Arc<[usize]> {
        let mut classes = vec![0; environments.count()];
        for test in &self.action {
            let holds: BTreeSet<usize> = match test {
                ActionTest::Is(action) => environments.place(action).into_iter().collect(),
                ActionTest::In(actions) => actions.iter().flat_map(|action| environments.members(action)).copied().collect(),
            };
            let mut numbers = Numbers::default();
            for (place, class) in classes.iter_mut().enumerate() {
                *class = numbers.of((*class, holds.contains(&place)));
            }
        }
        classes.into()
    }
}

// === impl Sights ===

impl<'e> Sights<'e> {
    pub(super) fn new(environments: &'e Environments) -> Self {
        Self { environments, known: Mutex::default() }
    }

    fn of(&self, paths: &BTreeSet<Path>) -> Arc<[usize]> {
        let known = || self.known.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(classes) = known().get(paths) {
            return classes.clone();
        }
        let mut numbers = Numbers::default();
        let contexts = self.environments.contexts.iter();
        let classes: Arc<[usize]> = contexts.map(|context| numbers.of(paths.iter().map(|path| path.sight(context)).collect::<Vec<_>>())).collect();
        known().insert(paths.clone(), classes.clone());
        classes
    }
}

// === impl Path ===

impl Path {
    fn new<'a>(attributes: impl IntoIterator<Item = &'a str>, test: bool) -> Self {
        Self { attributes: attributes.into_iter().map(str::to_owned).collect(), test }
    }

    fn sight<'t>(&self, context: &'t Type) -> Sight<'t> {
        let (mut required, mut end) = (Vec::new(), context);
        for attribute in &self.attributes {
            // what stands in anything but a record depends on nothing but the type of that
            let Type::Record { attrs, open_attributes } = end else { return Sight { required, end: End::At(end) } };
            let Some(found) = attrs.get_attr(attribute) else { return Sight { required, end: End::Missing(*open_attributes) } };
            required.push(found.is_required);
            end = &found.attr_type;
        }
        Sight { required, end: if self.test { End::Present } else { End::At(end) } }
    }
}

// === impl View ===

impl View {
    pub(super) fn class(&self, place: usize) -> usize {
        match self {
            Self::Blind => 0,
            Self::Sharp => place,
            Self::Classes(classes) => classes.get(place).copied().unwrap_or(place),
        }
    }
}

/// Whether `expr` is `context.a.b` with these names.
pub(super) fn is_path(expr: &Expr, names: &[&str]) -> bool {
    path(expr).is_some_and(|path| path == names)
}

/// The attributes of `context.a.b`; none of `context` itself.
fn path(expr: &Expr) -> Option<Vec<&str>> {
    let (mut inner, mut attributes) = (expr, Vec::new());
    loop {
        match inner.expr_kind() {
            ExprKind::GetAttr { expr, attr } => {
                attributes.push(attr.as_str());
                inner = expr;
            }
            ExprKind::Var(Var::Context) => {
                attributes.reverse();
                return Some(attributes);
            }
            _ => return None,
        }
    }
}

/// The path that `expr` looks into, and what it only tests there.
fn within(expr: &Expr) -> Option<(Vec<&str>, Option<Vec<&str>>)> {
    match expr.expr_kind() {
        ExprKind::GetAttr { expr, .. } => Some((path(expr)?, None)),
        ExprKind::HasAttr { expr, attr } => Some((path(expr)?, Some(vec![attr.as_str()]))),
        ExprKind::ExtHasAttr { expr, attrs } => Some((path(expr)?, Some(attrs.iter().map(SmolStr::as_str).collect()))),
        _ => None,
    }
}

fn action_test(expr: &Expr) -> Option<ActionTest<'_>> {
    let ExprKind::BinaryApp { op, arg1, arg2 } = expr.expr_kind() else { return None };
    match (arg1.expr_kind(), op, arg2.expr_kind()) {
        (ExprKind::Var(Var::Action), BinaryOp::Eq, _) => Some(ActionTest::Is(literal(arg2)?)),
        (ExprKind::Var(Var::Action), BinaryOp::In, ExprKind::Set(items)) => Some(ActionTest::In(items.iter().map(literal).collect::<Option<_>>()?)),
        (ExprKind::Var(Var::Action), BinaryOp::In, _) => Some(ActionTest::In(vec![literal(arg2)?])),
        _ => None,
    }
}

/// Every entity that a policy names, in its scope and its conditions.
pub(super) fn literals(template: &Template) -> Vec<EntityUID> {
    let (principal, resource) = (template.principal_constraint().as_inner(), template.resource_constraint().as_inner());
    let actions: &[Arc<EntityUID>] = match template.action_constraint() {
        ActionConstraint::Any => &[],
        ActionConstraint::Eq(action) => std::slice::from_ref(action),
        ActionConstraint::In(actions) => actions,
    };
    let scope = demanded(principal).into_iter().chain(actions).chain(demanded(resource)).map(|uid| &**uid);
    scope.chain(template.non_scope_constraints().into_iter().flat_map(Expr::subexpressions).filter_map(literal)).cloned().collect()
}

/// The entity that a scope names for one of the parties.
fn demanded(constraint: &PrincipalOrResourceConstraint) -> Option<&Arc<EntityUID>> {
    use PrincipalOrResourceConstraint::{Any, Eq, In, Is, IsIn};
    match constraint {
        Eq(EntityReference::EUID(uid)) | In(EntityReference::EUID(uid)) | IsIn(_, EntityReference::EUID(uid)) => Some(uid),
        Eq(_) | In(_) | IsIn(..) | Is(_) | Any => None,
    }
}

fn literal(expr: &Expr) -> Option<&EntityUID> {
    if let ExprKind::Lit(Literal::EntityUID(uid)) = expr.expr_kind() { Some(uid) } else { None }
}
