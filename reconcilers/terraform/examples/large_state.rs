//! Prints a Terraform state of version 4 with as many resource instances as asked for, to measure readers with:
//! `cargo run --example large_state -- 24000 > large.tfstate` gives about 50 MB.

use std::io::{self, Write};

fn main() -> io::Result<()> {
    let instances = std::env::args().nth(1).and_then(|count| count.parse().ok()).unwrap_or(24_000);
    write_state(instances, &mut io::BufWriter::new(io::stdout().lock()))
}

/// Writes a state with two outputs and `instances` instances of about 2 KB each.
///
/// # Errors
/// Where `out` takes no more.
pub fn write_state(instances: u32, out: &mut impl Write) -> io::Result<()> {
    writeln!(out, r#"{{"version": 4, "terraform_version": "1.11.4", "serial": 118, "lineage": "large","#)?;
    writeln!(out, r#" "outputs": {{"db_endpoint": {{"value": "db-a.internal", "type": "string"}},"#)?;
    writeln!(out, r#"  "replicas": {{"value": 3, "type": "number"}}}},"#)?;
    writeln!(out, r#" "resources": [{{"mode": "managed", "type": "aws_instance", "name": "web", "instances": ["#)?;
    for index in 0..instances {
        let comma = if index == 0 { "" } else { "," };
        write!(out, r#"{comma}{{"index_key": {index}, "schema_version": 1, "attributes": {{"id": "i-{index:017x}", "tags": {{"#)?;
        for tag in 0..40 {
            let comma = if tag == 0 { "" } else { "," };
            write!(out, r#"{comma}"tag-{tag}": "value \"{index}\" of a tag of some length""#)?;
        }
        writeln!(out, r#"}}, "count": [1, 2.5, null, true]}}, "sensitive_attributes": [], "private": "bnVsbA=="}}"#)?;
    }
    writeln!(out, r#"]}}], "check_results": null}}"#)
}
