//! The command line.

use clap::{Args, CommandFactory, Parser, Subcommand};
use clap_complete::Shell;
use std::path::PathBuf;

/// Looks after a Ledger stack: its tenants, their bindings, the runs and what became of them.
///
/// A stack is reached with the variables that its functions have: TABLE_SYNC_RUNS, TABLE_ENTITY_XREF, TABLE_TENANTS,
/// KMS_KEY_ID, the QUEUE_…_URLs, AWS_REGION and AWS credentials (`aws configure export-credentials --format env` prints
/// those of a profile). They come from the file that --stack-env names, else from .local/stack.env where there is one
/// (`make up` writes it), else from the environment.
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

    #[command(subcommand)]
    pub(crate) command: Command,
}

#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Tenants: one shop's account each.
    #[command(subcommand)]
    Tenant(TenantCommand),
    /// Bindings: a tenant's link to a book, with its settings.
    #[command(subcommand)]
    Binding(BindingCommand),
    /// Runs: the work that each delivery asks for.
    #[command(subcommand)]
    Runs(RunsCommand),
    /// Runs that a person has to look at.
    #[command(subcommand)]
    DeadLetters(DeadLetterCommand),
    /// Runs that wait until something is mended.
    #[command(subcommand)]
    Held(HeldCommand),
    /// Print a completion script for a shell.
    Completions {
        /// The shell.
        shell: Shell,
    },
}

#[derive(Debug, Subcommand)]
pub(crate) enum TenantCommand {
    /// Make a tenant for a shop.
    ///
    /// The key that is shared with the shop is read from a file or standard input. Without either a new one is made and
    /// printed; it is never shown again.
    Add(TenantAdd),
    /// Show a tenant and its bindings.
    Show {
        /// The tenant.
        tenant: String,
    },
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
    /// Show a tenant's bindings with their settings.
    Show(BindingPick),
    /// Hold a binding's runs from now on.
    Pause(BindingPick),
    /// Let a paused binding go on; the next sweep releases its held runs.
    Resume(BindingPick),
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
    #[arg(long, value_parser = ["xero", "sage_accounting", "freeagent"])]
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
    #[arg(long, value_name = "FILE")]
    pub(crate) token_file: Option<PathBuf>,
    /// Read the access token from standard input.
    #[arg(long)]
    pub(crate) token_stdin: bool,
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
    /// Try a run again.
    ///
    /// A dead letter or a skipped run is opened anew, a waiting or held one is sent now, a succeeded one tells the shop
    /// its chip again.
    Retry {
        /// The run.
        run: String,
    },
}

#[derive(Args, Debug)]
pub(crate) struct RunsList {
    /// The tenant.
    #[arg(long, value_name = "ID")]
    pub(crate) tenant: String,
    /// Only runs in this state.
    #[arg(long, value_parser = ["queued", "running", "waiting", "held", "succeeded", "skipped", "dead_lettered"])]
    pub(crate) state: Option<String>,
    /// How many at most.
    #[arg(long, value_name = "N", default_value_t = 20, value_parser = clap::value_parser!(u16).range(1..=1_000))]
    pub(crate) limit: u16,
    /// Go on where an earlier list ended.
    #[arg(long, value_name = "CURSOR")]
    pub(crate) after: Option<String>,
}

#[derive(Debug, Subcommand)]
pub(crate) enum DeadLetterCommand {
    /// List them by cause: how many, whose they are, what to do.
    List,
}

#[derive(Debug, Subcommand)]
pub(crate) enum HeldCommand {
    /// List them by cause: how many, whose they are, what to do.
    List,
}

/// A completion script.
pub(crate) fn completions(shell: Shell) -> String {
    let mut script = Vec::new();
    clap_complete::generate(shell, &mut Cli::command(), "ledger", &mut script);
    String::from_utf8_lossy(&script).into_owned()
}
