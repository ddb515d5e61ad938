//! What the API server's audit log says of the account: the oracle for what was really sent.

use serde_json::Value;

use super::World;

impl World {
    /// The account's requests in their order, as the API server's audit log has them; `None`, and said so, where the log is
    /// not at hand.
    pub fn requests(&self) -> Option<Vec<Value>> {
        let Some(log) = std::env::var_os("TRUEUP_AUDIT_LOG").filter(|log| !log.is_empty()) else {
            eprintln!("not asserted: what the audit log says, as TRUEUP_AUDIT_LOG names none");
            return None;
        };
        let account = format!("\"username\":\"system:serviceaccount:{}:trueup\"", self.install.namespace());
        let text = std::fs::read_to_string(log).unwrap();
        let own = text.lines().filter(|line| line.contains(&account)).map(|line| serde_json::from_str(line).unwrap());
        let mut requests: Vec<Value> = own.collect();
        requests.sort_by_key(|event| event["requestReceivedTimestamp"].as_str().unwrap().to_owned());
        Some(requests)
    }

    /// Those of its requests that write, or would but for their dry run.
    pub fn writes(&self) -> Option<Vec<Value>> {
        let is_write = |event: &Value| !matches!(event["verb"].as_str(), Some("get" | "list" | "watch"));
        // Asking about one's own rights is a create that makes nothing.
        let is_question = |event: &Value| event["objectRef"]["apiGroup"] == "authorization.k8s.io";
        Some(self.requests()?.into_iter().filter(|event| is_write(event) && !is_question(event)).collect())
    }

    /// Its patches that were to change something, whatever the server made of them.
    pub fn patches(&self) -> Option<Vec<Value>> {
        let real = |event: &Value| event["verb"] == "patch" && !is_dry_run(event);
        Some(self.writes()?.into_iter().filter(real).collect())
    }

    /// How the server answered them.
    pub fn patch_codes(&self) -> Option<Vec<u64>> {
        Some(self.patches()?.iter().map(|event| event["responseStatus"]["code"].as_u64().unwrap()).collect())
    }
}

/// Whether a request of the audit log was to change nothing.
pub fn is_dry_run(event: &Value) -> bool {
    event["requestURI"].as_str().unwrap().contains("dryRun=All")
}
