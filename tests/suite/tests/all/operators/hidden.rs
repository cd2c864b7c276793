//! What lies about after everything was used once: no key, token, secret or code in clear, in no row, message or log line,
//! and no e-mail address in a log.

use super::scene::Scene;
use anyhow::{Context, ensure};
use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use ledger_suite::world::{Other, Spoken};
use ledger_world::identity::Expiry;
use reqwest::Method;
use serde_json::json;

/// Shortest secret that is searched for: shorter ones occur by chance.
const SECRET_MIN: usize = 16;

/// The ways in which a secret may be written: as it is, as text inside JSON inside JSON, in base64, percent-encoded.
fn written(secret: &str) -> Vec<String> {
    let mut ways = vec![secret.to_owned(), secret.replace('+', "%2B").replace('/', "%2F").replace('=', "%3D")];
    // Base64 of a text depends on where in the bytes it begins.
    for skipped in 0..3 {
        let from = &secret.as_bytes()[skipped.min(secret.len())..];
        let whole = from.len() - from.len() % 3;
        ways.push(STANDARD.encode(&from[..whole]));
        ways.push(URL_SAFE_NO_PAD.encode(&from[..whole]));
    }
    ways.retain(|way| way.len() >= SECRET_MIN);
    ways.sort();
    ways.dedup();
    ways
}

async fn uses_everything(scene: &mut Scene) -> anyhow::Result<()> {
    let shop = scene.deployed.shop.clone();
    let wrong = "ffffeeeeddddccccbbbbaaaa99998888";
    ensure!(scene.presents(&scene.admin, wrong).await?.status == 400);
    scene.pairs().await?;
    scene.connects().await?;
    scene.configures(|_| ()).await?;
    // A link that is opened, and gone through.
    let made = scene.admin.post(&scene.of_binding("/link"), &json!({})).await?.good()?;
    let link = made["url"].as_str().context("no link")?.to_owned();
    scene.keeps("a link's token", link.rsplit('/').next().unwrap_or_default());
    let opened = scene.browses(Method::POST, &link, None).await?;
    let cookie = opened.cookie.context("no cookie")?;
    scene.keeps("a browser's cookie", cookie.split_once('=').map_or("", |(_, value)| value));
    let back = scene.agrees(&opened.location.context("sent nowhere")?).await?;
    for name in ["state", "code"] {
        scene.keeps(name, &back.parameter(name).unwrap_or_default());
    }
    ensure!(scene.browses(Method::GET, back.url(), Some(&cookie)).await?.status == 200);
    scene.confirms(&scene.admin).await?.good()?;
    // A code that the provider never gave, refused with the state of a real connection.
    let callback = format!("{}/oauth/callback", scene.deployed.setting("LEDGER_URL")?);
    scene.keeps("a made-up code", "made-up-0123456789abcdef");
    scene.browses(Method::GET, &format!("{callback}?state=made-up&code=made-up-0123456789abcdef"), None).await?;
    // Documents, with a token that has to be renewed on the way; one that fails; a shop that disconnects.
    let Some(Other::Accounting(book)) = &scene.deployed.other else { anyhow::bail!("another book") };
    book.expires(&Expiry { access: true, ..Expiry::default() });
    let invoices = [shop.raises("b2b-on-terms")?, shop.raises("guest-two-rates")?];
    scene.settles(&invoices).await?;
    ensure!(book.refreshes().granted >= 1, "no token was renewed");
    shop.refunds_invoice(invoices[1])?;
    let failing = shop.raises("foreign-currency")?;
    scene
        .works_until("the other one came to an end", || async {
            let run = scene.run_of("invoice.created", failing).await?;
            Ok(run.is_some_and(|run| ["succeeded", "dead_lettered", "held"].iter().any(|state| run["state"] == *state)))
        })
        .await?;
    scene.token("hidden-viewer", &["viewer"], "access").await?;
    scene.token("hidden-viewer", &["viewer"], "id").await?;
    if let Some(key) = shop.key() {
        scene.keeps("the shop's key", &key);
    }
    ensure!(shop.disconnects().await, "not acknowledged");
    scene.pairs().await?;
    scene.admin.post(&scene.of_binding("/disconnection"), &json!({})).await?.good()?;
    Ok(())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn no_secret_lies_open_in_a_table_a_queue_or_a_log() -> anyhow::Result<()> {
    let Some(mut scene) = Scene::open("hidden", Spoken::Accounting).await? else { return Ok(()) };
    let began = crate::deployed::now_seconds() * 1_000;
    // Messages are gone once they are worked, so the engine notes them on their way.
    scene.deployed.script(&["journal", "on"]).await?;
    uses_everything(&mut scene).await?;
    let dump = scene.deployed.script(&["dump", "--since", &began.to_string()]).await?;
    scene.deployed.script(&["journal", "off"]).await?;
    let of = |kind: &str| dump.lines().filter_map(|line| line.strip_prefix(kind)).collect::<Vec<_>>();
    let (items, lines, sent) = (of("item "), of("line "), of("sent "));
    // That there is something to search, and that searching finds.
    for run in scene.runs().await? {
        let id = run["run"].as_str().context("no id")?;
        ensure!(sent.iter().any(|message| message.contains(id)), "no message of {run} among {}", sent.len());
    }
    ensure!(sent.iter().any(|message| message.contains("entity_type")), "no chip was to be pushed");
    ensure!(items.iter().filter(|item| item.contains(&scene.deployed.tenant)).count() > 10, "{} items", items.len());
    ensure!(lines.iter().any(|line| line.contains(&scene.deployed.tenant)), "{} lines", lines.len());
    let secrets = scene.secrets();
    let kinds = ["the app's secret", "a pairing code", "the shop's key", "what the provider gave out", "a token"];
    for kind in kinds {
        ensure!(secrets.iter().any(|(what, secret)| what == kind && secret.len() >= SECRET_MIN), "no {kind} is known");
    }
    let mut open = Vec::new();
    for (what, secret) in &secrets {
        for way in written(secret) {
            open.extend(dump.lines().find(|line| line.contains(&way)).map(|line| format!("{what} lies open: {line}")));
        }
    }
    let mail = |line: &&&str| line.contains('@');
    open.extend(lines.iter().find(mail).map(|line| format!("an e-mail address in a log: {line}")));
    open.extend(sent.iter().find(mail).map(|line| format!("an e-mail address in a message: {line}")));
    ensure!(open.is_empty(), "{}", open.join("\n"));
    Ok(())
}

#[test]
fn a_secret_is_found_however_it_is_written() {
    let secret = "byte8_lk_0123456789abcdef0123456789abcdef";
    for text in [format!("Bearer {secret}"), STANDARD.encode(format!("ab{secret}")), STANDARD.encode(secret)] {
        assert!(written(secret).iter().any(|way| text.contains(way)), "{text}");
    }
}
