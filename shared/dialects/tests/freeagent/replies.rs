//! What replies mean in FreeAgent alone: contacts without a search, drafts that are sent, a 403 that passes. `~` stands for
//! its address.

use crate::fixtures::{answer, context, credit_note, fault, here, jane, plain, posted, step};
use ledger_dialects::v2::FREEAGENT;
use ledger_dialects::{Context, Dialect, Labelled, Reply, Start};
use ledger_domain::amount::Amount;
use ledger_domain::document::{Document, DocumentStatus, Kind, Posted};
use ledger_domain::reference::Reference;

fn post(document: &Document, start: &Start, seen: &[Labelled]) -> String {
    step(FREEAGENT.post(document, &context(), start, seen), posted)
}

fn said(label: &'static str, status: u16, body: &str) -> Labelled {
    answer(label, status, here(body))
}

#[test]
fn every_contact_is_looked_at_before_one_is_created() {
    let document = Document::Contact(jane());
    let check = |replies: &[Labelled], created: &str, found: &str| {
        assert_eq!(post(&document, &Start::Fresh, replies), here(created), "{replies:?}");
        let nothing = |it: &Option<Posted>| it.as_ref().map_or_else(|| "nothing".to_owned(), posted);
        assert_eq!(step(FREEAGENT.find(&document, &context(), replies), nothing), here(found), "{replies:?}");
    };
    let contact = |id: u32, email: &str, status: &str| {
        format!(r#"{{"url":"~/v2/contacts/{id}","email":"{email}","status":"{status}","first_name":"Jane"}}"#)
    };
    let listed = |entries: &[String]| said("all_contacts", 200, &format!(r#"{{"contacts":[{}]}}"#, entries.join(",")));
    let ask =
        |page: u32| format!("read all_contacts GET /v2/contacts?view=all&sort=-created_at&per_page=100&page={page}");
    let create = "create create_contact POST /v2/contacts";
    let others = vec![contact(1, "other@example.com", "Active"); 100];
    let hidden = contact(3, "jane@example.com", "Hidden");
    let jane = || contact(4, " JANE@example.com", "Active");
    check(&[], &ask(1), &ask(1));
    check(&[listed(&[])], create, "done nothing");
    check(&[listed(&others)], &ask(2), &ask(2));
    check(&[listed(&others), listed(&others[..99])], create, "done nothing");
    let done = "done ~/v2/contacts/4 - ?";
    check(&[listed(&[jane()])], done, done);
    check(&[listed(&others), listed(&[jane()])], done, done);
    check(&[listed(&[hidden.clone(), jane()])], done, done);
    check(&[listed(&[hidden])], "refused contact_archived", "refused contact_archived");
    check(&vec![listed(&others); 30], "refused search_too_long", "refused search_too_long");
    check(&[said("all_contacts", 403, "{}")], "later book_unavailable", "later book_unavailable");

    let nobody = listed(&[]);
    let after = |status: u16, body: &str| {
        post(&document, &Start::Fresh, &[nobody.clone(), said("create_contact", status, body)])
    };
    assert_eq!(after(201, r#"{"contact":{"url":"~/v2/contacts/9"}}"#), here("done ~/v2/contacts/9 - ?"));
    assert_eq!(after(504, "<html>"), "doubtful write_in_doubt");
    // What the book is not known to do is not taken for a duplicate.
    let taken = r#"{"errors":[{"message":"email has already been taken"}]}"#;
    assert_eq!(after(422, taken), "refused book_refused");
    let first_create = said("create_contact", 201, r#"{"contact":{"url":"~/v2/contacts/9"}}"#);
    assert_eq!(post(&document, &Start::Fresh, &[first_create]), "broken unexpected");
}

#[test]
fn a_draft_is_marked_as_sent() {
    let documents = [(plain(), "invoice", "24.0"), (Document::CreditNote(credit_note()), "credit_note", "-26.98")];
    for (document, root, total) in documents {
        let at = format!("~/v2/{root}s/7");
        let create = if root == "invoice" { "create_invoice" } else { "create_credit_note" };
        let told = |status: &str, total: &str| {
            format!(r#"{{"{root}":{{"url":"{at}","status":"{status}","total_value":"{total}"}}}}"#)
        };
        let made = said(create, 201, &told("Draft", total));
        let mark = |status: u16, body: &str| said("mark_as_sent", status, body);
        let stands = |status: &str| said("read_standing", 200, &told(status, total));
        let number = document.number().unwrap();
        let done = here(&format!("done {at} {number} {}", document.total().unwrap()));
        let change = format!("change mark_as_sent PUT /v2/{root}s/7/transitions/mark_as_sent");
        let read = format!("read read_standing GET /v2/{root}s/7");
        let no = r#"{"errors":[{"message":"Invoice cannot be marked as sent"}]}"#;
        let check = |start: &Start, replies: &[Labelled], expected: &str| {
            assert_eq!(post(&document, start, replies), expected, "{start:?} {replies:?}");
        };
        let fresh = |replies: &[Labelled], expected: &str| {
            let seen: Vec<Labelled> = std::iter::once(made.clone()).chain(replies.iter().cloned()).collect();
            check(&Start::Fresh, &seen, expected);
        };
        fresh(&[], &change);
        fresh(&[mark(200, "")], &done);
        fresh(&[mark(200, &told("Open", total))], &done);
        // A no is settled by a look, tried once more, and then believed.
        fresh(&[mark(422, no)], &read);
        fresh(&[mark(422, no), stands("Open")], &done);
        fresh(&[mark(422, no), stands("Overdue")], &done);
        fresh(&[mark(422, no), stands("Draft")], &change);
        fresh(&[mark(422, no), stands("Draft"), mark(200, "")], &done);
        fresh(&[mark(422, no), stands("Draft"), mark(422, no)], &read);
        fresh(&[mark(422, no), stands("Draft"), mark(422, no), stands("Draft")], "refused book_refused");
        fresh(&[mark(504, "<html>")], &read);
        fresh(&[mark(504, "<html>"), stands("Open")], &done);
        fresh(&[mark(504, "<html>"), stands("Draft"), mark(504, "<html>"), stands("Draft")], "later book_unavailable");
        fresh(&[mark(422, no), said("read_standing", 503, "")], "later book_unavailable");
        fresh(&[mark(429, "slow down")], "later book_rate_limited");
        fresh(&[mark(401, "{}")], "reconnect needs_reconnect");
        let locked = r#"{"errors":[{"message":"Invoice is locked."}]}"#;
        fresh(&[mark(403, locked), stands("Draft"), mark(403, locked), stands("Draft")], "refused period_locked");

        // A create whose total could not be read: it is marked first.
        let unread = said(create, 201, &format!(r#"{{"{root}":{{"url":"{at}"}}}}"#));
        check(&Start::Fresh, std::slice::from_ref(&unread), &change);
        let total_read = format!("read read_total GET /v2/{root}s/7");
        check(&Start::Fresh, &[unread.clone(), mark(200, "")], &total_read);
        check(&Start::Fresh, &[unread, mark(200, ""), said("read_total", 200, &told("Open", total))], &done);

        // After a crash between the two: it stands where it stands.
        let linked = |total: Option<Amount>| {
            Start::Linked(Posted { provider_id: here(&at), reference: Some(number.to_owned()), total })
        };
        for start in [linked(None), linked(document.total())] {
            check(&start, &[], &read);
            check(&start, &[stands("Open")], &done);
            check(&start, &[stands("Scheduled To Email")], &done);
            check(&start, &[stands("Draft")], &change);
            check(&start, &[stands("Draft"), mark(200, "")], &done);
            check(&start, &[stands("Draft"), mark(422, no), stands("Open")], &done);
            check(&start, &[said("read_standing", 404, "{}")], "refused book_refused");
            check(&start, &[said("read_standing", 200, "<html>")], "later book_unavailable");
        }

        // A number that is taken by ours, still a draft.
        let taken = said(create, 422, r#"{"errors":[{"message":"Reference has already been taken"}]}"#);
        let label = if root == "invoice" { "invoices_of_contact" } else { "credit_notes_of_contact" };
        let more = format!(r#""status":"Draft","reference":"{number}","contact":"~/v2/contacts/2","currency":"GBP""#);
        let listed = said(label, 200, &format!(r#"{{"{root}s":[{{"url":"{at}","total_value":"{total}",{more}}}]}}"#));
        check(&Start::Fresh, &[taken.clone(), listed.clone()], &read);
        check(&Start::Fresh, &[taken.clone(), listed.clone(), stands("Draft")], &change);
        check(&Start::Fresh, &[taken, listed, stands("Draft"), mark(200, "")], &done);

        // Whoever wants drafts gets drafts.
        for status in [DocumentStatus::Draft, DocumentStatus::Submitted] {
            let mut wanted = document.clone();
            if let Document::Invoice(invoice) = &mut wanted {
                invoice.status = status;
            }
            if let Document::CreditNote(note) = &mut wanted {
                note.status = status;
            }
            assert_eq!(post(&wanted, &Start::Fresh, std::slice::from_ref(&made)), done);
            assert_eq!(post(&wanted, &linked(document.total()), &[]), done);
        }
    }
}

#[test]
fn its_errors_have_several_shapes() {
    let check = |status: u16, body: &str, write: &str, read: &str| {
        let reply = Reply { status, body: body.as_bytes().to_vec(), ..Reply::default() };
        assert_eq!(fault(&FREEAGENT.classify(&reply, true)), write, "{status} {body}");
        assert_eq!(fault(&FREEAGENT.classify(&reply, false)), read, "{status} {body}");
    };
    let same = |status: u16, body: &str, expected: &str| check(status, body, expected, expected);
    let (doubtful, later) = ("doubtful write_in_doubt", "later book_unavailable");
    same(422, r#"{"errors":[{"message":"ec_status must be blank"}]}"#, "refused book_refused");
    same(422, r#"{"errors":[{"message":"payment_terms_in_days is not a number"}]}"#, "refused book_refused");
    same(422, r#"{"errors":[{"message":"Reference has already been taken"}]}"#, "refused reference_taken");
    same(422, r#"{"errors":[{"message":"contact_id is locked and cannot be changed"}]}"#, "refused period_locked");
    same(400, r#"{"errors":{"error":{"message":"Category is invalid"}}}"#, "refused category_unknown");
    same(401, r#"{"errors":{"error":{"message":"Access token not recognised"}}}"#, "reconnect needs_reconnect");
    same(404, r#"{"errors":{"error":{"message":"Resource not found"}}}"#, "refused book_refused");
    same(429, "You must not exceed 120 requests per 60 seconds", "later book_rate_limited");
    check(504, "<html><h1>504 Gateway Time-out</h1></html>", doubtful, later);
    check(500, "", doubtful, later);
    // A no to a write, and something that may pass to a question; a locked period is neither.
    check(403, r#"{"errors":{"error":{"message":"Forbidden"}}}"#, "refused book_refused", later);
    same(403, r#"{"errors":[{"message":"Invoice is locked."}]}"#, "refused period_locked");
    same(403, "Invoice is locked.", "refused period_locked");
}

#[test]
fn contacts_are_indexed_by_address() {
    let body = here(
        r#"{"contacts":[{"url":"~/v2/contacts/1","email":" Jane@Example.com","status":"Active","first_name":"Jane"},
            {"url":"~/v2/contacts/2","email":"john@example.com","status":"Hidden"},
            {"url":"https://evil.example/v2/contacts/3","email":"eve@example.com"},{"url":"~/v2/contacts/4","email":null}]}"#,
    );
    let link = here(r#"<~/v2/contacts?page=2&per_page=100&sort=-created_at&view=all>; rel="next""#);
    let reply =
        Reply { status: 200, headers: vec![("link".to_owned(), link)], body: body.into_bytes(), ..Reply::default() };
    let page = FREEAGENT.read_page(Reference::Contacts, &context(), &reply).unwrap();
    let shown: Vec<String> = page
        .entries
        .iter()
        .map(|it| format!("{} {} {} {:?}", it.id, it.email.as_deref().unwrap_or("-"), it.active, it.name))
        .collect();
    assert_eq!(
        shown,
        [here(r#"~/v2/contacts/1 jane@example.com true """#), here(r#"~/v2/contacts/2 john@example.com false """#)]
    );
    assert_eq!(page.next.as_deref(), Some("2"));
}

#[test]
fn with_an_index_only_its_contacts_are_looked_at() {
    let document = Document::Contact(jane());
    let check = |known: &[&str], replies: &[Labelled], expected: &str| {
        let contacts = Some(known.iter().map(|id| here(id)).collect());
        let context = Context { contacts, ..context() };
        let step = step(FREEAGENT.post(&document, &context, &Start::Fresh, replies), posted);
        assert_eq!(step, here(expected), "{known:?} {replies:?}");
    };
    let shown = |status: u16, email: &str, stands: &str| {
        said("known_contact", status, &format!(r#"{{"contact":{{"email":"{email}","status":"{stands}"}}}}"#))
    };
    let ask = |id: u32| format!("read known_contact GET /v2/contacts/{id}");
    let create = "create create_contact POST /v2/contacts";
    let one = ["~/v2/contacts/1"];
    let two = ["~/v2/contacts/1", "~/v2/contacts/2"];
    check(&[], &[], create);
    check(&["https://evil.example/v2/contacts/1"], &[], create);
    check(&one, &[], &ask(1));
    check(&one, &[shown(200, " JANE@example.com", "Active")], "done ~/v2/contacts/1 - ?");
    check(&one, &[shown(404, "", "")], create);
    check(&one, &[shown(200, "other@example.com", "Active")], create);
    check(&one, &[shown(200, "jane@example.com", "Hidden")], "refused contact_archived");
    check(&one, &[shown(503, "", "")], "later book_unavailable");
    check(&two, &[shown(200, "jane@example.com", "Hidden")], &ask(2));
    let both = [shown(200, "jane@example.com", "Hidden"), shown(200, "jane@example.com", "Active")];
    check(&two, &both, "done ~/v2/contacts/2 - ?");
}

#[test]
fn changes_are_asked_for_since_a_moment() {
    let moment = "2026-11-20T09:30:00.123Z".parse().unwrap();
    let cursor = FREEAGENT.since(Reference::Contacts, moment);
    assert_eq!(cursor.as_deref(), Some("1@2026-11-20T09:30:00Z"));
    let call = FREEAGENT.page(Reference::Contacts, &context(), cursor.as_deref()).unwrap();
    assert!(call.query.contains(&("updated_since".to_owned(), "2026-11-20T09:30:00Z".to_owned())), "{call:?}");
    assert_eq!(FREEAGENT.since(Reference::Accounts, moment), None);
}

#[test]
fn a_person_finds_invoices_and_contacts_under_the_subdomain() {
    let link = |kind: Kind, id: &str, context: &Context| FREEAGENT.link(kind, &here(id), context);
    assert_eq!(
        link(Kind::Invoice, "~/v2/invoices/7", &context()).as_deref(),
        Some("https://acme-trading.freeagent.com/invoices/7")
    );
    assert_eq!(
        link(Kind::Contact, "~/v2/contacts/2", &context()).as_deref(),
        Some("https://acme-trading.freeagent.com/contacts/2")
    );
    assert_eq!(link(Kind::CreditNote, "~/v2/credit_notes/9", &context()), None);
    assert_eq!(link(Kind::Invoice, "https://api.sandbox.freeagent.com/v2/invoices/7", &context()), None);
    assert_eq!(link(Kind::Invoice, "~/v2/invoices/7", &Context { web_name: None, ..context() }), None);
    let odd = Context { web_name: Some("evil.example/".to_owned()), ..context() };
    assert_eq!(link(Kind::Invoice, "~/v2/invoices/7", &odd), None);
}
