//! A kdump written page by page, for machines whose memory is larger than that
//! of this one.

use std::fs::File;
use std::io;
use std::ops::Range;
use std::os::unix::fs::FileExt as _;

use crate::compress::compress;
use crate::image::Image;
use crate::kdump::{Compression, DESC_LEN, Head, KdumpOptions, descriptor};

/// Bytes gathered before they are written.
const GATHERED: usize = 1 << 20;

/// The data of a page in the file. Pages that hold the same may share it.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Block {
    offset: u64,
    size: u32,
    flags: u32,
}

/// A kdump that is being written.
pub struct KdumpStream {
    file: File,
    compression: Compression,
    head: Head,
    page_size: usize,
    descs: Tail,
    data: Tail,
    /// Descriptors still to come.
    left: u64,
    /// No page below this one may come any more.
    next: u64,
}

impl KdumpStream {
    /// Begins a kdump of `image`'s machine in an empty `file`. The frames are
    /// those below the image's end ([`Image::end_pfn`]); pages of its own it
    /// must not have. `stored` is how many pages will be stored.
    pub fn begin(file: File, image: &Image, compression: Compression, stored: u64) -> Self {
        assert!(image.pages.is_empty(), "pages come one by one");
        let head = image.head(&KdumpOptions {
            compression,
            ..KdumpOptions::default()
        });
        let descs = head.bytes.len() as u64;
        Self {
            file,
            compression,
            head,
            page_size: image.page_size,
            descs: Tail::at(descs),
            data: Tail::at(descs + stored * DESC_LEN as u64),
            left: stored,
            next: 0,
        }
    }

    /// Notes that the machine has these frames, stored or left out.
    pub fn exist(&mut self, frames: Range<u64>) {
        let bitmap = self.head.bitmaps;
        for pfn in frames {
            self.head.bytes[bitmap + (pfn / 8) as usize] |= 1 << (pfn % 8);
        }
    }

    /// Writes the data of a page, without saying of which.
    ///
    /// # Errors
    ///
    /// When the file cannot be written.
    pub fn store(&mut self, page: &[u8]) -> io::Result<Block> {
        let (bytes, flags) = self.pack(page);
        self.store_packed(&bytes, flags)
    }

    /// A page compressed, and its flags as in a `page_desc`; as it is where that
    /// does not shrink it.
    pub fn pack(&self, page: &[u8]) -> (Vec<u8>, u32) {
        assert_eq!(page.len(), self.page_size, "bytes in a page");
        compress(self.compression, 0, page)
    }

    /// The same with what the caller has compressed; `flags` as in a `page_desc`.
    ///
    /// # Errors
    ///
    /// When the file cannot be written.
    pub fn store_packed(&mut self, bytes: &[u8], flags: u32) -> io::Result<Block> {
        let offset = self.data.put(&self.file, bytes)?;
        Ok(Block {
            offset,
            size: bytes.len() as u32,
            flags,
        })
    }

    /// Lists frame `pfn`, above all listed before, as stored with that data.
    ///
    /// # Errors
    ///
    /// When the file cannot be written.
    pub fn page(&mut self, pfn: u64, block: Block) -> io::Result<()> {
        assert!(pfn >= self.next, "frame {pfn} comes too late");
        assert!(self.left > 0, "more pages than were announced");
        self.next = pfn + 1;
        self.left -= 1;
        self.exist(pfn..pfn + 1);
        let stored = self.head.bitmaps + self.head.bitmap_len;
        self.head.bytes[stored + (pfn / 8) as usize] |= 1 << (pfn % 8);
        let desc = descriptor(block.offset, block.size, block.flags);
        self.descs.put(&self.file, &desc)?;
        Ok(())
    }

    /// Writes what is left.
    ///
    /// # Errors
    ///
    /// When the file cannot be written.
    pub fn finish(mut self) -> io::Result<()> {
        assert_eq!(self.left, 0, "fewer pages than were announced");
        self.descs.flush(&self.file)?;
        self.data.flush(&self.file)?;
        self.file.write_all_at(&self.head.bytes, 0)
    }
}

/// A part of the file that grows.
struct Tail {
    /// Where the gathered bytes belong.
    at: u64,
    gathered: Vec<u8>,
}

impl Tail {
    fn at(at: u64) -> Self {
        Self {
            at,
            gathered: Vec::with_capacity(GATHERED),
        }
    }

    /// Appends `bytes`; returns where they begin.
    fn put(&mut self, file: &File, bytes: &[u8]) -> io::Result<u64> {
        if self.gathered.len() + bytes.len() > GATHERED {
            self.flush(file)?;
        }
        let begin = self.at + self.gathered.len() as u64;
        self.gathered.extend_from_slice(bytes);
        Ok(begin)
    }

    fn flush(&mut self, file: &File) -> io::Result<()> {
        file.write_all_at(&self.gathered, self.at)?;
        self.at += self.gathered.len() as u64;
        self.gathered.clear();
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The same file, byte by byte, as that of an image with all pages in memory.
    #[test]
    fn a_stream_is_the_kdump_of_the_same_pages() {
        let machine = || {
            Image::new(4096)
                .vmcoreinfo("OSRELEASE=6.1.0\n")
                .end_pfn(100_000)
        };
        let mut pages = machine();
        let path = std::env::temp_dir().join(format!("pagehound-stream-{}", std::process::id()));
        let file = File::options()
            .create(true)
            .truncate(true)
            .write(true)
            .read(true)
            .open(&path)
            .unwrap();
        let mut stream = KdumpStream::begin(file, &machine(), Compression::Zlib, 500);
        let shared = stream.store(&[0; 4096]).unwrap();
        for pfn in 0..1000_u64 {
            if pfn % 2 == 1 {
                pages.set_excluded(pfn * 97);
                stream.exist(pfn * 97..pfn * 97 + 1);
                continue;
            }
            let mut page = pfn.to_le_bytes().repeat(512);
            if pfn % 3 == 0 {
                page.fill(0);
            }
            let block = match pfn % 3 {
                0 => shared,
                _ => stream.store(&page).unwrap(),
            };
            stream.page(pfn * 97, block).unwrap();
            pages.set_page(pfn * 97, page);
        }
        stream.finish().unwrap();
        let written = std::fs::read(&path).unwrap();
        std::fs::remove_file(&path).unwrap();
        assert!(written == pages.write_kdump(&KdumpOptions::default()));
    }

    #[test]
    #[should_panic(expected = "comes too late")]
    fn pages_ascend() {
        let file = File::options().write(true).open("/dev/null").unwrap();
        let image = Image::new(4096).end_pfn(10);
        let mut stream = KdumpStream::begin(file, &image, Compression::Plain, 2);
        let block = stream.store(&[1; 4096]).unwrap();
        stream.page(5, block).unwrap();
        stream.page(5, block).unwrap();
    }
}
