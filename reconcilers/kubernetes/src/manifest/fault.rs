//! What can be wrong with a manifest, each with a stable code and what to do about it. No message repeats a value: it may be
//! a secret one.

use trueup_core::facts::{Origin, Problem};
use trueup_core::positions::Position;

/// Why a file, a document or an object cannot be read.
#[derive(Debug, thiserror::Error)]
pub(super) enum Fault {
    #[error("byte {byte} of the file is not UTF-8; save the file as UTF-8")]
    NotUtf8 { byte: usize },
    #[error("the file has {bytes} bytes, more than the {limit} that are read; split it")]
    TooLarge { bytes: usize, limit: usize },
    #[error("the document is not YAML: {reason}; correct it at this place")]
    Syntax { reason: String },
    #[error(
        "`---` with text behind it separates no documents for Kubernetes (only a comment may follow `---`); move the rest to the next line"
    )]
    Separator,
    #[error("U+{code:04X} is no plain text for Kubernetes' YAML reader; remove it or escape it in double quotes", code = u32::from(*.character))]
    Character { character: char },
    #[error("Kubernetes drops what stands behind `...` without a word; begin a document with `---` instead")]
    BehindDocumentEnd,
    #[error("Kubernetes' YAML reader does not know the escape `{escape}`; write the character itself")]
    Escape { escape: String },
    #[error("Kubernetes' YAML reader takes only letters, digits, `-` and `_` in the anchor `{name}`; rename it")]
    AnchorName { name: String },
    #[error("Kubernetes' YAML reader takes no tab here; use spaces")]
    Tab,
    #[error("the value is not what its tag `{tag}` says; remove the tag or correct the value")]
    TagDisagrees { tag: &'static str },
    #[error("the text of `!!binary` is not base64; correct it or remove the tag")]
    NotBase64 {
        #[source]
        source: base64::DecodeError,
    },
    #[error("the number has no form in JSON, so that no API server can take it; put it in quotes or remove it")]
    NotJson,
    #[error("`{key}` cannot be a key for Kubernetes; put it in quotes")]
    KeyWithoutText { key: String },
    #[error("a key is a list or a mapping, which Kubernetes does not take; write keys as text")]
    KeyIsCollection,
    #[error("`<<` merges only mappings and lists of mappings; point it at an anchored mapping")]
    MergesNoMapping,
    #[error("the key `{key}` stands on line {first} and again on line {second}; keep one of them")]
    DuplicateKey { key: String, first: u32, second: u32 },
    #[error("values are nested deeper than {limit} levels; flatten them")]
    TooDeep { limit: usize },
    #[error(
        "the keys above the values of {object} are so long, or so deep, that their paths take more than {limit} bytes; shorten the keys"
    )]
    LongPaths { object: String, limit: usize },
    #[error("aliases repeat more than is read (Kubernetes refuses such documents, too); write the values out")]
    TooManyAliases,
    #[error("the anchor contains itself through this alias; break the circle")]
    CircularAlias,
    #[error("`{{{{ … }}}}` is template text, not a value{}; render the templates first and point `paths` at the result", in_brackets(.detail))]
    UnrenderedTemplate { detail: String },
    #[error("the document is no Kubernetes object: {reason}; correct it, or leave the file out of `paths`")]
    NotAnObject { reason: String },
    #[error("{object} has no `metadata.name`{}; give it a name in text", in_brackets(.detail))]
    NoName { object: String, detail: String },
    #[error(
        "{object} has only `metadata.generateName`, so that each create makes another object and none can be compared with Git; give it a `metadata.name`"
    )]
    GenerateName { object: String },
    #[error("{object} has a `metadata.namespace` that is not text; put it in quotes")]
    NamespaceIsNotText { object: String },
    #[error("{object} is refused by every server, as its `metadata.{field}` {hint}")]
    MetadataType { object: String, field: String, hint: &'static str },
    #[error("the list holds another list, which kubectl does not take; put its items into the outer list")]
    NestedList,
}

fn in_brackets(text: &str) -> String {
    if text.is_empty() { String::new() } else { format!(" ({text})") }
}

impl Fault {
    /// The stable name for programs.
    pub(super) fn code(&self) -> &'static str {
        match self {
            Self::NotUtf8 { .. } => "not-utf8",
            Self::TooLarge { .. } => "too-large",
            Self::Syntax { .. }
            | Self::Separator
            | Self::Character { .. }
            | Self::Escape { .. }
            | Self::AnchorName { .. }
            | Self::Tab
            | Self::CircularAlias
            | Self::MergesNoMapping => "yaml-syntax",
            Self::BehindDocumentEnd => "behind-document-end",
            Self::TagDisagrees { .. } | Self::NotBase64 { .. } => "bad-tag",
            Self::NotJson => "not-json",
            Self::KeyWithoutText { .. } | Self::KeyIsCollection => "bad-key",
            Self::DuplicateKey { .. } => "duplicate-key",
            Self::TooDeep { .. } => "too-deep",
            Self::LongPaths { .. } => "long-paths",
            Self::TooManyAliases => "too-many-aliases",
            Self::UnrenderedTemplate { .. } => "unrendered-template",
            Self::NotAnObject { .. } => "not-an-object",
            Self::NoName { .. } => "no-name",
            Self::GenerateName { .. } => "generate-name",
            Self::NamespaceIsNotText { .. } => "bad-namespace",
            Self::MetadataType { .. } => "bad-metadata",
            Self::NestedList => "nested-list",
        }
    }
}

/// A fault and its place.
#[derive(Debug)]
pub(super) struct Flaw {
    pub fault: Fault,
    pub line: u32,
    pub column: u32,
}

impl Flaw {
    /// At the start of a value.
    pub(super) fn at(position: Position, fault: Fault) -> Self {
        Self { fault, line: position.line, column: position.column }
    }

    /// Every fault hides an object, so that the target's verdict is unknown. What has only `generateName` is none: each
    /// create makes another one.
    pub(super) fn into_problem(self, file: &str, document: u32) -> Problem {
        let origin = Some(Origin { file: file.to_owned(), line: self.line, column: self.column, document });
        let (code, message) = (self.fault.code(), self.fault.to_string());
        if matches!(self.fault, Fault::GenerateName { .. }) {
            Problem::note(code, message, origin)
        } else {
            Problem::blind(code, message, origin)
        }
    }
}
