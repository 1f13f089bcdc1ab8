//! Writing YAML that people can read: block style, one key a line.

use serde_json::Value;

/// The value as a YAML document in block style; texts are always quoted, so none turns into a number or a boolean.
#[must_use]
pub fn write(value: &Value) -> String {
    let mut out = String::new();
    block(value, 0, &mut out);
    out
}

fn block(value: &Value, indent: usize, out: &mut String) {
    match value {
        Value::Object(map) => {
            for (key, value) in map {
                pad(indent, out);
                out.push_str(key);
                out.push(':');
                under(value, indent, out);
            }
        }
        Value::Array(items) => {
            for item in items {
                pad(indent, out);
                out.push_str("- ");
                let mut inner = String::new();
                block(item, indent + 2, &mut inner);
                // a nested block begins on the dash's own line
                out.push_str(inner.trim_start());
                if !inner.ends_with('\n') {
                    out.push('\n');
                }
            }
        }
        scalar => out.push_str(&scalar.to_string()),
    }
}

fn under(value: &Value, indent: usize, out: &mut String) {
    let nested = match value {
        Value::Object(map) => !map.is_empty(),
        Value::Array(items) => items.iter().any(Value::is_object),
        _ => false,
    };
    if nested {
        out.push('\n');
        block(value, indent + 2, out);
    } else {
        // JSON is YAML's flow style
        out.push(' ');
        out.push_str(&value.to_string());
        out.push('\n');
    }
}

fn pad(indent: usize, out: &mut String) {
    out.extend(std::iter::repeat_n(' ', indent));
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    #[test]
    fn blocks_lists_and_scalars() {
        let value = json!({
            "version": 1,
            "listen": { "check": "127.0.0.1:9191" },
            "issuers": [{ "name": "corp", "audiences": ["lakegate"] }, { "name": "other" }],
            "empty": {},
            "id": "1234",
        });
        let text = "version: 1\nlisten:\n  check: \"127.0.0.1:9191\"\nissuers:\n  - name: \"corp\"\n    audiences: [\"lakegate\"]\n  - name: \"other\"\nempty: {}\nid: \"1234\"\n";
        assert_eq!(super::write(&value), text);
    }
}
