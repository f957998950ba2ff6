//! Virtual servers and `/mcp`: several servers as one.

mod absent;
mod asking;
mod members;
mod names;
mod streams;
