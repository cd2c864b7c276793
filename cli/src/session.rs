//! A command's way to the stack: its address, who is signed in, and what it needs besides.

use crate::api::Api;
use crate::failure::Failure;
use crate::keep;
use crate::person::Person;
use crate::signin;
use ledger_aws::engine::ports::Clock;
use ledger_http::{Http, HttpConfig};
use secrecy::SecretString;
use std::path::PathBuf;

/// Between two looks at something that goes on by itself, in milliseconds.
const LOOK_MS: u64 = 2_000;

/// Everything that a command needs.
pub(crate) struct Session<'a> {
    pub(crate) person: &'a dyn Person,
    pub(crate) clock: &'a dyn Clock,
    /// Variables of the stack: a file's, or the environment's.
    pub(crate) variables: &'a dyn Fn(&str) -> Option<String>,
    /// The address that was named as an argument.
    pub(crate) url: Option<&'a str>,
    pub(crate) token_file: Option<PathBuf>,
    pub(crate) ports: &'a [u16],
    /// Between two looks at something that goes on by itself, in milliseconds.
    pub(crate) look_ms: u64,
}

impl<'a> Session<'a> {
    pub(crate) fn new(
        person: &'a dyn Person,
        clock: &'a dyn Clock,
        variables: &'a dyn Fn(&str) -> Option<String>,
        url: Option<&'a str>,
        token_file: Option<PathBuf>,
    ) -> Self {
        Self { person, clock, variables, url, token_file, ports: &signin::PORTS, look_ms: LOOK_MS }
    }

    pub(crate) fn variable(&self, name: &str) -> Option<String> {
        (self.variables)(name).filter(|value| !value.is_empty())
    }

    /// The engine's address; only a local stack has one.
    pub(crate) fn engine(&self) -> Option<String> {
        self.variable("AWS_ENDPOINT_URL")
    }

    pub(crate) fn http(&self) -> Result<Http, Failure> {
        let mut config = HttpConfig::from_lookup(&|name| self.variable(name))
            .map_err(|error| Failure::not_configured(format!("{error}.")))?;
        config.allow_private_addresses |= self.engine().is_some();
        Http::new(&config).map_err(|error| Failure::not_configured(format!("{error}.")))
    }

    pub(crate) fn file(&self) -> Result<PathBuf, Failure> {
        self.token_file.clone().ok_or_else(|| {
            Failure::not_configured("There is no folder for the sign-in: neither XDG_CONFIG_HOME nor HOME is set.")
        })
    }

    /// The stack's address: as named, as the variables say, or that of the last sign-in.
    pub(crate) fn url(&self) -> Result<String, Failure> {
        let named = self.url.map(str::to_owned).or_else(|| self.variable("LEDGER_URL"));
        let kept = || keep::read(self.token_file.as_ref()?).ok()?.current;
        let url = named.or_else(kept).ok_or_else(|| {
            Failure::usage("No stack is named.", "Pass --url or set LEDGER_URL: the stack's output ApiUrl.")
        })?;
        Ok(url.trim_end_matches('/').to_owned())
    }

    /// The token that the variables hold, if it is for this address (it is shown to no other stack) and not over.
    fn token_of_variables(&self, url: &str) -> Option<SecretString> {
        let its_own = self.variable("LEDGER_URL").is_some_and(|it| it.trim_end_matches('/') == url);
        let is_good = |token: &String| signin::ends(token).is_none_or(|end| self.clock.now_ms() < end);
        self.variable("OPERATOR_TOKEN").filter(|token| its_own && is_good(token)).map(SecretString::from)
    }

    /// The API of the stack, with a token that is good.
    pub(crate) async fn api(&self) -> Result<Api, Failure> {
        let (http, url) = (self.http()?, self.url()?);
        if let Some(token) = self.token_of_variables(&url) {
            return Ok(Api { http: http.api(&url), bearer: Some(token) });
        }
        let file = self.file()?;
        let mut kept = keep::read(&file)?;
        let mut sign_in = kept.of(&url).cloned().ok_or_else(Failure::signed_out)?;
        if signin::is_over(&sign_in, self.clock.now_ms()) {
            match signin::refreshed(&http, &sign_in, self.engine().as_deref(), self.clock).await {
                Ok(next) => {
                    kept.put(next.clone());
                    keep::write(&file, &kept)?;
                    sign_in = next;
                }
                // Another `ledger` may have been faster, and the issuer may take a refresh token only once.
                Err(failure) => {
                    let there = keep::read(&file)?;
                    let newer = there.of(&url).filter(|it| !signin::is_over(it, self.clock.now_ms()));
                    sign_in = newer.cloned().ok_or(failure)?;
                }
            }
        }
        Ok(Api { http: http.api(&url), bearer: Some(sign_in.access_token.into()) })
    }
}
