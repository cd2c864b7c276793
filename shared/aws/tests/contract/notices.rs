//! The topic of notices, as its subscribers see it.

use crate::stack::{config, sns, sqs};
use ledger_aws::{Aws, SystemChance};
use ledger_engine::ports::{Chance, Notices, PortFault, Published};

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
    let raw = sns(&config, config.endpoints.sns.as_ref());
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
