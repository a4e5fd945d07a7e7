//! Undo on an engine: exact, atomic, and nothing of others lost.

mod world;
mod grants;
mod carried;
mod dice;
mod members;
mod reverse;
mod aside;
mod refused;
mod saved;
mod saves;
mod busy;
mod open;
mod privileges;
mod restore;
mod gain;
mod two;
mod gamble;
