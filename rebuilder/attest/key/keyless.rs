//! Signing without a key: a certificate for an identity, good for minutes, and a public log that saw the signature.

use serde_json::Value;
use sigstore_oidc::IdentityToken;
use sigstore_sign::SigningContext;

use super::{KeyError, Public, Signer};

/// An identity, and the public-good instance that vouches for it.
pub struct Keyless {
    token: IdentityToken,
}

impl Keyless {
    /// Takes the token from `SIGSTORE_ID_TOKEN`, or that of the CI job that this runs in.
    pub fn open() -> Result<Self, KeyError> {
        let failed = |error: &dyn std::fmt::Display| KeyError::Keyless {
            reason: error.to_string(),
        };
        let token = match std::env::var("SIGSTORE_ID_TOKEN") {
            Ok(token) => IdentityToken::from_jwt(&token).map_err(|error| failed(&error))?,
            Err(_) => wait(IdentityToken::detect_ambient())
                .map_err(|error| failed(&error))?
                .ok_or_else(|| failed(&"there is no identity token"))?,
        };
        Ok(Self { token })
    }
}

impl Signer for Keyless {
    fn name(&self) -> String {
        self.token.email().unwrap_or(self.token.subject()).to_owned()
    }

    fn public(&self) -> Option<&Public> {
        None
    }

    fn bundle(&self, statement: &[u8]) -> Result<Value, KeyError> {
        let failed = |error: &dyn std::fmt::Display| KeyError::Keyless {
            reason: error.to_string(),
        };
        let bundle = wait(async {
            let context = SigningContext::production().await?;
            context
                .signer(self.token.clone())
                .sign_raw_statement(statement)
                .await
        });
        let bundle = bundle.map_err(|error| failed(&error))?;
        serde_json::to_value(&bundle).map_err(|error| failed(&error))
    }

    fn signature(&self, _: &[u8]) -> Result<Vec<u8>, KeyError> {
        Err(KeyError::NotEd25519 { name: self.name() })
    }
}

/// Waits for the network; signing is called from worker threads, which may wait.
fn wait<T>(work: impl Future<Output = T>) -> T {
    tokio::task::block_in_place(|| tokio::runtime::Handle::current().block_on(work))
}
