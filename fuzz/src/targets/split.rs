//! Two files that `open_parts` takes for parts of one dump, or does not.

use pagehound_vmcore::OpenOptions;

use super::containers::{MemoryFile, agree, check, one_line};
use crate::input::Input;

/// The length of the first file, the two files.
pub(crate) fn run(data: &[u8]) {
    let mut input = Input(data);
    let Some(len) = input.u16() else {
        return;
    };
    let len = usize::from(len).min(input.0.len());
    let (first, second) = input.0.split_at(len);
    let files = [MemoryFile::of(first), MemoryFile::of(second)];
    let paths = files.each_ref().map(MemoryFile::path);
    let open = |map| {
        let options = OpenOptions {
            map,
            ..OpenOptions::default()
        };
        options.open_parts(&paths)
    };
    match (open(true), open(false)) {
        (Ok(mapped), Ok(read)) => {
            check(&mapped);
            agree(&mapped, &read);
        }
        (Err(mapped), Err(read)) => {
            assert_eq!(mapped.to_string(), read.to_string());
            one_line(&mapped);
        }
        (mapped, read) => {
            panic!("mapped {:?}, read {:?}", mapped.err(), read.err())
        }
    }
}
