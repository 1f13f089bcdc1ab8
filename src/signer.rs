//! The private keys that lakegate signs with, and what others verify with.
//!
//! [`SigningKey`] is one key of a file; [`KeySet`] those by which lakegate is known as an issuer of tokens: the first signs, all of them verify, so that a key
//! can be replaced without a token that nobody can verify.

mod issuer;
mod key;
mod pair;
mod pem;
mod set;

pub use issuer::{Statement, TokenIssuer};
pub use key::{Algorithm, SigningKey, is_exposed};
pub use pem::generate;
pub use set::KeySet;
