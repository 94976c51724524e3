//! The rules of `x-kubernetes-validations`: compiled once per schema node, evaluated bottom-up.
//!
//! The functions are kube-cel's. The walk is our own, since kube-cel's converts every subtree once
//! per level. Transition rules (`oldSelf`) are not evaluated: a file has no old self, and whoever
//! edits it could as well delete and create the object.

use std::cell::RefCell;
use std::collections::HashMap;
use std::sync::{Arc, Mutex, OnceLock, PoisonError};

use kube_cel::KubeCelExt;
use kube_cel::cel::extractors::This;
use kube_cel::cel::objects::{Key, Map as CelMap};
use kube_cel::cel::{Context, ExecutionError, Program, Value as CelValue};
use regex::Regex;
use serde_json::{Map, Value};

use super::finding::Finding;
use super::structural::Node;
use crate::sources::field::{FieldPath, Trail};
use crate::sources::stamp::Fingerprint;

mod hint;

/// The rules of one node.
#[derive(Debug, Default)]
pub(crate) struct Rules(Vec<Rule>);

#[derive(Debug)]
struct Rule {
    source: String,
    message: String,
    field: Option<FieldPath>,
    /// `None` inside: does not compile here. Compiled when first met.
    program: OnceLock<Option<Program>>,
}

impl Rules {
    pub(super) fn of(schema: &Map<String, Value>) -> Self {
        let rules = schema.get("x-kubernetes-validations").and_then(Value::as_array);
        Self(rules.into_iter().flatten().filter_map(Rule::of).collect())
    }

    pub(super) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

impl Rule {
    fn of(rule: &Value) -> Option<Self> {
        let text = |name: &str| rule.get(name).and_then(Value::as_str);
        let source = text("rule")?.to_owned();
        // XBackend's rule on port names in v1.6.3 compares an optional with null, which never holds.
        if source.contains("oldSelf") || source.contains(".validate(self) == null") {
            return None;
        }
        let message =
            text("message").map_or_else(|| format!("breaks the rule {source}"), str::to_owned);
        let field = text("fieldPath").map(FieldPath::parse);
        Some(Self { source, message, field, program: OnceLock::new() })
    }

    fn program(&self) -> Option<&Program> {
        self.program.get_or_init(|| Program::compile(&self.source).ok()).as_ref()
    }
}

/// What rules are evaluated with; one per thread, as building it costs more than a rule.
pub(crate) struct Evaluator {
    base: Context<'static>,
    /// Values that met the rules of a node, which is known by its address: the schemas outlive this.
    /// Most configurations say the same in many places, and an evaluation costs a hundred times a
    /// look-up.
    passed: RefCell<foldhash::HashSet<(usize, Fingerprint)>>,
}

/// Beyond this many passed values (24 bytes each) all are forgotten.
const MAX_PASSED: usize = 200_000;

impl Evaluator {
    pub(crate) fn new() -> Self {
        let mut base = Context::default().with_all();
        let seen = Mutex::new(foldhash::HashMap::default());
        base.add_function("matches", move |This(text): This<Arc<String>>, pattern: Arc<String>| {
            matches(&seen, &text, &pattern)
        });
        Self { base, passed: RefCell::default() }
    }

    /// Evaluates all rules of `node` and below.
    pub(crate) fn check(&self, node: &Node, value: &Value, findings: &mut Vec<Finding>) {
        if node.has_rules {
            self.walk(node, value, Trail::Root, findings);
        }
    }

    /// Returns the value as CEL sees it, built from its children's so that each is built once.
    fn walk(
        &self,
        node: &Node,
        value: &Value,
        trail: Trail<'_>,
        findings: &mut Vec<Finding>,
    ) -> CelValue {
        let own = match value {
            Value::Object(fields) => {
                let mut map = HashMap::with_capacity(fields.len());
                for (name, value) in fields {
                    let (key, child) = match node.properties.get(name.as_str()) {
                        Some(child) => (escape(name), Some(child)),
                        None => (name.clone(), node.additional.as_deref()),
                    };
                    let below = self.below(child, value, Trail::Key(&trail, name), findings);
                    map.insert(Key::from(key), below);
                }
                CelValue::Map(CelMap { map: Arc::new(map) })
            }
            Value::Array(items) => {
                let child = node.items.as_deref();
                let items = items.iter().enumerate().map(|(index, item)| {
                    self.below(child, item, Trail::Index(&trail, index), findings)
                });
                CelValue::List(Arc::new(items.collect()))
            }
            Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => plain(value),
        };
        if !node.rules.is_empty() {
            self.evaluate(&node.rules, value, &own, trail, findings);
        }
        own
    }

    fn below(
        &self,
        node: Option<&Node>,
        value: &Value,
        trail: Trail<'_>,
        findings: &mut Vec<Finding>,
    ) -> CelValue {
        match node {
            Some(node) => self.walk(node, value, trail, findings),
            None => plain(value),
        }
    }

    fn evaluate(
        &self,
        rules: &Rules,
        value: &Value,
        own: &CelValue,
        trail: Trail<'_>,
        findings: &mut Vec<Finding>,
    ) {
        let known = (std::ptr::from_ref(rules).addr(), Fingerprint::of(value));
        if self.passed.borrow().contains(&known) {
            return;
        }
        let before = findings.len();
        let mut scope = self.base.new_inner_scope();
        scope.add_variable_from_value("self", own.clone());
        for rule in &rules.0 {
            let Some(program) = rule.program() else { continue };
            let message = match program.execute(&scope) {
                Ok(CelValue::Bool(true)) => continue,
                // A function that is not built in here: the rule cannot be judged.
                Err(ExecutionError::UndeclaredReference(_)) => continue,
                Ok(CelValue::Bool(false)) => rule.message.clone(),
                // An error in a rule refuses the object, as an API server does.
                Ok(_) => rule.message.clone(),
                Err(error) => format!("{} ({error})", rule.message),
            };
            findings.push(rule.finding(message, value, trail));
        }
        if findings.len() == before {
            let mut passed = self.passed.borrow_mut();
            if passed.len() >= MAX_PASSED {
                passed.clear();
            }
            passed.insert(known);
        }
    }
}

impl Rule {
    fn finding(&self, message: String, value: &Value, trail: Trail<'_>) -> Finding {
        let mut path = trail.to_path();
        if let Some(hint) = hint::of(&self.message, value) {
            path.0.extend(FieldPath::parse(hint.field).0);
            return Finding::error(path, hint.message).with_remedy_if(hint.remedy);
        }
        path.0.extend(self.field.iter().flat_map(|field| field.0.clone()));
        Finding::error(path, message)
    }
}

/// CEL's `matches` with the expressions kept: cel's own compiles one at every call, which costs more
/// than all other rules together.
fn matches(
    seen: &Mutex<foldhash::HashMap<String, Option<Regex>>>,
    text: &str,
    pattern: &str,
) -> Result<bool, ExecutionError> {
    // A pattern may come from the object itself; those must not pile up.
    const MOST: usize = 1000;
    let mut seen = seen.lock().unwrap_or_else(PoisonError::into_inner);
    if seen.len() > MOST {
        seen.clear();
    }
    let regex = match seen.get(pattern) {
        Some(regex) => regex,
        None => seen.entry(pattern.to_owned()).or_insert(Regex::new(pattern).ok()),
    };
    let regex = regex.as_ref().ok_or_else(|| {
        ExecutionError::function_error("matches", format!("{pattern:?} is no regular expression"))
    })?;
    Ok(regex.is_match(text))
}

fn plain(value: &Value) -> CelValue {
    match value {
        Value::Null => CelValue::Null,
        Value::Bool(flag) => CelValue::Bool(*flag),
        Value::Number(number) => match number.as_i64() {
            Some(integer) => CelValue::Int(integer),
            None => CelValue::Float(number.as_f64().unwrap_or(f64::NAN)),
        },
        Value::String(text) => CelValue::String(Arc::new(text.clone())),
        Value::Array(items) => CelValue::List(Arc::new(items.iter().map(plain).collect())),
        Value::Object(fields) => {
            let map = fields.iter().map(|(name, value)| (Key::from(name.clone()), plain(value)));
            CelValue::Map(CelMap { map: Arc::new(map.collect()) })
        }
    }
}

/// Field names that are no CEL identifiers, as Kubernetes escapes them:
/// <https://kubernetes.io/docs/tasks/extend-kubernetes/custom-resources/custom-resource-definitions/#validation-rules>.
fn escape(name: &str) -> String {
    const RESERVED: [&str; 21] = [
        "true",
        "false",
        "null",
        "in",
        "as",
        "break",
        "const",
        "continue",
        "else",
        "for",
        "function",
        "if",
        "import",
        "let",
        "loop",
        "package",
        "namespace",
        "return",
        "var",
        "void",
        "while",
    ];
    if RESERVED.contains(&name) {
        return format!("__{name}__");
    }
    if !name.contains(['_', '.', '-', '/']) {
        return name.to_owned();
    }
    let doubled = name.replace("__", "__underscores__");
    doubled.replace('.', "__dot__").replace('-', "__dash__").replace('/', "__slash__")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sources::admission::Schemas;
    use crate::sources::admission::structural::Compiler;
    use serde_json::json;
    use std::collections::BTreeSet;

    fn functions(node: &Node, rules: &mut usize, names: &mut BTreeSet<String>) {
        for rule in &node.rules.0 {
            let program = rule.program().unwrap_or_else(|| panic!("compiles: {}", rule.source));
            names.extend(program.references().functions().into_iter().map(str::to_owned));
            *rules += 1;
        }
        node.children().for_each(|child| functions(child, rules, names));
    }

    /// A rule that calls what is not there is passed over, so none of ours may.
    #[test]
    fn every_rule_of_ours_compiles_and_calls_what_is_there() {
        let (mut rules, mut names) = (0, BTreeSet::new());
        for root in Schemas::bundled().roots() {
            functions(root, &mut rules, &mut names);
        }
        assert!(rules > 500, "{rules}");
        // Operators and macros are functions of cel's parser, not of its context.
        names.retain(|name| name.chars().all(char::is_alphanumeric));
        let base = Evaluator::new().base;
        for name in names {
            let missing = |call: String| {
                let result = Program::compile(&call).unwrap().execute(&base);
                matches!(result, Err(ExecutionError::UndeclaredReference(_)))
            };
            let missing = missing(format!("'x'.{name}('a', 'b', 'c')"))
                && missing(format!("format.{name}()"));
            assert!(!missing, "{name}");
        }
    }

    /// Checks one rule against a value; `None` when it holds.
    fn break_of(rule: &str, value: &Value) -> Option<String> {
        let schema = json!({
            "type": "object",
            "x-kubernetes-validations": [{"rule": rule, "message": "broken"}],
            "properties": {"namespace": {"type": "string"}, "n": {"type": "integer"}},
        });
        let node = Compiler::new().compile(&schema);
        let mut findings = Vec::new();
        Evaluator::new().check(&node, value, &mut findings);
        findings.pop().map(|finding| finding.message)
    }

    #[test]
    fn rules_are_judged_as_by_an_api_server() {
        let value = json!({"namespace": "a", "n": 2});
        for (rule, expect) in [
            ("self.n > 1", None),
            ("self.n > 2", Some("broken")),
            ("self.__namespace__ == 'a'", None),
            ("has(self.missing) || self.n == 2", None),
            ("self.__namespace__.matches('^[b-z]$')", Some("broken")),
            ("!isIP(self.__namespace__)", None),
            ("!format.dns1123Label().validate(self.__namespace__).hasValue()", None),
            ("format.dns1123Label().validate('A!').hasValue()", None),
            // Transitions have nothing to compare with.
            ("self == oldSelf", None),
            // What we cannot judge refuses nobody.
            ("frobnicate(self.n)", None),
        ] {
            assert_eq!(break_of(rule, &value).as_deref(), expect, "{rule}");
        }
        let error = break_of("self.missing == 1", &value);
        assert!(error.is_some_and(|error| error.starts_with("broken (")));
    }

    #[test]
    fn names_are_escaped_as_kubernetes_does() {
        for (name, expect) in [
            ("namespace", "__namespace__"),
            ("a-b", "a__dash__b"),
            ("x.y/z", "x__dot__y__slash__z"),
            ("a__b", "a__underscores__b"),
            ("a_b", "a_b"),
            ("default", "default"),
        ] {
            assert_eq!(escape(name), expect);
        }
    }
}
