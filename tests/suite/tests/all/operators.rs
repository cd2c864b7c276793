//! What operators do, over the HTTP API of the deployed stack: pair a shop by its code, connect a book through its
//! provider's own pages, put settings, preview, disconnect, move over from another service. Nothing here writes a row behind
//! the stack's back, except where a case says that time has passed.

mod command_line;
mod diagnosed;
mod hidden;
mod life;
mod looks;
mod moved;
mod refused;
mod scene;
mod shown;
