//! `kumiki new`: a project that builds, tests and runs as it is.

use std::fs;
use std::path::Path;

use serde_json::json;

use crate::archive;
use crate::arguments::{NewArguments, Template};
use crate::failure::{Exit, Failure, Outcome};
use crate::home::Home;
use crate::next_step::shell_word;
use crate::output::Output;
use crate::project::Project;
use crate::sdk_sources::SdkSources;

static ARCHIVE: &[u8] = include_bytes!(concat!(env!("OUT_DIR"), "/templates.archive"));
/// The folder of what is the same in every template.
const EVERY: &str = "every";

pub(crate) fn run(arguments: &NewArguments, output: Output) -> Outcome<()> {
    let folder = &arguments.name;
    let name = project_name(folder)?;
    if folder.exists() {
        return Err(Failure::new(
            Exit::Usage,
            "folderExists",
            "there is something of this name already",
        )
        .at(folder.display().to_string())
        .expected("a name that is free")
        .found(name)
        .next(format!(
            "kumiki new {}",
            shell_word(folder.with_file_name(format!("{name}-2")))
        )));
    }
    let template = template_name(arguments.template);
    write(template, name, folder)?;
    let home = Home::find()?;
    let project = Project::find(folder)?;
    SdkSources::unpack(&home)?.attach(&project)?;
    let contracts: Vec<&str> = project
        .contracts
        .iter()
        .map(|one| one.name.as_str())
        .collect();
    let json = json!({
        "name": name,
        "path": project.folder,
        "template": template,
        "contracts": contracts,
    });
    let text = format!(
        "made {}\nnext: cd {} && kumiki dev",
        project.folder.display(),
        shell_word(folder)
    );
    output.data(&json, &text);
    Ok(())
}

const fn template_name(template: Template) -> &'static str {
    match template {
        Template::Counter => "counter",
        Template::Token => "token",
        Template::Empty => "empty",
    }
}

fn project_name(folder: &Path) -> Outcome<&str> {
    let allowed = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'-' || byte == b'_';
    folder
        .file_name()
        .and_then(|name| name.to_str())
        .filter(|name| !name.starts_with('-') && name.len() <= 64 && name.bytes().all(allowed))
        .ok_or_else(|| {
            Failure::new(
                Exit::Usage,
                "projectName",
                "this cannot be the name of a project",
            )
            .expected("1 to 64 of a-z, A-Z, 0-9, '-' and '_'")
            .found(folder.display().to_string())
            .next("kumiki new my-app")
        })
}

/// The template's files: path in the project, content.
pub(crate) fn render(template: &str, name: &str) -> Vec<(String, Vec<u8>)> {
    archive::files(ARCHIVE)
        .filter_map(|(path, content)| {
            let (folder, path) = path.split_once('/')?;
            if folder != template && folder != EVERY {
                return None;
            }
            let path = if path == "gitignore" {
                ".gitignore"
            } else {
                path
            };
            let content = match std::str::from_utf8(content) {
                Ok(text) => text
                    .replace("{{name}}", name)
                    .replace("{{rust}}", env!("CARGO_PKG_RUST_VERSION"))
                    .replace("{{repository}}", env!("CARGO_PKG_REPOSITORY"))
                    .into_bytes(),
                Err(_binary) => content.to_vec(),
            };
            Some((path.to_owned(), content))
        })
        .collect()
}

/// Writes the template's files into `folder`.
pub(crate) fn write(template: &str, name: &str, folder: &Path) -> Outcome<()> {
    for (path, content) in render(template, name) {
        let path = folder.join(path);
        let parent = path.parent().unwrap_or(folder);
        fs::create_dir_all(parent)
            .and_then(|()| fs::write(&path, content))
            .map_err(|error| Failure::io(&path, &error))?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn token_example_is_what_the_template_makes() {
        let example = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../examples/token");
        for (path, content) in render("token", "token") {
            // The example's README is a walk-through.
            if path != "README.md" {
                let found = fs::read(example.join(&path)).unwrap();
                assert!(
                    found == content,
                    "examples/token/{path} differs from the template"
                );
            }
        }
    }

    #[test]
    fn every_template_is_whole() {
        for template in ["counter", "token", "empty"] {
            let paths: Vec<String> = render(template, "x")
                .into_iter()
                .map(|(path, _)| path)
                .collect();
            for path in [
                "Cargo.toml",
                "kumiki.toml",
                "README.md",
                ".gitignore",
                ".github/workflows/ci.yml",
                "src/lib.rs",
            ] {
                assert!(paths.iter().any(|one| one == path), "{template}: {path}");
            }
        }
    }
}
