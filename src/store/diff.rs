//! What differs between two configurations, key by key.

use serde_json::Value;

/// One line per differing key, `  path.to.key: was → asked`, in the order of the keys.
pub(super) fn differences(was: &Value, asked: &Value) -> Vec<String> {
    let mut lines = Vec::new();
    walk("", Some(was), Some(asked), &mut lines);
    lines
}

fn walk(path: &str, was: Option<&Value>, asked: Option<&Value>, lines: &mut Vec<String>) {
    if let (Some(Value::Object(old)), Some(Value::Object(new))) = (was, asked) {
        let added = new.keys().filter(|key| !old.contains_key(*key));
        for key in old.keys().chain(added) {
            let path = if path.is_empty() { key.clone() } else { format!("{path}.{key}") };
            walk(&path, old.get(key), new.get(key), lines);
        }
    } else if was != asked {
        lines.push(format!("  {path}: {} → {}", shown(was), shown(asked)));
    }
}

fn shown(value: Option<&Value>) -> String {
    match value {
        None | Some(Value::Null) => "not set".to_owned(),
        Some(value) => {
            let text = value.to_string();
            if text.chars().count() > 60 { format!("{}…", text.chars().take(59).collect::<String>()) } else { text }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn only_what_differs_is_listed_with_its_dotted_path() {
        let was = json!({"config": {"alpha": 0.1, "steps": 100, "old": true}, "seed": 1});
        let asked = json!({"seed": 1, "config": {"alpha": 0.2, "steps": 100, "new": [1]}});
        assert_eq!(
            differences(&was, &asked),
            ["  config.alpha: 0.1 → 0.2", "  config.old: true → not set", "  config.new: not set → [1]"]
        );
    }

    #[test]
    fn the_order_of_keys_does_not_matter_and_long_values_are_cut() {
        assert!(differences(&json!({"a": 1, "b": 2}), &json!({"b": 2, "a": 1})).is_empty());
        let long = "é".repeat(200);
        let line = differences(&json!({ "a": long }), &json!({"a": null})).remove(0);
        assert!(line.chars().count() < 90 && line.ends_with("… → not set"), "{line}");
    }
}
