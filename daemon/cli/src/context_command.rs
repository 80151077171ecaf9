//! `linecamp context`.

use linecamp_model::{Name, printable};
use linecamp_table::{Cell, Table};
use serde_json::json;

use crate::argument;
use crate::context::Context;
use crate::credentials::{ConfigError, LoginFile, config_path};

#[derive(Debug, clap::Subcommand)]
pub(crate) enum ContextCommand {
    /// List the contexts: the stored logins
    #[command(after_help = "\
Example:
  linecamp context ls")]
    Ls,
    /// Use a context from now on, unless --context or LINECAMP_CONTEXT names another one
    #[command(after_help = "\
Example:
  linecamp context use production")]
    Use(ContextName),
    /// Remove a context; its session or API key stays valid, see `linecamp logout`
    #[command(after_help = "\
Example:
  linecamp context rm lab")]
    Rm(ContextName),
}

#[derive(Debug, clap::Args)]
pub(crate) struct ContextName {
    /// The context
    #[arg(value_parser = argument::name)]
    name: Name,
}

impl ContextCommand {
    pub(crate) fn run(&self, context: &Context<'_>) -> anyhow::Result<()> {
        let path = config_path(context.env)?;
        let Some(mut file) = LoginFile::load(&path)? else { return Err(ConfigError::NotLoggedIn { path }.into()) };
        let check = |file: &LoginFile, name: &Name| match file.contexts.contains_key(name.as_str()) {
            true => Ok(()),
            false => Err(ConfigError::NoContext { name: name.to_string(), path: path.clone() }),
        };
        match self {
            Self::Ls => {
                let current = file.context_name(context.login.as_ref(), context.env)?;
                let url = |name: &str| file.contexts[name].url.clone().unwrap_or_default();
                let item = |name: &String| json!({ "name": name, "url": url(name), "current": *name == current });
                let shown = json!({ "items": file.contexts.keys().map(item).collect::<Vec<_>>() });
                let mark = |name: &String| if *name == current { "*" } else { "" };
                let row = |name: &String| {
                    [Cell::from(mark(name)), Cell::from(name), Cell::from(printable(&url(name)).to_string())]
                };
                let table = Table::new(["", "NAME", "SERVER"]).with(file.contexts.keys().map(row));
                Ok(context.out.show(&shown, |style| table.render(style.colors))?)
            }
            Self::Use(ContextName { name }) => {
                check(&file, name)?;
                file.current = Some(name.to_string());
                file.save(&path)?;
                let shown = json!({ "current": name.as_str() });
                Ok(context.out.show(&shown, |_| format!("using context {name}\n"))?)
            }
            Self::Rm(ContextName { name }) => {
                check(&file, name)?;
                file.contexts.remove(name.as_str());
                if file.current.as_deref() == Some(name.as_str()) {
                    file.current = None;
                }
                file.save(&path)?;
                let shown = json!({ "removed": name.as_str() });
                Ok(context.out.show(&shown, |_| format!("context {name} removed\n"))?)
            }
        }
    }
}
