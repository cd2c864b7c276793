//! The command line.

use clap::{Args, CommandFactory, Parser, Subcommand};
use clap_complete::Shell;
use std::path::PathBuf;

/// The providers.
const PROVIDERS: [&str; 3] = ["xero", "sage_accounting", "freeagent"];
/// The states of runs.
const STATES: [&str; 7] = ["queued", "running", "waiting", "held", "succeeded", "skipped", "dead_lettered"];

/// Looks after a Ledger stack: its shops, their books, the runs and what became of them.
///
/// A stack is reached at the address that --url or LEDGER_URL gives (the stack's output ApiUrl), by whoever is signed in:
/// `ledger login` does that once, with the issuer and client id of OIDC_ISSUER and OIDC_CLIENT_ID (outputs OidcIssuer and
/// OidcClientId). OPERATOR_TOKEN, where it is set, is used instead. Variables come from the file that --stack-env names,
/// else from .local/stack.env where there is one (`make up` writes it), else from the environment.
///
/// Exit codes: 0 done, 1 fault, 2 wrong usage, 3 not found.
#[derive(Debug, Parser)]
#[command(name = "ledger", version, arg_required_else_help = true, max_term_width = 100)]
pub struct Cli {
    /// Print JSON instead of text.
    #[arg(long, global = true)]
    pub json: bool,

    /// File of NAME=value lines that says how to reach the stack.
    #[arg(long, global = true, value_name = "FILE")]
    pub stack_env: Option<PathBuf>,

    /// Address of the stack.
    #[arg(long, global = true, value_name = "URL")]
    pub url: Option<String>,

    /// Where the sign-in is kept; by default ledger/sign-in.json in the user's folder of configurations.
    #[arg(long, global = true, value_name = "FILE")]
    pub token_file: Option<PathBuf>,

    #[command(subcommand)]
    pub(crate) command: Command,
}

#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Sign in: a page of the issuer opens in the browser.
    Login {
        /// Who signs operators in.
        #[arg(long, value_name = "URL")]
        issuer: Option<String>,
        /// What this program is known by there.
        #[arg(long, value_name = "ID")]
        client_id: Option<String>,
        /// Print the address instead of opening it.
        #[arg(long)]
        no_browser: bool,
    },
    /// Sign out: the issuer is told, and what is kept here is removed.
    Logout,
    /// Who is signed in, and what they may.
    Whoami,
    /// Shops: pair, look, disconnect.
    #[command(subcommand)]
    Shop(ShopCommand),
    /// Books: connect, look, pause, disconnect.
    #[command(subcommand)]
    Book(BookCommand),
    /// The providers' apps, by which the stack is known there.
    #[command(subcommand)]
    App(AppCommand),
    /// Grants of books.
    #[command(subcommand)]
    Oauth(OauthCommand),
    /// A binding's settings.
    #[command(subcommand)]
    Settings(SettingsCommand),
    /// What is known of the book: accounts, tax rates, bank accounts, currencies.
    #[command(subcommand)]
    Reference(ReferenceCommand),
    /// Runs: the work that each delivery asks for.
    #[command(subcommand)]
    Runs(RunsCommand),
    /// Runs that a person has to look at.
    #[command(subcommand)]
    DeadLetters(DeadLetterCommand),
    /// Runs that wait until something is mended.
    #[command(subcommand)]
    Held(HeldCommand),
    /// Runs that were planned and proven while their binding was in preview.
    #[command(subcommand)]
    Previews(PreviewsCommand),
    /// Carry over again what was received since a moment.
    Resync {
        /// The binding.
        binding: String,
        /// ISO 8601: 2026-11-20T00:00:00Z.
        #[arg(long, value_name = "MOMENT")]
        since: String,
        /// Only this event; may be repeated.
        #[arg(long = "event", value_name = "EVENT")]
        events: Vec<String>,
        /// Wait until it is done.
        #[arg(long)]
        follow: bool,
    },
    /// Fetch what the shop raised before it told this stack of it, by ids in the shop. An invoice brings its payment along.
    Backfill {
        /// The binding.
        binding: String,
        /// What.
        #[arg(long, value_parser = ["invoice", "creditmemo", "customer", "product"])]
        kind: String,
        /// The first id.
        #[arg(long = "from", value_name = "ID")]
        from_id: u64,
        /// The last id.
        #[arg(long = "to", value_name = "ID")]
        to_id: u64,
        /// Wait until it is done.
        #[arg(long)]
        follow: bool,
    },
    /// The states that the shop shows.
    #[command(subcommand)]
    SyncState(SyncStateCommand),
    /// Work that goes on by itself.
    #[command(subcommand)]
    Jobs(JobsCommand),
    /// Cross-references: which document of the book belongs to which of the shop.
    #[command(subcommand)]
    Xref(XrefCommand),
    /// How an integration fares, in the shape that platform administrators read.
    Diagnose {
        /// The binding.
        binding: String,
    },
    /// Check a deployed stack end to end, and say what to do.
    Doctor {
        /// A tenant to look at; may be repeated. By default all that you may see.
        #[arg(long = "tenant", value_name = "ID")]
        tenants: Vec<String>,
    },
    /// Write a stack's tables directly, with AWS rights: for local stacks and tests.
    #[command(subcommand)]
    Local(LocalCommand),
    /// Print a completion script for a shell.
    Completions {
        /// The shell.
        shell: Shell,
    },
}

#[derive(Debug, Subcommand)]
pub(crate) enum ShopCommand {
    /// Pair a shop by the code that its configuration page shows.
    ///
    /// The code is asked for, or read as a line from standard input; it is never an argument.
    Connect {
        /// Base URL of the shop.
        shop_url: String,
        /// The accounting package whose module shows the code.
        #[arg(long, value_parser = PROVIDERS)]
        provider: String,
    },
    /// Show a shop and its bindings.
    Status {
        /// The tenant.
        tenant: String,
    },
    /// Disconnect all books of a shop; each is shown with what goes and what stays.
    Disconnect {
        /// The tenant.
        tenant: String,
        /// Don't ask.
        #[arg(long)]
        yes: bool,
    },
}

#[derive(Debug, Subcommand)]
pub(crate) enum BookCommand {
    /// Connect a binding to its book: the provider's page opens in the browser.
    Connect {
        /// The binding.
        binding: String,
        /// Print the address instead of opening it.
        #[arg(long)]
        no_browser: bool,
    },
    /// Make another binding of a provider, for another organisation; those that there are have to be disconnected.
    New {
        /// The tenant.
        tenant: String,
        /// The accounting package.
        #[arg(long, value_parser = PROVIDERS)]
        provider: String,
    },
    /// Make a link for whoever may sign in to the book and has no account here.
    Link {
        /// The binding.
        binding: String,
    },
    /// Confirm the organisation of a connection that waits for it.
    Confirm {
        /// The binding.
        binding: String,
        /// Name or id of the organisation; asked for by default.
        organisation: Option<String>,
    },
    /// Throw a connection away that waits for its confirmation.
    Discard {
        /// The binding.
        binding: String,
    },
    /// Show a binding and its book.
    Status {
        /// The binding.
        binding: String,
    },
    /// Read the book's accounts, rates and currencies anew.
    Refresh {
        /// The binding.
        binding: String,
    },
    /// Hold a binding's runs from now on. One in preview sends nothing anyway, and can't be paused.
    Pause {
        /// The binding.
        binding: String,
    },
    /// Let a paused binding go on; the next sweep releases its held runs. One in preview is left alone.
    Resume {
        /// The binding.
        binding: String,
    },
    /// Plan and prove runs from now on, and send nothing.
    Preview {
        /// The binding.
        binding: String,
    },
    /// Send runs from now on. What was held as a preview stays until it is released.
    Live {
        /// The binding.
        binding: String,
    },
    /// Disconnect a binding from its book; what goes and what stays is shown first.
    Disconnect {
        /// The binding.
        binding: String,
        /// Don't ask.
        #[arg(long)]
        yes: bool,
    },
}

#[derive(Debug, Subcommand)]
pub(crate) enum AppCommand {
    /// Set client id and secret of a provider's app, for the stack or for one binding.
    Set(AppSet),
    /// Show the stack's app of a provider, or the one that speaks for a binding, and the callback address that has to be
    /// entered there.
    Show {
        /// The provider.
        #[arg(value_parser = PROVIDERS, required_unless_present = "binding")]
        provider: Option<String>,
        /// The app of this binding.
        #[arg(long, value_name = "ID", conflicts_with = "provider")]
        binding: Option<String>,
    },
}

#[derive(Args, Debug)]
pub(crate) struct AppSet {
    /// The provider.
    #[arg(value_parser = PROVIDERS)]
    pub(crate) provider: String,
    /// Only for this binding.
    #[arg(long, value_name = "ID")]
    pub(crate) binding: Option<String>,
    /// Client id.
    #[arg(long, value_name = "ID")]
    pub(crate) client_id: String,
    /// File with the client secret; an app without one uses PKCE alone.
    #[arg(long, value_name = "FILE", conflicts_with = "secret_stdin")]
    pub(crate) secret_file: Option<PathBuf>,
    /// Read the client secret from standard input.
    #[arg(long)]
    pub(crate) secret_stdin: bool,
    /// The provider's live or sandbox hosts.
    #[arg(long, value_parser = ["live", "sandbox"])]
    pub(crate) environment: Option<String>,
    /// A scope instead of the usual ones; may be repeated.
    #[arg(long = "scope", value_name = "SCOPE")]
    pub(crate) scopes: Vec<String>,
    /// The dialect, where it shall not be found out.
    #[arg(long, value_name = "NAME")]
    pub(crate) dialect: Option<String>,
    /// Country for the provider's sign-in page: gb, ie, ca.
    #[arg(long, value_name = "COUNTRY")]
    pub(crate) country: Option<String>,
    /// JSON file with the addresses of a stand-in: authorize, token, revoke, api. Local stacks only.
    #[arg(long, value_name = "FILE")]
    pub(crate) hosts: Option<PathBuf>,
}

#[derive(Debug, Subcommand)]
pub(crate) enum OauthCommand {
    /// Show a binding's grant: when it expires, what it may.
    Status {
        /// The binding.
        binding: String,
        /// Print the access token, opened with your own right to the stack's key. Local stacks only.
        #[arg(long)]
        reveal_token: bool,
    },
}

#[derive(Debug, Subcommand)]
pub(crate) enum SettingsCommand {
    /// Show the settings in force.
    Get {
        /// The binding.
        binding: String,
    },
    /// Save settings; they count from the next attempt on.
    Set {
        /// The binding.
        binding: String,
        /// JSON file with the settings; - for standard input.
        #[arg(long, value_name = "FILE")]
        file: PathBuf,
        /// The version that they were made from; by default the one in force.
        #[arg(long, value_name = "N")]
        version: Option<u32>,
    },
    /// Check settings against what is known of the book. Nothing is saved.
    Validate {
        /// The binding.
        binding: String,
        /// JSON file with the settings; - for standard input.
        #[arg(long, value_name = "FILE")]
        file: PathBuf,
    },
    /// Show what the book suggests, and what a person has to fill in.
    Propose {
        /// The binding.
        binding: String,
    },
    /// Show versions, newest first.
    History {
        /// The binding.
        binding: String,
        /// Only versions before this one.
        #[arg(long, value_name = "N")]
        before: Option<u32>,
    },
}

#[derive(Debug, Subcommand)]
pub(crate) enum ReferenceCommand {
    /// Show what is known, and how old it is. The book is not asked.
    Show {
        /// The binding.
        binding: String,
        /// Only this list.
        #[arg(long, value_name = "LIST")]
        list: Option<String>,
    },
    /// Read lists of the book anew.
    Refresh {
        /// The binding.
        binding: String,
        /// Only this list; may be repeated.
        #[arg(long = "list", value_name = "LIST")]
        lists: Vec<String>,
    },
}

#[derive(Debug, Subcommand)]
pub(crate) enum RunsCommand {
    /// List a tenant's runs, newest first.
    List(RunsList),
    /// Show a run and its timeline: delivery, attempts with each step, outcome, chip.
    Show {
        /// The run.
        run: String,
    },
    /// Show the exact requests that a run would send now. They name the buyer.
    Request {
        /// The run.
        run: String,
    },
    /// Try a run again, or all runs of a filter.
    ///
    /// A dead letter or a skipped run is opened anew, a waiting or held one is sent now, a succeeded one tells the shop
    /// its chip again.
    Retry {
        /// The run.
        #[arg(conflicts_with = "RunsFilter", required_unless_present = "tenant")]
        run: Option<String>,
        #[command(flatten)]
        filter: RunsFilter,
        /// Don't ask.
        #[arg(long)]
        yes: bool,
    },
    /// Send a run that was held as a preview.
    Release {
        /// The run.
        run: String,
    },
    /// Give a run up.
    Discard(RunDiscard),
    /// Say that a run's document is in the book already; it is looked for there.
    Settle(RunSettle),
}

#[derive(Args, Debug)]
pub(crate) struct RunDiscard {
    /// The run.
    pub(crate) run: String,
    /// Why, for those who look later; no names of buyers.
    #[arg(long, value_name = "TEXT")]
    pub(crate) reason: String,
}

#[derive(Args, Debug)]
pub(crate) struct RunSettle {
    /// The run.
    pub(crate) run: String,
    /// The document's id in the book; by default it is looked for by its number.
    #[arg(long, value_name = "ID")]
    pub(crate) provider_id: Option<String>,
    /// Its human reference there.
    #[arg(long, value_name = "TEXT")]
    pub(crate) reference: Option<String>,
}

#[derive(Args, Debug, Default)]
pub(crate) struct RunsFilter {
    /// The tenant.
    #[arg(long, value_name = "ID")]
    pub(crate) tenant: Option<String>,
    /// Only runs in this state.
    #[arg(long, value_parser = STATES)]
    pub(crate) state: Option<String>,
    /// Only runs of this event.
    #[arg(long, value_name = "EVENT")]
    pub(crate) event: Option<String>,
    /// Only runs of this binding.
    #[arg(long, value_name = "ID")]
    pub(crate) binding: Option<String>,
    /// Only runs with this code.
    #[arg(long, value_name = "CODE")]
    pub(crate) code: Option<String>,
    /// Only runs of this id in the shop.
    #[arg(long, value_name = "ID")]
    pub(crate) magento_id: Option<u64>,
}

#[derive(Args, Debug)]
pub(crate) struct RunsList {
    #[command(flatten)]
    pub(crate) filter: RunsFilter,
    /// How many at most.
    #[arg(long, value_name = "N", default_value_t = 20, value_parser = clap::value_parser!(u16).range(1..=1_000))]
    pub(crate) limit: u16,
    /// Go on where an earlier list ended.
    #[arg(long, value_name = "CURSOR")]
    pub(crate) after: Option<String>,
}

#[derive(Args, Debug, Default)]
pub(crate) struct Whose {
    /// Only of this tenant.
    #[arg(long, value_name = "ID")]
    pub(crate) tenant: Option<String>,
    /// Only of this binding.
    #[arg(long, value_name = "ID")]
    pub(crate) binding: Option<String>,
}

#[derive(Debug, Subcommand)]
pub(crate) enum DeadLetterCommand {
    /// List them by cause: how many, whose they are, what to do.
    List {
        #[command(flatten)]
        whose: Whose,
        /// Only those with this code.
        #[arg(long, value_name = "CODE")]
        code: Option<String>,
    },
    /// Try all of a cause again, once it is mended.
    Requeue {
        /// The cause.
        #[arg(long, value_name = "CODE")]
        code: String,
        #[command(flatten)]
        whose: Whose,
        /// Don't ask.
        #[arg(long)]
        yes: bool,
    },
    /// Give one up.
    Discard(RunDiscard),
    /// Say that its document is in the book already; it is looked for there.
    Settle(RunSettle),
}

#[derive(Debug, Subcommand)]
pub(crate) enum HeldCommand {
    /// List them by cause: how many, whose they are, what they wait for.
    List {
        #[command(flatten)]
        whose: Whose,
    },
}

#[derive(Debug, Subcommand)]
pub(crate) enum PreviewsCommand {
    /// List a binding's previews, oldest first.
    List {
        /// The binding.
        binding: String,
        /// Go on where an earlier list ended.
        #[arg(long, value_name = "CURSOR")]
        after: Option<String>,
    },
    /// Send one, or all of a binding that is live.
    Release {
        #[command(flatten)]
        which: OneOrAll,
    },
    /// Give one up, or all of a binding.
    Discard {
        #[command(flatten)]
        which: OneOrAll,
        /// Why, for those who look later; no names of buyers.
        #[arg(long, value_name = "TEXT")]
        reason: String,
    },
}

#[derive(Args, Debug)]
pub(crate) struct OneOrAll {
    /// The run.
    #[arg(required_unless_present = "all_of", conflicts_with = "all_of")]
    pub(crate) run: Option<String>,
    /// All previews of this binding, as a job.
    #[arg(long, value_name = "BINDING")]
    pub(crate) all_of: Option<String>,
    /// Wait until the job is done.
    #[arg(long, requires = "all_of")]
    pub(crate) follow: bool,
}

#[derive(Debug, Subcommand)]
pub(crate) enum SyncStateCommand {
    /// Tell the shop its chips again.
    Backfill {
        /// The tenant.
        #[arg(long, value_name = "ID")]
        tenant: String,
        /// The accounting package.
        #[arg(long, value_parser = PROVIDERS)]
        provider: String,
        /// Only of runs received since, ISO 8601.
        #[arg(long, value_name = "MOMENT", default_value = "2000-01-01T00:00:00Z")]
        since: String,
        /// Wait until it is done.
        #[arg(long)]
        follow: bool,
    },
}

#[derive(Debug, Subcommand)]
pub(crate) enum JobsCommand {
    /// List a binding's jobs, newest first.
    List {
        /// The binding.
        binding: String,
    },
    /// Wait until a job is done.
    Follow {
        /// The binding.
        binding: String,
        /// The job.
        job: String,
    },
    /// Stop a job where it is.
    Stop {
        /// The binding.
        binding: String,
        /// The job.
        job: String,
    },
}

#[derive(Debug, Subcommand)]
pub(crate) enum XrefCommand {
    /// Show what is remembered of an entity of the shop.
    Show(Entity),
    /// Take over another service's links: the module's table of states as CSV, with its header.
    Import {
        /// The binding.
        binding: String,
        /// The file; - for standard input.
        file: PathBuf,
        /// Only say what would be taken.
        #[arg(long)]
        dry_run: bool,
    },
    /// Print what is remembered of a binding: what the book has, as the CSV that `import` takes, or everything as JSON.
    Export {
        /// The binding.
        binding: String,
        /// `csv`: the module's table of states, with its header. `json`: one object a line, payments and what is in doubt too.
        #[arg(long, value_parser = ["csv", "json"], default_value = "csv")]
        format: String,
    },
    /// Forget what is remembered of an entity, but not that it has to be looked for first.
    Reset {
        #[command(flatten)]
        entity: Entity,
        /// Don't ask.
        #[arg(long)]
        yes: bool,
    },
}

#[derive(Args, Debug)]
pub(crate) struct Entity {
    /// The binding.
    pub(crate) binding: String,
    /// Kind of document.
    #[arg(value_parser = ["contact", "product", "invoice", "credit_note"])]
    pub(crate) kind: String,
    /// Its id in the shop.
    pub(crate) magento_id: u64,
}

#[derive(Debug, Subcommand)]
pub(crate) enum LocalCommand {
    /// Tenants, without pairing.
    #[command(subcommand)]
    Tenant(TenantCommand),
    /// Bindings, without OAuth.
    #[command(subcommand)]
    Binding(BindingCommand),
}

#[derive(Debug, Subcommand)]
pub(crate) enum TenantCommand {
    /// Make a tenant for a shop.
    ///
    /// The key that is shared with the shop is read from a file or standard input. Without either a new one is made and
    /// printed; it is never shown again.
    Add(TenantAdd),
}

#[derive(Args, Debug)]
pub(crate) struct TenantAdd {
    /// Base URL of the shop.
    #[arg(long, value_name = "URL")]
    pub(crate) shop_url: String,
    /// The tenant's id, such as one that another service gave the shop; a new one by default.
    #[arg(long, value_name = "ID")]
    pub(crate) tenant: Option<String>,
    /// File with the key that the shop already has.
    #[arg(long, value_name = "FILE", conflicts_with = "api_key_stdin")]
    pub(crate) api_key_file: Option<PathBuf>,
    /// Read the key from standard input.
    #[arg(long)]
    pub(crate) api_key_stdin: bool,
}

#[derive(Debug, Subcommand)]
pub(crate) enum BindingCommand {
    /// Bind a tenant to a book.
    Add(BindingAdd),
    /// Give a binding a new access token; the next sweep releases runs that were held for it.
    SetToken {
        #[command(flatten)]
        pick: BindingPick,
        #[command(flatten)]
        token: TokenSource,
    },
}

#[derive(Args, Debug)]
pub(crate) struct BindingAdd {
    /// The tenant.
    #[arg(long, value_name = "ID")]
    pub(crate) tenant: String,
    /// The accounting package.
    #[arg(long, value_parser = PROVIDERS)]
    pub(crate) provider: String,
    /// How it is spoken to.
    #[arg(long, value_name = "NAME")]
    pub(crate) dialect: String,
    /// Scheme, host and port of its API.
    #[arg(long, value_name = "URL")]
    pub(crate) base_url: String,
    /// Id of the organisation there.
    #[arg(long, value_name = "ID")]
    pub(crate) organisation: String,
    /// What the provider's web pages know it by, where that is not its id: Xero's short code, FreeAgent's subdomain.
    #[arg(long, value_name = "NAME")]
    pub(crate) web_name: Option<String>,
    #[command(flatten)]
    pub(crate) token: TokenSource,
    /// JSON file with the settings; - for standard input.
    #[arg(long, value_name = "FILE")]
    pub(crate) settings: PathBuf,
}

/// A binding by its id or by its provider; a tenant's only one needs neither.
#[derive(Args, Debug)]
pub(crate) struct BindingPick {
    /// The tenant.
    #[arg(long, value_name = "ID")]
    pub(crate) tenant: String,
    /// The binding's id.
    #[arg(long, value_name = "ID", conflicts_with = "provider")]
    pub(crate) binding: Option<String>,
    /// The binding's provider, instead of its id.
    #[arg(long)]
    pub(crate) provider: Option<String>,
}

#[derive(Args, Debug)]
#[group(required = true, multiple = false)]
pub(crate) struct TokenSource {
    /// File with the access token.
    #[arg(long = "access-token-file", value_name = "FILE")]
    pub(crate) access_token_file: Option<PathBuf>,
    /// Read the access token from standard input.
    #[arg(long = "token-stdin")]
    pub(crate) token_stdin: bool,
}

/// A completion script.
pub(crate) fn completions(shell: Shell) -> String {
    let mut script = Vec::new();
    clap_complete::generate(shell, &mut Cli::command(), "ledger", &mut script);
    String::from_utf8_lossy(&script).into_owned()
}
