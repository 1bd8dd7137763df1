//! makedumpfile's flattened stream.

/// In which order records come.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Order {
    /// As the bytes lie in the file.
    Forward,
    /// The other way round.
    Backward,
    /// Every second one, then the others.
    Interleaved,
}

/// How a file is flattened.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Flatten {
    /// Bytes of the file a record.
    pub record: usize,
    /// In which order records come.
    pub order: Order,
    /// First write rubbish over the whole file, in records of another size, so
    /// that only a reader that lets later records win sees the file.
    pub overwrite: bool,
    /// Leave out records of zeroes that end below this offset: makedumpfile writes no
    /// more of a header's block than the header.
    pub holes_below: usize,
    /// Whether the end record is written.
    pub end: bool,
}

impl Default for Flatten {
    fn default() -> Self {
        Self {
            record: 16384,
            order: Order::Forward,
            overwrite: false,
            holes_below: 0,
            end: true,
        }
    }
}

/// `file` as a flattened stream.
pub fn flatten(file: &[u8], options: &Flatten) -> Vec<u8> {
    let mut out = b"makedumpfile\0\0\0\0".to_vec();
    out.extend(1i64.to_be_bytes());
    out.extend(1i64.to_be_bytes());
    out.resize(4096, 0);
    if options.overwrite {
        let size = options.record * 2 / 3 + 1;
        for start in (0..file.len()).step_by(size) {
            put_record(&mut out, start, &vec![0xbd; size.min(file.len() - start)]);
        }
    }
    let mut records: Vec<(usize, &[u8])> = file
        .chunks(options.record)
        .enumerate()
        .map(|(at, part)| (at * options.record, part))
        .collect();
    match options.order {
        Order::Forward => {}
        Order::Backward => records.reverse(),
        Order::Interleaved => {
            // Stable: within the even and the odd ones the order stays.
            let record = options.record;
            records.sort_by_key(|(start, _)| start / record % 2);
        }
    }
    for (start, part) in records {
        let zero = part.iter().all(|&byte| byte == 0);
        if !(zero && start + part.len() <= options.holes_below) {
            put_record(&mut out, start, part);
        }
    }
    if options.end {
        out.extend((-1i64).to_be_bytes());
        out.extend((-1i64).to_be_bytes());
    }
    out
}

fn put_record(out: &mut Vec<u8>, start: usize, bytes: &[u8]) {
    out.extend((start as i64).to_be_bytes());
    out.extend((bytes.len() as i64).to_be_bytes());
    out.extend_from_slice(bytes);
}
