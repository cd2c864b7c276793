//! What the shared desk asks of this book.

use anyhow::{Context as _, anyhow};
use serde_json::{Value, json};

use super::rules::{self, Mistakes, Refusal, unknown_fields};
use super::spec::{Seed, Switches};
use super::store::{Document, Kind, Stage, Store};
use super::{api, control};
use crate::desk::{Desk, Keeper};
use crate::server::{Answer, Request};

impl Keeper for Store {
    const KIND: &'static str = "book";

    fn desk(&mut self) -> &mut Desk {
        &mut self.desk
    }

    fn obey(&mut self, request: &Request) -> Answer {
        api::answer(self, request)
    }

    fn resets(&mut self) {
        self.reset();
    }

    fn unauthorized(&self) -> Answer {
        api::unauthorized()
    }

    fn too_many(&self, retry_after: Option<u64>) -> Answer {
        api::too_many_as_usual(self, retry_after)
    }

    fn refused(&self, field: &str, message: &str) -> Answer {
        api::refused(self.house(), &Mistakes::of(field, message))
    }

    fn error_inside(&self) -> Value {
        Mistakes::of("base", "could not be saved").body(self.house())
    }

    fn garbage(&self) -> &'static str {
        "{\"invoice\":{\"url\":\"http"
    }

    fn unknown_fields(&self, body: &Value) -> Vec<String> {
        let roots = body.as_object().into_iter().flatten();
        roots
            .filter_map(|(entity, fields)| fields.as_object().map(|fields| unknown_fields(entity, fields)))
            .flatten()
            .collect()
    }

    fn switches(&self) -> anyhow::Result<Value> {
        Ok(serde_json::to_value(self.switches)?)
    }

    fn sets_switches(&mut self, switches: Value) -> anyhow::Result<()> {
        self.switches = serde_json::from_value::<Switches>(switches)?;
        Ok(())
    }

    fn seeds(&mut self, request: &Request) -> anyhow::Result<Value> {
        seed(self, &request.read()?)
    }

    fn control(&mut self, request: &Request, path: &[&str]) -> anyhow::Result<Option<Value>> {
        control::own(self, request, path)
    }
}

/// Puts in what somebody else has put in; the URLs by kind, in order.
pub(crate) fn seed(store: &mut Store, seed: &Seed) -> anyhow::Result<Value> {
    let fields = |value: &Value| value.as_object().cloned().context("a seed is an object of fields");
    let house = store.house();
    let refuse = |refusal: Refusal| match refusal {
        Refusal::Mistakes(mistakes) => anyhow!("the book refuses: {}", mistakes.body(house)),
        Refusal::Locked(message) => anyhow!("the book refuses: {message}"),
    };
    let url = |shown: &Value| shown.get("url").cloned().unwrap_or_default();
    let today = store.today();
    let mut bank_accounts = Vec::new();
    for value in &seed.bank_accounts {
        let account = rules::bank_account(store, &fields(value)?).map_err(|it| refuse(it.into()))?;
        bank_accounts.push(url(&api::add_account(store, account)));
    }
    let mut contacts = Vec::new();
    for value in &seed.contacts {
        let contact = rules::contact(store, &fields(value)?, None).map_err(|it| refuse(it.into()))?;
        contacts.push(url(&api::add_contact(store, contact)));
    }
    let mut price_list_items = Vec::new();
    for value in &seed.price_list_items {
        let item = rules::price_list_item(store, &fields(value)?, None).map_err(|it| refuse(it.into()))?;
        price_list_items.push(url(&api::add_price(store, item)));
    }
    let mut documents = Vec::new();
    for (kind, seeds) in [(Kind::Invoice, &seed.invoices), (Kind::CreditNote, &seed.credit_notes)] {
        let mut urls = Vec::new();
        for value in seeds {
            let mut fields = fields(value)?;
            let stage = match fields.remove("status").as_ref().and_then(Value::as_str) {
                None | Some("Open") => Stage::Sent,
                Some("Draft") => Stage::Draft,
                Some(other) => return Err(anyhow!("a seed is Open or Draft, not {other}")),
            };
            if !fields.contains_key("contact") {
                let stranger = json!({"organisation_name": format!("Stranger {}", store.last_id)});
                let stranger = stranger.as_object().context("an object")?;
                let stranger = rules::contact(store, stranger, None).map_err(|it| refuse(it.into()))?;
                fields.insert("contact".to_owned(), url(&api::add_contact(store, stranger)));
            }
            fields.entry("dated_on").or_insert_with(|| json!(today));
            fields.entry("payment_terms_in_days").or_insert_with(|| json!(30));
            let document = Document { stage, ..rules::document(store, kind, &fields).map_err(refuse)? };
            urls.push(url(&api::add_document(store, document)));
        }
        documents.push(urls);
    }
    let mut bank_transactions = Vec::new();
    for value in &seed.bank_transactions {
        let transaction = rules::bank_transaction(store, &fields(value)?).map_err(|it| refuse(it.into()))?;
        let number = api::add_transaction(store, transaction);
        bank_transactions.push(json!(store.url("bank_transactions", number)));
    }
    let mut explanations = Vec::new();
    for value in &seed.bank_transaction_explanations {
        let mut fields = fields(value)?;
        let named = fields.get("paid_invoice").and_then(Value::as_str).unwrap_or_default();
        if let Some(document) = store.sales().find(|document| document.reference == named) {
            let url = store.url(document.kind.collection(), document.id);
            fields.insert("paid_invoice".to_owned(), json!(url));
        }
        fields.entry("dated_on").or_insert_with(|| json!(today));
        if !fields.contains_key("bank_transaction") {
            fields.entry("bank_account").or_insert_with(|| json!(store.url("bank_accounts", 1)));
        }
        let explanation = rules::explanation(store, &fields).map_err(refuse)?;
        explanations.push(url(&api::add_explanation(store, explanation)));
    }
    let mut kinds = documents.into_iter();
    Ok(json!({
        "contacts": contacts,
        "invoices": kinds.next(),
        "credit_notes": kinds.next(),
        "price_list_items": price_list_items,
        "bank_accounts": bank_accounts,
        "bank_transactions": bank_transactions,
        "bank_transaction_explanations": explanations,
    }))
}
