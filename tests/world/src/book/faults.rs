//! What the shared desk asks of this book.

use anyhow::{Context as _, anyhow};
use serde_json::{Value, json};

use super::rules::{self, Mistakes, unknown_fields};
use super::spec::{Seed, Switches};
use super::store::Store;
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
        api::too_many(retry_after)
    }

    fn refused(&self, field: &str, message: &str) -> Answer {
        api::refused(&Mistakes::of(field, message))
    }

    fn error_inside(&self) -> Value {
        json!({"errors": [{"field": "base", "message": "base could not be saved"}]})
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

/// Puts in what somebody else has put in; the URLs, in order.
pub(crate) fn seed(store: &mut Store, seed: &Seed) -> anyhow::Result<Value> {
    let fields = |value: &Value| value.as_object().cloned().context("a seed is an object of fields");
    let refuse = |mistakes: Mistakes| anyhow!("the book refuses: {}", mistakes.body());
    let url = |shown: &Value| shown.get("url").cloned().unwrap_or_default();
    let mut contacts = Vec::new();
    for value in &seed.contacts {
        let contact = rules::contact(store, &fields(value)?, None).map_err(refuse)?;
        contacts.push(url(&api::add_contact(store, contact)));
    }
    let mut invoices = Vec::new();
    for value in &seed.invoices {
        let mut fields = fields(value)?;
        if !fields.contains_key("contact") {
            let stranger = json!({"organisation_name": format!("Stranger {}", store.last_id)});
            let stranger = rules::contact(store, stranger.as_object().context("an object")?, None).map_err(refuse)?;
            fields.insert("contact".to_owned(), url(&api::add_contact(store, stranger)));
        }
        let today = crate::clock::date(store.now());
        fields.entry("dated_on").or_insert_with(|| json!(today));
        fields.entry("payment_terms_in_days").or_insert_with(|| json!(30));
        let invoice = rules::invoice(store, &fields).map_err(refuse)?;
        invoices.push(url(&api::add_invoice(store, invoice)));
    }
    let mut price_list_items = Vec::new();
    for value in &seed.price_list_items {
        let mut item = rules::price_list_item(store, &fields(value)?, None).map_err(refuse)?;
        item.id = store.next_id();
        price_list_items.push(url(&store.show_plain("price_list_items", &item)));
        store.price_list_items.insert(item.id, item);
    }
    Ok(json!({"contacts": contacts, "invoices": invoices, "price_list_items": price_list_items}))
}
