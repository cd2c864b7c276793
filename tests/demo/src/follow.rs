//! Follows invoices from the shop's outbox to the chip in its grid.

use crate::cases::{CASES, End, Story, money};
use crate::pairing::Paired;
use crate::strangers::{Book, Chip, Shop};
use ledger_aws::SystemClock;
use ledger_aws::engine::operate::RunDetail;
use ledger_aws::engine::ports::Clock;
use ledger_cli::timeline::{Moment, lines, moments};
use ledger_cli::{Stack, output, tables};
use std::collections::BTreeMap;

/// Between two looks at the shop, in milliseconds.
const LOOK_MS: u64 = 50;
/// Looks at a run whose chip has turned.
const LOOKS_MAX: u32 = 20;
/// What needs longer than this has lost a message: the sweeper is asked to look, in milliseconds. It would come by
/// itself every minute.
const SWEEP_AFTER_MS: u64 = 15_000;

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
pub(crate) async fn follow(
    stack: &Stack,
    shop: &Shop,
    book: &Book,
    paired: &Paired,
    limit_seconds: u64,
    stack_name: &str,
) -> anyhow::Result<Vec<Followed>> {
    let limit_ms = i64::try_from(limit_seconds.saturating_mul(1_000)).unwrap_or(i64::MAX);
    let until = SystemClock.now_ms().saturating_add(limit_ms);
    let mut others: BTreeMap<String, u32> = BTreeMap::new();
    let mut under_way = Vec::new();
    for case in &CASES {
        let delivered = deliver(shop, case.raise(shop).await?, until, &mut others).await?;
        let watch = tokio::spawn(watch(shop.clone(), delivered.story.invoice.id, until));
        under_way.push((delivered, watch));
    }
    if !others.is_empty() {
        let others = others.iter().map(|(event, count)| format!("{count} {event}")).collect::<Vec<_>>().join(", ");
        output::print(&format!("Taken besides, and held until this version has a worker for them: {others}"));
    }
    let mut followed = Vec::new();
    for (number, (delivered, mut watch)) in (1_u32..).zip(under_way) {
        let (chip, seen_at) = loop {
            tokio::select! {
                watched = &mut watch => break watched??,
                () = SystemClock.sleep_ms(SWEEP_AFTER_MS) => sweep(stack_name).await,
            }
        };
        let detail = settled(stack, &delivered.run_id).await?;
        let title = delivered.story.title;
        let (text, end) = tell(book, delivered.story, &detail, chip, &paired.prefix, seen_at).await?;
        output::print(&format!("\n{number} of {}: {title}\n{text}", CASES.len()));
        followed.push(end);
    }
    Ok(followed)
}

/// Waits until the shop's chip is no longer pending, or until then; and when it was seen.
async fn watch(shop: Shop, invoice: u64, until: i64) -> anyhow::Result<(Chip, i64)> {
    loop {
        let chip = shop.chip(invoice).await?;
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

/// Ticks the shop's cron until an invoice is delivered; `others` counts what else was.
async fn deliver(
    shop: &Shop,
    mut story: Story,
    until: i64,
    others: &mut BTreeMap<String, u32>,
) -> anyhow::Result<Delivered> {
    let key = format!("invoice.created:{}", story.invoice.id);
    loop {
        let at = SystemClock.now_ms();
        anyhow::ensure!(at < until, "the ledger does not take the shop's deliveries");
        let sent = shop.ticks().await?;
        let took = SystemClock.now_ms().saturating_sub(at);
        for other in sent.iter().filter(|sent| sent.idempotency_key != key && sent.is_good()) {
            let count = others.entry(other.event_name.clone()).or_default();
            *count = count.saturating_add(1);
        }
        anyhow::ensure!(!sent.is_empty(), "the shop's outbox has no {key}");
        // A full outbox takes several ticks.
        let Some(sent) = sent.iter().find(|sent| sent.idempotency_key == key) else { continue };
        let status = sent.status.map_or_else(|| sent.body.clone(), |status| status.to_string());
        story.seen.push(Moment::new(at, "the shop's cron delivers", status).taking(took));
        if let Some(run_id) = sent.run_id().filter(|_| sent.is_good()) {
            return Ok(Delivered { story, run_id });
        }
        let refused = sent.status.is_some_and(|status| (400..500).contains(&status));
        anyhow::ensure!(!refused, "the ledger refuses {key}: {:?} {}", sent.status, sent.body);
        // The shop would try again after its backoff; a watcher doesn't want to wait for that.
        shop.requeues(sent.outbox_id).await?;
        SystemClock.sleep_ms(LOOK_MS.saturating_mul(10)).await;
    }
}

/// Asks the local stack's sweeper to look now. Where that can't be, its schedule brings it within a minute.
async fn sweep(stack_name: &str) {
    let name = stack_name.strip_prefix("ledger-").unwrap_or("default");
    let mut command = tokio::process::Command::new("python3");
    command.args(["infra/local/stack.py", "--name", name, "sweep"]);
    match command.output().await {
        Ok(swept) => output::print(&format!("Swept: {}", String::from_utf8_lossy(&swept.stdout).trim())),
        Err(error) => output::complain(&format!("not swept: {error}")),
    }
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
    all.extend(moments(detail));
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

fn shown(chip: &Chip) -> String {
    let (mark, word) = match chip.sync_status.as_str() {
        "synced" => ("✓", "Synced"),
        "skipped" => ("–", "Skipped"),
        "failed" => ("✗", "Failed"),
        _ => ("…", "Pending"),
    };
    let why = chip.skip_reason.as_ref().or(chip.error_code.as_ref()).or(chip.provider_reference.as_ref());
    format!("{mark} {word} {}", why.cloned().unwrap_or_default()).trim_end().to_owned()
}

/// A table of all, and the verdict.
pub(crate) fn summary(followed: &[Followed], tenant: &str, took_ms: i64) -> String {
    let seconds = |milliseconds: i64| {
        format!("{}.{} s", milliseconds.div_euclid(1_000), milliseconds.rem_euclid(1_000).div_euclid(100))
    };
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
    format!(
        "\n{table}\n\n{verdict}\n\nLook for yourself:\n  target/debug/ledger dead-letters list\n  target/debug/ledger runs list --tenant {tenant}"
    )
}
