//! Virtual servers and `/mcp`: several servers as one.

mod absent;
mod members;
mod names;
mod streams;
