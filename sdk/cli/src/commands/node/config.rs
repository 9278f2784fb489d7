//! `kumiki node config show`: what holds for a node, and why.

use serde_json::{Map, Value, json};

use super::{folder, settings};
use crate::arguments::node::NodeConfigShowArguments;
use crate::failure::Outcome;
use crate::output::Output;

pub(super) fn show(arguments: &NodeConfigShowArguments, output: Output) -> Outcome<()> {
    let settings = settings(&folder(&arguments.home)?, &arguments.values)?;
    let mut json = Map::new();
    let mut lines = Vec::new();
    for (key, value, origin) in settings.all() {
        let line = format!("{} = {value}", key.path());
        let entry = if arguments.origin {
            lines.push(format!("{line:<48}  # {origin}"));
            json!({ "value": value, "origin": origin.to_string() })
        } else {
            lines.push(line);
            json!(value)
        };
        json.insert(key.path(), entry);
    }
    output.data(&Value::Object(json), &lines.join("\n"));
    Ok(())
}
