use crate::stack::{NOW, Stack, config, sqs};
use ledger_aws::{Aws, SystemChance};
use ledger_engine::ports::{Chance, NoticeStore, Notices, PortFault, Published};
use ledger_wire::rows::{NoticesRow, OutboxRow};

fn row(tenant: &str, revision: u32) -> NoticesRow {
    NoticesRow { revision, digest_at: NOW, ..NoticesRow::new(tenant, 420) }
}

#[tokio::test]
async fn notices_are_written_only_as_seen() {
    let Some(stack) = Stack::new().await else { return };
    assert_eq!(stack.store.notices("t-1").await, Ok(None));
    assert_eq!(stack.store.put_notices(Some(1), &row("t-1", 2)).await, Ok(false), "there is none");
    assert_eq!(stack.store.put_notices(None, &row("t-1", 1)).await, Ok(true));
    assert_eq!(stack.store.put_notices(None, &row("t-1", 1)).await, Ok(true), "its reply was lost");
    assert_eq!(stack.store.put_notices(None, &row("t-1", 9)).await, Ok(false), "there is one");
    let sent = OutboxRow { id: "n-1".to_owned(), recipient: "p-1".to_owned(), ..OutboxRow::default() };
    let next = NoticesRow { outbox: vec![sent], ..row("t-1", 2) };
    assert_eq!(stack.store.put_notices(Some(1), &next).await, Ok(true));
    assert_eq!(stack.store.put_notices(Some(1), &next).await, Ok(true), "its reply was lost");
    assert_eq!(stack.store.put_notices(Some(1), &row("t-1", 2)).await, Ok(false), "somebody was faster");
    assert_eq!(stack.store.notices("t-1").await, Ok(Some(next)));
    stack.end().await;
}

#[tokio::test]
async fn tenants_with_notices_are_found_page_by_page() {
    let Some(stack) = Stack::new().await else { return };
    for tenant in ["t-1", "t-2", "t-3"] {
        assert_eq!(stack.store.put_notices(None, &row(tenant, 1)).await, Ok(true));
    }
    let page = |after: Option<&'static str>| {
        let store = stack.store.clone();
        async move {
            let found = store.notices_page(after, 2).await.unwrap();
            found.into_iter().map(|row| row.tenant).collect::<Vec<_>>()
        }
    };
    assert_eq!(page(None).await, ["t-1", "t-2"]);
    assert_eq!(page(Some("t-2")).await, ["t-3"]);
    assert!(page(Some("t-3")).await.is_empty());
    stack.end().await;
}

fn notice() -> Published {
    Published {
        subject: "Ledger, t-1: a test".to_owned(),
        text: "Shop t-1: a test.\n".to_owned(),
        attributes: vec![("tenant", "t-1".to_owned()), ("role", "operator".to_owned())],
    }
}

#[tokio::test]
async fn a_notice_reaches_who_is_subscribed_for_it() {
    let Some(mut config) = config() else { return };
    let raw = crate::stack::sns(&config, config.endpoints.sns.as_ref());
    let queues = sqs(&config, config.endpoints.sqs.as_ref());
    let name = format!("ledger-contract-{}", SystemChance.uuid());
    let topic = raw.create_topic().name(&name).send().await.unwrap().topic_arn.unwrap();
    let mut urls = Vec::new();
    for role in ["operator", "accountant"] {
        let url = queues.create_queue().queue_name(format!("{name}-{role}")).send().await.unwrap().queue_url.unwrap();
        let wanted = aws_sdk_sqs::types::QueueAttributeName::QueueArn;
        let told = queues.get_queue_attributes().queue_url(&url).attribute_names(wanted.clone()).send().await.unwrap();
        let arn = told.attributes.unwrap().remove(&wanted).unwrap();
        let policy = format!(
            r#"{{"Version":"2012-10-17","Statement":[{{"Effect":"Allow","Principal":{{"Service":"sns.amazonaws.com"}},
            "Action":"sqs:SendMessage","Resource":"{arn}"}}]}}"#
        );
        let may = aws_sdk_sqs::types::QueueAttributeName::Policy;
        queues.set_queue_attributes().queue_url(&url).attributes(may, policy).send().await.unwrap();
        let filter = format!(r#"{{"tenant":["t-1"],"role":["{role}"]}}"#);
        let call = raw.subscribe().topic_arn(&topic).protocol("sqs").endpoint(arn).attributes("FilterPolicy", filter);
        call.send().await.unwrap();
        urls.push(url);
    }
    config.topic_notices = Some(topic.clone());
    assert_eq!(Aws::new(&config).unwrap().topic().publish(&notice()).await, Ok(()));
    let mut got = Vec::new();
    for url in &urls {
        let answer = queues.receive_message().queue_url(url).wait_time_seconds(2).send().await.unwrap();
        got.push(answer.messages.unwrap_or_default().into_iter().filter_map(|it| it.body).collect::<Vec<_>>());
    }
    assert_eq!((got[0].len(), got[1].len()), (1, 0), "{got:?}");
    assert!(got[0][0].contains("Ledger, t-1: a test"), "{got:?}");
    for url in urls {
        queues.delete_queue().queue_url(url).send().await.unwrap();
    }
    raw.delete_topic().topic_arn(topic).send().await.unwrap();
}

#[tokio::test]
async fn a_stack_without_a_topic_publishes_later() {
    let Some(mut config) = config() else { return };
    config.topic_notices = None;
    let answer = Aws::new(&config).unwrap().topic().publish(&notice()).await;
    assert!(matches!(answer, Err(PortFault::Unavailable(_))), "{answer:?}");
    config.topic_notices = Some("arn:aws:sns:eu-west-1:000000000000:there-is-none".to_owned());
    let answer = Aws::new(&config).unwrap().topic().publish(&notice()).await;
    assert!(matches!(answer, Err(PortFault::Unavailable(_))), "{answer:?}");
}
