//! How many records a second the ledger takes, beside the raw rate of the same disk: as many writes of as many bytes, each
//! synced. In turn, so that both meet the same disk. Usage: `ledger_rate FOLDER RECORDS [POSTGRES-URL]`.

use std::fs::OpenOptions;
use std::io::Write;
use std::path::Path;
use std::time::{Duration, Instant};

use anyhow::Context;
use jiff::Timestamp;
use trueup::ledger::{Ledger, Location, Server};
use trueup_core::run::Entry;

/// How often each is measured.
const TURNS: usize = 5;

#[tokio::main(flavor = "current_thread")]
async fn main() -> anyhow::Result<()> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [folder, records, url @ ..] = &arguments[..] else { anyhow::bail!("usage: ledger_rate FOLDER RECORDS [POSTGRES-URL]") };
    let (folder, records) = (Path::new(folder), records.parse()?);
    let entry = Entry::Resume { places: Vec::new(), reason: "x".repeat(400) };
    let bytes = entry.encode()?;
    let mut places = vec![("file", Location::File(folder.join("ledger.sqlite")))];
    if let [url] = url {
        let server = Server::at(url, folder.join("ledger-key")).context("no URL of a PostgreSQL database")?;
        places.push(("server", Location::Server(Box::new(server))));
    }
    for (name, location) in places {
        let ledger = Ledger::open(&location).await?;
        let (mut appended, mut raw) = (Vec::new(), Vec::new());
        for _ in 0..TURNS {
            let begun = Instant::now();
            for _ in 0..records {
                ledger.append(&entry, Timestamp::now()).await?;
            }
            appended.push(rate(records, begun.elapsed()));
            raw.push(synced_writes(&folder.join("raw"), &bytes, records)?);
        }
        ledger.close().await?;
        println!("ledger in a {name}: {} appends/s; raw synced writes: {}/s", spread(&mut appended), spread(&mut raw));
    }
    Ok(())
}

fn synced_writes(path: &Path, bytes: &[u8], records: u32) -> anyhow::Result<f64> {
    let mut file = OpenOptions::new().append(true).create(true).open(path)?;
    let begun = Instant::now();
    for _ in 0..records {
        file.write_all(bytes)?;
        file.sync_data()?;
    }
    Ok(rate(records, begun.elapsed()))
}

fn rate(number: u32, took: Duration) -> f64 {
    f64::from(number) / took.as_secs_f64()
}

/// The median, with minimum and maximum.
fn spread(rates: &mut [f64]) -> String {
    rates.sort_by(f64::total_cmp);
    format!("{:.0} ({:.0} to {:.0})", rates[rates.len() / 2], rates[0], rates[rates.len() - 1])
}
