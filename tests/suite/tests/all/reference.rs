//! Reference data and settings against each dialect's book, in one process: the store is in memory.

use crate::reference_scene::{Scene, Spoken};
use anyhow::{Context as _, ensure};
use ledger_engine::domain::reference::Reference;
use ledger_engine::ports::{Configurations, References};
use ledger_engine::reference::{FAILED_AGAIN_MS, FRESH_MS, List, ReadList, When, known};
use ledger_engine::settings::SettingsError;
use ledger_engine::wire::rows::{ReferenceRow, StepRow, keys};
use ledger_engine::wire::settings::check::FieldCode;
use ledger_simulation::memory::Table;
use ledger_world::book::{BookFault, FaultSpec};
use serde_json::{Value, json};

/// Time enough for everything, in milliseconds.
const AMPLE_MS: i64 = 60_000;
/// Time for no call, in milliseconds.
const NO_TIME_MS: i64 = 10_000;

fn paths(errors: &[ledger_engine::wire::settings::check::FieldError], code: FieldCode) -> Vec<&str> {
    errors.iter().filter(|error| error.code == code).map(|error| error.field.as_str()).collect()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_book_s_lists_are_read_and_its_settings_fit() -> anyhow::Result<()> {
    for spoken in Spoken::ALL {
        let scene = Scene::open(spoken).await?;
        let binding = scene.binding();
        let lists = ledger_engine::settings::lists_of(&binding);
        let read = scene.reader().read_all(&binding, When::Now, scene.later(AMPLE_MS)).await?;
        for (list, outcome) in &read {
            ensure!(*outcome == ReadList::Complete, "{spoken:?} {}: {outcome:?}", list.as_str());
        }
        ensure!(read.len() == lists.len() && lists.contains(&List::PaymentMethods));
        let data = scene.reader().known(&binding.binding, &lists).await?;
        for list in &lists {
            let known = data.list(*list).ok_or_else(|| anyhow::anyhow!("{spoken:?} has no {}", list.as_str()))?;
            ensure!(!known.entries.is_empty() && !known.cut_off, "{spoken:?} {}", list.as_str());
        }
        let organisation = data.organisation().cloned().unwrap_or_default();
        ensure!(organisation.currency.is_some_and(|it| it.as_str() == "GBP"), "{spoken:?}");
        ensure!(data.ages.iter().all(|age| age.age_seconds == Some(0) && age.count > 0 && age.fault.is_none()));

        let draft = serde_json::to_value(&binding.settings)?;
        let checked =
            scene.configure().validate(&binding.tenant, &binding.binding, &draft, scene.later(AMPLE_MS)).await?;
        ensure!(checked.settings.as_ref() == Some(&binding.settings), "{spoken:?}: {:?}", checked.errors);
        ensure!(checked.unchecked.is_empty(), "{spoken:?}: {:?}", checked.unchecked);
    }
    Ok(())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_name_that_the_book_or_the_shop_lacks_is_told() -> anyhow::Result<()> {
    let wrong = |own: Value| {
        let mut all = json!({
            "income_category": "nowhere",
            "item_type_categories": {"Services": "nowhere"},
            "payment_methods": {"stripe_payments": "nowhere", "no_such_method": null},
            "default_bank_account": "nowhere",
            "book_currency": "CHF",
            "overrides": [{"store": 1}, {"website": 2, "shipping_category": "nowhere",
                           "payment_methods": {"checkmo": "nowhere"}}],
            "rounding_limit": "7",
        });
        if let (Some(all), Value::Object(own)) = (all.as_object_mut(), own) {
            all.extend(own);
        }
        all
    };
    let everywhere = [
        "book_currency",
        "default_bank_account",
        "income_category",
        "item_type_categories.Services",
        "overrides[1].payment_methods.checkmo",
        "overrides[1].shipping_category",
        "payment_methods.no_such_method",
        "payment_methods.stripe_payments",
    ];
    let coded = json!({"default_tax_code": "OUTPUT2", "bank_account_currencies": {"nowhere": "ZAR"},
        "tax_map": [{"rate": "20", "code": "ZERORATEDOUTPUT"}, {"rate": "5", "code": "TAX009"}, {"rate": "0", "code": "NONE"}]});
    let of_codes = [
        "bank_account_currencies.nowhere",
        "default_tax_code",
        "tax_map[0].rate",
        "tax_map[1].code",
        "tax_map[1].rate",
    ];
    let of_rates = ["sales_tax_rates[1]"];
    let rates = json!({"sales_tax_rates": ["20", "19.6", "0"]});
    let cases: [(Spoken, &Value, &[&str]); 2] =
        [(Spoken::V2, &rates, &of_rates), (Spoken::Accounting, &coded, &of_codes)];
    for (spoken, own, more) in cases {
        let scene = Scene::open(spoken).await?;
        let binding = scene.binding();
        let mut draft = serde_json::to_value(&binding.settings)?;
        if let (Some(draft), Value::Object(changes)) = (draft.as_object_mut(), wrong(own.clone())) {
            draft.extend(changes);
        }
        let configure = scene.configure();
        let checked = configure.validate(&binding.tenant, &binding.binding, &draft, scene.later(AMPLE_MS)).await?;
        let mut expected: Vec<&str> = everywhere.iter().chain(more).copied().collect();
        expected.sort_unstable();
        assert_eq!(paths(&checked.errors, FieldCode::NotInReference), expected, "{spoken:?}");
        assert_eq!(paths(&checked.errors, FieldCode::OutOfRange), ["rounding_limit"], "{spoken:?}");
        let put = configure.put(&binding.tenant, &binding.binding, 1, &draft, "jo", scene.later(AMPLE_MS)).await;
        ensure!(put == Err(SettingsError::Invalid(checked)), "{put:?}");
        ensure!(scene.binding() == binding, "nothing changes");
    }
    Ok(())
}

/// Accounts of Xero that take payments but are no bank's, and accounts of another kind, are none for payments.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_account_of_another_kind_is_not_one() -> anyhow::Result<()> {
    let scene = Scene::open(Spoken::Accounting).await?;
    let binding = scene.binding();
    for (field, value, fits) in [
        ("default_bank_account", "091", true),
        ("default_bank_account", "880", false),
        ("default_bank_account", "200", false),
        ("income_category", "200", true),
        ("income_category", "090", false),
        ("income_category", "299", false),
        ("rounding_category", "860", true),
        ("other_charges_category", "820", false),
    ] {
        let mut draft = serde_json::to_value(&binding.settings)?;
        draft[field] = json!(value);
        let checked =
            scene.configure().validate(&binding.tenant, &binding.binding, &draft, scene.later(AMPLE_MS)).await?;
        let told = paths(&checked.errors, FieldCode::NotInReference);
        ensure!(told.is_empty() == fits && told.iter().all(|it| *it == field), "{field} {value}: {told:?}");
    }
    Ok(())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn without_lists_the_format_is_checked_and_the_answer_says_so() -> anyhow::Result<()> {
    let scene = Scene::open(Spoken::V2).await?;
    let binding = scene.binding();
    scene.family()?.revokes(crate::reference_scene::TOKEN);
    let mut draft = serde_json::to_value(&binding.settings)?;
    draft["income_category"] = json!("nowhere");
    let configure = scene.configure();
    let checked = configure.validate(&binding.tenant, &binding.binding, &draft, scene.later(AMPLE_MS)).await?;
    ensure!(checked.settings.is_some(), "{:?}", checked.errors);
    ensure!(checked.unchecked.contains(&List::Book(Reference::Accounts)), "{:?}", checked.unchecked);
    let accounts = checked.reference.iter().find(|age| age.list == List::Book(Reference::Accounts));
    let accounts = accounts.cloned().ok_or_else(|| anyhow::anyhow!("no age of the accounts"))?;
    ensure!(accounts.age_seconds.is_none() && accounts.fault.as_deref() == Some("needs_reconnect"), "{accounts:?}");

    // Not asked again at once; a minute later the book knows us again.
    scene.family()?.accepts(crate::reference_scene::TOKEN);
    let calls = scene.family()?.log().len();
    configure.validate(&binding.tenant, &binding.binding, &draft, scene.later(AMPLE_MS)).await?;
    ensure!(scene.family()?.log().len() == calls, "asked again");
    scene.clock.advance(FAILED_AGAIN_MS);
    let checked = configure.validate(&binding.tenant, &binding.binding, &draft, scene.later(AMPLE_MS)).await?;
    assert_eq!(paths(&checked.errors, FieldCode::NotInReference), ["income_category"]);
    Ok(())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn lists_are_read_again_after_a_day_and_not_before() -> anyhow::Result<()> {
    let scene = Scene::open(Spoken::V2).await?;
    let binding = scene.binding();
    let draft = serde_json::to_value(&binding.settings)?;
    let validates = || async {
        let before = scene.family()?.log().len();
        scene.configure().validate(&binding.tenant, &binding.binding, &draft, scene.later(AMPLE_MS)).await?;
        anyhow::Ok(scene.family()?.log().len() - before)
    };
    let first = validates().await?;
    ensure!(first > 0);
    ensure!(validates().await? == 0, "read again at once");
    scene.clock.advance(FRESH_MS - 1);
    ensure!(validates().await? == 0, "read again too early");
    scene.clock.advance(1);
    ensure!(validates().await? == first, "not read again");
    Ok(())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_reading_goes_on_where_time_ran_out_and_readers_have_the_old_list_meanwhile() -> anyhow::Result<()> {
    let scene = Scene::open(Spoken::Sage).await?;
    let binding = scene.binding();
    let list = List::Book(Reference::TaxRates);
    scene.has_many_tax_rates(450)?;
    let reader = scene.reader();
    let count =
        || async { anyhow::Ok(known(&scene.store, "b", &[list], 0).await?.list(list).map(|it| it.entries.len())) };
    reader.read(&binding, &[list], When::Now, scene.later(AMPLE_MS)).await?;
    let first = count().await?.unwrap_or_default();
    ensure!(first > 450, "{first}");

    scene.has_many_tax_rates(500)?;
    // Each call takes its time; there is enough for some of the pages.
    scene.book_takes(10_000);
    let mut rounds = 0;
    loop {
        rounds += 1;
        let read = reader.read(&binding, &[list], When::Now, scene.later(35_000)).await?;
        match read.as_slice() {
            [(_, ReadList::Unfinished)] => {
                ensure!(count().await? == Some(first), "half of a new list was seen");
                scene.clock.advance(1_000);
            }
            [(_, ReadList::Complete)] => break,
            other => anyhow::bail!("{other:?}"),
        }
        ensure!(rounds < 20, "it never ends");
    }
    ensure!(rounds > 1, "time never ran out");
    ensure!(count().await? == Some(first + 500), "{:?}", count().await?);
    Ok(())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn of_two_readers_one_is_stopped() -> anyhow::Result<()> {
    let scene = Scene::open(Spoken::V2).await?;
    let binding = scene.binding();
    let list = List::Book(Reference::Accounts);
    let reads = |deadline: i64| {
        let scene = &scene;
        let binding = &binding;
        async move { scene.reader().read(binding, &[list], When::Now, deadline).await }
    };
    scene.has_rival(true);
    ensure!(reads(scene.later(AMPLE_MS)).await? == [(list, ReadList::Busy)]);
    scene.has_rival(false);
    ensure!(reads(scene.later(NO_TIME_MS)).await? == [(list, ReadList::Unfinished)]);
    // Somebody is at it.
    let mut row: ReferenceRow =
        scene.store.peek(&keys::of_binding("b"), &keys::reference("accounts")).context("no list")?;
    row.reading.as_mut().context("nobody reads")?.until = scene.later(1);
    scene.store.put(row);
    ensure!(reads(scene.later(AMPLE_MS)).await? == [(list, ReadList::Busy)]);
    scene.clock.advance(2);
    ensure!(reads(scene.later(AMPLE_MS)).await? == [(list, ReadList::Complete)]);
    ensure!(scene.store.references("b", &["accounts"]).await?.first().is_some_and(|row| row.generation == 1));
    Ok(())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn settings_are_put_once_per_version_and_hold_from_then_on() -> anyhow::Result<()> {
    let scene = Scene::open(Spoken::V2).await?;
    let binding = scene.binding();
    let (tenant, id) = (binding.tenant.as_str(), binding.binding.as_str());
    let configure = scene.configure();
    let mut draft = serde_json::to_value(&binding.settings)?;
    draft["payment_terms_in_days"] = json!(7);
    let put = |expected: u32, draft: Value| {
        let (configure, deadline) = (&configure, scene.later(AMPLE_MS));
        async move { configure.put(tenant, id, expected, &draft, "jo", deadline).await }
    };
    ensure!(put(0, draft.clone()).await == Err(SettingsError::Conflict(1)));
    let view = put(1, draft.clone()).await?;
    ensure!(view.version == 2 && view.settings.is_some_and(|it| it.payment_terms_in_days == Some(7)));
    ensure!(put(1, draft.clone()).await == Err(SettingsError::Conflict(2)));
    let row = configure.version(tenant, id, 2).await?;
    ensure!(row.saved_by.as_deref() == Some("jo") && row.saved_at.is_some(), "{row:?}");
    let versions = configure.versions(tenant, id, None, 10).await?;
    ensure!(versions.iter().map(|row| row.version).eq([2, 1]), "{versions:?}");
    ensure!(configure.versions(tenant, id, Some(2), 10).await?.len() == 1);
    ensure!(configure.version(tenant, id, 9).await == Err(SettingsError::NotFound("version")));
    ensure!(configure.get(tenant, "other").await == Err(SettingsError::NotFound("binding")));

    // A prefix that another shop of the book has.
    scene.has_shops_with_prefixes(&[("t", "b", "MAG-"), ("u", "c", "")]);
    draft["invoice_number_prefix"] = Value::Null;
    let Err(SettingsError::Invalid(checked)) = put(2, draft.clone()).await else { anyhow::bail!("put") };
    assert_eq!(paths(&checked.errors, FieldCode::PrefixTaken), ["invoice_number_prefix"]);
    draft["invoice_number_prefix"] = json!("NEW-");
    ensure!(put(2, draft).await?.version == 3);
    let noted = scene.store.prefixes_of(&binding.book).await?;
    ensure!(noted.iter().any(|it| it.prefix == "NEW-"), "noted with the book");

    scene.binding_is(|binding| "disconnected".clone_into(&mut binding.status));
    ensure!(matches!(put(3, json!({})).await, Err(SettingsError::NotNow(_))));
    Ok(())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_a_book_leaves_no_doubt_about_is_proposed() -> anyhow::Result<()> {
    let family = |book: &ledger_world::book::Book| json!({"shipping_category": book.url_of("categories", "002")});
    for spoken in Spoken::ALL {
        let scene = Scene::open(spoken).await?;
        let binding = scene.binding();
        let configure = scene.configure();
        let proposal = configure.propose(&binding.tenant, &binding.binding, scene.later(AMPLE_MS)).await?;
        for (field, value) in [("time_zone", "Europe/London"), ("book_currency", "GBP"), ("book_country", "GB")] {
            // A company that is bound to no country says none.
            let known = proposal.settings.get(field) == Some(&json!(value));
            ensure!(known || proposal.missing.contains(&field), "{spoken:?}: {field} {proposal:?}");
        }
        // What is proposed together with what a person fills in can be used.
        let mut draft = Value::Object(proposal.settings.clone());
        let filled = serde_json::to_value(&binding.settings)?;
        for field in proposal.missing.iter().chain(&["tax_map", "default_tax_code", "sales_tax_rates"]) {
            if draft.get(field).is_none() && filled.get(field).is_some() {
                draft[*field] = filled[*field].clone();
            }
        }
        let checked = configure.validate(&binding.tenant, &binding.binding, &draft, scene.later(AMPLE_MS)).await?;
        ensure!(checked.errors.is_empty(), "{spoken:?}: {:?} of {draft}", checked.errors);
    }
    let scene = Scene::open(Spoken::V2).await?;
    let binding = scene.binding();
    let proposal = scene.configure().propose(&binding.tenant, &binding.binding, scene.later(AMPLE_MS)).await?;
    ensure!(
        proposal.settings.get("shipping_category") == family(scene.family()?).get("shipping_category"),
        "{proposal:?}"
    );
    let scene = Scene::open(Spoken::Accounting).await?;
    let proposal = scene.configure().propose("t", "b", scene.later(AMPLE_MS)).await?;
    assert_eq!(proposal.settings["income_category"], "200");
    assert_eq!(proposal.settings["shipping_category"], "205");
    // Two codes are of 20 %, and five of 0 %: a person knows which.
    ensure!(proposal.open.contains(&"tax_map") && proposal.missing.contains(&"default_tax_code"), "{proposal:?}");
    Ok(())
}

fn refused_account(times: u32, spoken: Spoken) -> FaultSpec {
    match spoken {
        Spoken::Accounting => {
            let message = "Account code '200' is not a valid code for this document.";
            let body = json!({"ErrorNumber": 10, "Type": "ValidationException", "Message": "A validation exception occurred",
                "Elements": [{"ValidationErrors": [{"Message": message}]}]});
            let fault = BookFault::Answer {
                status: 400,
                body: Some(body.to_string()),
                content_type: Some("application/json".to_owned()),
                apply: false,
            };
            FaultSpec::on("PUT", "/api.xro/2.0/Invoices", times, fault)
        }
        Spoken::V2 | Spoken::Freeagent | Spoken::Sage => {
            let fault = BookFault::Refused { field: "category".to_owned(), message: "is not known".to_owned() };
            FaultSpec::on("POST", "/v2/invoices", times, fault)
        }
    }
}

/// Refused for an account, though the list says that everything is there: tried once more, and no more.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_refusal_for_an_unknown_account_is_tried_once_more_where_the_book_has_it_by_now() -> anyhow::Result<()> {
    for spoken in [Spoken::V2, Spoken::Accounting] {
        for (times, state, creates) in [(1, "succeeded", 2), (9, "dead_lettered", 2)] {
            let scene = Scene::open(spoken).await?;
            scene.fails(refused_account(times, spoken));
            let run = scene.attempts("b2b-on-terms").await?;
            let case = format!("{spoken:?}, refused {times} times: {} ({:?}, {:?})", run.state, run.code, run.message);
            ensure!(run.state == state, "{case}");
            ensure!(scene.creates_of_invoices() == creates, "{case}: {} creates", scene.creates_of_invoices());
            ensure!(scene.readings_of_accounts() == 1, "{case}: {} readings", scene.readings_of_accounts());
            ensure!(scene.invoices() == usize::from(state == "succeeded"), "{case}");
            if state == "dead_lettered" {
                ensure!(run.code.as_deref() == Some("category_unknown"), "{case}");
                // Another one right after: the list is young, so that it is not read again.
                scene.clock.advance(1_000);
                scene.attempts("guest-two-rates").await?;
                ensure!(scene.steps().iter().all(|step| step.label != "read_accounts"), "{case}: {:?}", scene.steps());
                ensure!(scene.readings_of_accounts() == 1, "{case}: read again");
                ensure!(scene.creates_of_invoices() == 2 * creates, "{case}: {}", scene.creates_of_invoices());
            }
        }
    }
    Ok(())
}

/// Refused by the book itself, which has no such account: the refusal stands and names the setting.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_refusal_stands_where_the_book_still_lacks_what_a_setting_names() -> anyhow::Result<()> {
    for (spoken, category) in [(Spoken::V2, "categories/049"), (Spoken::Accounting, "299")] {
        let scene = Scene::open(spoken).await?;
        scene.names_income_category(category)?;
        let run = scene.attempts("b2b-on-terms").await?;
        ensure!(run.state == "dead_lettered" && run.code.as_deref() == Some("category_unknown"), "{run:?}");
        ensure!(run.message.as_deref().is_some_and(|it| it.contains("income_category")), "{:?}", run.message);
        ensure!(scene.creates_of_invoices() == 1, "{} creates", scene.creates_of_invoices());
        let steps = scene.steps();
        let read = |step: &StepRow| step.label == "read_accounts" && step.status == Some(200);
        ensure!(steps.iter().any(read), "{steps:?}");
    }
    // The bookkeeper adds it while the attempt is under way.
    let scene = Scene::open(Spoken::V2).await?;
    scene.names_income_category("categories/049")?;
    scene.adds_category_when_lists_are_read("049");
    let run = scene.attempts("b2b-on-terms").await?;
    ensure!(run.state == "succeeded", "{:?} {:?}", run.code, run.message);
    ensure!(scene.creates_of_invoices() == 2 && scene.invoices() == 1);
    Ok(())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_binding_without_settings_holds_its_runs() -> anyhow::Result<()> {
    let scene = Scene::open(Spoken::V2).await?;
    let settings = scene.binding().settings;
    scene.binding_is(|binding| {
        binding.settings = Default::default();
        binding.settings_version = 0;
    });
    scene.store.remove(Table::Tenants, &keys::of_binding("b"), &keys::settings(1));
    let configure = scene.configure();
    ensure!(configure.get("t", "b").await?.settings.is_none());
    let run = scene.attempts("b2b-on-terms").await?;
    ensure!(run.state == "held" && run.code.as_deref() == Some("settings_missing"), "{run:?}");
    let draft = serde_json::to_value(&settings)?;
    ensure!(configure.put("t", "b", 0, &draft, "jo", scene.later(AMPLE_MS)).await?.version == 1);
    let run = scene.attempts_again(&run).await?;
    ensure!(run.state == "succeeded", "{run:?}");
    Ok(())
}
