//! The stack's API, asked with an operator's token.

use crate::http;
use crate::variables::Variables;
use anyhow::Context;
use ledger_wire::api::{
    App, AppRequest, Binding, ConfirmRequest, PairRequest, Paired, PendingConnection, ReferenceData, SettingsProposal,
    SettingsRequest, SettingsView, Started, Tenant, ValidateRequest, Validation,
};
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::Value;

/// The API and whoever asks.
pub struct Api {
    /// The stack's address.
    pub url: String,
    authorization: String,
}

impl Api {
    /// The stack that the variables name, asked by the operator whose token they hold.
    ///
    /// # Errors
    /// Where the variables lack one of the two.
    pub fn of(variables: &Variables) -> anyhow::Result<Self> {
        let url = variables.need("LEDGER_URL")?.trim_end_matches('/').to_owned();
        Ok(Self { url, authorization: format!("Bearer {}", variables.need("OPERATOR_TOKEN")?) })
    }

    async fn ask<T: DeserializeOwned>(
        &self,
        method: &str,
        path: &str,
        body: Option<&impl Serialize>,
    ) -> anyhow::Result<Option<T>> {
        let body = body.map(serde_json::to_value).transpose()?;
        let headers = [("Authorization", self.authorization.as_str())];
        let answer = http::send(&self.url, method, path, &headers, body.as_ref()).await?;
        if answer.status == 404 {
            return Ok(None);
        }
        let body = answer.good(&format!("{method} {path}"))?;
        Ok(Some(serde_json::from_value(body).with_context(|| format!("{method} {path}: an answer of another shape"))?))
    }

    async fn get<T: DeserializeOwned>(&self, path: &str) -> anyhow::Result<T> {
        self.ask("GET", path, None::<&Value>).await?.with_context(|| format!("GET {path}: there is no such thing"))
    }

    async fn put<T: DeserializeOwned>(&self, path: &str, body: &impl Serialize) -> anyhow::Result<T> {
        self.ask("PUT", path, Some(body)).await?.with_context(|| format!("PUT {path}: there is no such thing"))
    }

    async fn post<T: DeserializeOwned>(&self, path: &str, body: Option<&impl Serialize>) -> anyhow::Result<T> {
        self.ask("POST", path, body).await?.with_context(|| format!("POST {path}: there is no such thing"))
    }

    /// A tenant with its bindings; `None` where the stack has none of that id.
    ///
    /// # Errors
    /// Where the API refuses, or can't be asked.
    pub async fn tenant(&self, tenant: &str) -> anyhow::Result<Option<Tenant>> {
        self.ask("GET", &format!("/v1/tenants/{tenant}"), None::<&Value>).await
    }

    /// Pairs a shop by the code that its admin page shows.
    ///
    /// # Errors
    /// Where the API refuses, or can't be asked.
    pub async fn pairs(&self, provider: &str, shop_url: &str, code: String) -> anyhow::Result<Paired> {
        let request = PairRequest { magento_base_url: shop_url.to_owned(), pairing_code: code };
        self.post(&format!("/v1/magento/connect?provider={provider}"), Some(&request)).await
    }

    /// Sets the app of one binding.
    ///
    /// # Errors
    /// Where the API refuses, or can't be asked.
    pub async fn sets_app(&self, binding: &str, app: &AppRequest) -> anyhow::Result<App> {
        self.put(&format!("/v1/bindings/{binding}/app"), app).await
    }

    /// Begins a connection.
    ///
    /// # Errors
    /// Where the API refuses, or can't be asked.
    pub async fn starts(&self, binding: &str) -> anyhow::Result<Started> {
        self.post(&format!("/v1/bindings/{binding}/connection"), None::<&Value>).await
    }

    /// The connection that waits to be confirmed.
    ///
    /// # Errors
    /// Where the API refuses, or can't be asked.
    pub async fn pending(&self, binding: &str) -> anyhow::Result<PendingConnection> {
        self.get(&format!("/v1/bindings/{binding}/connection")).await
    }

    /// Confirms it.
    ///
    /// # Errors
    /// Where the API refuses, or can't be asked.
    pub async fn confirms(&self, binding: &str, organisation: &str) -> anyhow::Result<Binding> {
        let request = ConfirmRequest { organisation: organisation.to_owned() };
        self.post(&format!("/v1/bindings/{binding}/connection/confirm"), Some(&request)).await
    }

    /// What the book suggests.
    ///
    /// # Errors
    /// Where the API refuses, or can't be asked.
    pub async fn proposal(&self, binding: &str) -> anyhow::Result<SettingsProposal> {
        self.get(&format!("/v1/bindings/{binding}/settings/proposal")).await
    }

    /// The settings in force.
    ///
    /// # Errors
    /// Where the API refuses, or can't be asked.
    pub async fn settings(&self, binding: &str) -> anyhow::Result<SettingsView> {
        self.get(&format!("/v1/bindings/{binding}/settings")).await
    }

    /// Checks settings against what is known of the book; nothing is saved.
    ///
    /// # Errors
    /// Where the API refuses, or can't be asked.
    pub async fn validates(&self, binding: &str, settings: Value) -> anyhow::Result<Validation> {
        self.post(&format!("/v1/bindings/{binding}/settings/validate"), Some(&ValidateRequest { settings })).await
    }

    /// Saves settings that were made from a version.
    ///
    /// # Errors
    /// Where the API refuses, or can't be asked.
    pub async fn saves(&self, binding: &str, version: u32, settings: Value) -> anyhow::Result<SettingsView> {
        self.put(&format!("/v1/bindings/{binding}/settings"), &SettingsRequest { version, settings }).await
    }

    /// What is known of the book and of the shop's payment methods.
    ///
    /// # Errors
    /// Where the API refuses, or can't be asked.
    pub async fn reference(&self, binding: &str) -> anyhow::Result<ReferenceData> {
        self.get(&format!("/v1/bindings/{binding}/reference")).await
    }
}
