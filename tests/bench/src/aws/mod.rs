//! AWS as far as Ledger uses it: DynamoDB, SQS and KMS, each behind a TLS endpoint of its own, as on AWS. State is in
//! memory; nothing of it is ever slow, throttled or down.

pub mod dynamo;
mod endpoint;
pub mod expression;
pub mod item;
pub mod kms;
pub mod meter;
pub mod sqs;

use anyhow::Context as _;
use dynamo::{Dynamo, Refusal};
use endpoint::{Authority, Endpoint};
use meter::{Count, Meter};
use serde_json::{Value, json};
use sqs::Sqs;
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// The region that functions are told.
pub const REGION: &str = "eu-west-2";

/// What the endpoints share.
#[derive(Debug, Default)]
struct Services {
    dynamo: Dynamo,
    sqs: Sqs,
    meter: Meter,
}

/// The endpoints. They close when this is dropped.
#[derive(Debug)]
pub struct Aws {
    services: Arc<Services>,
    dynamodb: Endpoint,
    sqs: Endpoint,
    kms: Endpoint,
    folder: PathBuf,
}

impl Drop for Aws {
    fn drop(&mut self) {
        // What is left behind is a certificate in a folder for temporary files.
        let _ = std::fs::remove_dir_all(&self.folder);
    }
}

impl Aws {
    /// Opens the endpoints on free ports of the loopback.
    ///
    /// # Errors
    /// Where there is no port, or the certificate can't be made or written.
    pub async fn start() -> anyhow::Result<Self> {
        let authority = Authority::new()?;
        let folder = std::env::temp_dir().join(format!("ledger-bench-{}", crate::ambient::fresh_uuid()));
        std::fs::create_dir_all(&folder)?;
        std::fs::write(folder.join("ca.pem"), authority.pem()).context("the certificate can't be written")?;
        let services = Arc::new(Services::default());
        let open = async |route: fn(&Services, &str, &Value) -> Result<Value, Refusal>| {
            let services = Arc::clone(&services);
            Endpoint::start(&authority, move |target, body| answer(&services, route, target, body)).await
        };
        Ok(Self {
            dynamodb: open(|services, operation, request| services.dynamo.answer(operation, request, &services.meter))
                .await?,
            sqs: open(|services, operation, request| services.sqs.answer(operation, request)).await?,
            kms: open(|_, operation, request| kms::answer(operation, request)).await?,
            services,
            folder,
        })
    }

    /// What functions are told: endpoints, tables, queues, key, credentials, and whom to trust.
    #[must_use]
    pub fn environment(&self) -> BTreeMap<String, String> {
        let queue = |name: &str| format!("{}/000000000000/{name}", self.sqs.url());
        [
            ("AWS_REGION", REGION.to_owned()),
            ("AWS_ACCESS_KEY_ID", "AKIAIOSFODNN7EXAMPLE".to_owned()),
            ("AWS_SECRET_ACCESS_KEY", "wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY".to_owned()),
            // Functions always have one, of about this length, and it is signed with every call.
            ("AWS_SESSION_TOKEN", "IQoJb3JpZ2luX2VjEXAMPLE".repeat(32)),
            ("AWS_ENDPOINT_URL_DYNAMODB", self.dynamodb.url()),
            ("AWS_ENDPOINT_URL_SQS", self.sqs.url()),
            ("AWS_ENDPOINT_URL_KMS", self.kms.url()),
            ("TABLE_SYNC_RUNS", dynamo::SYNC_RUNS.to_owned()),
            ("TABLE_ENTITY_XREF", dynamo::ENTITY_XREF.to_owned()),
            ("TABLE_TENANTS", dynamo::TENANTS.to_owned()),
            ("KMS_KEY_ID", kms::KEY.to_owned()),
            ("LEDGER_EXTRA_CA_FILE", self.authority().display().to_string()),
        ]
        .into_iter()
        .chain(sqs::QUEUES.map(|(variable, name)| (variable, queue(name))))
        .map(|(name, value)| (name.to_owned(), value))
        .collect()
    }

    /// The file with the certificate of the endpoints' authority.
    #[must_use]
    pub fn authority(&self) -> PathBuf {
        Path::new(&self.folder).join("ca.pem")
    }

    /// What was asked so far.
    #[must_use]
    pub fn count(&self) -> Count {
        self.services.meter.count()
    }

    /// The tables.
    #[must_use]
    pub fn dynamo(&self) -> &Dynamo {
        &self.services.dynamo
    }

    /// The queues.
    #[must_use]
    pub fn queues(&self) -> &Sqs {
        &self.services.sqs
    }
}

/// One call: `x-amz-target` names the operation, body and answer are JSON.
fn answer(
    services: &Services,
    route: fn(&Services, &str, &Value) -> Result<Value, Refusal>,
    target: &str,
    body: &[u8],
) -> (u16, Vec<u8>) {
    let (_, operation) = target.rsplit_once('.').unwrap_or(("", target));
    services.meter.called(operation);
    let answer = match serde_json::from_slice(body) {
        Ok(request) => route(services, operation, &request),
        Err(_) => Err(Refusal { code: "SerializationException", body: serde_json::Map::new() }),
    };
    let (status, answer) = match answer {
        Ok(answer) => (200, answer),
        Err(mut refusal) => {
            refusal.body.insert("__type".to_owned(), json!(format!("com.amazonaws#{}", refusal.code)));
            (400, Value::Object(refusal.body))
        }
    };
    (status, serde_json::to_vec(&answer).unwrap_or_default())
}
