//! The tools: one module for each kind, each with its table and its bodies.

mod ask;
mod content;
mod input;
mod task;
mod tell;

use rmcp::model::{CallToolResponse, ErrorData, Tool};
use serde_json::{Value, json};

use crate::call::Call;

/// A row of a table of tools.
pub struct Row {
    name: &'static str,
    description: &'static str,
    schema: Schema,
}

pub enum Schema {
    /// String arguments, all required.
    Strings(&'static [&'static str]),
    Own(fn() -> Value),
}

pub const NOTHING: Schema = Schema::Strings(&[]);

/// `(name, description, schema)` as a row.
pub const fn row(name: &'static str, description: &'static str, schema: Schema) -> Row {
    Row {
        name,
        description,
        schema,
    }
}

impl Row {
    fn tool(&self) -> Tool {
        let schema = match self.schema {
            Schema::Strings([]) => json!({"type": "object", "properties": {}}),
            Schema::Strings(names) => {
                let properties = names
                    .iter()
                    .map(|&name| (name.to_owned(), json!({"type": "string"})));
                json!({"type": "object", "properties": Value::Object(properties.collect()), "required": names})
            }
            Schema::Own(schema) => schema(),
        };
        let Value::Object(schema) = schema else {
            unreachable!("every schema of a tool is an object");
        };
        Tool::new(self.name, self.description, schema)
    }
}

#[derive(Clone, Copy)]
enum Kind {
    /// Answers at once.
    Content,
    /// Tells something while it runs.
    Tell,
    /// Asks its client while it runs.
    Ask,
    /// Asks its client by its result.
    Input,
    /// Goes on after its result.
    Task,
}

impl Kind {
    const ALL: [Self; 5] = [
        Self::Content,
        Self::Tell,
        Self::Ask,
        Self::Input,
        Self::Task,
    ];

    fn rows(self) -> &'static [Row] {
        match self {
            Self::Content => content::TOOLS,
            Self::Tell => tell::TOOLS,
            Self::Ask => ask::TOOLS,
            Self::Input => input::TOOLS,
            Self::Task => task::TOOLS,
        }
    }

    /// Each era is shown what can work in it.
    fn works(self, modern: bool) -> bool {
        match self {
            Self::Content | Self::Tell => true,
            Self::Ask => !modern,
            Self::Input | Self::Task => modern,
        }
    }
}

pub fn listed(modern: bool) -> Vec<Tool> {
    let kinds = Kind::ALL.into_iter().filter(|kind| kind.works(modern));
    kinds.flat_map(Kind::rows).map(Row::tool).collect()
}

pub fn named(name: &str) -> Option<Tool> {
    let mut rows = Kind::ALL.into_iter().flat_map(Kind::rows);
    rows.find(|row| row.name == name).map(Row::tool)
}

pub async fn call(call: &Call<'_>) -> Result<CallToolResponse, ErrorData> {
    let has = |kind: &Kind| kind.rows().iter().any(|row| row.name == call.target);
    let mut kinds = Kind::ALL
        .into_iter()
        .filter(|kind| kind.works(call.modern()));
    match kinds.find(has) {
        Some(Kind::Content) => Ok(content::call(call)),
        Some(Kind::Tell) => Ok(tell::call(call).await),
        Some(Kind::Ask) => Ok(ask::call(call).await),
        Some(Kind::Input) => input::call(call).await,
        Some(Kind::Task) => task::call(call).await,
        None => Err(ErrorData::invalid_params(
            format!("Unknown tool: {}", call.target),
            None,
        )),
    }
}
