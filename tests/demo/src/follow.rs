//! Follows invoices from the shop's outbox to the chip in its grid.

use crate::cases::{CASES, End, Story, money, shown};
use crate::delivery;
use anyhow::Context;
use ledger_aws::SystemClock;
use ledger_aws::engine::operate::RunDetail;
use ledger_aws::engine::ports::Clock;
use ledger_cli::timeline::{Moment, lines, moments};
use ledger_cli::{Stack, output, tables};
use ledger_demo::pairing::Paired;
use ledger_demo::seconds;
use ledger_demo::strangers::{Book, Chip, Shop};
use std::collections::BTreeMap;

/// Between two looks at the shop, in milliseconds.
const LOOK_MS: u64 = 50;
/// Looks at a run whose chip has turned.
const LOOKS_MAX: u32 = 20;

/// An invoice at the end of its way, or at the end of our patience.
pub(crate) struct Followed {
    title: &'static str,
    number: String,
    shop_total: String,
    book_total: String,
    state: String,
    chip: Chip,
    took_ms: i64,
    /// What is not as it should be.
    wrong: Vec<String>,
}

impl Followed {
    pub(crate) const fn is_good(&self) -> bool {
        self.wrong.is_empty()
    }
}

/// An invoice that was handed to the ledger.
struct Delivered {
    story: Story,
    run_id: String,
}

/// Raises each invoice, has the shop's cron deliver it, and follows all of them to their ends.
pub(crate) async fn follow(stack: &Stack, paired: &Paired, until: i64) -> anyhow::Result<Vec<Followed>> {
    let (shop, book) = (&paired.place.shop, &paired.place.book);
    let mut others = Vec::new();
    let mut under_way = Vec::new();
    for case in &CASES {
        let delivered = deliver(shop, case.raise(shop).await?, until, &mut others).await?;
        let watch = tokio::spawn(watch(shop.clone(), delivered.story.invoice.id, until));
        under_way.push((delivered, watch));
    }
    let mut followed = Vec::new();
    for (number, (delivered, watch)) in (1_u32..).zip(under_way) {
        let (chip, seen_at) = watch.await??;
        // The run of the payment, delivered beside it, may have turned the chip first.
        delivery::ended(stack, &delivered.run_id, until).await?;
        let detail = settled(stack, &delivered.run_id).await?;
        let title = delivered.story.title;
        let (text, end) = tell(book, delivered.story, &detail, chip, &paired.prefix, seen_at).await?;
        output::print(&format!("\n{number} of {}: {title}\n{text}", CASES.len()));
        followed.push(end);
    }
    output::print(&format!("\nDelivered besides: {}", besides(stack, &others, until).await?));
    Ok(followed)
}

/// What became of the runs that came along: customers, and payments of what was paid at once.
async fn besides(stack: &Stack, runs: &[String], until: i64) -> anyhow::Result<String> {
    let mut ends: BTreeMap<String, u32> = BTreeMap::new();
    for run in runs {
        let run = delivery::ended(stack, run, until).await?.run;
        let why = run.code.filter(|_| run.state != "succeeded").map(|code| format!(" ({code})")).unwrap_or_default();
        let count = ends.entry(format!("{} {}{why}", run.event, run.state)).or_default();
        *count = count.saturating_add(1);
    }
    Ok(ends.iter().map(|(end, count)| format!("{count} × {end}")).collect::<Vec<_>>().join(", "))
}

/// Waits until the shop's chip is no longer pending, or until then; and when it was seen.
async fn watch(shop: Shop, invoice: i64, until: i64) -> anyhow::Result<(Chip, i64)> {
    loop {
        let chip = shop.chip("invoice", invoice).await?;
        let now = SystemClock.now_ms();
        if chip.sync_status != "pending" || now >= until {
            return Ok((chip, now));
        }
        SystemClock.sleep_ms(LOOK_MS).await;
    }
}

/// The run, once it is noted that the shop was told: that comes a moment after the chip has turned.
async fn settled(stack: &Stack, run_id: &str) -> anyhow::Result<RunDetail> {
    let mut looks = LOOKS_MAX;
    loop {
        let detail = stack.operate().run(run_id).await?;
        looks = looks.saturating_sub(1);
        if looks == 0 || detail.push.as_ref().is_some_and(|push| push.pushed == push.wanted) {
            return Ok(detail);
        }
        SystemClock.sleep_ms(LOOK_MS).await;
    }
}

/// Has the shop's cron deliver an invoice; `others` are the runs of what went with it.
async fn deliver(shop: &Shop, mut story: Story, until: i64, others: &mut Vec<String>) -> anyhow::Result<Delivered> {
    let key = format!("invoice.created:{}", story.invoice.id);
    let mut run_id = None;
    for it in delivery::deliver(shop, std::slice::from_ref(&key), until).await? {
        if it.sent.idempotency_key != key {
            others.extend(it.sent.run_id());
            continue;
        }
        let status = it.sent.status.map_or_else(|| it.sent.body.clone(), |status| status.to_string());
        story.seen.push(Moment::new(it.at, "the shop's cron delivers", status).taking(it.took));
        run_id = it.sent.run_id();
    }
    let run_id = run_id.with_context(|| format!("no run of {key}"))?;
    Ok(Delivered { story, run_id })
}

/// The run as operators are told of it.
fn told(detail: &RunDetail) -> ledger_wire::api::RunDetail {
    let RunDetail { run, attempts, push, link } = detail;
    ledger_wire::api::RunDetail::of(run, attempts, push.as_ref(), link.as_deref())
}

/// The story as text, and how it ended.
async fn tell(
    book: &Book,
    story: Story,
    detail: &RunDetail,
    chip: Chip,
    prefix: &str,
    seen_at: i64,
) -> anyhow::Result<(String, Followed)> {
    let number = format!("{prefix}{}", story.invoice.increment_id);
    let found = book.invoices(&number).await?;
    let origin = story.seen.first().map_or(detail.run.received_at, |moment| moment.at);
    let mut all = story.seen.clone();
    all.extend(moments(&told(detail)));
    all.push(Moment::new(seen_at, "the shop shows", shown(&chip)));
    all.sort_by_key(|moment| moment.at);
    let mut wrong = Vec::new();
    let mut expect = |what: &str, is: Option<&str>, should: Option<&str>| {
        if is != should {
            let say = |it: Option<&str>| it.unwrap_or("nothing").to_owned();
            wrong.push(format!("{what} is {}, not {}", say(is), say(should)));
        }
    };
    let (status, reason) = story.end.chip();
    expect("the run's state", Some(&detail.run.state), Some(story.end.state()));
    expect("the chip", Some(&chip.sync_status), Some(status));
    expect("the chip's reason", chip.skip_reason.as_deref().or(chip.error_code.as_deref()), reason);
    let shop_total = format!("{} {}", money(story.invoice.grand_total), story.currency);
    let book_total = match found.as_slice() {
        [] => String::new(),
        [one] => format!("{} {}", money(one.total_value), one.currency),
        several => format!("{} documents", several.len()),
    };
    match (story.end, found.as_slice()) {
        (End::Synced, [one]) if one.total_value == story.invoice.grand_total && one.currency == story.currency => {}
        (End::Skipped(_) | End::Refused(_), []) => {}
        _ => wrong.push(format!("the shop's total is {shop_total}, the book has {book_total:?}")),
    }
    let mut text = lines(&all, origin);
    for wrong in &wrong {
        text.push_str(&format!("  WRONG: {wrong}\n"));
    }
    let took_ms = detail.push.as_ref().and_then(|push| push.pushed_at).unwrap_or(seen_at).saturating_sub(origin);
    let state = detail.run.state.clone();
    Ok((text, Followed { title: story.title, number, shop_total, book_total, state, chip, took_ms, wrong }))
}

/// A table of all, and what is wrong.
pub(crate) fn summary(followed: &[Followed], took_ms: i64) -> String {
    let row = |it: &Followed| {
        vec![
            it.title.to_owned(),
            it.number.clone(),
            it.shop_total.clone(),
            it.book_total.clone(),
            it.state.clone(),
            shown(&it.chip),
            seconds(it.took_ms),
        ]
    };
    let header = ["DOCUMENT", "NUMBER", "SHOP", "BOOK", "RUN", "CHIP", "TOOK"];
    let table = tables::table(&header, followed.iter().map(row).collect(), &[2, 3, 6], &[0]);
    let wrong: Vec<String> = followed
        .iter()
        .flat_map(|it| it.wrong.iter().map(move |wrong| format!("WRONG: {}: {wrong}", it.number)))
        .collect();
    let verdict = if wrong.is_empty() {
        let count = |state: &str| followed.iter().filter(|it| it.state == state).count();
        format!(
            "As it should be: {} in the book to the penny, {} left out, {} dead letter; {} in all.",
            count("succeeded"),
            count("skipped"),
            count("dead_lettered"),
            seconds(took_ms)
        )
    } else {
        wrong.join("\n")
    };
    format!("\n{table}\n\n{verdict}")
}
