//! What every command is handed: where to write, and how to get at the context and the control plane.

use std::path::PathBuf;

use crate::context::{self, Asked, Context};
use crate::fault::Failure;
use crate::link::Link;
use crate::show::Show;

/// The frame of one command.
#[derive(Debug)]
pub struct App {
    /// Where to write.
    pub show: Show,
    /// What the command line and the environment say about the context.
    pub asked: Asked,
    /// The folder that the command runs in.
    pub folder: PathBuf,
}

impl App {
    /// The context that the command line and the files give.
    ///
    /// # Errors
    /// None is found, or it cannot be used.
    pub fn context(&self) -> Result<Context, Failure> {
        Ok(context::find(&self.asked, &self.folder)?)
    }

    /// A connection to the control plane.
    ///
    /// # Errors
    /// There is no context, or no connection.
    pub async fn link(&self) -> Result<Link, Failure> {
        Ok(Link::connect(&self.context()?).await?)
    }
}
