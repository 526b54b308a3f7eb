//! The requirements of a policy on several parties together: how many, which, how independent, how recent.

use serde::{Deserialize, Serialize};

use crate::artifact::{Sha256, pattern};
use crate::evidence::assess::Signer;
use crate::evidence::trust::ExpectedIdentity;

/// A trusted party.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct Party {
    /// Its name in the policy.
    pub name: String,
    /// `builder`, `rebuilder`, `release-manager`, `verifier`, or any other word that the quorum asks for.
    #[serde(default = "rebuilder")]
    pub role: String,
    /// Who runs it.
    pub organisation: Option<String>,
    /// The machine on which it builds.
    pub host: Option<String>,
    /// Names of its keys, from the policy's `keys`.
    #[serde(default)]
    pub keys: Vec<String>,
    /// Identities with which it makes keyless signatures.
    #[serde(default)]
    pub identities: Vec<ExpectedIdentity>,
    /// Patterns of the `builder.id` that its attestations must name.
    #[serde(default)]
    pub builder_ids: Vec<String>,
    /// Its weight.
    #[serde(default = "weight")]
    pub weight: u32,
    /// Why it is no longer trusted.
    pub revoked_because: Option<String>,
}

fn rebuilder() -> String {
    "rebuilder".into()
}

fn weight() -> u32 {
    1
}

impl Party {
    /// Whether it is the signer.
    pub fn signed(&self, signer: &Signer) -> bool {
        let by_key = signer.keys.iter().any(|key| self.keys.contains(key));
        let identity = signer.identity.as_ref();
        by_key || identity.is_some_and(|identity| self.identities.iter().any(|wanted| wanted.fits(identity)))
    }

    /// Whether an attestation of it may name this builder.
    pub fn may_name(&self, builder: Option<&str>) -> bool {
        self.builder_ids.is_empty()
            || builder.is_some_and(|name| self.builder_ids.iter().any(|wanted| pattern::fits(wanted, name)))
    }
}

/// The properties in which parties must differ to be counted together.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Independence {
    /// The key; always asked for.
    Key,
    /// The identity in the certificate; always asked for.
    Identity,
    /// Who runs it.
    Organisation,
    /// The `builder.id`.
    BuilderId,
    /// The root or image in which it built.
    Container,
    /// The machine.
    Host,
    /// Compilers and interpreters, where they are stated.
    Toolchain,
}

impl Independence {
    /// The word for it in policies.
    pub fn word(self) -> &'static str {
        match self {
            Self::Key => "key",
            Self::Identity => "identity",
            Self::Organisation => "organisation",
            Self::BuilderId => "builder-id",
            Self::Container => "container",
            Self::Host => "host",
            Self::Toolchain => "toolchain",
        }
    }
}

/// What follows if a party says otherwise.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Dissent {
    /// One is enough to refuse.
    #[default]
    Refuse,
    /// Parties of more weight outvote it.
    Outvote,
}

/// The requirements on artifacts whose package URL or file name matches.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct Quorum {
    /// Pattern of package URLs or file names.
    pub subject: String,
    /// Weight that is needed.
    #[serde(default = "weight")]
    pub threshold: u32,
    /// Parties that count; all if empty.
    #[serde(default)]
    pub parties: Vec<String>,
    /// How many of each role are needed.
    #[serde(default)]
    pub roles: std::collections::BTreeMap<String, u32>,
    /// In what the parties must differ.
    #[serde(default)]
    pub independent: Vec<Independence>,
    /// Aspects in which they must state the same.
    #[serde(default)]
    pub agree_on: Vec<Aspect>,
    /// Oldest attestation that counts.
    pub maximum_age_days: Option<u32>,
    /// What follows if a party says otherwise.
    #[serde(default)]
    pub dissent: Dissent,
    /// Normalisations that a party may have used and still count; empty for none.
    #[serde(default)]
    pub equivalent_by: Vec<String>,
}

/// An attestation that no longer counts.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct Revocation {
    /// Digest of its file, or of the statement in it.
    pub attestation: Sha256,
    /// Why.
    #[serde(default)]
    pub because: String,
}

/// Something in which parties can be asked to agree.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(try_from = "String")]
pub enum Aspect {
    /// The source.
    Source,
    /// The other inputs of the build.
    Dependencies,
    /// The root or image that it ran in.
    Container,
    /// Compilers and interpreters.
    Toolchain,
    /// The builder's parameters and assumptions.
    Parameters,
}

impl Aspect {
    const ALL: [Self; 5] = [
        Self::Source,
        Self::Dependencies,
        Self::Container,
        Self::Toolchain,
        Self::Parameters,
    ];

    /// The word for it in policies and reports.
    pub fn word(self) -> &'static str {
        match self {
            Self::Source => "source",
            Self::Dependencies => "dependencies",
            Self::Container => "container",
            Self::Toolchain => "toolchain",
            Self::Parameters => "parameters",
        }
    }
}

impl TryFrom<String> for Aspect {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        let found = Self::ALL.into_iter().find(|aspect| aspect.word() == text);
        found.ok_or_else(|| {
            let known = Self::ALL.map(Self::word);
            format!("unknown aspect {text:?}; expected one of {}", known.join(", "))
        })
    }
}

/// Why parties and quorums of a policy cannot be used, if they cannot.
pub(super) fn check(parties: &[Party], quorums: &[Quorum], keys: &[String]) -> Result<(), String> {
    for (position, party) in parties.iter().enumerate() {
        let mut before = parties.iter().take(position);
        if before.any(|other| other.name == party.name) {
            return Err(format!("two parties are called {:?}", party.name));
        }
        if let Some(unknown) = party.keys.iter().find(|name| !keys.contains(name)) {
            return Err(format!(
                "the party {:?} names the key {unknown:?}, which the policy does not have",
                party.name
            ));
        }
        if party.keys.is_empty() && party.identities.is_empty() {
            return Err(format!(
                "the party {:?} has neither a key nor an identity",
                party.name
            ));
        }
    }
    quorums.iter().try_for_each(|quorum| quorum.reachable(parties))
}

impl Quorum {
    /// Whether its parties exist, and have the required weight and roles.
    fn reachable(&self, parties: &[Party]) -> Result<(), String> {
        let is_missing = |name: &&String| !parties.iter().any(|party| party.name == **name);
        if let Some(unknown) = self.parties.iter().find(is_missing) {
            return Err(format!(
                "the quorum for {:?} names the party {unknown:?}, which the policy does not have",
                self.subject
            ));
        }
        let asked = |party: &&Party| self.parties.is_empty() || self.parties.contains(&party.name);
        let asked: Vec<&Party> = parties.iter().filter(asked).collect();
        let most: u64 = asked.iter().map(|party| u64::from(party.weight)).sum();
        if self.threshold == 0 || u64::from(self.threshold) > most {
            return Err(format!(
                "the quorum for {:?} needs a weight of {}, but its parties have {most} together",
                self.subject, self.threshold
            ));
        }
        for (role, wanted) in &self.roles {
            let there = asked.iter().filter(|party| party.role == *role).count();
            if there < *wanted as usize {
                return Err(format!(
                    "the quorum for {:?} needs {wanted} with the role {role:?}, but has {there}",
                    self.subject
                ));
            }
        }
        Ok(())
    }
}
