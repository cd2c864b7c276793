//! tmp
use ledger_aws::*;
use ledger_engine::ports::*;
fn main() {
    let t0 = std::time::Instant::now();
    let config = Config::from_lookup(&|n| std::env::var(n).ok()).unwrap();
    let t1 = std::time::Instant::now();
    let aws = Aws::new(&config).unwrap();
    let t2 = std::time::Instant::now();
    let store = aws.store();
    let t3 = std::time::Instant::now();
    let queue = aws.queue();
    let vault = aws.vault();
    let t4 = std::time::Instant::now();
    let rt = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let t5 = std::time::Instant::now();
    println!("BUILT");
    if std::env::args().count() > 1 {
        rt.block_on(async {
            let r = store.tenancy("x").await;
            let t6 = std::time::Instant::now();
            let r2 = store.tenancy("x").await;
            let t7 = std::time::Instant::now();
            let d = queue.depth().await;
            let t8 = std::time::Instant::now();
            println!("{r:?} {r2:?} {d:?} first {:?} second {:?} sqs {:?}", t6 - t5, t7 - t6, t8 - t7);
        });
    }
    println!("config {:?} new {:?} store {:?} queue+vault {:?} rt {:?}", t1 - t0, t2 - t1, t3 - t2, t4 - t3, t5 - t4);
    let _ = vault;
}
