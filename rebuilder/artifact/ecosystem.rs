//! The ecosystems that plans are made for: what plans and package URLs call them.

use std::fmt;

use serde::{Deserialize, Serialize};

/// Makes the enum and everything that is said of each variant from one list.
macro_rules! ecosystems {
    ($($(#[$about:meta])* $variant:ident = $name:literal, $purl:expr;)*) => {
        /// Where a package is released, which decides how its rebuild is planned.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
        pub enum Ecosystem {
            $($(#[$about])* #[serde(rename = $name)] $variant,)*
        }

        impl Ecosystem {
            /// All of them.
            pub const ALL: &[Self] = &[$(Self::$variant),*];

            /// The name in plans.
            pub const fn name(self) -> &'static str {
                match self {
                    $(Self::$variant => $name,)*
                }
            }

            /// Type and, if it is fixed, namespace of its package URLs; `None` if the package URL may be of any type.
            pub const fn purl_type(self) -> Option<&'static str> {
                match self {
                    $(Self::$variant => $purl,)*
                }
            }
        }
    };
}

ecosystems! {
    /// A binary package of a Debian archive, or all that one source package builds.
    Debian = "debian", Some("deb/debian");
    /// A wheel on the Python Package Index.
    Pypi = "pypi", Some("pypi");
    /// A tarball of the npm registry.
    Npm = "npm", Some("npm");
    /// A crate of crates.io.
    Crates = "crates", Some("cargo");
    /// Anything that signed provenance describes; no registry is asked.
    Provenance = "provenance", None;
}

impl fmt::Display for Ecosystem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn documents_spell_an_ecosystem_by_its_name() {
        for ecosystem in Ecosystem::ALL {
            let written = serde_json::to_value(ecosystem).unwrap();
            assert_eq!(written, ecosystem.name());
            assert_eq!(serde_json::from_value::<Ecosystem>(written).unwrap(), *ecosystem);
        }
        assert!(serde_json::from_str::<Ecosystem>("\"Debian\"").is_err());
    }

    #[test]
    fn the_schema_of_plans_lists_every_ecosystem() {
        let schema = include_str!("../../docs/schema/plan.schema.json");
        let schema: serde_json::Value = serde_json::from_str(schema).unwrap();
        let names: Vec<_> = Ecosystem::ALL.iter().map(|ecosystem| ecosystem.name()).collect();
        assert_eq!(
            schema["properties"]["ecosystem"]["enum"],
            serde_json::json!(names)
        );
    }
}
