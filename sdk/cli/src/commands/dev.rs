//! `kumiki dev`: run a chain with the project's contracts, and redeploy when a file is saved.

pub(crate) mod chain;
mod redeploy;
mod watch;

use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use kumiki_protocol::ChainKind;
use serde_json::{Map, Value, json};
use tokio::sync::Notify;

use crate::arguments::DevArguments;
use crate::commands::account::published;
use crate::contract_build::{Builder, Built};
use crate::failure::{Exit, Failure, Outcome};
use crate::home::Home;
use crate::network::{DEV_PORT, DEV_RPC_FILE};
use crate::next_step::shell_word;
use crate::output::Output;
use crate::project::Project;
use crate::sdk_sources::write_if_changed;
use crate::stop_signal::stop_signal;
use chain::{ChainOptions, DevChain};
use redeploy::{Deployer, Placed};

pub(crate) async fn run(arguments: DevArguments, output: Output) -> Outcome<()> {
    let project = Project::find(&arguments.path)?;
    let home = Home::find()?;
    let port = arguments
        .port
        .or(project.config.dev.port)
        .unwrap_or(DEV_PORT);
    check_port(port)?;
    let options = ChainOptions {
        data_dir: arguments
            .data_dir
            .clone()
            .unwrap_or_else(|| project.private_folder().join("dev")),
        port,
        block_time_ms: arguments.block_time.or(project.config.dev.block_time_ms),
        expose: arguments.unsafe_expose,
        hosts: arguments.allow_host.clone(),
        origins: arguments.allow_origin.clone(),
    };
    // Before the first build, so that no save is lost while it runs.
    let saves = if arguments.no_watch || project.contracts.is_empty() {
        None
    } else {
        Some(watch::Saves::of(&project)?)
    };
    // The chain starts while contracts build.
    let build = build_in_background(project.clone(), home.clone(), output);
    let (chain, built) = tokio::select! {
        both = async { tokio::join!(DevChain::start(options), build) } => both,
        () = stop_signal() => return Err(interrupted()),
    };
    let mut chain = chain?;
    let url = chain.url().to_owned();
    let rewinds = chain.rewinds();
    let rpc_file = RpcFile::write(&project, &url)?;
    let result = tokio::select! {
        result = serve(&arguments, project.clone(), &home, &url, (built, saves, rewinds), output) => result,
        () = stop_signal() => Ok(()),
        failure = chain.failed() => Err(failure),
    };
    drop(rpc_file);
    output.message("stopping");
    chain.stop().await?;
    result
}

/// Deploys, says that the chain is ready, then redeploys on every save.
async fn serve(
    arguments: &DevArguments,
    mut project: Project,
    home: &Home,
    url: &str,
    (built, saves, rewinds): (Outcome<Vec<Built>>, Option<watch::Saves>, Arc<Notify>),
    output: Output,
) -> Outcome<()> {
    let mut deployer = Deployer::connect(&project, &arguments.path, url).await?;
    let mut built = built?;
    let placed = deployer.place(&project, &built).await?;
    print_notes(&placed, output);
    print_ready(arguments, url, &placed, output);
    let Some(mut saves) = saves else {
        return std::future::pending().await;
    };
    loop {
        let placed = tokio::select! {
            () = saves.next() => {
                output.message("a file was saved: building");
                match build_again(&mut project, home, output).await {
                    Ok(new) => {
                        built = new;
                        deployer.place(&project, &built).await
                    }
                    Err(failure) => Err(failure),
                }
            }
            () = rewinds.notified() => {
                output.message("the chain was taken back: looking at what is left");
                deployer.place(&project, &built).await
            }
        };
        match placed {
            Ok(placed) => {
                for one in &placed {
                    output.message(&format!(
                        "{}  {}  {}",
                        one.name,
                        one.address,
                        one.how.text()
                    ));
                }
                print_notes(&placed, output);
            }
            // The chain and what is deployed on it stay; the next save tries again.
            Err(failure) => output.message(&failure.to_string()),
        }
    }
}

/// What the developer has to know and to choose.
fn print_notes(placed: &[Placed], output: Output) {
    let notes = placed.iter().flat_map(|one| &one.notes);
    notes.for_each(|note| output.message(note));
}

/// Builds what `project` says now.
async fn build_again(project: &mut Project, home: &Home, output: Output) -> Outcome<Vec<Built>> {
    *project = Project::find(&project.folder)?;
    build_in_background(project.clone(), home.clone(), output).await
}

async fn build_in_background(project: Project, home: Home, output: Output) -> Outcome<Vec<Built>> {
    if project.contracts.is_empty() {
        return Ok(Vec::new());
    }
    let built = tokio::task::spawn_blocking(move || {
        let builder = Builder {
            project: &project,
            home: &home,
            output,
        };
        builder.build(None)
    });
    built
        .await
        .map_err(|error| Failure::new(Exit::System, "build", error.to_string()))?
}

/// Fails early, before anything is built, when the port is taken.
fn check_port(port: u16) -> Outcome<()> {
    match TcpListener::bind(("127.0.0.1", port)) {
        Ok(_free) => Ok(()),
        Err(error) => Err(port_failure(port, &error)),
    }
}

fn port_failure(port: u16, error: &std::io::Error) -> Failure {
    let higher = port.max(1024)..=u16::MAX;
    // 0 takes any, where none above is free.
    let free = higher
        .skip(1)
        .find(|one| TcpListener::bind(("127.0.0.1", *one)).is_ok())
        .unwrap_or(0);
    let shown = Failure::new(
        Exit::System,
        "portInUse",
        format!("port {port} cannot be listened on"),
    )
    .at(format!("127.0.0.1:{port}"))
    .expected("a free port")
    .found(error.to_string());
    shown.next(format!("kumiki dev --port {free}"))
}

fn interrupted() -> Failure {
    Failure::new(
        Exit::Interrupted,
        "interrupted",
        "interrupted before the chain was ready",
    )
}

fn print_ready(arguments: &DevArguments, url: &str, placed: &[Placed], output: Output) {
    let accounts = published(ChainKind::Dev);
    let contracts: Map<String, Value> = placed
        .iter()
        .map(|one| (one.name.clone(), json!(one.address)))
        .collect();
    let account_list: Vec<Value> = accounts
        .iter()
        .map(|(name, address)| json!({ "name": name, "address": address }))
        .collect();
    let json = json!({
        "ready": true,
        "rpc": url,
        "accounts": account_list,
        "contracts": contracts,
    });
    let mut lines = vec![String::new(), format!("ready     {url}")];
    lines.push("accounts  published, so anyone can spend from them".to_owned());
    lines.extend(
        accounts
            .iter()
            .map(|(name, address)| format!("  {name:<7} {address}")),
    );
    if !placed.is_empty() {
        lines.push("contracts".to_owned());
    }
    for one in placed {
        lines.push(format!(
            "  {:<7} {}  {}",
            one.name,
            one.address,
            one.how.text()
        ));
    }
    lines.push("try next, in another terminal:".to_owned());
    lines.extend(
        suggestions(arguments, placed)
            .into_iter()
            .map(|line| format!("  {line}")),
    );
    output.data(&json, &lines.join("\n"));
}

/// Three commands that work when pasted.
fn suggestions(arguments: &DevArguments, placed: &[Placed]) -> Vec<String> {
    let project = if arguments.path == Path::new(".") {
        String::new()
    } else {
        format!(" --project {}", shell_word(&arguments.path))
    };
    let kumiki = program();
    match placed.first() {
        Some(one) => vec![
            format!("{kumiki} view {}{project}", one.name),
            format!("{kumiki} events {} --follow{project}", one.name),
            format!("{kumiki} proof contract {}{project}", one.name),
        ],
        None => vec![
            format!("{kumiki} chain info{project}"),
            format!("{kumiki} account show alice{project}"),
            format!("{kumiki} new my-app"),
        ],
    }
}

/// How a shell finds this program: by its name where it is on the path, else by its place, as after `cargo run`.
fn program() -> String {
    let name = format!("kumiki{}", std::env::consts::EXE_SUFFIX);
    let folders = std::env::var_os("PATH").unwrap_or_default();
    if std::env::split_paths(&folders).any(|folder| folder.join(&name).is_file()) {
        return "kumiki".to_owned();
    }
    let place = std::env::current_exe().unwrap_or_else(|_unknown| PathBuf::from("kumiki"));
    let here = std::env::current_dir().unwrap_or_default();
    shell_word(place.strip_prefix(&here).unwrap_or(&place))
}

/// Tells other commands where the project's chain runs, as long as it does.
struct RpcFile {
    path: PathBuf,
    url: String,
}

impl RpcFile {
    fn write(project: &Project, url: &str) -> Outcome<Self> {
        let path = project.private_folder().join(DEV_RPC_FILE);
        write_if_changed(&path, url.as_bytes())?;
        Ok(Self {
            path,
            url: url.to_owned(),
        })
    }
}

impl Drop for RpcFile {
    fn drop(&mut self) {
        // Another chain of this project may have put its address there since.
        if std::fs::read_to_string(&self.path).is_ok_and(|url| url == self.url) {
            // A file that stays names an address where nobody answers, which the next command says.
            let _stays = std::fs::remove_file(&self.path);
        }
    }
}
