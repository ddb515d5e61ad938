//! Cases of a policy that tests share. A class without a case that holds corrects nothing.

/// Somebody changed a value of a `ConfigMap` by hand, and the class puts it right.
pub fn value_by_hand(class: &str) -> String {
    corrected(class, "desired = \"info\"")
}

/// A value of a `ConfigMap` was taken out of Git and is still live, and the class removes it.
pub fn value_left_behind(class: &str) -> String {
    corrected(class, "change = \"leftover\"")
}

/// Its key is none that tests declare: what their rules say of those leaves the case as it is.
fn corrected(class: &str, what: &str) -> String {
    format!(
        r#"[[case]]
name = "a value by hand"
object = {{ apiVersion = "v1", kind = "ConfigMap", namespace = "shop", name = "a" }}
path = "data.other"
{what}
live = "debug"
class = "{class}"
lane = "auto"
stage = "auto"
decision = "correct"
"#
    )
}
