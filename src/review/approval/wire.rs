//! The file of an approval: TOML, read strictly.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use trueup_core::finding::{Digests, Place, ValueDigest};
use trueup_core::object::{ObjectId, TargetName};
use trueup_core::path::Path;

use super::Approval;
use crate::visible::visible;

/// Where approvals stand in the source.
pub const FOLDER: &str = ".trueup/approvals";

/// The version of the format.
pub const SCHEMA: &str = "trueup.approval/v1";

/// Larger files are not read.
const SIZE_LIMIT: usize = 16 << 10;

/// Why a file is no approval.
#[derive(Debug, thiserror::Error)]
pub enum Unreadable {
    /// Its name is not the one of a place.
    #[error(
        "`{file}` is no name of an approval; it is `{FOLDER}/<place>.toml` with the place of the finding, as `trueup diff -o json` prints it"
    )]
    Name {
        /// The file.
        file: String,
    },
    /// It is larger than any approval is.
    #[error("`{file}` has {size} bytes and an approval at most {SIZE_LIMIT}; remove it")]
    Size {
        /// The file.
        file: String,
        /// How large it is.
        size: usize,
    },
    /// It is no such file.
    #[error("`{file}` is no approval: {reason}; do not write approvals by hand, merge the ones that are proposed")]
    Form {
        /// The file.
        file: String,
        /// What is wrong.
        reason: String,
        /// In which line.
        line: u32,
    },
}

impl Unreadable {
    /// The line that is wrong.
    #[must_use]
    pub fn line(&self) -> u32 {
        match self {
            Self::Form { line, .. } => *line,
            Self::Name { .. } | Self::Size { .. } => 1,
        }
    }
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct ApprovalFile {
    schema: String,
    place: String,
    target: String,
    path: String,
    desired: String,
    live: String,
    expires: String,
    object: ObjectEntry,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
struct ObjectEntry {
    api_version: String,
    kind: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    namespace: Option<String>,
    name: String,
}

/// The approval as its file's path in the source and its text: the same for the same approval.
///
/// # Errors
/// Where TOML cannot hold it.
pub fn write(approval: &Approval) -> Result<(String, String), toml::ser::Error> {
    let Approval { place, target, object, path, digests, expires } = approval;
    let file = ApprovalFile {
        schema: SCHEMA.to_owned(),
        place: place.to_string(),
        target: target.0.clone(),
        path: path.clone(),
        desired: digests.desired.to_string(),
        live: digests.live.to_string(),
        expires: expires.to_string(),
        object: ObjectEntry {
            api_version: object.api_version.clone(),
            kind: object.kind.clone(),
            namespace: object.namespace.clone(),
            name: object.name.clone(),
        },
    };
    let head = "# Merged, this lets trueup put live back to what Git declares at this path, as long as neither value changes.\n";
    Ok((file_of(place), format!("{head}{}", toml::to_string(&file)?)))
}

/// Where the approval of a place stands.
#[must_use]
pub fn file_of(place: &Place) -> String {
    format!("{FOLDER}/{place}.toml")
}

/// The place that a file's name says; `None` where it is no approval's name.
#[must_use]
pub fn place_of(file: &str) -> Option<&str> {
    let place = file.strip_prefix(FOLDER)?.strip_prefix('/')?.strip_suffix(".toml")?;
    let digits = place.strip_prefix("p-")?;
    (digits.len() == 16 && is_hex(digits)).then_some(place)
}

fn is_hex(text: &str) -> bool {
    text.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f'))
}

/// Reads an approval.
///
/// # Errors
/// What is wrong with the file; such a file approves nothing.
pub fn read(file: &str, bytes: &[u8]) -> Result<Approval, Unreadable> {
    let named = place_of(file).ok_or_else(|| Unreadable::Name { file: visible(file) })?;
    if bytes.len() > SIZE_LIMIT {
        return Err(Unreadable::Size { file: file.to_owned(), size: bytes.len() });
    }
    parse(named, bytes).map_err(|(line, reason)| Unreadable::Form { file: file.to_owned(), reason: visible(&reason), line })
}

fn parse(named: &str, bytes: &[u8]) -> Result<Approval, (u32, String)> {
    let text = str::from_utf8(bytes).map_err(|error| (line_at(bytes, error.valid_up_to()), "it is not UTF-8".to_owned()))?;
    let toml = |error: toml::de::Error| (line_at(bytes, error.span().map_or(0, |span| span.start)), error.message().to_owned());
    let version: Version = toml::from_str(text).map_err(toml)?;
    if version.schema != SCHEMA {
        let reason = format!("its schema is `{}`, and this program reads `{SCHEMA}`", version.schema);
        return Err((line_of(text, "schema"), reason));
    }
    let file: ApprovalFile = toml::from_str(text).map_err(toml)?;
    let at = |key: &'static str| move |reason: String| (line_of(text, key), reason);
    if file.place != named {
        return Err(at("place")(format!("it is about the place `{}`", file.place)));
    }
    if let Some((name, _)) = file.object.parts().into_iter().find(|(_, value)| value.is_empty()) {
        return Err(at(name)(format!("the object's `{name}` is empty")));
    }
    let place: Place =
        serde_json::from_value(file.place.into()).map_err(|_| at("place")("its place cannot be read".to_owned()))?;
    let ObjectEntry { api_version, kind, namespace, name } = file.object;
    Ok(Approval {
        place,
        target: TargetName(file.target),
        object: ObjectId { api_version, kind, namespace, name },
        path: path(file.path).map_err(at("path"))?,
        digests: Digests { desired: digest(file.desired).map_err(at("desired"))?, live: digest(file.live).map_err(at("live"))? },
        expires: instant(&file.expires).map_err(at("expires"))?,
    })
}

/// The line of a byte.
fn line_at(bytes: &[u8], at: usize) -> u32 {
    let lines = bytes[..at.min(bytes.len())].split(|byte| *byte == b'\n').count();
    u32::try_from(lines).unwrap_or(u32::MAX)
}

/// The line in which a key of a readable file is written.
fn line_of(text: &str, key: &str) -> u32 {
    let is_it = |line: &str| line.trim_start().strip_prefix(key).is_some_and(|rest| rest.trim_start().starts_with('='));
    text.lines().position(is_it).and_then(|at| u32::try_from(at + 1).ok()).unwrap_or(1)
}

/// What every version of the format has.
#[derive(Deserialize)]
struct Version {
    schema: String,
}

impl ObjectEntry {
    fn parts(&self) -> Vec<(&'static str, &str)> {
        let mut parts = vec![("apiVersion", self.api_version.as_str()), ("kind", &self.kind), ("name", &self.name)];
        parts.extend(self.namespace.as_deref().map(|namespace| ("namespace", namespace)));
        parts
    }
}

/// RFC 3339 and nothing laxer: a date, `T`, a time with seconds, and an offset.
fn instant(text: &str) -> Result<Timestamp, String> {
    let is_shape = |text: &str, shape: &str| {
        let fits = |(byte, sign): (u8, u8)| if sign == b'0' { byte.is_ascii_digit() } else { byte == sign };
        text.len() == shape.len() && text.bytes().zip(shape.bytes()).all(fits)
    };
    let (time, rest) = text.split_at_checked(19).unwrap_or((text, ""));
    let offset = rest.strip_prefix('.').map_or(rest, |fraction| fraction.trim_start_matches(|c: char| c.is_ascii_digit()));
    let has_offset = offset == "Z" || is_shape(offset, "+00:00") || is_shape(offset, "-00:00");
    let instant = text.parse().ok().filter(|_| is_shape(time, "0000-00-00T00:00:00") && has_offset);
    instant.ok_or_else(|| format!("`expires` is `{text}` and not a time as in RFC 3339 (`2027-01-31T12:00:00Z`)"))
}

fn path(text: String) -> Result<String, String> {
    let path: Path = text.parse().map_err(|error| format!("{error}"))?;
    if path.0.is_empty() {
        return Err("it names no path".to_owned());
    }
    if path.to_string() == text { Ok(text) } else { Err(format!("the path `{text}` is written `{path}`")) }
}

fn digest(text: String) -> Result<ValueDigest, String> {
    match text.strip_prefix("v1:") {
        Some(digits) if digits.len() == 64 && is_hex(digits) => Ok(ValueDigest::from(text)),
        _ => Err(format!("`{text}` is no digest (`v1:` and 64 hexadecimal digits)")),
    }
}
