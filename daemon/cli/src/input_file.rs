//! Files given on the command line.
//!
//! They may be pipes, such as `<(generate)`: the person who named it waits for its writer, or presses Ctrl-C. Only the
//! login has its own reader: it is a configuration file with its own errors.

use std::path::Path;

use linecamp_files::ReadError;

use crate::argument::ArgumentError;

const KIB: u64 = 1024;
const MIB: u64 = 1024 * KIB;

/// Reads a file of at most `bytes_max` bytes. A larger file is an error.
pub(crate) fn read(path: &Path, bytes_max: u64) -> Result<Vec<u8>, ArgumentError> {
    linecamp_files::read_given(path, bytes_max).map_err(|error| match error {
        ReadError::TooLarge { .. } => {
            let max = match bytes_max < MIB {
                true => format!("{} KiB", bytes_max / KIB),
                false => format!("{} MiB", bytes_max / MIB),
            };
            invalid(path, format!("file too large: at most {max} are accepted"))
        }
        error => invalid(path, error.to_string()),
    })
}

/// Reads a UTF-8 text file of at most `bytes_max` bytes.
pub(crate) fn read_text(path: &Path, bytes_max: u64) -> Result<String, ArgumentError> {
    String::from_utf8(read(path, bytes_max)?).map_err(|_| invalid(path, "not UTF-8 text".into()))
}

/// Returns the error for an unreadable or invalid file.
pub(crate) fn invalid(path: &Path, problem: String) -> ArgumentError {
    ArgumentError::File { path: path.into(), problem }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// As in `--file <(generate)`.
    #[test]
    fn a_file_given_as_an_argument_may_be_a_pipe() {
        let dir = tempfile::tempdir().expect("a directory");
        let path = dir.path().join("pipe");
        assert!(std::process::Command::new("mkfifo").arg(&path).status().expect("runs").success());
        let writer = {
            let path = path.clone();
            std::thread::spawn(move || std::fs::write(path, "text"))
        };
        assert_eq!(read_text(&path, 4).expect("reads"), "text");
        writer.join().expect("ends").expect("writes");
    }

    #[test]
    fn a_file_that_is_too_large_is_rejected() {
        let dir = tempfile::tempdir().expect("a directory");
        let path = dir.path().join("file");
        let check = |bytes: usize, max: u64, expected: Result<usize, &str>| {
            std::fs::write(&path, vec![b'x'; bytes]).expect("written");
            match (read_text(&path, max), expected) {
                (Ok(text), Ok(length)) => assert_eq!(text.len(), length),
                (Err(error), Err(expected)) => assert!(error.to_string().ends_with(expected), "{error}"),
                (found, expected) => panic!("{found:?} instead of {expected:?}"),
            }
        };
        check(2048, 2048, Ok(2048));
        check(2049, 2048, Err("file too large: at most 2 KiB are accepted"));
        check(3 << 20, 2 << 20, Err("file too large: at most 2 MiB are accepted"));
    }
}
