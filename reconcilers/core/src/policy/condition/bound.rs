//! What an expression may name, and a bound on what evaluating it takes.

use cel::common::ast::{CallExpr, ComprehensionExpr, Expr, IdedExpr, LiteralValue};
use cel::{Context, Program, Value as CelValue};
use serde_json::Value;

use super::{ConditionError, VARIABLES};
use crate::finding::Difference;
use crate::seen::Seen;

/// The functions that conditions may call; `has`, `all`, `exists`, `exists_one`, `filter` and `map` are macros of CEL.
const FUNCTIONS: [&str; 8] = ["size", "contains", "startsWith", "endsWith", "matches", "int", "double", "string"];

/// The operators, as the parser calls them, and whether they read their operands' whole values.
const OPERATORS: [(&str, Work); 19] = [
    ("_?_:_", Work::None),
    ("_&&_", Work::None),
    ("_||_", Work::None),
    ("!_", Work::None),
    ("-_", Work::None),
    ("_[_]", Work::None),
    ("@not_strictly_false", Work::None),
    ("_+_", Work::Whole),
    ("_-_", Work::None),
    ("_*_", Work::None),
    ("_/_", Work::None),
    ("_%_", Work::None),
    ("_==_", Work::Whole),
    ("_!=_", Work::Whole),
    ("_>=_", Work::Whole),
    ("_<=_", Work::Whole),
    ("_>_", Work::Whole),
    ("_<_", Work::Whole),
    ("@in", Work::Whole),
];

/// What a call does with its operands' values.
#[derive(Clone, Copy)]
enum Work {
    None,
    Whole,
}

/// Refuses what names a variable or a function that there is not, and what this page's bound does not cover.
pub(super) fn check(program: &Program) -> Result<(), ConditionError> {
    Checking { program, local: Vec::new() }.check(program.expression())
}

struct Checking<'a> {
    program: &'a Program,
    local: Vec<String>,
}

impl Checking<'_> {
    fn check(&mut self, expression: &IdedExpr) -> Result<(), ConditionError> {
        let refused = |reason: String| {
            let at = self.program.source_info().offset_for(expression.id).map_or(0, |(start, _)| start as usize);
            Err(ConditionError { reason, at })
        };
        match &expression.expr {
            Expr::Ident(name) if self.local.contains(name) || VARIABLES.iter().any(|(known, _)| known == name) => Ok(()),
            Expr::Ident(name) => {
                let known: Vec<&str> = VARIABLES.iter().map(|(name, _)| *name).collect();
                refused(format!("there is no variable `{name}`: there are {}", known.join(", ")))
            }
            Expr::Literal(_) => Ok(()),
            Expr::Select(select) => self.check(&select.operand),
            Expr::List(list) => list.elements.iter().try_for_each(|element| self.check(element)),
            Expr::Call(call) if is_known(&call.func_name) => {
                if let Err(reason) = pattern_is_read(call) {
                    return refused(reason);
                }
                call.target.iter().try_for_each(|target| self.check(target))?;
                call.args.iter().try_for_each(|argument| self.check(argument))
            }
            Expr::Call(call) => refused(format!(
                "there is no function `{}`: there are has, all, exists, exists_one, filter, map, {}",
                call.func_name,
                FUNCTIONS.join(", ")
            )),
            Expr::Comprehension(comprehension) => self.check_comprehension(comprehension),
            Expr::Map(_) | Expr::Struct(_) => {
                refused("maps cannot be written here: compare one field after the other".to_owned())
            }
            Expr::Unspecified => refused("an empty expression".to_owned()),
        }
    }

    fn check_comprehension(&mut self, comprehension: &ComprehensionExpr) -> Result<(), ConditionError> {
        self.check(&comprehension.iter_range)?;
        self.check(&comprehension.accu_init)?;
        let outer = self.local.len();
        self.local.extend([comprehension.iter_var.clone(), comprehension.accu_var.clone()]);
        self.local.extend(comprehension.iter_var2.clone());
        self.check(&comprehension.loop_cond)?;
        self.check(&comprehension.loop_step)?;
        self.check(&comprehension.result)?;
        self.local.truncate(outer);
        Ok(())
    }
}

fn is_known(function: &str) -> bool {
    FUNCTIONS.contains(&function) || OPERATORS.iter().any(|(known, _)| *known == function)
}

/// A regular expression must be written out, so that its mistakes are found when the policy is read.
fn pattern_is_read(call: &CallExpr) -> Result<(), String> {
    if call.func_name != "matches" {
        return Ok(());
    }
    let Some(IdedExpr { expr: Expr::Literal(LiteralValue::String(pattern)), .. }) = call.args.last() else {
        return Err("matches(…) takes a regular expression in quotes".to_owned());
    };
    let literal = || IdedExpr { id: 0, expr: Expr::Literal(LiteralValue::String(pattern.clone())) };
    let text = Box::new(IdedExpr { id: 0, expr: Expr::Literal(LiteralValue::String("".into())) });
    let call = CallExpr { func_name: "matches".to_owned(), target: Some(text), args: vec![literal()] };
    let trial = IdedExpr { id: 0, expr: Expr::Call(call) };
    match CelValue::resolve(&trial, &Context::default()) {
        Ok(_) => Ok(()),
        Err(_) => Err(format!("`{}` is no regular expression, or too large a one", pattern.inner())),
    }
}

/// How large the values of a difference are.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(in crate::policy) struct Size {
    /// The most entries or fields that one list or map has.
    entries: u64,
    /// About how many bytes all of them have.
    bytes: u64,
}

impl Size {
    pub(super) fn of(difference: &Difference) -> Self {
        let mut size = Self { entries: 16, bytes: 1024 };
        let (desired, live) = difference.values();
        let plain = [desired, live].into_iter().flatten().filter_map(|seen| match seen {
            Seen::Plain(value) => Some(value),
            Seen::Masked(_) => None,
        });
        let surroundings = &difference.surroundings;
        plain.for_each(|value| size.add(value));
        surroundings.desired.as_deref().into_iter().chain(surroundings.live.as_deref()).for_each(|value| size.add(value));
        size.entries = size.entries.max(difference.labels.len() as u64).max(surroundings.owners.len() as u64);
        size
    }

    fn add(&mut self, value: &Value) {
        let (entries, bytes) = match value {
            Value::Null | Value::Bool(_) | Value::Number(_) => (0, 8),
            Value::String(text) => (0, text.len() + 8),
            Value::Array(entries) => {
                for entry in entries {
                    self.add(entry);
                }
                (entries.len(), 8)
            }
            Value::Object(fields) => {
                for field in fields.values() {
                    self.add(field);
                }
                (fields.len(), fields.keys().map(|key| key.len() + 8).sum())
            }
        };
        self.entries = self.entries.max(entries as u64);
        self.bytes = self.bytes.saturating_add(bytes as u64);
    }
}

/// Bounds on evaluating an expression and on what it gives. A loop's body is counted once for each entry that there can
/// be; the bytes of the entries of one list are together those of the list, so each is counted with its share.
#[derive(Debug, Clone, Copy)]
pub(super) struct Bound {
    pub(super) steps: u64,
    /// Entries of the value itself.
    entries: u64,
    /// The most entries of anything inside it.
    inner: u64,
    bytes: u64,
}

type Scope<'a> = Vec<(&'a str, Bound)>;

impl Bound {
    pub(super) fn of(expression: &IdedExpr, size: Size) -> Self {
        let all = Self { steps: 1, entries: size.entries, inner: size.entries, bytes: size.bytes };
        all.expression(expression, &mut Vec::new())
    }

    /// `self` bounds every variable of the difference.
    fn expression<'a>(self, expression: &'a IdedExpr, scope: &mut Scope<'a>) -> Self {
        match &expression.expr {
            Expr::Ident(name) => scope.iter().rev().find(|(known, _)| *known == name.as_str()).map_or(self, |(_, bound)| *bound),
            Expr::Literal(literal) => Self::scalar(match literal {
                LiteralValue::String(text) => text.inner().len() as u64,
                LiteralValue::Bytes(bytes) => bytes.inner().len() as u64,
                LiteralValue::Boolean(_)
                | LiteralValue::Double(_)
                | LiteralValue::Int(_)
                | LiteralValue::Null
                | LiteralValue::UInt(_) => 8,
            }),
            Expr::Select(select) => {
                let operand = self.expression(&select.operand, scope);
                Self { steps: operand.steps.saturating_add(1), entries: operand.inner, ..operand }
            }
            Expr::List(list) => {
                let elements: Vec<Self> = list.elements.iter().map(|element| self.expression(element, scope)).collect();
                let list = Self::together(&elements);
                Self { inner: list.inner.max(list.entries), entries: elements.len() as u64, ..list }
            }
            Expr::Call(call) => self.call(call, scope),
            Expr::Comprehension(comprehension) => self.comprehension(comprehension, scope),
            // Refused when the policy is read.
            Expr::Map(_) | Expr::Struct(_) | Expr::Unspecified => Self { steps: u64::MAX, ..self },
        }
    }

    fn call<'a>(self, call: &'a CallExpr, scope: &mut Scope<'a>) -> Self {
        let operands = call.target.iter().map(AsRef::as_ref).chain(&call.args);
        let operands: Vec<Self> = operands.map(|operand| self.expression(operand, scope)).collect();
        let all = Self::together(&operands);
        let work = match OPERATORS.iter().find(|(name, _)| *name == call.func_name) {
            Some((_, Work::None)) => 0,
            // A regular expression is made anew at each call.
            None if call.func_name == "matches" => all.bytes.saturating_add(2000),
            Some((_, Work::Whole)) | None => all.bytes / 16,
        };
        let steps = all.steps.saturating_add(work).saturating_add(1);
        match call.func_name.as_str() {
            "_+_" => Self { steps, entries: operands.iter().fold(0, |sum, one| sum.saturating_add(one.entries)), ..all },
            "_[_]" => Self { steps, entries: all.inner, ..all },
            "_?_:_" | "_&&_" | "_||_" => Self { steps, ..all },
            _ => Self { steps, ..Self::scalar(all.bytes.min(64)) },
        }
    }

    fn comprehension<'a>(self, comprehension: &'a ComprehensionExpr, scope: &mut Scope<'a>) -> Self {
        let range = self.expression(&comprehension.iter_range, scope);
        let init = self.expression(&comprehension.accu_init, scope);
        let times = range.entries;
        let share = range.bytes.div_ceil(times.max(1));
        let entry = Self { steps: 1, entries: range.inner, inner: range.inner, bytes: share };
        let outer = scope.len();
        scope.push((&comprehension.iter_var, entry));
        scope.extend(comprehension.iter_var2.iter().map(|name| (name.as_str(), entry)));
        scope.push((&comprehension.accu_var, Self { steps: 1, ..init }));
        let condition = self.expression(&comprehension.loop_cond, scope);
        let step = self.expression(&comprehension.loop_step, scope);
        scope.truncate(outer);
        // To bind an entry is to copy it.
        let once = condition.steps.saturating_add(step.steps).saturating_add(share / 16).saturating_add(2);
        Self {
            steps: range.steps.saturating_add(init.steps).saturating_add(times.saturating_mul(once)).saturating_add(1),
            entries: times.saturating_mul(step.entries),
            inner: step.inner,
            bytes: times.saturating_mul(step.bytes),
        }
    }

    fn scalar(bytes: u64) -> Self {
        Self { steps: 1, entries: 0, inner: 0, bytes }
    }

    fn together(parts: &[Self]) -> Self {
        parts.iter().fold(Self { steps: 1, entries: 0, inner: 0, bytes: 0 }, |sum, part| Self {
            steps: sum.steps.saturating_add(part.steps),
            entries: sum.entries.max(part.entries),
            inner: sum.inner.max(part.inner),
            bytes: sum.bytes.saturating_add(part.bytes),
        })
    }
}
