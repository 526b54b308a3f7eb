//! Attributes in `MANIFEST.MF` that build tools write about themselves and the build.

use super::form::Form;
use crate::compare::cause::Cause;

/// What an attribute records, and the form of its values.
pub(super) struct Known {
    pub cause: Cause,
    forms: &'static [Form],
}

impl Known {
    /// Whether all values have the form of the attribute.
    pub fn fits(&self, values: &[&str]) -> bool {
        values
            .iter()
            .all(|value| self.forms.iter().any(|form| form.has(value)))
    }
}

/// What is known about an attribute; its name is in lower case. No JVM, launcher or framework reads these attributes;
/// OSS Rebuild drops them too. One table.
pub(super) fn known(name: &str) -> Option<Known> {
    use Cause::{BuildHost, HostSystem, SourceRevision, Timestamp, ToolVersion};
    let (cause, forms): (Cause, &'static [Form]) = match name {
        "bnd-lastmodified" => (Timestamp, &[Form::Milliseconds]),
        "build-date"
        | "build-date-utc"
        | "build-time"
        | "build-timestamp"
        | "built-date"
        | "dstamp"
        | "implementation-build-date"
        | "ion-java-build-time"
        | "jcabi-date"
        | "scm-git-commit-timestamp"
        | "source-date-epoch"
        | "sunset-builton"
        | "today"
        | "tstamp" => (Timestamp, &[Form::Date]),
        "ant-version"
        | "archiver-version"
        | "build-tool"
        | "bundle-generator"
        | "created-by"
        | "maven-version"
        | "originally-created-by"
        | "tool" => (ToolVersion, &[Form::Tool]),
        "build-java-version"
        | "build-jdk"
        | "build-jdk-spec"
        | "built-jdk"
        | "implementation-build-java-version"
        | "java-version"
        | "x-compile-release-jdk"
        | "x-compile-source-jdk"
        | "x-compile-target-jdk" => (ToolVersion, &[Form::Version]),
        "implementation-build-java-vendor" | "java-vendor" => (ToolVersion, &[Form::Vendor]),
        "built-by" => (BuildHost, &[Form::User]),
        "build-host" | "built-host" => (BuildHost, &[Form::Host]),
        "built-on" => (BuildHost, &[Form::Host, Form::Date]),
        "build-id"
        | "build-job"
        | "build-number"
        | "hudson-build-number"
        | "implementation-build"
        | "jenkins-build-number" => (BuildHost, &[Form::Build]),
        "build-status" | "built-status" => (BuildHost, &[Form::Word]),
        "build-os" | "built-os" | "os-arch" | "os-name" | "os-version" => (HostSystem, &[Form::System]),
        "build-url" => (BuildHost, &[Form::Url]),
        "git-sha" | "hash" | "scm-git-commit-abbrev" | "scm-git-commit-id" | "scm-revision" => {
            (SourceRevision, &[Form::Commit])
        }
        "git-branch"
        | "git-commit-id-describe"
        | "git-describe"
        | "git-descriptor"
        | "git-tags"
        | "scm-git-branch"
        | "scm-git-commit-description" => (SourceRevision, &[Form::Ref]),
        "scm-git-commit-dirty" => (SourceRevision, &[Form::Flag]),
        "eclipse-sourcereferences" | "git-remote-origin-url" | "module-origin" => {
            (SourceRevision, &[Form::Url])
        }
        _ => return None,
    };
    Some(Known { cause, forms })
}
