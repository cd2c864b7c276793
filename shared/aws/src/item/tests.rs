use super::*;
use ledger_wire::rows::{
    AppHostsRow, CallsRow, ContactIndexRow, DayGap, EvidenceRow, OrganisationRow, OutboxRow, PaceRow, PreviewRow,
    RecipientRow, ReferenceEntryV1, ReferenceReadingRow, SealedRow, StepRow, ToldRow,
};
use ledger_wire::settings::{ConsolidationV1, NamePriorityV1, OverrideV1, SettingsV1, StatusV1, SupplyV1, TaxRuleV1};
use std::collections::BTreeMap;

fn sealed(ciphertext: &str) -> SealedRow {
    SealedRow { ciphertext: ciphertext.to_owned(), version: 3 }
}

fn settings() -> SettingsV1 {
    SettingsV1 {
        time_zone: "Europe/London".to_owned(),
        book_currency: "GBP".to_owned(),
        sales_tax_rates: vec!["20".to_owned(), "0".to_owned()],
        income_category: "001".to_owned(),
        shipping_category: "002".to_owned(),
        income_categories: BTreeMap::from([(2, "003".to_owned())]),
        item_type_categories: BTreeMap::from([("Services".to_owned(), "004".to_owned())]),
        base_currencies: BTreeMap::from([(2, "EUR".to_owned())]),
        payment_terms_in_days: Some(14),
        invoice_number_prefix: Some("A-".to_owned()),
        previous_prefix: Some("B-".to_owned()),
        rounding_limit: Some("0.05".to_owned()),
        sync_unpaid_invoices: Some(true),
        sync_zero_value_invoices: Some(false),
        sync_since: Some("2026-01-01".to_owned()),
        website_filter: vec![1, 2],
        store_filter: vec![3],
        sync_products: Some(true),
        sync_stock: Some(false),
        sync_adopted_stock: Some(true),
        book_country: Some("GB".to_owned()),
        sales_tax_registered: Some(true),
        tax_map: vec![TaxRuleV1 { rate: "19".to_owned(), country: Some("DE".to_owned()), code: "OSS".to_owned() }],
        default_tax_code: Some("ZERO".to_owned()),
        adjustment_refund_category: Some("005".to_owned()),
        adjustment_fee_category: Some("006".to_owned()),
        gift_card_category: Some("007".to_owned()),
        other_charges_category: Some("008".to_owned()),
        rounding_category: Some("009".to_owned()),
        purchase_category: Some("010".to_owned()),
        payment_terms_by_customer: BTreeMap::from([("17".to_owned(), 30)]),
        payment_terms_by_group: BTreeMap::from([(2, 45)]),
        document_status: Some(StatusV1::Submitted),
        payment_methods: BTreeMap::from([("checkmo".to_owned(), None), ("paypal".to_owned(), Some("1200".to_owned()))]),
        default_bank_account: Some("1201".to_owned()),
        bank_account_currencies: BTreeMap::from([("1201".to_owned(), "EUR".to_owned())]),
        item_types: BTreeMap::from([("simple".to_owned(), Some("Products".to_owned())), ("bundle".to_owned(), None)]),
        credit_note_prefix: Some("C-".to_owned()),
        customer_name_priority: Some(NamePriorityV1::Person),
        consolidation: Some(ConsolidationV1 {
            name: Some("Web Sales".to_owned()),
            email: "web@shop.example".to_owned(),
            reference: Some("WEB".to_owned()),
            min_total_for_individual: Some("100".to_owned()),
            always_individual_for_b2b: Some(false),
        }),
        default_supply: Some(SupplyV1::Goods),
        supply_by_product_type: BTreeMap::from([("virtual".to_owned(), SupplyV1::Services)]),
        catalogue_prices_include_tax: Some(true),
        overrides: vec![OverrideV1 {
            website: Some(2),
            store: Some(3),
            income_category: Some("011".to_owned()),
            item_type_categories: BTreeMap::from([("Services".to_owned(), "013".to_owned())]),
            shipping_category: Some("012".to_owned()),
            adjustment_refund_category: Some("014".to_owned()),
            adjustment_fee_category: Some("015".to_owned()),
            gift_card_category: Some("016".to_owned()),
            other_charges_category: Some("017".to_owned()),
            rounding_category: Some("018".to_owned()),
            rounding_limit: Some("0.10".to_owned()),
            purchase_category: Some("019".to_owned()),
            tax_map: vec![TaxRuleV1 { rate: "25".to_owned(), country: None, code: "SE".to_owned() }],
            default_tax_code: Some("SE0".to_owned()),
            payment_methods: BTreeMap::from([("klarna".to_owned(), Some("1202".to_owned()))]),
            default_bank_account: Some("1203".to_owned()),
        }],
    }
}

// Every field is named: a field that is added to a row has to be added here.

fn run() -> RunRow {
    RunRow {
        pk: keys::run("r-1"),
        sk: keys::RUN.to_owned(),
        v: ROW_VERSION,
        run_id: "r-1".to_owned(),
        tenant: "t-1".to_owned(),
        binding: "b-1".to_owned(),
        provider: "xero".to_owned(),
        book: "xero:1".to_owned(),
        event: "invoice.created".to_owned(),
        magento_id: u64::MAX,
        website_id: 1,
        store_id: 2,
        occurred_at: "2026-11-20 10:00:00".to_owned(),
        increment_id: Some("000000001".to_owned()),
        idempotency_key: "key".to_owned(),
        state: "held".to_owned(),
        generation: 1,
        dispatch: 2,
        attempt: 3,
        unfinished: 1,
        failures: 4,
        resends: 5,
        claim: Some("c-1".to_owned()),
        claim_until: Some(1_800_000_000_001),
        due_shard: Some(keys::due_shard("run#r-1")),
        due_at: Some(1_800_000_000_002),
        state_key: Some("held".to_owned()),
        state_order: Some("b-1#1".to_owned()),
        code: Some("needs_reconnect".to_owned()),
        owner: Some("merchant".to_owned()),
        message: Some("Connect it again.".to_owned()),
        provider_id: Some("p-1".to_owned()),
        provider_reference: Some("INV-1".to_owned()),
        web_address: Some("https://accounting.sageone.com/invoicing/sales_invoices/1".to_owned()),
        settles: Some("i-1".to_owned()),
        xref: Some("xero:1#invoice#t-1#9".to_owned()),
        total_unverified: true,
        pinned_settings: Some(7),
        received_at: 1_800_000_000_003,
        updated_at: 1_800_000_000_004,
        held_since: Some(1_800_000_000_005),
        failing_since: Some(1_800_000_000_006),
        preview: Some(PreviewRow {
            at: 1_800_000_000_000,
            outcome: "refused".to_owned(),
            code: Some("tax_rate_unmapped".to_owned()),
            message: Some("no rate".to_owned()),
            requests: 2,
            total: Some("12.5 GBP".to_owned()),
            settings_version: 7,
        }),
        expires_at: Some(1_900_000_000),
    }
}

fn attempt() -> AttemptRow {
    AttemptRow {
        pk: keys::run("r-1"),
        sk: keys::attempt(3),
        v: ROW_VERSION,
        attempt: 3,
        generation: 1,
        started_at: 1_800_000_000_000,
        duration_ms: 1_234,
        outcome: "refused".to_owned(),
        code: Some("provider_refused".to_owned()),
        message: Some("The book refused it.".to_owned()),
        evidence: Some(EvidenceRow {
            status: Some(422),
            provider_code: Some("E1".to_owned()),
            field: Some("contact".to_owned()),
            request_id: Some("q-1".to_owned()),
            provider_text: Some("no".to_owned()),
        }),
        settings_version: 7,
        steps: vec![
            StepRow {
                label: "create invoice".to_owned(),
                at_ms: 1,
                took_ms: 2,
                status: Some(201),
                provider_id: Some("p-1".to_owned()),
                total: Some("12.34".to_owned()),
                bytes_hash: Some("00ff".to_owned()),
                skipped: None,
            },
            StepRow {
                label: "allocation".to_owned(),
                skipped: Some("invoice_not_approved".to_owned()),
                ..StepRow::default()
            },
            StepRow::default(),
        ],
        expires_at: 1_900_000_000,
    }
}

fn jti() -> JtiRow {
    JtiRow {
        pk: keys::jti("t-1", "j-1"),
        sk: keys::JTI.to_owned(),
        v: ROW_VERSION,
        runs: vec!["r-1".to_owned(), "r-2".to_owned()],
        delivery_hash: "00ff".to_owned(),
        expires_at: 1_900_000_000,
    }
}

fn push() -> PushRow {
    PushRow {
        pk: keys::push("t-1", "xero", "invoice", 9),
        sk: keys::PUSH.to_owned(),
        v: ROW_VERSION,
        tenant: "t-1".to_owned(),
        provider: "xero".to_owned(),
        entity_type: "invoice".to_owned(),
        magento_id: 9,
        document_run: Some("r-1".to_owned()),
        payment_run: Some("r-2".to_owned()),
        xref: Some("x-1".to_owned()),
        wanted: 4,
        pushed: 3,
        dispatch: 5,
        failures: 1,
        due_shard: Some(keys::due_shard("push#t-1#xero#invoice#9")),
        due_at: Some(1_800_000_000_000),
        chip: Some("synced".to_owned()),
        pushed_at: Some(1_800_000_000_001),
        code: Some("shop_unreachable".to_owned()),
        expires_at: Some(1_900_000_000),
    }
}

fn xref() -> XrefRow {
    XrefRow {
        pk: keys::document("xero:1", "invoice", "t-1", 9),
        v: ROW_VERSION,
        state: "reserved".to_owned(),
        kind: "invoice".to_owned(),
        book: "xero:1".to_owned(),
        tenant: "t-1".to_owned(),
        revision: 2,
        epoch: 1,
        doubtful: true,
        run_id: "r-1".to_owned(),
        attempt: 3,
        first_sent_at: Some(1_800_000_000_000),
        last_sent_at: Some(1_800_000_000_001),
        settings_version: 7,
        bytes_hash: Some("00ff".to_owned()),
        number: Some("A-000000001".to_owned()),
        contact: Some("https://api.example/v2/contacts/7".to_owned()),
        document: Some("x-1".to_owned()),
        provider_id: Some("p-1".to_owned()),
        reference: Some("INV-1".to_owned()),
        total: Some("12.34".to_owned()),
        amount: Some("5.00".to_owned()),
        moving_run: Some("r-0".to_owned()),
        moving_since: Some(1_800_000_000_006),
        dated_on: Some("2026-03-31".to_owned()),
        web_address: Some("https://accounting.sageone.com/invoicing/sales_invoices/1".to_owned()),
        adopted: true,
        found_in_doubt: true,
        company: true,
        source_hash: Some("01fe".to_owned()),
        source_updated_at: Some(1_800_000_000_003),
        index: Some(ContactIndexRow {
            contacts: vec!["c-1".to_owned()],
            cursor: Some("7".to_owned()),
            began_at: Some(1_800_000_000_004),
            whole_at: Some(1_800_000_000_005),
        }),
        told: true,
        updated_at: 1_800_000_000_002,
    }
}

fn tenant() -> TenantRow {
    TenantRow {
        pk: keys::tenant("t-1"),
        sk: keys::TENANT.to_owned(),
        v: ROW_VERSION,
        tenant: "t-1".to_owned(),
        shop_url: "https://shop.example".to_owned(),
        status: "connected".to_owned(),
        keys_version: 3,
        current_key: Some(sealed("Yw==")),
        candidate_key: Some(sealed("ZA==")),
        previous_key: Some(sealed("ZQ==")),
        previous_until: Some(1_800_000_000_000),
        refused_since: Some(1_800_000_000_001),
        unreached_since: Some(1_800_000_000_003),
        candidate_provider: Some("xero".to_owned()),
        paired_providers: vec!["sage_accounting".to_owned()],
        paired_at: Some(1_800_000_000_004),
        paired_by: Some("operator-1".to_owned()),
        disconnected_at: Some(1_800_000_000_005),
        heard_at: Some(1_800_000_000_006),
        gaps: vec![DayGap { day: 20_833, longest: 3_600_000 }],
        created_at: 1_800_000_000_002,
    }
}

fn binding() -> BindingRow {
    BindingRow {
        pk: keys::tenant("t-1"),
        sk: keys::binding("b-1"),
        v: ROW_VERSION,
        binding: "b-1".to_owned(),
        tenant: "t-1".to_owned(),
        provider: "xero".to_owned(),
        dialect: "v2".to_owned(),
        status: "active".to_owned(),
        mode: "preview".to_owned(),
        book: "xero:1".to_owned(),
        base_url: "https://api.example".to_owned(),
        web_name: Some("!a1b2".to_owned()),
        settings: settings(),
        settings_version: 7,
        connected_at: 1_800_000_000_000,
        disconnected_at: Some(1_800_000_000_001),
        organisation_name: Some("Example Trading Ltd".to_owned()),
        environment: Some("live".to_owned()),
    }
}

fn token() -> TokenRow {
    TokenRow {
        pk: keys::of_binding("b-1"),
        sk: keys::TOKEN.to_owned(),
        v: ROW_VERSION,
        access: sealed("Yw=="),
        version: 3,
        access_until: Some(1_800_000_300_000),
        refresh: Some(sealed("cmVm")),
        refresh_until: Some(1_802_678_400_000),
        scopes: vec!["offline_access".to_owned(), "accounting.invoices".to_owned()],
        authority_user: Some("user-1".to_owned()),
        connection_id: Some("connection-1".to_owned()),
        refreshed_at: Some(1_800_000_000_000),
        lease_owner: Some("c-1".to_owned()),
        lease_until: Some(1_800_000_090_000),
    }
}

fn app() -> AppRow {
    AppRow {
        pk: keys::app("xero"),
        sk: keys::APP.to_owned(),
        v: ROW_VERSION,
        provider: "xero".to_owned(),
        client_id: "client".to_owned(),
        secret: Some(sealed("c2Vj")),
        version: 3,
        environment: "live".to_owned(),
        scopes: vec!["accounting.transactions".to_owned()],
        dialect: Some("v2".to_owned()),
        country: Some("gb".to_owned()),
        hosts: Some(AppHostsRow {
            authorize: "http://127.0.0.1:9/authorize".to_owned(),
            token: "http://127.0.0.1:9/token".to_owned(),
            revoke: Some("http://127.0.0.1:9/revoke".to_owned()),
            api: "http://127.0.0.1:9".to_owned(),
        }),
        updated_at: 1_800_000_000_000,
    }
}

fn oauth_state() -> OAuthStateRow {
    OAuthStateRow {
        pk: keys::oauth_state("5f"),
        sk: keys::STATE.to_owned(),
        v: ROW_VERSION,
        tenant: "t-1".to_owned(),
        binding: "b-1".to_owned(),
        operator: "anna".to_owned(),
        by_link: true,
        verifier: Some(sealed("dmVy")),
        browser: Some("6a".to_owned()),
        redirect_uri: "https://ledger.example/oauth/callback".to_owned(),
        taken_by: Some("c-1".to_owned()),
        made_at: 1_800_000_000_000,
        expires_at: 1_800_000_600,
    }
}

fn pending_connection() -> PendingConnectionRow {
    PendingConnectionRow {
        pk: keys::of_binding("b-1"),
        sk: keys::PENDING.to_owned(),
        v: ROW_VERSION,
        id: "p-1".to_owned(),
        tenant: "t-1".to_owned(),
        binding: "b-1".to_owned(),
        provider: "freeagent".to_owned(),
        operator: "anna".to_owned(),
        by_link: true,
        environment: "live".to_owned(),
        base_url: "https://api.freeagent.com".to_owned(),
        dialect: Some("freeagent".to_owned()),
        access: sealed("Yw=="),
        access_until: Some(1_800_003_600_000),
        refresh: Some(sealed("cmVm")),
        refresh_until: Some(1_802_678_400_000),
        scopes: vec!["full_access".to_owned()],
        missing_scopes: vec!["accounting.payments".to_owned()],
        authority_user: Some("user-1".to_owned()),
        access_level: Some(8),
        organisations: vec![OrganisationRow {
            id: "7".to_owned(),
            name: "Example Trading Ltd".to_owned(),
            web_name: Some("example".to_owned()),
            connection_id: Some("connection-1".to_owned()),
        }],
        made_at: 1_800_000_000_000,
        expires_at: 1_800_604_800,
    }
}

fn connect_link() -> ConnectLinkRow {
    ConnectLinkRow {
        pk: keys::connect_link("7b"),
        sk: keys::LINK.to_owned(),
        v: ROW_VERSION,
        tenant: "t-1".to_owned(),
        binding: "b-1".to_owned(),
        operator: "anna".to_owned(),
        taken_by: Some("c-1".to_owned()),
        made_at: 1_800_000_000_000,
        expires_at: 1_800_604_800,
    }
}

fn book_binding() -> BookBindingRow {
    BookBindingRow {
        pk: keys::book("xero:1"),
        sk: keys::binding_of("t-1", "b-1"),
        v: ROW_VERSION,
        tenant: "t-1".to_owned(),
        binding: "b-1".to_owned(),
        prefix: "A-".to_owned(),
    }
}

fn authority_user() -> AuthorityUserRow {
    AuthorityUserRow {
        pk: keys::authority_user("xero", "user-1"),
        sk: keys::binding_of("t-1", "b-1"),
        v: ROW_VERSION,
        tenant: "t-1".to_owned(),
        binding: "b-1".to_owned(),
    }
}

fn settings_row() -> SettingsRow {
    SettingsRow {
        pk: keys::of_binding("b-1"),
        sk: keys::settings(7),
        v: ROW_VERSION,
        settings: settings(),
        version: 7,
        saved_by: Some("user-1".to_owned()),
        saved_at: Some(1_800_000_000_000),
    }
}

fn reference() -> ReferenceRow {
    ReferenceRow {
        pk: keys::of_binding("b-1"),
        sk: keys::reference("accounts"),
        v: ROW_VERSION,
        list: "accounts".to_owned(),
        revision: 9,
        generation: 2,
        read_at: 1_800_000_000_000,
        pages: 1,
        count: 120,
        cut_off: true,
        reading: Some(ReferenceReadingRow {
            generation: 3,
            cursor: Some("2".to_owned()),
            asked: 1,
            pages: 1,
            count: 100,
            started_at: 1_800_000_000_001,
            until: 1_800_000_000_002,
        }),
        fault: Some("book_unavailable".to_owned()),
        fault_at: Some(1_800_000_000_003),
    }
}

fn reference_page() -> ReferencePageRow {
    ReferencePageRow {
        pk: keys::of_binding("b-1"),
        sk: keys::reference_page("organisation", 3, 0),
        v: ROW_VERSION,
        generation: 3,
        entries: vec![
            ReferenceEntryV1 {
                id: "o-1".to_owned(),
                name: "Hallam Fixings".to_owned(),
                active: true,
                rate: Some("20".to_owned()),
                currency: Some("GBP".to_owned()),
                country: Some("GB".to_owned()),
                sales_tax_registered: Some(true),
                locked_until: Some("2026-03-31".to_owned()),
                web_name: Some("!a1b2".to_owned()),
                group: Some("REVENUE".to_owned()),
            },
            ReferenceEntryV1::default(),
        ],
    }
}

fn job() -> JobRow {
    JobRow {
        pk: keys::jobs("b-1"),
        sk: keys::job(1_800_000_000_000, "j-1"),
        v: ROW_VERSION,
        job: "j-1".to_owned(),
        kind: "discard_previews".to_owned(),
        tenant: "t-1".to_owned(),
        binding: "b-1".to_owned(),
        operator: "op-1".to_owned(),
        reason: Some("not these".to_owned()),
        events: vec!["invoice.created".to_owned()],
        since: Some(1_790_000_000_000),
        entity_type: Some("invoice".to_owned()),
        from_id: Some(1),
        to_id: Some(1_000_000),
        open_runs: vec!["r-1".to_owned()],
        waits_for: Some("shop_unavailable".to_owned()),
        state: "open".to_owned(),
        cursor: Some("run#r-1|b-1#1#r-1".to_owned()),
        revision: 3,
        done: 50,
        passed: 1,
        due_shard: Some(keys::due_shard(&keys::jobs("b-1"))),
        due_at: Some(1_800_000_060_000),
        created_at: 1_800_000_000_000,
        updated_at: 1_800_000_060_000,
        expires_at: Some(1_900_000_000),
    }
}

fn lease() -> LeaseRow {
    LeaseRow {
        pk: keys::book("xero:1"),
        sk: keys::LEASE.to_owned(),
        v: ROW_VERSION,
        claim: "c-1".to_owned(),
        until: 1_800_000_000_000,
        taken_at: 1_800_000_000_001,
        pace: PaceRow { calls: vec![CallsRow { slot: 360_000_000, count: 4 }], closed_until: Some(1_800_000_000_002) },
        paused_until: Some(1_780_000_060_000),
        paused_since: Some(1_780_000_000_000),
        pause_code: Some("book_rate_limited".to_owned()),
        pauses: 2,
        wanted_until: Some(1_780_000_015_000),
    }
}

fn attention() -> AttentionRow {
    AttentionRow {
        pk: keys::ATTENTION.to_owned(),
        sk: keys::shop("t-1"),
        v: ROW_VERSION,
        tenant: "t-1".to_owned(),
        since: 1_800_000_000_000,
    }
}

fn refusal() -> RefusalRow {
    RefusalRow {
        pk: keys::REFUSALS.to_owned(),
        sk: keys::refusal("xero", 400, "10", "Lines[].Code"),
        v: ROW_VERSION,
        provider: "xero".to_owned(),
        status: 400,
        provider_code: "10".to_owned(),
        field: "Lines[].Code".to_owned(),
        count: 3,
        first_at: 1_780_000_000_000,
        last_at: 1_800_000_000_000,
        tenant: "t-1".to_owned(),
        run_id: "r-1".to_owned(),
        expires_at: 1_834_560_000,
    }
}

fn notices() -> NoticesRow {
    NoticesRow {
        pk: keys::NOTICES.to_owned(),
        sk: keys::notices_of("t-1"),
        v: ROW_VERSION,
        tenant: "t-1".to_owned(),
        revision: 4,
        recipients: vec![
            RecipientRow {
                id: "p-1".to_owned(),
                role: "operator".to_owned(),
                way: "sns".to_owned(),
                url: None,
                secret: None,
            },
            RecipientRow {
                id: "p-2".to_owned(),
                role: "accountant".to_owned(),
                way: "webhook".to_owned(),
                url: Some("https://hooks.example/ledger".to_owned()),
                secret: Some(sealed("c")),
            },
        ],
        digest_minute: 420,
        told: vec![ToldRow {
            key: "binding:b-1".to_owned(),
            kind: "connection_lost".to_owned(),
            code: "needs_reconnect".to_owned(),
            since: 1_800_000_000_000,
            gone_since: Some(1_800_000_060_000),
        }],
        digest_at: 1_800_025_200_000,
        outbox: vec![OutboxRow {
            id: "n-1".to_owned(),
            recipient: "p-2".to_owned(),
            body: "{}".to_owned(),
            at: 1_800_000_000_000,
            failures: 1,
            due_at: 1_800_000_010_000,
        }],
        saved_by: Some("op-1".to_owned()),
        saved_at: Some(1_780_000_000_000),
    }
}

fn agenda() -> AgendaRow {
    AgendaRow::new("keep_alive", "b-1", 1_800_000_000_000)
}

fn place() -> BindingPlaceRow {
    BindingPlaceRow::new("b-1", "t-1")
}

fn shop_address() -> ShopAddressRow {
    ShopAddressRow::new("https://shop.example", "t-1")
}

fn tenant_place() -> TenantPlaceRow {
    TenantPlaceRow::new("t-1")
}

fn sweep() -> SweepRow {
    SweepRow::new(1_800_000_000_000, 61, 2)
}

fn order_document() -> OrderDocumentRow {
    OrderDocumentRow::new("t-1", 57, "invoice", 42, 1_900_000_000)
}

/// An attribute as DynamoDB writes it, on one line.
#[expect(clippy::wildcard_enum_match_arm, reason = "the SDK may add kinds; rows use these")]
fn shown(value: &AttributeValue) -> String {
    match value {
        AttributeValue::S(text) => format!("S {text:?}"),
        AttributeValue::N(number) => format!("N {number}"),
        AttributeValue::Bool(bool) => format!("BOOL {bool}"),
        AttributeValue::L(list) => format!("L [{}]", list.iter().map(shown).collect::<Vec<_>>().join(", ")),
        AttributeValue::M(map) => {
            let sorted: BTreeMap<_, _> = map.iter().collect();
            let all: Vec<String> =
                sorted.into_iter().map(|(name, value)| format!("{name}: {}", shown(value))).collect();
            format!("M {{{}}}", all.join(", "))
        }
        AttributeValue::Null(_) => "NULL".to_owned(),
        other => format!("UNEXPECTED {other:?}"),
    }
}

fn lines<R: Row>(row: &R) -> String {
    let sorted: BTreeMap<String, AttributeValue> = to_item(row).unwrap().into_iter().collect();
    sorted.iter().map(|(name, value)| format!("{name}: {}\n", shown(value))).collect()
}

/// A row goes into the table and comes back the same, full and with only what it must have.
fn there_and_back<R: Row + Clone + PartialEq + std::fmt::Debug>(full: &R, least: &R) -> String {
    for row in [full, least] {
        let back: R = from_item(to_item(row).unwrap()).unwrap();
        assert_eq!(&back, row);
    }
    format!("{}\nat least:\n{}", lines(full), lines(least))
}

mod rows {
    use super::*;

    macro_rules! row {
        ($name:ident, $row:ident, $full:ident) => {
            #[test]
            fn $name() {
                let least = $row { v: ROW_VERSION, ..$row::default() };
                insta::assert_snapshot!(there_and_back(&$full(), &least));
            }
        };
    }

    row!(a_run, RunRow, run);
    row!(an_attempt, AttemptRow, attempt);
    row!(a_spent_token, JtiRow, jti);
    row!(a_push, PushRow, push);
    row!(a_cross_reference, XrefRow, xref);
    row!(a_tenant, TenantRow, tenant);
    row!(a_binding, BindingRow, binding);
    row!(a_token, TokenRow, token);
    row!(an_app, AppRow, app);
    row!(an_authorisation, OAuthStateRow, oauth_state);
    row!(a_pending_connection, PendingConnectionRow, pending_connection);
    row!(a_connect_link, ConnectLinkRow, connect_link);
    row!(a_binding_of_a_book, BookBindingRow, book_binding);
    row!(a_binding_of_a_user, AuthorityUserRow, authority_user);
    row!(settings_of_a_binding, SettingsRow, settings_row);
    row!(a_lease, LeaseRow, lease);
    row!(an_attention, AttentionRow, attention);
    row!(the_place_of_a_binding, BindingPlaceRow, place);
    row!(the_place_of_a_tenant, TenantPlaceRow, tenant_place);
    row!(a_sweep, SweepRow, sweep);
    row!(an_entry_of_the_agenda, AgendaRow, agenda);
    row!(a_refusal_that_no_rule_recognised, RefusalRow, refusal);
    row!(the_notices_of_a_tenant, NoticesRow, notices);
    row!(a_list_of_reference_data, ReferenceRow, reference);
    row!(a_page_of_reference_data, ReferencePageRow, reference_page);
    row!(a_shop_address, ShopAddressRow, shop_address);
    row!(a_document_of_an_order, OrderDocumentRow, order_document);
    row!(a_job, JobRow, job);
}

#[test]
fn the_due_shard_comes_and_goes_with_the_due_mark() {
    let item = to_item(&RunRow { due_shard: None, ..run() }).unwrap();
    assert_eq!(text_of(&item, "due_shard"), keys::due_shard(&keys::run("r-1")));
    let item = to_item(&RunRow { due_at: None, ..run() }).unwrap();
    assert!(!item.contains_key("due_shard") && !item.contains_key("due_at"));
    let item = to_item(&PushRow { due_shard: Some("due#99".to_owned()), ..push() }).unwrap();
    assert_eq!(text_of(&item, "due_shard"), keys::due_shard(&push().pk));
}

fn inconsistency<R: Row>(item: Item) -> String {
    match from_item::<R>(item) {
        Err(PortFault::Inconsistent(what)) => what,
        Err(PortFault::Unavailable(what)) => format!("unavailable: {what}"),
        Ok(_) => "read".to_owned(),
    }
}

#[test]
fn a_row_of_a_newer_build_is_not_read() {
    let mut item = to_item(&run()).unwrap();
    item.insert("v".to_owned(), number(ROW_VERSION + 1));
    assert_eq!(inconsistency::<RunRow>(item), "run run#r-1 run: version 2 is newer than this build");
}

#[test]
fn a_row_without_version_or_a_needed_field_is_not_read() {
    let mut item = to_item(&run()).unwrap();
    item.remove("generation");
    assert_eq!(inconsistency::<RunRow>(item.clone()), "run run#r-1 run: missing field `generation`");
    item.remove("v");
    assert_eq!(inconsistency::<RunRow>(item), "run run#r-1 run: no version");
}

#[test]
fn a_fault_repeats_no_value_and_no_address() {
    let email = "jo@example.com";
    let mut item = to_item(&XrefRow { pk: keys::contact_by_email("xero:1", email, None), ..xref() }).unwrap();
    item.insert("revision".to_owned(), text(email));
    assert_eq!(inconsistency::<XrefRow>(item), "cross-reference: can't be read");
}

#[test]
fn attributes_that_this_build_does_not_know_do_no_harm() {
    let mut item = to_item(&run()).unwrap();
    item.insert("later".to_owned(), text("x"));
    assert_eq!(from_item::<RunRow>(item).unwrap(), run());
}
