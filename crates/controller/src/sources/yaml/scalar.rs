//! What a scalar means: the rules that kubectl follows, which are those of YAML 1.1.
//!
//! `yes`, `on`, `y` are true, `no`, `off`, `n` false; `0755` and `0o755` are octal, `0x1F` is
//! hexadecimal, `1_000` a thousand; `80.0` is the integer 80 (JSON knows no difference); times
//! (`2024-01-01`) and `1:20` stay text. Quotes make everything text.

use serde_json::{Number, Value};

/// Reads a scalar. `tag` is the word after `!!`, where one is written.
pub(super) fn resolve(text: &str, plain: bool, tag: Option<&str>) -> Result<Value, String> {
    match tag {
        None if !plain => Ok(Value::String(text.to_owned())),
        Some("str") => Ok(Value::String(text.to_owned())),
        None => implicit(text),
        Some("null" | "bool" | "int" | "float") => {
            let value = implicit(text)?;
            let fits = match tag {
                Some("null") => value.is_null(),
                Some("bool") => value.is_boolean(),
                Some("int") => value.is_i64() || value.is_u64(),
                _ => value.is_number(),
            };
            let wanted = tag.unwrap_or_default();
            if fits { Ok(value) } else { Err(format!("{text:?} is no {wanted}, as its tag says")) }
        }
        Some(tag) => Err(format!("the tag !!{tag} is not supported")),
    }
}

/// The JSON field name that a scalar becomes; only null has none.
pub(super) fn key_text(value: &Value) -> Option<String> {
    match value {
        Value::String(text) => Some(text.clone()),
        Value::Bool(flag) => Some(flag.to_string()),
        Value::Number(number) => Some(number.to_string()),
        Value::Null | Value::Array(_) | Value::Object(_) => None,
    }
}

fn implicit(text: &str) -> Result<Value, String> {
    match text {
        "" | "~" | "null" | "Null" | "NULL" => return Ok(Value::Null),
        "y" | "Y" | "yes" | "Yes" | "YES" | "true" | "True" | "TRUE" | "on" | "On" | "ON" => {
            return Ok(Value::Bool(true));
        }
        "n" | "N" | "no" | "No" | "NO" | "false" | "False" | "FALSE" | "off" | "Off" | "OFF" => {
            return Ok(Value::Bool(false));
        }
        ".nan" | ".NaN" | ".NAN" | ".inf" | ".Inf" | ".INF" | "+.inf" | "+.Inf" | "+.INF"
        | "-.inf" | "-.Inf" | "-.INF" => {
            return Err(format!("{text} is a number that JSON cannot hold"));
        }
        _ => {}
    }
    let numeric = text.starts_with(|c: char| c.is_ascii_digit() || matches!(c, '+' | '-' | '.'));
    if let Some(number) = numeric.then(|| number(text)).flatten() {
        return Ok(Value::Number(number));
    }
    Ok(Value::String(text.to_owned()))
}

fn number(text: &str) -> Option<Number> {
    let digits = text.replace('_', "");
    integer(&digits).or_else(|| is_float(&digits).then(|| float(&digits)).flatten())
}

fn integer(text: &str) -> Option<Number> {
    let (negative, digits) = match text.strip_prefix('-') {
        Some(rest) => (true, rest),
        None => (false, text.strip_prefix('+').unwrap_or(text)),
    };
    let (radix, digits) = match digits.split_at_checked(2) {
        Some(("0x" | "0X", rest)) => (16, rest),
        Some(("0b" | "0B", rest)) => (2, rest),
        Some(("0o" | "0O", rest)) => (8, rest),
        Some(_) if digits.starts_with('0') => (8, digits),
        _ => (10, digits),
    };
    // `from_str_radix` takes a sign of its own.
    if digits.starts_with(['+', '-']) {
        return None;
    }
    let size = u64::from_str_radix(digits, radix).ok()?;
    if !negative {
        return Some(Number::from(size));
    }
    0i64.checked_sub_unsigned(size).map(Number::from)
}

/// `[-+]?(\.[0-9]+|[0-9]+(\.[0-9]*)?)([eE][-+]?[0-9]+)?`
fn is_float(text: &str) -> bool {
    let digits_only = |part: &str| part.bytes().all(|b| b.is_ascii_digit());
    let text = text.strip_prefix(['-', '+']).unwrap_or(text);
    let (mantissa, exponent) = match text.split_once(['e', 'E']) {
        Some((mantissa, exponent)) => (mantissa, Some(exponent)),
        None => (text, None),
    };
    let (whole, fraction) = mantissa.split_once('.').unwrap_or((mantissa, ""));
    let exponent_fits = exponent.is_none_or(|exponent| {
        let digits = exponent.strip_prefix(['-', '+']).unwrap_or(exponent);
        !digits.is_empty() && digits_only(digits)
    });
    digits_only(whole)
        && digits_only(fraction)
        && !(whole.is_empty() && fraction.is_empty())
        && exponent_fits
}

fn float(text: &str) -> Option<Number> {
    let value: f64 = text.parse().ok()?;
    // A whole number is written without a fraction in JSON, and is then an integer to a schema.
    let whole = format!("{value:.0}");
    if value.fract() == 0.0
        && value.abs() < 1e15
        && let Ok(integer) = whole.parse::<i64>()
    {
        return Some(Number::from(integer));
    }
    Number::from_f64(value)
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn plain_scalars_mean_what_kubectl_reads() {
        for (text, expect) in [
            ("yes", json!(true)),
            ("On", json!(true)),
            ("y", json!(true)),
            ("NO", json!(false)),
            ("off", json!(false)),
            ("n", json!(false)),
            ("yEs", json!("yEs")),
            ("~", json!(null)),
            ("", json!(null)),
            ("80", json!(80)),
            ("+80", json!(80)),
            ("-1", json!(-1)),
            ("0755", json!(493)),
            ("0o755", json!(493)),
            ("0899", json!(899)),
            ("0x1F", json!(31)),
            ("0b101", json!(5)),
            ("1_000", json!(1000)),
            ("80.0", json!(80)),
            ("1.5", json!(1.5)),
            ("1e3", json!(1000)),
            (".5", json!(0.5)),
            ("18446744073709551615", json!(u64::MAX)),
            ("-9223372036854775808", json!(i64::MIN)),
            ("1.2.3", json!("1.2.3")),
            ("10.0.0.1", json!("10.0.0.1")),
            ("2024-01-01", json!("2024-01-01")),
            ("1:20", json!("1:20")),
            ("--1", json!("--1")),
            ("-+1", json!("-+1")),
            ("1e", json!("1e")),
            (".", json!(".")),
            ("-", json!("-")),
            ("0x", json!("0x")),
            ("100m", json!("100m")),
            ("10s", json!("10s")),
        ] {
            assert_eq!(resolve(text, true, None), Ok(expect), "{text}");
        }
    }

    #[test]
    fn quotes_and_tags_decide() {
        assert_eq!(resolve("yes", false, None), Ok(json!("yes")));
        assert_eq!(resolve("0755", true, Some("str")), Ok(json!("0755")));
        assert_eq!(resolve("80", false, Some("int")), Ok(json!(80)));
        assert!(resolve("x", true, Some("int")).is_err());
        assert!(resolve("aGk=", true, Some("binary")).is_err());
        assert!(resolve(".inf", true, None).is_err());
    }

    #[test]
    fn field_names_are_text() {
        assert_eq!(key_text(&json!(true)), Some("true".to_owned()));
        assert_eq!(key_text(&json!(80)), Some("80".to_owned()));
        assert_eq!(key_text(&json!(null)), None);
    }
}
