//! The secret of a client, from a file that holds still while it is read: half of a secret looks like a whole one.

use std::{path::PathBuf, thread};

use super::listing::{self, SETTLE};
use crate::{
    model::{Fault, Secret},
    net::SecretSource,
};

/// Reads it. It blocks, for 20 ms at least where it stands in a file.
///
/// # Errors
/// The file and what is wrong with it, or that it does not hold still; never a part of what is in it.
pub(super) fn read(source: &SecretSource) -> Result<Secret, (PathBuf, String)> {
    settled(source, || thread::sleep(SETTLE))
}

/// One look before the reading and one after `between`, until both show the same.
fn settled(source: &SecretSource, mut between: impl FnMut()) -> Result<Secret, (PathBuf, String)> {
    let SecretSource::File(file) = source else { return source.read() };
    let wrong = |(file, message)| vec![Fault { file, line: None, column: None, message, help: None }];
    let read = || {
        let read = source.read().map_err(wrong);
        between();
        read
    };
    listing::read_together(&[file], read).map_err(|faults| {
        let message = faults.into_iter().map(|fault| fault.message).collect::<Vec<_>>().join("; ");
        (file.clone(), message)
    })
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    #[test]
    fn half_of_a_secret_is_no_secret() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("client.secret");
        let source = SecretSource::File(file.clone());
        let whole = "dose0123456789abcdef\n";
        fs::write(&file, "dose0123").unwrap();
        // Whoever writes it is done with the second half while the first is looked at.
        let mut rest = Some(whole);
        let known = settled(&source, || rest.take().into_iter().for_each(|whole| fs::write(&file, whole).unwrap())).unwrap();
        assert_eq!(known.expose(), whole.trim_end());

        // One who never is done.
        let mut text = String::new();
        let restless = settled(&source, || {
            text.push('x');
            fs::write(&file, &text).unwrap();
        });
        let (of, message) = restless.unwrap_err();
        assert!(of == file && message.contains("do not hold still"), "{message}");

        fs::write(&file, "").unwrap();
        let (_, message) = read(&source).unwrap_err();
        assert!(message.contains("does not hold a client secret"), "{message}");
        assert_eq!(read(&SecretSource::Given(Secret::new("s"))).unwrap().expose(), "s");
    }
}
