//! Answers operators and the shop's module: API Gateway (REST, proxy integration) in, the routes of `ledger-routes` behind it.

use lambda_http::request::RequestContext;
use lambda_http::{Request, RequestExt as _, service_fn};
use ledger_aws::process::{environment, issuer, start_logs};
use ledger_aws::{Aws, Config, SystemChance, SystemClock};
use ledger_engine::config::Timers;
use ledger_engine::signin::SignIn;
use ledger_engine::tally::Tally;
use ledger_engine::tenants::TenantMemory;
use ledger_http::{Http, HttpConfig};
use ledger_routes::{Api, ReachedBy, router};
use std::sync::Arc;
use tower::ServiceExt as _;

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), lambda_http::Error> {
    start_logs();
    let aws = Aws::new(&Config::from_lookup(&environment)?)?;
    let config = HttpConfig::from_lookup(&environment)?;
    let http = Http::new(&config)?;
    let (issuer, keys_url) = issuer(&environment)?;
    // Where another engine is this stack's AWS, its user pool is reached wherever that engine listens. Who deploys says so,
    // nobody who asks; on AWS there is none.
    let engine = environment("AWS_ENDPOINT_URL").filter(|url| !url.is_empty());
    let to_issuer = match engine {
        Some(engine) if keys_url.starts_with(&engine) => {
            Http::new(&HttpConfig { allow_private_addresses: true, ..config })?
        }
        _ => http.clone(),
    };
    let api = Api {
        store: Box::new(aws.store()),
        queue: Box::new(aws.queue()),
        vault: Box::new(aws.vault()),
        shop: Box::new(http.shop()),
        book: Box::new(http.book()),
        authorities: Box::new(http.authorities()),
        clock: Box::new(SystemClock),
        chance: Box::new(SystemChance),
        issuer_keys: Box::new(to_issuer.issuer(&keys_url)),
        sign_in: SignIn::new(issuer),
        timers: Timers::from_lookup(&environment)?,
        memory: TenantMemory::default(),
        tally: Tally::default(),
        public_url: environment("PUBLIC_URL").filter(|url| !url.is_empty()),
    };
    let routes = router(Arc::new(api));
    lambda_http::run(service_fn(move |mut request: Request| {
        if let RequestContext::ApiGatewayV1(gateway) = request.request_context()
            && let (Some(domain), Some(stage)) = (&gateway.domain_name, &gateway.stage)
        {
            request.extensions_mut().insert(ReachedBy::of(domain, stage));
        }
        routes.clone().oneshot(request)
    }))
    .await
}
