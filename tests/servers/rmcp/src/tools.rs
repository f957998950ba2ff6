//! The tools: one module for each kind, each with its table and its bodies.

mod ask;
mod content;
mod task;
mod tell;

use rmcp::model::{CallToolResponse, ErrorData, Tool};
use serde_json::{Value, json};

use crate::call::{Call, Stop, failed};

/// A row of a table of tools.
pub struct Row {
    name: &'static str,
    description: &'static str,
    schema: Schema,
    eras: Eras,
}

/// Where a tool can work.
#[derive(PartialEq)]
enum Eras {
    Both,
    Legacy,
    Modern,
}

pub enum Schema {
    /// String arguments, all required.
    Strings(&'static [&'static str]),
    Own(fn() -> Value),
}

pub const NOTHING: Schema = Schema::Strings(&[]);

/// `(name, description, schema)` as a row, of both eras.
pub const fn row(name: &'static str, description: &'static str, schema: Schema) -> Row {
    Row {
        name,
        description,
        schema,
        eras: Eras::Both,
    }
}

impl Row {
    /// … of this era alone.
    pub const fn legacy(self) -> Self {
        Self {
            eras: Eras::Legacy,
            ..self
        }
    }

    /// … of this era alone.
    pub const fn modern(self) -> Self {
        Self {
            eras: Eras::Modern,
            ..self
        }
    }

    fn works(&self, modern: bool) -> bool {
        self.eras == Eras::Both || modern == (self.eras == Eras::Modern)
    }

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
    /// Asks its client first.
    Ask,
    /// Goes on after its result.
    Task,
}

impl Kind {
    const ALL: [Self; 4] = [Self::Content, Self::Tell, Self::Ask, Self::Task];

    fn rows(self) -> &'static [Row] {
        match self {
            Self::Content => content::TOOLS,
            Self::Tell => tell::TOOLS,
            Self::Ask => ask::TOOLS,
            Self::Task => task::TOOLS,
        }
    }
}

/// Each era is shown what can work in it.
pub fn listed(modern: bool) -> Vec<Tool> {
    let rows = Kind::ALL.into_iter().flat_map(Kind::rows);
    rows.filter(|row| row.works(modern))
        .map(Row::tool)
        .collect()
}

pub fn named(name: &str) -> Option<Tool> {
    let mut rows = Kind::ALL.into_iter().flat_map(Kind::rows);
    rows.find(|row| row.name == name).map(Row::tool)
}

pub async fn call(call: &Call<'_>) -> Result<CallToolResponse, ErrorData> {
    let is = |row: &Row| row.name == call.target && row.works(call.modern());
    let outcome = match Kind::ALL
        .into_iter()
        .find(|kind| kind.rows().iter().any(is))
    {
        Some(Kind::Content) => Ok(content::call(call)),
        Some(Kind::Tell) => Ok(tell::call(call).await),
        Some(Kind::Ask) => ask::call(call).await,
        Some(Kind::Task) => task::call(call).await,
        None => {
            let unknown = format!("Unknown tool: {}", call.target);
            Err(ErrorData::invalid_params(unknown, None).into())
        }
    };
    match outcome {
        Ok(result) => Ok(result),
        Err(Stop::Asking(result)) => Ok(result.into()),
        Err(Stop::Failed(said)) => Ok(failed(said)),
        Err(Stop::Fault(fault)) => Err(fault),
    }
}
