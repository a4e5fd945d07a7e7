//! Configurations and policy tests as people write them: JSON, or YAML that means the same.

use crate::core::{Error, Kind, Result};
use serde::de::DeserializeOwned;
use serde_json::Value;
use std::path::Path;

/// How a document is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Format {
    Json,
    Yaml,
}

impl Format {
    /// YAML by the ending `.yaml` or `.yml`, otherwise JSON.
    pub fn of(file: &Path) -> Self {
        let yaml = |ending: &std::ffi::OsStr| ending == "yaml" || ending == "yml";
        if file.extension().is_some_and(yaml) {
            Self::Yaml
        } else {
            Self::Json
        }
    }

    /// Reads a document, such as a [`Schema`](super::Schema). Both forms go the same way, so they mean the same.
    pub fn read<T: DeserializeOwned>(self, text: &str) -> Result<T> {
        serde_json::from_value(self.value(text)?).map_err(invalid)
    }

    fn value(self, text: &str) -> Result<Value> {
        match self {
            Self::Json => serde_json::from_str(text).or_else(|e| as_python_writes(text, e)),
            Self::Yaml => serde_saphyr::from_str(text).map_err(invalid),
        }
    }
}

/// Reads what is JSON but for `Infinity`, as Python writes it: to YAML, which has all of JSON, that is a word.
fn as_python_writes(text: &str, e: serde_json::Error) -> Result<Value> {
    if text.contains("Infinity") {
        return Format::Yaml.value(text);
    }
    Err(invalid(e))
}

/// Says what the parser says.
pub(super) fn invalid(e: impl std::error::Error + Send + Sync + 'static) -> Error {
    Error::new(Kind::Invalid, e.to_string()).caused_by(e)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::access::rebac::Schema;

    const YAML: &str = "
types:
  user: {}
  doc:
    relations:
      viewer:
        rewrite:
          union:
            - this: true
            - ttu: {tupleset: parent, computed: viewer}
        types: [{type: user}, {type: user, wildcard: true}]
      parent:
        rewrite: {this: true}
        types: [{type: doc}]
      open:
        rewrite: {this: true}
        types: null
";

    #[test]
    fn a_configuration_means_the_same_in_yaml_and_json() {
        let schema: Schema = Format::Yaml.read(YAML).unwrap();
        let json = serde_json::to_string(&schema).unwrap();
        assert_eq!(Format::Json.read::<Schema>(&json).unwrap(), schema);
        let open = &schema.types()["doc"].relations["open"];
        assert_eq!(open.types, None);
    }

    #[test]
    fn a_document_that_cannot_be_read_says_where() {
        let broken = Format::Yaml.read::<Schema>("types:\n  a: [\n").unwrap_err();
        assert!(broken.message().contains("line"), "{broken}");
        assert!(
            Format::Yaml
                .read::<Schema>("types: {a: {}}\ntypes: {b: {}}")
                .is_err()
        );
        assert!(
            Format::Json
                .read::<Schema>("{\"types\": {}, \"more\": 1}")
                .is_err()
        );
    }

    #[test]
    fn the_ending_of_a_file_tells_its_form() {
        assert_eq!(Format::of(Path::new("a.b/x.yml")), Format::Yaml);
        assert_eq!(Format::of(Path::new("x.yaml")), Format::Yaml);
        assert_eq!(Format::of(Path::new("yaml")), Format::Json);
    }
}
