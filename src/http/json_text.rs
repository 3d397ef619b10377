//! What a JSON text comes to before it is read: each value takes some hundred bytes of memory, and `[` is one.

/// Refuses a text of more values than that.
pub(super) fn require_few_values(json: &[u8], values_max: usize) -> Result<(), String> {
    if values(json) <= values_max {
        return Ok(());
    }
    Err(format!("the body has more than {values_max} values"))
}

/// About how many values there are, but names: one begins with each bracket and each comma outside of strings.
fn values(json: &[u8]) -> usize {
    let (mut count, mut is_string, mut is_escaped) = (0_usize, false, false);
    for byte in json {
        match (byte, is_string) {
            (_, true) if is_escaped => is_escaped = false,
            (b'\\', true) => is_escaped = true,
            (b'"', _) => is_string = !is_string,
            (b'[' | b'{' | b',', false) => count = count.saturating_add(1),
            _ => {}
        }
    }
    count
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_are_counted_outside_of_strings() {
        for (json, expected) in
            [("[1, 2, 3]", 3), (r#"{"a": [[], {}], "b,[": ":,[\"[["}"#, 6), (r#""\\""#, 0), ("[[[[", 4)]
        {
            assert_eq!(values(json.as_bytes()), expected, "{json}");
        }
        assert!(require_few_values(b"[1,1]", 2).is_ok());
        assert!(require_few_values(b"[1,1,1]", 2).is_err());
    }
}
