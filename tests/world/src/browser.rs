//! The person at the browser: walks a provider's sign-in pages and stops where the browser would be sent back to the app.

use anyhow::{Context as _, bail};

use crate::client;
use crate::identity::{BOOKKEEPER, PASSWORD};
use crate::server::{percent_decoded, percent_encoded};

/// Pages a person walks through before losing patience.
const MOST_PAGES: usize = 6;

/// Who sits at the browser, and what that person wants.
#[derive(Clone, Debug)]
pub struct Person {
    email: String,
    password: String,
    choices: Vec<String>,
    denies: bool,
}

impl Person {
    /// The person every book knows from the start; chooses the first organisation that is offered, and allows.
    #[must_use]
    pub fn bookkeeper() -> Self {
        Self::new(BOOKKEEPER, PASSWORD)
    }

    /// Somebody with a login; chooses the first organisation that is offered, and allows.
    #[must_use]
    pub fn new(email: &str, password: &str) -> Self {
        Self { email: email.to_owned(), password: password.to_owned(), choices: Vec::new(), denies: false }
    }

    /// Who chooses the organisation of that name or id, besides those chosen before.
    #[must_use]
    pub fn choosing(mut self, organisation: &str) -> Self {
        self.choices.push(organisation.to_owned());
        self
    }

    /// Who says no.
    #[must_use]
    pub fn denying(mut self) -> Self {
        self.denies = true;
        self
    }
}

/// Where it ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Ended {
    /// The browser is sent to another host, or to a path that isn't the provider's: the app's redirect, not followed.
    SentTo(Location),
    /// A page without a way on.
    Stuck {
        /// Its status.
        status: u16,
        /// Its text.
        page: String,
    },
}

impl Ended {
    /// Where the browser was sent.
    ///
    /// # Errors
    /// When it was sent nowhere; the page is in the error.
    pub fn location(self) -> anyhow::Result<Location> {
        match self {
            Self::SentTo(location) => Ok(location),
            Self::Stuck { status, page } => bail!("stuck at a page with {status}: {page}"),
        }
    }
}

/// The address of a redirect.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Location(String);

impl Location {
    #[cfg(test)]
    pub(crate) fn test(url: &str) -> Self {
        Self(url.to_owned())
    }

    /// The whole address.
    #[must_use]
    pub fn url(&self) -> &str {
        &self.0
    }

    /// A value of its query, decoded.
    #[must_use]
    pub fn parameter(&self, name: &str) -> Option<String> {
        let (_, query) = self.0.split_once('?')?;
        let pairs = query.split('&').filter_map(|pair| pair.split_once('='));
        pairs.filter(|(key, _)| *key == name).map(|(_, value)| percent_decoded(&value.replace('+', " "))).next()
    }
}

/// A page that the browser shows.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Page {
    /// Its status.
    pub status: u16,
    /// Its text, tags and all.
    pub text: String,
}

impl Page {
    /// What its first heading says; nothing if there is none.
    #[must_use]
    pub fn heading(&self) -> String {
        let inside = self.text.split_once("<h1>").and_then(|(_, rest)| rest.split_once("</h1>"));
        inside.map_or_else(String::new, |(heading, _)| heading.to_owned())
    }
}

/// Goes where a redirect leads: to the app's own page. Further redirects aren't followed.
///
/// # Errors
/// When the app can't be reached.
pub async fn follows(location: &Location) -> anyhow::Result<Page> {
    let answered = client::get(location.url(), &[]).await.map_err(anyhow::Error::msg)?;
    Ok(Page { status: answered.status, text: String::from_utf8_lossy(&answered.body).into_owned() })
}

/// Walks the pages behind an authorize address: logs in, chooses, agrees or denies.
///
/// # Errors
/// When the provider can't be reached, or the pages never end.
pub async fn visits(authorize_url: &str, person: &Person) -> anyhow::Result<Ended> {
    let (scheme, rest) = authorize_url.split_once("://").context("an authorize address is absolute")?;
    let host = rest.split('/').next().unwrap_or_default();
    let origin = format!("{scheme}://{host}");
    let mut answered = client::get(authorize_url, &[]).await.map_err(anyhow::Error::msg)?;
    let mut seen_login = false;
    for _ in 0..MOST_PAGES {
        if let Some(location) = answered.header("location").filter(|_| (300..400).contains(&answered.status)) {
            return Ok(Ended::SentTo(Location(location.to_owned())));
        }
        let page = String::from_utf8_lossy(&answered.body).into_owned();
        let stuck = Ended::Stuck { status: answered.status, page: page.clone() };
        let Some(form) = Form::in_page(&page) else { return Ok(stuck) };
        // A login that comes again was refused, and so was a choice.
        if answered.status >= 400 || (form.asks_for("password") && seen_login) {
            return Ok(stuck);
        }
        seen_login |= form.asks_for("password");
        let Some(body) = form.filled(person) else { return Ok(stuck) };
        let url = if form.action.starts_with('/') { format!("{origin}{}", form.action) } else { form.action.clone() };
        let headers = [("Content-Type".to_owned(), "application/x-www-form-urlencoded".to_owned())];
        answered = client::post(&url, &headers, body.as_bytes()).await.map_err(anyhow::Error::msg)?;
    }
    bail!("the pages at {origin} never end")
}

/// A form of a page.
struct Form {
    action: String,
    /// Type, name, value and title of each of its fields and buttons.
    fields: Vec<Field>,
}

struct Field {
    kind: String,
    name: String,
    value: String,
    title: String,
}

impl Form {
    fn in_page(page: &str) -> Option<Self> {
        let (_, rest) = page.split_once("<form ")?;
        let (head, rest) = rest.split_once('>')?;
        let (inside, _) = rest.split_once("</form>")?;
        let fields = inside
            .split('<')
            .filter_map(|tag| tag.strip_prefix("input ").or_else(|| tag.strip_prefix("button ")))
            .filter_map(|tag| {
                let tag = tag.split('>').next()?;
                Some(Field {
                    kind: attribute(tag, "type").unwrap_or_default(),
                    name: attribute(tag, "name")?,
                    value: attribute(tag, "value").unwrap_or_default(),
                    title: attribute(tag, "title").unwrap_or_default(),
                })
            })
            .collect();
        Some(Self { action: attribute(head, "action")?, fields })
    }

    fn asks_for(&self, kind: &str) -> bool {
        self.fields.iter().any(|field| field.kind == kind)
    }

    /// The body to send; none if what the person wants isn't offered.
    fn filled(&self, person: &Person) -> Option<String> {
        let mut pairs: Vec<(&str, &str)> = Vec::new();
        for field in &self.fields {
            match field.kind.as_str() {
                "hidden" => pairs.push((&field.name, &field.value)),
                "email" => pairs.push((&field.name, &person.email)),
                "password" => pairs.push((&field.name, &person.password)),
                _ => {}
            }
        }
        if self.asks_for("checkbox") || self.asks_for("radio") {
            let offered: Vec<&Field> =
                self.fields.iter().filter(|field| field.kind == "checkbox" || field.kind == "radio").collect();
            if person.choices.is_empty() {
                let first = offered.first()?;
                pairs.push((&first.name, &first.value));
            }
            for choice in &person.choices {
                let field = offered.iter().find(|field| field.value == *choice || field.title == *choice)?;
                pairs.push((&field.name, &field.value));
            }
        }
        if self.fields.iter().any(|field| field.name == "decision") {
            pairs.push(("decision", if person.denies { "deny" } else { "allow" }));
        }
        let pairs = pairs.iter().map(|(name, value)| format!("{}={}", percent_encoded(name), percent_encoded(value)));
        Some(pairs.collect::<Vec<_>>().join("&"))
    }
}

fn attribute(tag: &str, name: &str) -> Option<String> {
    let (_, rest) = tag.split_once(&format!("{name}=\""))?;
    let value = rest.split('"').next()?;
    let plain = value.replace("&lt;", "<").replace("&gt;", ">").replace("&quot;", "\"").replace("&#39;", "'");
    Some(plain.replace("&amp;", "&"))
}
